"""Document paths: resolved, looked up, held against each other, and projected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.nodes import Alias, Path
from cumulet.services.dynamodb.model import AttributeValue, Item

Resolved = tuple[str | int, ...]
Names = Mapping[str, str]
Tree = dict[Any, Any]  # name or index -> Tree; {} is everything below


def resolve(syntax: Syntax, path: Path, names: Names, used: set[str]) -> Resolved:
    """A path without aliases; those found go into `used`. Raises: ValidationException for an undefined one."""
    out: list[str | int] = []
    for element in path.elements:
        if isinstance(element, Alias):
            if element.text not in names:
                raise syntax.error(
                    "An expression attribute name used in the document path is not defined; "
                    f"attribute name: {element.text}"
                )
            used.add(element.text)
            out.append(names[element.text])
        else:
            out.append(element)
    return tuple(out)


def lookup(item: Item, path: Resolved) -> AttributeValue | None:
    """The value at a path, or None."""
    value: AttributeValue | None = item.get(path[0])  # type: ignore[arg-type]
    for element in path[1:]:
        if value is None:
            return None
        if type(element) is int:
            elements = value.get("L")
            value = elements[element] if elements is not None and element < len(elements) else None
        else:
            members = value.get("M")
            value = members.get(element) if members is not None else None
    return value


def shown(path: Resolved) -> str:
    """A path in the words of AWS's messages: `[a, b, [0]]`."""
    return "[" + ", ".join(f"[{element}]" if isinstance(element, int) else element for element in path) + "]"


def hold_apart(syntax: Syntax, paths: Iterable[Resolved]) -> None:
    """Raises: ValidationException when two paths overlap, or need one value to be both a map and a list."""
    seen: Tree = {}
    for path in paths:
        node = seen
        for depth, element in enumerate(path):
            if None in node:
                raise _clash(syntax, "overlap", node[None], path)
            if depth and node and isinstance(next(iter(node)), int) != isinstance(element, int):
                raise _clash(syntax, "conflict", _any_path(node), path)
            node = node.setdefault(element, {})
        if node:
            raise _clash(syntax, "overlap", _any_path(node), path)
        node[None] = path


def _any_path(node: Tree) -> Resolved:
    while None not in node:
        node = next(iter(node.values()))
    found: Resolved = node[None]
    return found


def _clash(syntax: Syntax, how: str, one: Resolved, two: Resolved) -> Exception:
    return syntax.error(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {shown(one)}, path two: {shown(two)}"
    )


def tree_of(paths: Iterable[Resolved]) -> Tree:
    """The paths as a tree, for `project`."""
    root: Tree = {}
    for path in paths:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    return root


def project(item: Item, tree: Tree) -> Item:
    """The parts of an item that the tree names; list elements move together."""
    out: Item = {}
    for name, below in tree.items():
        value = item.get(name)
        if value is not None:
            part = value if not below else _project_value(value, below)
            if part is not None:
                out[name] = part
    return out


def _project_value(value: AttributeValue, tree: Tree) -> AttributeValue | None:
    if not tree:
        return value
    if "M" in value:
        members = {}
        for name, below in tree.items():
            inner = value["M"].get(name) if isinstance(name, str) else None
            part = _project_value(inner, below) if inner is not None else None
            if part is not None:
                members[name] = part
        return {"M": members} if members else None
    if "L" in value:
        elements = []
        for index in sorted(index for index in tree if isinstance(index, int)):
            if index < len(value["L"]):
                part = _project_value(value["L"][index], tree[index])
                if part is not None:
                    elements.append(part)
        return {"L": elements} if elements else None
    return None
