"""Operations on aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.kms import making
from cumulet.services.kms.errors import (
    AlreadyExistsException,
    LimitExceededException,
    NotAuthorizedException,
    NotFoundException,
    ValidationException,
)
from cumulet.services.kms.lookup import key_itself, living, own, page
from cumulet.services.kms.model import ALIASES_A_KEY, ROOT, Alias, Key, alias_key

Json = dict[str, Any]


def create_alias(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Give a key a name, `alias/...`, unique in the account and region; 50 a key.

    Raises: AlreadyExistsException, NotFoundException, NotAuthorizedException (alias/aws/), ValidationException,
    KMSInvalidStateException, LimitExceededException.
    Source: KMS API_CreateAlias; developer guide, "Resource quotas" (read 2026-11).
    """
    name = _own_name(req)
    key = living(own(ctx, key_itself(ctx, req["TargetKeyId"]), "CreateAlias"))
    if ctx.tx.get(alias_key(ctx.account, ctx.region, name), Alias) is not None:
        raise AlreadyExistsException(
            f"An alias with the name arn:aws:kms:{ctx.region}:{ctx.account}:{name} already exists"
        )
    _check_room(ctx, key)
    making.put_alias(ctx, key, name)
    return {}


def _own_name(req: Mapping[str, Any]) -> str:
    name: str = req["AliasName"]
    if not name.startswith("alias/") or name == "alias/":
        raise ValidationException('Alias must start with the prefix "alias/".')
    if name.startswith("alias/aws/"):
        raise NotAuthorizedException
    return name


def _check_room(ctx: Context, key: Key) -> None:
    if sum(1 for _ in ctx.tx.scan_keys((ROOT, "names", key.id))) >= ALIASES_A_KEY:
        raise LimitExceededException(f"You have exceeded the number of aliases per KMS key limit: {ALIASES_A_KEY}.")


def _existing(ctx: Context, name: str) -> Alias:
    found = ctx.tx.get(alias_key(ctx.account, ctx.region, name), Alias)
    if found is None:
        raise NotFoundException(f"Alias arn:aws:kms:{ctx.region}:{ctx.account}:{name} is not found.")
    return found


def update_alias(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have an alias name another key, of the same usage and of the same type (symmetric, pair, HMAC).

    Raises: NotFoundException, KMSInvalidStateException, ValidationException, NotAuthorizedException, LimitExceededException.
    Source: KMS API_UpdateAlias (read 2026-11).
    """
    alias = _existing(ctx, _own_name(req))
    key = living(own(ctx, key_itself(ctx, req["TargetKeyId"]), "UpdateAlias"))
    before = key_itself(ctx, alias.key_id)
    if (before.usage, _type(before)) != (key.usage, _type(key)):
        raise ValidationException(
            f"Alias {alias.arn} cannot be changed from key {before.arn} to key {key.arn}: both must be of the same type and "
            "usage."
        )
    if before.id != key.id:
        _check_room(ctx, key)
        making.drop_alias(ctx, alias)
        making.put_alias(ctx, key, alias.name, alias.created)
    return {}


def _type(key: Key) -> str:
    return "pair" if key.public else "HMAC" if key.spec.startswith("HMAC") else key.spec


def delete_alias(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take a name away; the key stays.

    Raises: NotFoundException, NotAuthorizedException. Source: KMS API_DeleteAlias (read 2026-11).
    """
    making.drop_alias(ctx, _existing(ctx, _own_name(req)))
    return {}


def list_aliases(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The aliases of the account and region, or of one key, 50 a page; those of AWS managed keys once they are in use.

    Raises: NotFoundException, InvalidMarkerException. Source: KMS API_ListAliases (read 2026-11).
    """
    wanted = key_itself(ctx, req["KeyId"]).id if "KeyId" in req else None
    rows = (
        (alias.name, alias)
        for _, alias in ctx.tx.scan((ROOT, "alias", ctx.account, ctx.region), Alias)
        if wanted in (None, alias.key_id)
    )
    return page(req, "Aliases", rows, _shown, 50)


def _shown(alias: Alias) -> Json:
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.updated,
    }
