"""IAM: roles, users, groups, policies and access keys as records; nothing is enforced yet."""

from cumulet.kernel.service import Service
from cumulet.services.iam import internal, roles

SERVICE = Service(
    "iam",
    modules=(roles,),
    internals={"cumulet:AccessKey": internal.access_key, "cumulet:CheckPolicy": internal.check_policy},
)
