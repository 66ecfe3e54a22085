"""AWS Systems Manager: Parameter Store, nothing else."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.ssm import parameters, tags
from cumulet.services.ssm.authz import AUTHZ
from cumulet.services.ssm.cfn import RESOURCES

SERVICE = Service("ssm", modules=(parameters, tags), resources=RESOURCES, authz=AUTHZ)
