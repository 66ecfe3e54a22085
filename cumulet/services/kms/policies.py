"""Operations on key policies; a key has one, named "default"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.kms import documents
from cumulet.services.kms.errors import NotFoundException
from cumulet.services.kms.lookup import key_itself, own
from cumulet.services.kms.making import changed

Json = dict[str, Any]
_NAME = "default"


def _check_name(req: Mapping[str, Any]) -> None:
    if req.get("PolicyName", _NAME) != _NAME:
        raise NotFoundException("No such policy exists")


def get_key_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A key's policy. Raises: NotFoundException. Source: KMS API_GetKeyPolicy (read 2026-11)."""
    key = key_itself(ctx, req["KeyId"])
    _check_name(req)
    return {"Policy": key.policy, "PolicyName": _NAME}


def put_key_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Give a key a policy of 32 KB at most, which lets the caller change it later unless that check is switched off.

    Raises: NotFoundException, MalformedPolicyDocumentException, LimitExceededException, AccessDeniedException.
    Source: KMS API_PutKeyPolicy (read 2026-11).
    """
    key = own(ctx, key_itself(ctx, req["KeyId"]), "PutKeyPolicy")
    _check_name(req)
    changed(ctx, key, policy=documents.checked(ctx, req))
    return {}


def list_key_policies(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The names of a key's policies. Raises: NotFoundException. Source: KMS API_ListKeyPolicies (read 2026-11)."""
    key_itself(ctx, req["KeyId"])
    return {"PolicyNames": [_NAME], "Truncated": False}
