"""Finding a function: names, partial and whole ARNs, qualifiers, and the rows they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cumulet.kernel.context import Context
from cumulet.kernel.keys import pack
from cumulet.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.lambda_.model import (
    LATEST,
    Alias,
    Function,
    Version,
    alias_key,
    function_arn,
    function_key,
    version_key,
)

_NAME_MAX = 64
_FORM = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


@lru_cache(4096)
def _packed_function(account: str, region: str, name: str) -> bytes:
    """Every invocation reads these rows several times; packing the key takes longer than finding the row."""
    return pack(function_key(account, region, name))


@lru_cache(4096)
def _packed_version(account: str, region: str, name: str, number: int) -> bytes:
    return pack(version_key(account, region, name, number))


@dataclass(slots=True, frozen=True)
class Ref:
    """What a request's FunctionName and Qualifier point at; `qualifier` is "" where none was given."""

    account: str
    region: str
    name: str
    qualifier: str = ""

    @property
    def arn(self) -> str:
        base = function_arn(self.account, self.region, self.name)
        return f"{base}:{self.qualifier}" if self.qualifier else base

    def function(self, ctx: Context) -> Function:
        """Raises: ResourceNotFoundException."""
        found = ctx.tx.get(_packed_function(self.account, self.region, self.name), Function)
        if found is None:
            raise self.missing()
        return found

    def latest(self, ctx: Context) -> Version:
        """The $LATEST version. Raises: ResourceNotFoundException."""
        found = ctx.tx.get(version_key(self.account, self.region, self.name, 0), Version)
        if found is None:
            raise self.missing()
        return found

    def alias(self, ctx: Context) -> Alias | None:
        """The alias that the qualifier names."""
        if not self.qualifier or self.qualifier == LATEST or self.qualifier.isdigit():
            return None
        return ctx.tx.get(alias_key(self.account, self.region, self.name, self.qualifier), Alias)

    def version(self, ctx: Context) -> Version:
        """The version that the qualifier means, through an alias where it is one. Raises: ResourceNotFoundException."""
        number = 0
        if self.qualifier and self.qualifier != LATEST:
            if self.qualifier.isdigit():
                number = int(self.qualifier)
            else:
                alias = self.alias(ctx)
                if alias is None:
                    raise self.missing()
                number = alias.version
        found = ctx.tx.get(_packed_version(self.account, self.region, self.name, number), Version)
        if found is None or (number == 0 and self.qualifier == "0"):
            raise self.missing()
        return found

    def missing(self) -> ResourceNotFoundException:
        return ResourceNotFoundException(
            f"Function not found: {self.arn}",
            hint=f"no function {self.name} in {self.region}; see aws lambda list-functions",
        )


def ref(ctx: Context, name: str, qualifier: str | None = None) -> Ref:
    """Read a FunctionName (name, name:qualifier, partial or whole ARN) and a Qualifier.

    Raises: ValidationException, InvalidParameterValueException where the two contradict each other,
    ResourceNotFoundException for another region's function.
    """
    if ":" not in name:
        _check_length(name)
        return Ref(ctx.account, ctx.region, name, qualifier or "")
    match = _FORM.fullmatch(name)
    if match is None:
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?"
            "(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
        )
    _check_length(match["name"])
    inside = match["qualifier"] or ""
    if inside and qualifier and inside != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    region = match["region"] or ctx.region
    if region != ctx.region:
        raise ResourceNotFoundException(f"Functions from '{region}' are not reachable in this region ('{ctx.region}')")
    return Ref(match["account"] or ctx.account, region, match["name"], inside or qualifier or "")


def _check_length(name: str) -> None:
    if len(name) > _NAME_MAX:
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must have "
            f"length less than or equal to {_NAME_MAX}"
        )


def ref_of_arn(arn: str) -> Ref:
    """A function's ARN in any region, for tags. Raises: InvalidParameterValueException."""
    match = _FORM.fullmatch(arn)
    if match is None or not arn.startswith("arn:") or not match["account"] or not match["region"]:
        raise InvalidParameterValueException(f"Invalid ARN: {arn}")
    return Ref(match["account"], match["region"], match["name"], match["qualifier"] or "")
