"""Finding parameters by name, ARN, version and label; opening SecureStrings.

Source: Systems Manager API_GetParameter; user guide, "Working with parameter versions", "Working with parameter labels" (read 2026-11).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.ssm.errors import InvalidKeyId, InvalidNextToken, ParameterNotFound, ParameterVersionNotFound
from cumulet.services.ssm.model import Parameter, Version, parameter_key, versions_of

Json = dict[str, Any]
T = TypeVar("T")
_ARN = re.compile(r"arn:aws[a-z-]*:ssm:([a-z0-9-]+):(\d{12}):parameter(/[^:]+)(:[^:]+)?")
_KMS = frozenset(
    {
        "NotFoundException",
        "DisabledException",
        "KMSInvalidStateException",
        "InvalidKeyUsageException",
        "AccessDeniedException",
    }
)


def parameter_named(ctx: Context, name: str) -> Parameter:
    """Raises: ParameterNotFound."""
    found = ctx.tx.get(parameter_key(ctx.account, ctx.region, name.strip()), Parameter)
    if found is None:
        raise ParameterNotFound(hint=f"no parameter {name} in {ctx.region}")
    return found


def selected(ctx: Context, name: str) -> tuple[Parameter, Version, str]:
    """(parameter, version, selector or "") of `name`, `name:version`, `name:label`, or an ARN.

    Raises: ParameterNotFound, ParameterVersionNotFound.
    """
    account, region = ctx.account, ctx.region
    match = _ARN.fullmatch(name)
    if match is not None:
        region, account, path, selector = match[1], match[2], match[3], match[4] or ""
        names = [path, path[1:]]  # a name without a slash has one in its ARN
    else:
        plain, colon, rest = name.strip().partition(":")
        names, selector = [plain], colon + rest
    for each in names:
        found = ctx.tx.get(parameter_key(account, region, each), Parameter)
        if found is not None:
            return found, _version(ctx, found, selector), selector
    raise ParameterNotFound(hint=f"no parameter {name} in {region}")


def _version(ctx: Context, parameter: Parameter, selector: str) -> Version:
    if not selector:
        return parameter.now
    wanted = selector[1:]
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else parameter.labels.get(wanted)
    found = version_of(ctx, parameter, number) if number is not None else None
    if found is None:
        what = f"version {wanted}" if number is not None else f"label {wanted}"
        raise ParameterVersionNotFound(
            f"Systems Manager could not find {what} of {parameter.name}. Verify the version and try again."
        )
    return found


def version_of(ctx: Context, parameter: Parameter, number: int) -> Version | None:
    return ctx.tx.get((*versions_of(parameter.account, parameter.region, parameter.name), number), Version)


def value_of(ctx: Context, parameter: Parameter, version: Version, decrypt: bool) -> str:
    """A version's value; that of a SecureString decrypted or as ciphertext. Raises: InvalidKeyId."""
    if not version.sealed:
        return version.value
    if not decrypt:
        return base64.b64encode(version.sealed).decode()
    plaintext: bytes = ask_kms(ctx, parameter, "cumulet:Open", {"Sealed": version.sealed})["Plaintext"]
    return plaintext.decode()


def ask_kms(ctx: Context, parameter: Parameter, operation: str, request: Json) -> Json:
    """Raises: InvalidKeyId."""
    try:
        answer: Json = ctx.call(
            "kms", operation, request, principal="ssm.amazonaws.com", account=parameter.account, region=parameter.region
        )
    except AwsError as error:
        if error.wire_code not in _KMS:
            raise
        raise InvalidKeyId(error.message) from error
    return answer


def page(req: Mapping[str, Any], rows: Sequence[T], shown: Callable[[T], Any], most: int) -> Json:
    """A page of `rows` as "Parameters". Raises: InvalidNextToken."""
    token = req.get("NextToken", "0")
    if not token.isascii() or not token.isdigit() or (token != "0" and int(token) >= len(rows)):
        raise InvalidNextToken("The specified token is not valid.")
    start, limit = int(token), req.get("MaxResults", most)
    answer: Json = {"Parameters": [shown(row) for row in rows[start : start + limit]]}
    if start + limit < len(rows):
        answer["NextToken"] = str(start + limit)
    return answer
