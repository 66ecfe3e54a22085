"""AWS KMS: keys, aliases, encryption, signatures, rotation, grants; and encryption for the other services."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.kms import (
    aliases,
    encryption,
    expiry,
    grants,
    importing,
    internal,
    keys,
    making,
    policies,
    rotating,
    rotation,
    signing,
    tags,
)
from cumulet.services.kms.authz import AUTHZ
from cumulet.services.kms.cfn import RESOURCES

SERVICE = Service(
    "kms",
    modules=(keys, aliases, encryption, signing, rotating, policies, grants, tags, importing),
    timers={
        "kms.delete": making.delete,
        "kms.rotate": rotation.rotate,
        "kms.import_ends": expiry.import_ends,
        "kms.expire": expiry.expire,
    },
    internals={
        "cumulet:Key": internal.key_in_use,
        "cumulet:DataKey": internal.data_key,
        "cumulet:OpenDataKey": internal.open_data_key,
        "cumulet:Seal": internal.seal,
        "cumulet:Open": internal.unseal,
    },
    resources=RESOURCES,
    authz=AUTHZ,
)
