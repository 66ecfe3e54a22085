"""The values of mapping templates: how they print, compare, and which of Java's methods they have.

Strings, numbers, booleans, lists and maps are Python's own; what came out of JSON prints as JSON again, what a template
made prints as Java does (`[a, b]`, `{k=v}`). No method outside these tables can be called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Method = Callable[..., Any]
TEXT_MAX = 10 * 1024 * 1024


class TemplateError(Exception):
    """A template cannot be parsed or run."""


class JsonMap(dict[str, Any]):
    """A map that came out of JSON."""


class JsonList(list[Any]):
    """A list that came out of JSON."""


class Entry:
    """A pair of a map, as `entrySet()` gives it."""

    def __init__(self, key: Any, value: Any) -> None:
        self.key = key
        self.value = value


class Host:
    """An object of API Gateway's own, such as `$input`: its methods and members by name."""

    def __init__(self, methods: Mapping[str, Method], members: Mapping[str, Any] | None = None) -> None:
        self.methods = methods
        self.members = members or {}


def from_json(value: Any) -> Any:
    """A decoded JSON value, marked so that it prints as JSON."""
    if isinstance(value, dict):
        return JsonMap({key: from_json(one) for key, one in value.items()})
    if isinstance(value, list):
        return JsonList([from_json(one) for one in value])
    return value


def to_json(value: Any) -> str:
    """JSON text without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=render)


def bounded(text: str) -> str:
    """The text itself. Raises: TemplateError when it is longer than any payload may be."""
    if len(text) > TEXT_MAX:
        raise TemplateError("the template makes too much text")
    return text


def render(value: Any) -> str:
    """What a value prints as."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, JsonMap | JsonList):
        return to_json(value)
    if isinstance(value, list):
        return "[" + ", ".join(render(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{render(key)}={render(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Entry):
        return f"{render(value.key)}={render(value.value)}"
    if isinstance(value, Host):
        return ""
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    if left is None or right is None:
        return left is right
    if type(left) is type(right):
        return bool(left == right)
    return render(left) == render(right)


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None for what has no order."""
    if (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return int(left > right) - int(left < right)
    return None


def arithmetic(operator: str, left: Any, right: Any) -> Any:
    """Integers stay integers, division cuts towards zero, `+` also joins text; None for what cannot be."""
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        return bounded(render(left) + render(right))
    if not (_is_number(left) and _is_number(right)):
        return None
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if right == 0:
        return None
    whole = isinstance(left, int) and isinstance(right, int)
    quotient = int(left / right) if whole else left / right
    return quotient if operator == "/" else left - right * int(left / right)


def _java_pattern(pattern: str) -> str:
    return re.sub(r"\\p\{(Alpha|Alnum|Digit)\}", lambda m: {"Alpha": "[A-Za-z]", "Alnum": "[A-Za-z0-9]", "Digit": r"\d"}[m[1]],
                  pattern)  # fmt: skip


def _java_replacement(text: str) -> str:
    return re.sub(r"\$(\d)", r"\\\1", text)


def _split(text: str, pattern: str, limit: int = 0) -> list[str]:
    parts = re.split(_java_pattern(pattern), text, maxsplit=max(limit - 1, 0))
    while limit == 0 and len(parts) > 1 and parts[-1] == "":
        parts.pop()
    return parts


STRING: dict[str, Method] = {
    "length": len,
    "isEmpty": lambda s: s == "",
    "substring": lambda s, start, end=None: s[start:end],
    "indexOf": lambda s, part, start=0: s.find(part, start),
    "lastIndexOf": lambda s, part: s.rfind(part),
    "contains": lambda s, part: part in s,
    "startsWith": lambda s, part: s.startswith(part),
    "endsWith": lambda s, part: s.endswith(part),
    "equals": lambda s, other: isinstance(other, str) and s == other,
    "equalsIgnoreCase": lambda s, other: isinstance(other, str) and s.lower() == other.lower(),
    "compareTo": lambda s, other: (s > other) - (s < other),
    "toLowerCase": lambda s: s.lower(),
    "toUpperCase": lambda s: s.upper(),
    "trim": lambda s: s.strip(),
    "concat": lambda s, other: s + other,
    "charAt": lambda s, at: s[at],
    "replace": lambda s, old, new: s.replace(old, new),
    "replaceAll": lambda s, old, new: re.sub(_java_pattern(old), _java_replacement(new), s),
    "replaceFirst": lambda s, old, new: re.sub(_java_pattern(old), _java_replacement(new), s, count=1),
    "matches": lambda s, pattern: re.fullmatch(_java_pattern(pattern), s) is not None,
    "split": _split,
    "toString": lambda s: s,
}


def _add(items: list[Any], *args: Any) -> bool:
    items.insert(*args) if len(args) == 2 else items.append(args[0])
    return True


def _add_all(items: list[Any], more: Any) -> bool:
    items.extend(more)
    return bool(more)


def _remove(items: list[Any], what: Any) -> Any:
    if isinstance(what, int) and not isinstance(what, bool):
        return items.pop(what)
    found = what in items
    if found:
        items.remove(what)
    return found


def _set(items: list[Any], at: int, value: Any) -> Any:
    old, items[at] = items[at], value
    return old


LIST: dict[str, Method] = {
    "size": len,
    "isEmpty": lambda items: not items,
    "get": lambda items, at: items[at],
    "contains": lambda items, one: one in items,
    "indexOf": lambda items, one: items.index(one) if one in items else -1,
    "add": _add,
    "addAll": _add_all,
    "remove": _remove,
    "set": _set,
    "clear": list.clear,
    "toString": render,
}


def _put(mapping: dict[Any, Any], key: Any, value: Any) -> Any:
    old = mapping.get(key)
    mapping[key] = value
    return old


MAP: dict[str, Method] = {
    "size": len,
    "isEmpty": lambda mapping: not mapping,
    "get": lambda mapping, key: mapping.get(key),
    "getOrDefault": lambda mapping, key, other: mapping.get(key, other),
    "containsKey": lambda mapping, key: key in mapping,
    "containsValue": lambda mapping, value: value in mapping.values(),
    "keySet": list,
    "values": lambda mapping: list(mapping.values()),
    "entrySet": lambda mapping: [Entry(key, value) for key, value in mapping.items()],
    "put": _put,
    "putAll": lambda mapping, other: mapping.update(other),
    "remove": lambda mapping, key: mapping.pop(key, None),
    "clear": dict.clear,
    "toString": render,
}
_ENTRY: dict[str, Method] = {"getKey": lambda entry: entry.key, "getValue": lambda entry: entry.value}
_OTHER: dict[str, Method] = {"toString": render, "intValue": int, "equals": equal}


def call(value: Any, name: str, args: list[Any]) -> Any:
    """Call a method. An unknown one, or one that fails, gives None, as an invalid reference does."""
    if isinstance(value, Host):
        table: Mapping[str, Method] = value.methods
        method = table.get(name)
        return None if method is None else method(*args)
    for kind, methods in ((str, STRING), (list, LIST), (dict, MAP), (Entry, _ENTRY)):
        if isinstance(value, kind):
            table = methods
            break
    else:
        table = _OTHER
    method = table.get(name)
    if value is None or method is None:
        return None
    try:
        found = method(value, *args)
        return bounded(found) if isinstance(found, str) else found
    except (TypeError, IndexError, ValueError, AttributeError, re.error):
        return None


def member(value: Any, name: str) -> Any:
    """`$value.name`: a map's entry, a pair's key or value."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, Entry):
        return {"key": value.key, "value": value.value}.get(name)
    return value.members.get(name) if isinstance(value, Host) else None


def index(value: Any, at: Any) -> Any:
    """`$value[at]`."""
    if isinstance(value, dict):
        return value.get(at)
    if isinstance(value, list) and isinstance(at, int) and -len(value) <= at < len(value):
        return value[at]
    return None
