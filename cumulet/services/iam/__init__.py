"""IAM: roles, users, groups, policies and access keys as records; nothing is enforced yet."""

from cumulet.kernel.service import Service
from cumulet.services.iam import (
    account,
    attachments,
    groups,
    inline,
    internal,
    policies,
    profiles,
    roles,
    users,
)
from cumulet.services.iam.cfn import RESOURCES

SERVICE = Service(
    "iam",
    modules=(account, attachments, groups, inline, policies, profiles, roles, users),
    internals={"cumulet:AccessKey": internal.access_key, "cumulet:CheckPolicy": internal.check_policy},
    resources=RESOURCES,
)
