"""IAM: roles, users, groups, policies and access keys; what they allow is enforced where the server is told to."""

from cumulet.kernel.service import Service
from cumulet.services.iam import (
    account,
    attachments,
    enforcing,
    groups,
    inline,
    internal,
    policies,
    profiles,
    roles,
    simulating,
    users,
)
from cumulet.services.iam.authz import AUTHZ
from cumulet.services.iam.cfn import RESOURCES

SERVICE = Service(
    "iam",
    modules=(account, attachments, groups, inline, policies, profiles, roles, simulating, users),
    internals={
        "cumulet:AccessKey": internal.access_key,
        "cumulet:CheckPolicy": internal.check_policy,
        "cumulet:Documents": enforcing.documents_of,
        "cumulet:PoliciesOf": enforcing.policies_of,
        "cumulet:TrustPolicy": enforcing.trust_policy,
    },
    resources=RESOURCES,
    authz=AUTHZ,
)
