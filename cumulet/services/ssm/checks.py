"""What names and values a parameter may have.

Source: Systems Manager API_PutParameter; user guide, "About requirements and constraints for parameter names", "Managing parameter
tiers" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.ssm.errors import (
    AccessDeniedException,
    HierarchyLevelLimitExceededException,
    InvalidAllowedPatternException,
    ParameterPatternMismatchException,
    ValidationException,
)
from cumulet.services.ssm.model import ADVANCED, BYTES, LEVELS, NAME_LENGTH, STANDARD, arn_of

_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")


def name(ctx: Context, given: str) -> str:
    """A parameter's name, without spaces around it. Raises: ValidationException, HierarchyLevelLimitExceededException, ..."""
    text = given.strip()
    first = text.lstrip("/").split("/")[0].lower()
    if first.startswith(("aws", "ssm")):
        if text.startswith("/") and first in ("aws", "ssm"):
            raise AccessDeniedException(f"No access to reserved parameter name: {text}.")
        raise ValidationException(
            'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive). If formed as a path, it can consist of '
            "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
            "symbols .-_"
        )
    if "/" in text and not text.startswith("/"):
        raise ValidationException("Parameter name must be a fully qualified name.")
    if not _NAME.fullmatch(text):
        raise ValidationException(
            "Parameter name: can be formed as a mix of letters, numbers and the following 3 symbols .-_, in sub-paths divided by "
            "slash symbol."
        )
    if len(arn_of(ctx.account, ctx.region, text)) > NAME_LENGTH:
        raise ValidationException(f"Parameter name: with its ARN it can be {NAME_LENGTH} characters long at most.")
    if text.count("/") > LEVELS:
        raise HierarchyLevelLimitExceededException(
            f"Parameter name: a hierarchy can have a maximum of {LEVELS} levels."
        )
    return text


def refuse(req: Mapping[str, Any]) -> None:
    """Raises: NotImplementedOnCumulet for parameter policies and data types that are looked up elsewhere."""
    if req.get("Policies", "") not in ("", "[]", "{}"):
        raise NotImplementedOnCumulet("Parameter Store's setting Policies is not implemented by Cumulet.")
    if req.get("DataType", "text") != "text":
        raise NotImplementedOnCumulet(
            f"Parameter Store's setting DataType={req['DataType']} is not implemented by Cumulet."
        )


def tier(req: Mapping[str, Any], before: str) -> str:
    """The tier of a value. Raises: ValidationException for one that is too large, or a way back to Standard."""
    size = len(req["Value"].encode())
    asked = req.get("Tier", before or STANDARD)
    if asked == "Intelligent-Tiering":
        asked = ADVANCED if size > BYTES[STANDARD] or before == ADVANCED else STANDARD
    if before == ADVANCED and asked == STANDARD:
        raise ValidationException(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to "
            "the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard "
            "parameter."
        )
    if size > BYTES[asked]:
        raise ValidationException(
            f"{asked} tier parameters support a maximum parameter value of {BYTES[asked]} characters."
            + (
                " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
                if asked == STANDARD
                else ""
            )
        )
    return str(asked)


def pattern(text: str, value: str) -> None:
    """Raises: InvalidAllowedPatternException, ParameterPatternMismatchException."""
    try:
        matches = re.search(text, value)
    except re.error:
        raise InvalidAllowedPatternException(f"The regular expression {text} is not valid.") from None
    if matches is None:
        raise ParameterPatternMismatchException(f"Parameter value, cannot be validated against allowedPattern: {text}")
