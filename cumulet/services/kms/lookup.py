"""Finding keys by what requests call them, and asking what state they are in.

Source: KMS API reference, KeyId of each operation; developer guide, "Key states of AWS KMS keys" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cumulet.kernel.context import Context
from cumulet.services.kms.errors import (
    AccessDeniedException,
    DisabledException,
    DryRunOperationException,
    InvalidGrantTokenException,
    InvalidKeyUsageException,
    InvalidMarkerException,
    KMSInvalidStateException,
    NotFoundException,
    UnsupportedOperationException,
)
from cumulet.services.kms.model import (
    DISABLED,
    ENABLED,
    PENDING_DELETION,
    PENDING_IMPORT,
    Alias,
    Key,
    alias_key,
    key_key,
    token_key,
)

T = TypeVar("T")
_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):(\d{12}):(key/[^/:]+|alias/.+)")
_ID = re.compile(r"(mrk-)?[0-9a-f-]{32,36}")
_PAGE = 100


def key_named(ctx: Context, name: str) -> Key:
    """The key of an id, an ARN, an alias or an alias's ARN. Raises: NotFoundException."""
    account, region, rest = _place(ctx, name)
    if not rest.startswith("alias/"):
        return _by_id(ctx, account, region, rest, name)
    alias = ctx.tx.get(alias_key(account, region, rest), Alias)
    if alias is None:
        raise NotFoundException(f"Alias arn:aws:kms:{region}:{account}:{rest} is not found.")
    return _by_id(ctx, account, region, alias.key_id, name)


def key_itself(ctx: Context, name: str) -> Key:
    """The key of an id or an ARN; aliases will not do. Raises: NotFoundException."""
    account, region, rest = _place(ctx, name)
    if rest.startswith("alias/"):
        raise NotFoundException(f"Invalid keyId '{name}'")
    return _by_id(ctx, account, region, rest, name)


def _place(ctx: Context, name: str) -> tuple[str, str, str]:
    """(account, region, key id or alias)."""
    if not name.startswith("arn:"):
        return ctx.account, ctx.region, name
    match = _ARN.fullmatch(name)
    if match is None:
        raise NotFoundException(f"Invalid arn {name}")
    region, account, rest = match.groups()
    if region != ctx.region:
        raise NotFoundException(f"Invalid arn {region}")
    return account, region, rest.removeprefix("key/")


def _by_id(ctx: Context, account: str, region: str, key_id: str, name: str) -> Key:
    found = ctx.tx.get(key_key(key_id), Key)
    if found is not None and (found.account, found.region) == (account, region):
        return found
    if not _ID.fullmatch(key_id):
        raise NotFoundException(f"Invalid keyId '{name}'")
    raise NotFoundException(f"Key 'arn:aws:kms:{region}:{account}:key/{key_id}' does not exist")


def own(ctx: Context, key: Key, operation: str) -> Key:
    """A key that the customer may change. Raises: AccessDeniedException for one that AWS manages."""
    if key.manager == "AWS":
        raise AccessDeniedException(
            f"User: {ctx.principal} is not authorized to perform: kms:{operation} on resource: {key.arn} because no "
            f"resource-based policy allows the kms:{operation} action"
        )
    return key


def living(key: Key) -> Key:
    """Raises: KMSInvalidStateException for a key that is pending deletion."""
    if key.state == PENDING_DELETION:
        raise KMSInvalidStateException(f"{key.arn} is pending deletion.")
    return key


def enabled(key: Key) -> Key:
    """Raises: KMSInvalidStateException, DisabledException."""
    living(key)
    if key.state == PENDING_IMPORT:
        raise KMSInvalidStateException(f"{key.arn} is pending import.")
    if key.state == DISABLED:
        raise DisabledException(f"{key.arn} is disabled.")
    assert key.state == ENABLED
    return key


def usable(ctx: Context, req: Mapping[str, Any], operation: str, usage: str, member: str = "KeyId") -> Key:
    """The key that a request wants to use for `usage`.

    Raises: NotFoundException, InvalidKeyUsageException, DisabledException, KMSInvalidStateException, InvalidGrantTokenException,
    AccessDeniedException (a key that AWS manages is for the service it is named after), UnsupportedOperationException.
    """
    for token in req.get("GrantTokens", ()):
        if ctx.tx.get_bytes(token_key(token)) is None:
            raise InvalidGrantTokenException("The grant token is not valid.")
    if "Recipient" in req:
        raise UnsupportedOperationException("Recipient (Nitro enclaves) is not supported by Cumulet.")
    key = own(ctx, key_named(ctx, req[member]), operation)
    if key.usage != usage:
        raise InvalidKeyUsageException(f"{key.arn} key usage is {key.usage} which is not valid for {operation}.")
    return enabled(key)


def no_dry_run(req: Mapping[str, Any]) -> None:
    """Raises: DryRunOperationException where the request would have succeeded and is only a trial."""
    if req.get("DryRun"):
        raise DryRunOperationException("The request would have succeeded, but the DryRun option is set.")


def page(
    req: Mapping[str, Any], member: str, rows: Iterable[tuple[str, T]], shown: Callable[[T], Any], default: int = _PAGE
) -> dict[str, Any]:
    """A page of `rows` of (name, what is shown), which come in order of their names; a marker is the next one's name."""
    limit, marker = req.get("Limit", default), req.get("Marker")
    if marker is not None and not marker.startswith("m-"):
        raise InvalidMarkerException("Could not deserialize marker")
    start = marker[2:] if marker is not None else ""
    found: list[Any] = []
    for name, row in rows:
        if name < start:
            continue
        if len(found) == limit:
            return {member: found, "Truncated": True, "NextMarker": f"m-{name}"}
        found.append(shown(row))
    return {member: found, "Truncated": False}
