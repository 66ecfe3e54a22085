"""STS: temporary credentials and who an access key is."""

from cumulet.kernel.service import Service
from cumulet.services.sts import identity, model, tokens
from cumulet.services.sts.authz import AUTHZ

SERVICE = Service(
    "sts",
    modules=(tokens,),
    timers={"sts.forget": model.forget},
    internals={
        "cumulet:Identity": identity.identity,
        "cumulet:RoleCredentials": identity.role_credentials,
        "cumulet:Session": identity.session,
    },
    authz=AUTHZ,
)
