"""Finding secrets by name, ARN, or an ARN without its last six characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cumulet.kernel.context import Context
from cumulet.services.secretsmanager.errors import InvalidNextTokenException, marked, no_secret
from cumulet.services.secretsmanager.model import Secret, secret_key

T = TypeVar("T")
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)")
_SUFFIX = 7


def found(ctx: Context, name: str) -> Secret:
    """A secret, even one that is marked for deletion. Raises: ResourceNotFoundException."""
    match = _ARN.fullmatch(name)
    if match is None:
        secret = ctx.tx.get(secret_key(ctx.account, ctx.region, name), Secret)
    else:
        region, account, rest = match.groups()
        secret = ctx.tx.get(secret_key(account, region, rest[:-_SUFFIX]), Secret) if len(rest) > _SUFFIX else None
        if secret is None or secret.arn != name:
            secret = ctx.tx.get(secret_key(account, region, rest), Secret)
    if secret is None:
        raise no_secret()
    return secret


def secret_named(ctx: Context, name: str) -> Secret:
    """Raises: ResourceNotFoundException, InvalidRequestException for one that is marked for deletion."""
    secret = found(ctx, name)
    if secret.deleted_at:
        raise marked()
    return secret


def page(
    req: Mapping[str, Any], member: str, rows: Sequence[T], shown: Callable[[T], Any], most: int
) -> dict[str, Any]:
    """A page of `rows`; its token is the place of the next one. Raises: InvalidNextTokenException."""
    token = req.get("NextToken", "0")
    if not token.isascii() or not token.isdigit() or (token != "0" and int(token) >= len(rows)):
        raise InvalidNextTokenException("The NextToken value is not valid.")
    start, limit = int(token), req.get("MaxResults", most)
    answer: dict[str, Any] = {member: [shown(row) for row in rows[start : start + limit]]}
    if start + limit < len(rows):
        answer["NextToken"] = str(start + limit)
    return answer
