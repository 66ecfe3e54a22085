"""The JSONPath that mapping templates and parameter mappings use: `$.a['b'][0][*]..c`, slices, and `[?(@.x == 1)]`.

Definite paths give the value or None, others the list of matches, as the Java library behind API Gateway does.
"""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(
    r"\.\.(?P<deep>[\w-]+|\*)|\.(?P<name>[\w$@-]+|\*)|\[\s*(?P<quote>['\"])(?P<key>.*?)(?P=quote)\s*\]|"
    r"\[\s*(?P<index>-?\d+)\s*\]|\[(?P<all>\*)\]|\[(?P<slice>-?\d*:-?\d*)\]|\[\?\(\s*@\.(?P<field>[\w.-]+)\s*"
    r"(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|true|false|null))?\s*\)\]"
)


class BadPath(ValueError):
    """A path that this cannot read."""


def find(document: Any, path: str) -> Any:
    """The value, or the list of matches, of a path. Raises: BadPath."""
    text = path.strip()
    if not text.startswith("$"):
        text = f"$.{text}"
    found, definite, at = [document], True, 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise BadPath(f"Invalid JSON path: {path}")
        at = step.end()
        found, single = _follow(found, step)
        definite = definite and single
    if definite:
        return found[0] if found else None
    return found


def _follow(values: list[Any], step: re.Match[str]) -> tuple[list[Any], bool]:
    """What one step finds in all values, and whether it is a definite one."""
    groups = step.groupdict()
    if groups["deep"] is not None:
        return [match for value in values for match in _deep(value, groups["deep"])], False
    if groups["all"] or groups["name"] == "*":
        return [one for value in values for one in _children(value)], False
    if groups["index"] is not None:
        at = int(groups["index"])
        return [value[at] for value in values if isinstance(value, list) and -len(value) <= at < len(value)], True
    if groups["slice"] is not None:
        low, _, high = groups["slice"].partition(":")
        part = slice(int(low) if low else None, int(high) if high else None)
        return [one for value in values if isinstance(value, list) for one in value[part]], False
    if groups["field"] is not None:
        return [one for value in values if isinstance(value, list) for one in value if _holds(one, groups)], False
    name = groups["key"] if groups["quote"] else groups["name"]
    return [value[name] for value in values if isinstance(value, dict) and name in value], True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _deep(value: Any, name: str) -> list[Any]:
    found: list[Any] = []
    if isinstance(value, dict):
        found.extend(one for key, one in value.items() if name in ("*", key))
    elif isinstance(value, list) and name == "*":
        found.extend(value)
    for child in _children(value):
        found.extend(_deep(child, name))
    return found


def _holds(value: Any, groups: dict[str, Any]) -> bool:
    for name in groups["field"].split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    if groups["op"] is None:
        return True
    wanted = _literal(groups["value"])
    if groups["op"] in ("==", "!="):
        return bool((value == wanted) == (groups["op"] == "=="))
    if isinstance(value, bool) or isinstance(wanted, bool) or value is None or wanted is None:
        return False
    if isinstance(value, str) != isinstance(wanted, str):
        return False
    comparison = {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}
    return bool(comparison[groups["op"]])


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    constants: dict[str, Any] = {"true": True, "false": False, "null": None}
    return constants[text] if text in constants else float(text) if "." in text else int(text)
