"""What a target gets: the event, a constant, a part of it, or a template filled with parts of it.

Source: EventBridge user guide, "Amazon EventBridge input transformation"; API_Target, API_InputTransformer (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, check_json
from cumulet.services.events.errors import ValidationException
from cumulet.services.events.event import Event, iso

Json = dict[str, Any]
Shape = Callable[[Event], bytes]
Path = list[str | int]
_STEP = re.compile(r"""\.(\*)|\.([^.\[\]]+)|\[(\d+)\]|\[(\*)\]|\['([^']+)'\]|\["([^"]+)"\]""")
_ALL = -1
_VARIABLE = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_RESERVED = frozenset(
    {
        "aws.events.event",
        "aws.events.event.ingestion-time",
        "aws.events.event.json",
        "aws.events.rule-arn",
        "aws.events.rule-name",
    }
)
_MISSING: Any = object()


def path_of(text: str) -> Path | None:
    """The steps of a JSON path, `_ALL` for a wildcard; None for what is no path."""
    if not text.startswith("$"):
        return None
    steps: Path = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return None
        wild, name, index, wild_index, quoted, double = match.groups()
        if wild or wild_index:
            steps.append(_ALL)
        else:
            steps.append(int(index) if index is not None else name or quoted or double)
        at = match.end()
    return steps


def value_at(node: Any, path: Path | None) -> Any:
    """The value at a path, a list of them behind a wildcard; `_MISSING` where there is none."""
    if path is None:
        return _MISSING
    for at, step in enumerate(path):
        if step == _ALL:
            inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            found = [value_at(each, path[at + 1 :]) for each in inner]
            return [each for each in found if each is not _MISSING] or _MISSING
        if isinstance(step, int):
            if not isinstance(node, list) or step >= len(node):
                return _MISSING
        elif not isinstance(node, dict) or step not in node:
            return _MISSING
        node = node[step]
    return node


def shape_of(target: Json, rule_arn: str, rule_name: str) -> Shape:
    """How a target wants its events."""
    if "Input" in target:
        constant = target["Input"].encode()
        return lambda event: constant
    if "InputPath" in target:
        path = path_of(target["InputPath"])

        def part(event: Event) -> bytes:
            if path == []:
                return event.text
            value = value_at(event.fields, path)
            return b"null" if value is _MISSING else msgspec.json.encode(value)

        return part
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        paths = {name: path_of(path) for name, path in transformer.get("InputPathsMap", {}).items()}
        pieces = _pieces(transformer["InputTemplate"], frozenset(paths) | _RESERVED)

        def filled(event: Event) -> bytes:
            return _minified("".join(_fill(piece, event, paths, rule_arn, rule_name) for piece in pieces))

        return filled
    return lambda event: event.text


Piece = str | tuple[str, bool]  # a literal, or (variable, whether it stands in a string)


def _pieces(template: str, known: frozenset[str]) -> list[Piece]:
    pieces: list[Piece] = []
    quoted, at, begin = False, 0, 0
    while at < len(template):
        char = template[at]
        match = _VARIABLE.match(template, at) if char == "<" else None
        if match is not None and match[1] in known:
            pieces += [template[begin:at], (match[1], quoted)]
            at = begin = match.end()
            continue
        if char == "\\" and quoted:
            at += 1
        elif char == '"':
            quoted = not quoted
        at += 1
    pieces.append(template[begin:])
    return pieces


def _fill(piece: Piece, event: Event, paths: dict[str, Path | None], rule_arn: str, rule_name: str) -> str:
    if isinstance(piece, str):
        return piece
    name, quoted = piece
    value: Any
    match name:
        case "aws.events.rule-arn":
            value = rule_arn
        case "aws.events.rule-name":
            value = rule_name
        case "aws.events.event.ingestion-time":
            value = iso(event.ingested)
        case "aws.events.event.json":
            return event.text.decode()
        case "aws.events.event":
            value = {field: each for field, each in event.fields.items() if field != "detail"}
        case _:
            value = value_at(event.fields, paths[name])
    if value is _MISSING:  # the variable does not appear in the output
        return ""
    if quoted and isinstance(value, str):  # not escaped, as on AWS
        return value
    return msgspec.json.encode(value).decode()


def _minified(text: str) -> bytes:
    try:
        check_json(text)
        return bytes(msgspec.json.format(text.encode(), indent=-1))
    except NotJson:
        return text.encode("utf-8", "replace")


def check_input(target: Json) -> None:
    """Raises: ValidationException for an input that cannot be made."""
    number = target["Id"]
    if len(target.keys() & {"Input", "InputPath", "InputTransformer"}) > 1:
        raise ValidationException(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {number}."
        )
    if "Input" in target and not _is_json(target["Input"]):
        raise ValidationException(f"JSON syntax error in input for target {number}.")
    if "InputPath" in target and path_of(target["InputPath"]) is None:
        raise ValidationException(f"Invalid JsonPath for target {number}: {target['InputPath']}")
    if "InputTransformer" in target:
        _check_transformer(number, target["InputTransformer"])


def _check_transformer(number: str, transformer: Json) -> None:
    paths = transformer.get("InputPathsMap", {})
    for name, path in paths.items():
        if name.lower().startswith("aws"):
            raise ValidationException(
                f"InputPathsMap of target {number} is not valid. Reason: {name} is a reserved name."
            )
        if path_of(path) is None:
            raise ValidationException(f"Invalid JsonPath for target {number}: {path}")
    sample = "".join(
        piece if isinstance(piece, str) else "" if piece[1] else "null"
        for piece in _pieces(transformer["InputTemplate"], frozenset(paths) | _RESERVED)
    )
    if not _is_json(sample) and not all(_is_json(line) for line in sample.splitlines() if line.strip()):
        raise ValidationException(f"Invalid InputTemplate for target {number} : it is not valid JSON.")


def _is_json(text: str) -> bool:
    try:
        check_json(text)
    except NotJson:
        return False
    return True
