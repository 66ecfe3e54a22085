"""Template parameters: values given, defaults, constraints, types.

Source: CloudFormation user guide, "Parameters", "CloudFormation-supplied parameter types" (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import text_of
from cumulet.services.cloudformation.source import parse

Json = dict[str, Any]
MASK = "****"
MAX_VALUE_BYTES = 4096
_PLAIN = {"String", "Number", "List<Number>", "List<String>", "CommaDelimitedList"}
_SSM = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")


def declared(data: Json) -> dict[str, Json]:
    """The parameters of a template. Raises: ValidationError."""
    found: dict[str, Json] = {}
    for name, body in data.get("Parameters", {}).items():
        if not isinstance(body, dict) or not isinstance(body.get("Type"), str):
            raise ValidationError(
                f"Template format error: Every Parameters object must contain a Type member. ({name})"
            )
        found[name] = body
    return found


def values_for(data: Json, given: list[Json], previous: dict[str, str] | None) -> dict[str, str]:
    """Parameter name -> value as text, from the request, the stack's present values, the defaults.

    Raises: ValidationError.
    """
    parameters = declared(data)
    unknown = [item["ParameterKey"] for item in given if item.get("ParameterKey") not in parameters]
    if unknown:
        raise ValidationError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    for item in given:
        name = item["ParameterKey"]
        if item.get("UsePreviousValue"):
            if previous is None or name not in previous:
                raise ValidationError(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not "
                    "in the previous template"
                )
            values[name] = previous[name]
        elif "ParameterValue" in item:
            values[name] = item["ParameterValue"]
    for name, body in parameters.items():
        if name not in values and "Default" in body:
            values[name] = text_of(body["Default"])
    missing = [name for name in parameters if name not in values]
    if missing:
        raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, body in parameters.items():
        _check(name, body, values[name])
    return values


def typed(ctx: Context, data: Json, values: dict[str, str]) -> Json:
    """What Ref gives for each parameter: text, a list of texts, or what an SSM parameter holds. Raises: ValidationError."""
    found: Json = {}
    for name, body in declared(data).items():
        kind, value = body["Type"], values[name]
        stored = _SSM.fullmatch(kind)
        if stored:
            kind, value = stored.group(1), _stored(ctx, value)
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        found[name] = [part.strip() for part in value.split(",")] if is_list and value else [] if is_list else value
    return found


def masked(data: Json, values: dict[str, str]) -> dict[str, str]:
    """The values as the API shows them: NoEcho ones as asterisks."""
    parameters = data.get("Parameters", {})
    return {
        name: MASK if text_of(parameters.get(name, {}).get("NoEcho", False)) == "true" else value
        for name, value in values.items()
    }


def shown_parameters(body: str, values: dict[str, str], resolved: dict[str, Any]) -> list[dict[str, Any]]:
    """Parameters as the API shows them: secrets masked, SSM ones with what they resolve to."""
    if not values:
        return []
    data = parse(body)
    found = []
    for key, value in masked(data, values).items():
        item = {"ParameterKey": key, "ParameterValue": value}
        if str(data.get("Parameters", {}).get(key, {}).get("Type", "")).startswith("AWS::SSM::Parameter::Value"):
            present = resolved[key]
            item["ResolvedValue"] = ",".join(present) if isinstance(present, list) else str(present)
        found.append(item)
    return found


def secrets_of(data: Json, values: dict[str, str]) -> list[str]:
    """The values of NoEcho parameters."""
    shown = masked(data, values)
    return [value for name, value in values.items() if value and shown[name] != value]


def _stored(ctx: Context, name: str) -> str:
    try:
        found = ctx.call("ssm", "GetParameter", {"Name": name})["Parameter"]
    except NotImplementedOnCumulet:
        raise
    except AwsError as error:
        raise ValidationError(
            f"Unable to fetch parameters [{name}] from parameter store for this account.", hint=error.message
        ) from error
    if found["Type"] == "SecureString":
        raise ValidationError(f"Parameters [{name}] referenced by template have types not supported by CloudFormation.")
    return str(found["Value"])


def _check(name: str, body: Json, value: str) -> None:
    kind = body["Type"]
    stored = _SSM.fullmatch(kind)
    if (stored.group(1) if stored else kind) not in _PLAIN and kind != "AWS::SSM::Parameter::Name":
        if not kind.startswith("AWS::") and not kind.startswith("List<AWS::"):
            raise ValidationError(f"Template format error: Unrecognized parameter type: {kind}")
        raise NotImplementedOnCumulet(f"The parameter type {kind} (parameter {name}) is not supported by Cumulet.")
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise ValidationError(f"Template error: Parameter '{name}' value is longer than {MAX_VALUE_BYTES} bytes")
    if stored:
        return
    parts = [part.strip() for part in value.split(",")] if kind in ("CommaDelimitedList", "List<Number>") else [value]
    for part in parts:
        problem = _problem(name, body, part, "Number" in kind)
        if problem:
            if "ConstraintDescription" in body:
                problem = f"Parameter {name} failed to satisfy constraint: {body['ConstraintDescription']}"
            raise ValidationError(problem)


def _problem(name: str, body: Json, value: str, number: bool) -> str | None:
    allowed = body.get("AllowedValues")
    if allowed is not None and value not in [text_of(item) for item in allowed]:
        return f"Parameter '{name}' must be one of AllowedValues"
    if number:
        try:
            amount = float(value)
        except ValueError:
            return f"Parameter '{name}' must be a number."
        if "MinValue" in body and amount < float(body["MinValue"]):
            return f"Parameter '{name}' must be a number not less than {body['MinValue']}"
        if "MaxValue" in body and amount > float(body["MaxValue"]):
            return f"Parameter '{name}' must be a number not greater than {body['MaxValue']}"
        return None
    if "MinLength" in body and len(value) < int(body["MinLength"]):
        return f"Parameter '{name}' must contain at least {body['MinLength']} characters"
    if "MaxLength" in body and len(value) > int(body["MaxLength"]):
        return f"Parameter '{name}' must contain at most {body['MaxLength']} characters"
    if "AllowedPattern" in body and not re.fullmatch(body["AllowedPattern"], value):
        return f"Parameter '{name}' must match pattern {body['AllowedPattern']}"
    return None
