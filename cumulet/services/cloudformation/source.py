"""Template text as plain data: JSON, and YAML with CloudFormation's short-form tags; positions are found when asked for.

YAML is read as version 1.1 without timestamps: `Version: 2012-10-17` stays text. Keys are always text.
Source: CloudFormation user guide, "Template format", "Intrinsic function reference" (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from cumulet.services.cloudformation.errors import ValidationError

_BARE = {"Ref", "Condition", "Transform"}
_TAG = "tag:yaml.org,2002:"
Path = tuple[str | int, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolves scalars as YAML 1.1 does, timestamps apart."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_scalars = yaml.constructor.SafeConstructor()


def parse(text: str) -> dict[str, Any]:
    """The template as dictionaries, lists and scalars. Raises: ValidationError with the position."""
    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            data = _flow_yaml(text, error)
    else:
        data = _parse_yaml(text)
    if not isinstance(data, dict):
        raise ValidationError("Template format error: unsupported structure.")
    return data


def _flow_yaml(text: str, error: json.JSONDecodeError) -> Any:
    """A template that opens with a brace but is no JSON: YAML in flow style, or broken JSON."""
    try:
        return _parse_yaml(text)
    except ValidationError:
        raise ValidationError(
            f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})"
        ) from error


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValidationError(f"Template format error: YAML not well-formed.{where}", hint=str(error)) from error
    except yaml.YAMLError as error:
        raise ValidationError("Template format error: YAML not well-formed.", hint=str(error)) from error


def _parse_yaml(text: str) -> Any:
    node = _compose(text)
    return None if node is None else _value(node)


def _value(node: yaml.Node) -> Any:
    tag: str = node.tag
    if tag.startswith("!") and tag != "!":
        return _short_form(tag[1:], node)
    return _plain(node)


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                found = {**_plain(part), **found}
        elif isinstance(key, yaml.ScalarNode):
            found[str(key.value)] = _value(value)
        else:
            raise ValidationError(f"Template format error: YAML not well-formed. (line {key.start_mark.line + 1})")
    return found


def _scalar(node: Any) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return _scalars.construct_yaml_bool(node)
    if kind == "int":
        return _scalars.construct_yaml_int(node)
    if kind == "float":
        return _scalars.construct_yaml_float(node)
    return node.value


def _short_form(name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = node.value
        if name == "GetAtt":
            value = value.split(".", 1)
    else:
        value = _plain(node)
    if name == "Transform":
        return {"Fn::Transform": value}
    return {name if name in _BARE else f"Fn::{name}": value}


def line_of(text: str, path: Path) -> int | None:
    """The line (from 1) where `path` begins in the template's text, or the nearest place above it that is there.

    None when not even the first two steps of the path are (a resource that a transform made).
    """
    try:
        node = _compose(text)
    except ValidationError:
        return None
    line: int | None = None
    for depth, step in enumerate(path):
        found: tuple[int, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k.start_mark.line, v) for k, v in node.value if k.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step].start_mark.line, node.value[step])
        if found is None:
            return line if depth >= 2 else None
        line, node = found[0] + 1, found[1]
    return line


def at_line(text: str, path: Path) -> str:
    """` (line 12)`, or nothing."""
    line = line_of(text, path)
    return "" if line is None else f" (line {line})"
