"""CloudFormation's intrinsic functions over plain data; what they refer to is asked of an `Environment`.

Conditions are decided first: `prune` replaces every Fn::If by its branch and drops AWS::NoValue, so that `resolve` and
the dependency graph see only what will be.
Source: CloudFormation user guide, "Intrinsic function reference", "Condition functions" (read 2026-11).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.source import Path

NO_VALUE: Any = type("NoValue", (), {"__repr__": lambda self: "AWS::NoValue"})()
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_CONDITIONS = {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Condition"}
Function = Callable[[Any, "Environment"], Any]


class Environment(Protocol):
    """What a template's functions refer to."""

    mappings: Mapping[str, Any]

    def ref(self, name: str) -> Any: ...

    def attribute(self, logical_id: str, name: str) -> Any: ...

    def exported(self, name: str) -> str: ...

    def condition(self, name: str) -> bool: ...

    def zones(self, region: str) -> list[str]: ...


def function_of(value: Any) -> tuple[str, Any] | None:
    """(name, argument) when `value` is an intrinsic function."""
    if isinstance(value, dict) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name == "Ref" or name.startswith("Fn::"):
            return name, argument
    return None


def text_of(value: Any) -> str:
    """A scalar as CloudFormation writes it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(text_of(item) for item in value)
    if isinstance(value, dict):
        raise ValidationError("Template error: a function must resolve to a string here, not to an object.")
    return str(value)


def variables(template: str) -> list[str]:
    """The names in `${...}` of a Fn::Sub text, literals (`${!x}`) apart."""
    return [name.strip() for name in _VARIABLE.findall(template) if not name.startswith("!")]


def references(value: Any, path: Path = ()) -> Iterator[tuple[str, str, str, Path]]:
    """(kind, name, attribute, path) for each Ref, Fn::GetAtt, Fn::Sub variable, Fn::If and Condition in `value`."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from references(item, (*path, index))
        return
    if not isinstance(value, dict):
        return
    call = function_of(value)
    if call is None:
        for key, item in value.items():
            yield from references(item, (*path, key))
        return
    name, argument = call
    inner = (*path, name)
    if name == "Ref":
        if not isinstance(argument, str):
            raise ValidationError("Template error: every Ref object must have a single String value.")
        yield "Ref", argument, "", path
    elif name == "Fn::GetAtt":
        logical_id, attribute = _get_att(argument)
        yield "GetAtt", logical_id, attribute if isinstance(attribute, str) else "", path
        if not isinstance(attribute, str):
            yield from references(attribute, inner)
    elif name == "Fn::Sub":
        template, given = _sub(argument)
        for variable in variables(template):
            if variable not in given:
                logical_id, dot, attribute = variable.partition(".")
                yield "SubAtt" if dot else "Ref", logical_id, attribute, path
        yield from references(given, inner)
    else:
        if name == "Fn::If" and isinstance(argument, list) and argument and isinstance(argument[0], str):
            yield "If", argument[0], "", path
        yield from references(argument, inner)


def _get_att(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str) and "." in argument:
        logical_id, _, attribute = argument.partition(".")
        return logical_id, attribute
    if isinstance(argument, list) and len(argument) >= 2 and isinstance(argument[0], str):
        if all(isinstance(part, str) for part in argument):
            return argument[0], ".".join(argument[1:])
        if len(argument) == 2:
            return argument[0], argument[1]
    raise ValidationError(
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource "
        "attribute"
    )


def _sub(argument: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    if isinstance(argument, list) and len(argument) == 2:
        template, given = argument
        if isinstance(template, str) and isinstance(given, dict):
            return template, given
    raise ValidationError(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as "
        "first argument, and an optional second argument to specify a mapping of values to replace in the string"
    )


def prune(value: Any, condition: Callable[[str], bool]) -> Any:
    """`value` with every Fn::If decided and AWS::NoValue dropped; NO_VALUE when nothing is left of it."""
    if isinstance(value, list):
        items = [prune(item, condition) for item in value]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    call = function_of(value)
    if call == ("Ref", "AWS::NoValue"):
        return NO_VALUE
    if call is not None and call[0] == "Fn::If":
        branches = call[1]
        if not isinstance(branches, list) or len(branches) != 3 or not isinstance(branches[0], str):
            raise ValidationError("Template error: Fn::If requires a list argument with three elements")
        return prune(branches[1] if condition(branches[0]) else branches[2], condition)
    pruned = {key: prune(item, condition) for key, item in value.items()}
    return {key: item for key, item in pruned.items() if item is not NO_VALUE}


def resolve(value: Any, env: Environment) -> Any:
    """`value` with its functions applied. Raises: ValidationError; whatever `env` raises."""
    if isinstance(value, list):
        return [item for item in (resolve(item, env) for item in value) if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    call = function_of(value)
    if call is None:
        resolved = {key: resolve(item, env) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}
    name, argument = call
    function = _FUNCTIONS.get(name)
    if function is None:
        raise ValidationError(f"Template error: {name} is not a function that can be used here.")
    return function(argument, env)


def decide(value: Any, env: Environment) -> bool:
    """The truth of a condition. Raises: ValidationError."""
    if isinstance(value, dict) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name in _CONDITIONS:
            return _CONDITION_FUNCTIONS[name](argument, env)
        value = resolve(value, env)
    if isinstance(value, bool) or value in ("true", "false"):
        return value in (True, "true")
    raise ValidationError(
        "Template format error: Conditions can only be boolean operations on parameters and other conditions"
    )


def _equals(argument: Any, env: Environment) -> bool:
    if not isinstance(argument, list) or len(argument) != 2:
        raise ValidationError("Template error: Fn::Equals requires a list argument with two elements")
    left, right = (resolve(item, env) for item in argument)
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return bool(left == right)
    return text_of(left) == text_of(right)


def _all_of(name: str) -> Callable[[Any, Environment], list[bool]]:
    def decided(argument: Any, env: Environment) -> list[bool]:
        if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
            raise ValidationError(
                f"Template error: every {name} object requires a list of at least 2 and at most 10 boolean parameters."
            )
        return [decide(item, env) for item in argument]

    return decided


def _not(argument: Any, env: Environment) -> bool:
    if not isinstance(argument, list) or len(argument) != 1:
        raise ValidationError("Template error: every Fn::Not object requires one boolean parameter.")
    return not decide(argument[0], env)


_CONDITION_FUNCTIONS: dict[str, Callable[[Any, Environment], bool]] = {
    "Fn::Equals": _equals,
    "Fn::And": lambda argument, env: all(_all_of("Fn::And")(argument, env)),
    "Fn::Or": lambda argument, env: any(_all_of("Fn::Or")(argument, env)),
    "Fn::Not": _not,
    "Condition": lambda argument, env: env.condition(str(argument)),
}


def _sub_text(argument: Any, env: Environment) -> str:
    template, given = _sub(argument)
    values = {name: resolve(item, env) for name, item in given.items()}

    def replaced(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        name = name.strip()
        if name in values:
            return text_of(values[name])
        logical_id, dot, attribute = name.partition(".")
        return text_of(env.attribute(logical_id, attribute) if dot else env.ref(name))

    return _VARIABLE.sub(replaced, template)


def _attribute(argument: Any, env: Environment) -> Any:
    logical_id, attribute = _get_att(argument)
    return env.attribute(logical_id, text_of(resolve(attribute, env)))


def _join(argument: Any, env: Environment) -> str:
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str):
        items = resolve(argument[1], env)
        if isinstance(items, list):
            return argument[0].join(text_of(item) for item in items)
    raise ValidationError(
        "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings "
        "to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
    )


def _select(argument: Any, env: Environment) -> Any:
    if isinstance(argument, list) and len(argument) == 2:
        index, items = text_of(resolve(argument[0], env)), resolve(argument[1], env)
        if index.isdigit() and isinstance(items, list):
            if int(index) >= len(items):
                raise ValidationError(f"Template error: Fn::Select  cannot select nonexistent value at index {index}")
            return items[int(index)]
    raise ValidationError(
        "Template error: every Fn::Select object requires two non-null parameters, the index and a list of objects"
    )


def _split(argument: Any, env: Environment) -> list[str]:
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str) and argument[0]:
        return text_of(resolve(argument[1], env)).split(argument[0])
    raise ValidationError(
        "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be "
        "split or a function that returns a string to be split."
    )


def _find_in_map(argument: Any, env: Environment) -> Any:
    if not isinstance(argument, list) or len(argument) not in (3, 4):
        raise ValidationError(
            "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute "
            "for return value"
        )
    keys = [text_of(resolve(item, env)) for item in argument[:3]]
    found: Any = env.mappings
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            if len(argument) == 4 and isinstance(argument[3], dict) and "DefaultValue" in argument[3]:
                return resolve(argument[3]["DefaultValue"], env)
            raise ValidationError(f"Template error: Unable to get mapping for {'::'.join(keys)}")
        found = found[key]
    return resolve(found, env)


def _base64(argument: Any, env: Environment) -> str:
    return base64.b64encode(text_of(resolve(argument, env)).encode()).decode()


def _cidr(argument: Any, env: Environment) -> list[str]:
    if isinstance(argument, list) and len(argument) in (2, 3):
        block, count, *bits = (text_of(resolve(item, env)) for item in argument)
        try:
            network = ipaddress.ip_network(block)
            prefix = network.max_prefixlen - int(bits[0] if bits else 8)
            found = network.subnets(new_prefix=prefix)
            subnets = [str(next(found)) for _ in range(int(count))]
        except (ValueError, StopIteration, RuntimeError) as error:
            raise ValidationError(
                f"Template error: Fn::Cidr cannot make {count} blocks in {block}", hint=str(error)
            ) from error
        return subnets
    raise ValidationError("Template error: every Fn::Cidr object requires two or three parameters")


def _import(argument: Any, env: Environment) -> str:
    return env.exported(text_of(resolve(argument, env)))


def _zones(argument: Any, env: Environment) -> list[str]:
    return env.zones(text_of(resolve(argument, env)))


def _length(argument: Any, env: Environment) -> int:
    items = resolve(argument, env)
    if not isinstance(items, list):
        raise ValidationError("Template error: Fn::Length requires a list")
    return len(items)


def _json(argument: Any, env: Environment) -> str:
    value = resolve(argument, env)
    if not isinstance(value, dict | list):
        raise ValidationError("Template error: Fn::ToJsonString requires an object or a list")
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_FUNCTIONS: dict[str, Function] = {
    "Ref": lambda argument, env: env.ref(argument),
    "Fn::GetAtt": _attribute,
    "Fn::Sub": _sub_text,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::ImportValue": _import,
    "Fn::GetAZs": _zones,
    "Fn::Length": _length,
    "Fn::ToJsonString": _json,
}
