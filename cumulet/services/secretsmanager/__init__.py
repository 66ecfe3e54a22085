"""AWS Secrets Manager: secrets, their versions and labels, rotation by functions."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.secretsmanager import policies, removal, rotating, rotation, secrets, values
from cumulet.services.secretsmanager.authz import AUTHZ
from cumulet.services.secretsmanager.cfn import RESOURCES

SERVICE = Service(
    "secretsmanager",
    modules=(secrets, values, rotating, policies),
    timers={
        "secretsmanager.delete": removal.delete,
        "secretsmanager.due": rotation.due,
        "secretsmanager.step": rotation.step,
    },
    resources=RESOURCES,
    authz=AUTHZ,
)
