"""Patch operations: `{"op": "replace", "path": "/description", "value": "..."}` on a document in its wire shape."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.errors import BadRequestException, not_honoured

Convert = Callable[[str], Any]


def text(value: str) -> str:
    return value


def flag(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequestException(f"Invalid boolean value: {value}")
    return value.lower() == "true"


def whole(value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise BadRequestException(f"Invalid integer value: {value}") from error


def number(value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise BadRequestException(f"Invalid number value: {value}") from error


def listed(value: str) -> list[str]:
    return [part.strip() for part in value.strip("[]").split(",") if part.strip()]


@dataclass(frozen=True)
class Field:
    """A path that may be patched. `element`: the path's last part is an element of a list, not a member or map key."""

    convert: Convert = text
    ops: tuple[str, ...] = ("add", "replace", "remove")
    element: bool = False
    refused: str | None = None  # the setting's name for the refusal


def unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def apply(document: Mapping[str, Any], operations: Sequence[Result], fields: Mapping[str, Field]) -> Result:
    """A changed copy of `document`. A `*` in a field's path stands for any one part.

    Raises: BadRequestException for a path or an operation that the resource does not know.
    """
    result = copy.deepcopy(dict(document))
    for operation in operations:
        op, path = operation.get("op", ""), operation.get("path", "")
        parts = [unescape(part) for part in path.split("/")[1:]]
        field = _field(parts, fields)
        if field is None or op not in field.ops:
            known = ", ".join(name for name, field in fields.items() if op in field.ops)
            raise BadRequestException(
                f"Invalid patch path  '{path}' specified for op '{op}'. Must be one of: [{known}]"
            )
        if field.refused is not None:
            raise not_honoured(field.refused)
        _change(result, parts, field, op, operation.get("value"), path)
    return result


def _field(parts: Sequence[str], fields: Mapping[str, Field]) -> Field | None:
    for pattern, field in fields.items():
        names = pattern.split("/")[1:]
        if len(names) == len(parts) and all(name in ("*", part) for name, part in zip(names, parts, strict=True)):
            return field
    return None


def _change(document: Result, parts: Sequence[str], field: Field, op: str, value: str | None, path: str) -> None:
    *way, last = parts
    holder: Any = document
    for part in way[:-1] if field.element else way:
        holder = holder.setdefault(part, {})
    if field.element:
        _change_element(holder, way[-1], last, op, value)
    elif op == "remove":
        holder.pop(last, None)
    elif value is None:
        raise BadRequestException(f"Value is required for patch path '{path}' and op '{op}'.")
    else:
        holder[last] = field.convert(value)


def _change_element(holder: Result, name: str, element: str, op: str, value: str | None) -> None:
    items = [item for item in holder.get(name, []) if item != element]
    if op == "add":
        items.append(element)
    elif op == "replace":
        items.append(element if value is None else value)
    if items:
        holder[name] = items
    else:
        holder.pop(name, None)
