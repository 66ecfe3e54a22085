"""Compiles update expressions and applies them to items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.conditions import Builder, Check, Operand, Values
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.nodes import Action, Arithmetic, Call, Node, Path, Value
from cumulet.services.dynamodb.expressions.parser import CONDITION_FUNCTIONS, parse_update
from cumulet.services.dynamodb.expressions.paths import Resolved, Tree, hold_apart, tree_of
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.values import add_numbers, kind_of

_CACHED = 1024
_SETS = frozenset(("SS", "NS", "BS"))
_WORDS = {"S": "STRING", "N": "NUMBER", "B": "BINARY", "SS": "STRING_SET", "NS": "NUMBER_SET", "BS": "BINARY_SET",
          "L": "LIST", "M": "MAP", "BOOL": "BOOLEAN", "NULL": "NULL"}  # fmt: skip


@dataclass(slots=True, frozen=True)
class Update:
    """A compiled update: its actions as (path, value), and what it uses."""

    sets: tuple[tuple[Resolved, Operand], ...]
    removes: tuple[Resolved, ...]
    adds: tuple[tuple[Resolved, str], ...]
    deletes: tuple[tuple[Resolved, str], ...]
    tree: Tree
    names: frozenset[str]
    values: frozenset[str]
    heads: frozenset[str]
    checks: tuple[Check, ...]

    @property
    def creates(self) -> bool:
        """Whether it makes an item that is not there; one that only takes away does not."""
        return bool(self.sets or self.adds)


@lru_cache(_CACHED)
def compile_update(text: str, names: tuple[tuple[str, str], ...]) -> Update:
    """Raises: ValidationException."""
    return compile_actions(Syntax("UpdateExpression", text), parse_update(text), dict(names))


def compile_actions(syntax: Syntax, actions: Sequence[Action], names: Mapping[str, str]) -> Update:
    """Raises: ValidationException."""
    builder = _UpdateBuilder(syntax, names)
    sets: list[tuple[Resolved, Operand]] = []
    removes: list[Resolved] = []
    changes: dict[str, list[tuple[Resolved, str]]] = {"ADD": [], "DELETE": []}
    paths: list[Resolved] = []
    for action in actions:
        path = builder.path(action.path)
        paths.append(path)
        if action.section == "SET":
            assert action.value is not None
            sets.append((path, builder.operand(action.value)))
        elif action.section == "REMOVE":
            removes.append(path)
        else:
            assert isinstance(action.value, Value)
            builder.used_values.add(action.value.text)
            builder.allow_change(action.section, action.value.text)
            changes[action.section].append((path, action.value.text))
    hold_apart(builder.syntax, paths)
    heads = frozenset(str(path[0]) for path in paths)
    return Update(
        tuple(sets),
        tuple(removes),
        tuple(changes["ADD"]),
        tuple(changes["DELETE"]),
        tree_of(paths),
        frozenset(builder.used_names),
        frozenset(builder.used_values),
        heads,
        tuple(builder.checks),
    )


class _UpdateBuilder(Builder):
    """Operands of SET: paths must exist, functions are if_not_exists and list_append, and there is arithmetic."""

    def allow_change(self, section: str, ref: str) -> None:
        kinds = _SETS | {"N"} if section == "ADD" else _SETS
        syntax = self.syntax

        def check(values: Values) -> None:
            kind = kind_of(values[ref])
            if kind not in kinds:
                raise syntax.error(
                    f"Incorrect operand type for operator or function; operator: {section}, operand type: "
                    f"{_WORDS[kind]}, typeSet: ALLOWED_FOR_{section}_OPERAND"
                )

        self.checks.append(check)

    def operand(self, node: Node) -> Operand:
        if isinstance(node, Path):
            value = super().operand(node)

            def existing(item: Item, values: Values) -> AttributeValue:
                found = value(item, values)
                if found is None:
                    raise ValidationException(
                        "The provided expression refers to an attribute that does not exist in the item"
                    )
                return copied(found)

            return existing
        if isinstance(node, Arithmetic):
            for side in (node.left, node.right):
                self.allow(side, node.operator, frozenset("N"))
            left, right = self.operand(node.left), self.operand(node.right)
            sign = 1 if node.operator == "+" else -1
            return lambda item, values: _sum(left(item, values), right(item, values), sign)
        if isinstance(node, Call):
            return self.call(node)
        return super().operand(node)

    def call(self, node: Call) -> Operand:
        if node.name in CONDITION_FUNCTIONS:
            raise self.syntax.error(f"The function is not allowed in an update expression; function: {node.name}")
        self.count_args(node)
        first, second = node.args
        if node.name == "if_not_exists":
            self.must_be_path(first, node.name)
            assert isinstance(first, Path)
            present, otherwise = super().operand(first), self.operand(second)

            def if_not_exists(item: Item, values: Values) -> AttributeValue | None:
                found = present(item, values)
                return copied(found) if found is not None else otherwise(item, values)

            return if_not_exists
        for arg in node.args:
            self.allow(arg, node.name, frozenset("L"))
        left, right = self.operand(first), self.operand(second)
        return lambda item, values: _append(left(item, values), right(item, values))


def _wrong_type() -> ValidationException:
    return ValidationException("An operand in the update expression has an incorrect data type")


def _bad_path() -> ValidationException:
    return ValidationException("The document path provided in the update expression is invalid for update")


def copied(value: AttributeValue) -> AttributeValue:
    """A deep copy, so that two attributes never share a list or map."""
    kind = kind_of(value)
    if kind == "L":
        return {"L": [copied(element) for element in value["L"]]}
    if kind == "M":
        return {"M": {name: copied(member) for name, member in value["M"].items()}}
    return {kind: list(value[kind])} if kind in _SETS else value


def _sum(left: AttributeValue | None, right: AttributeValue | None, sign: int) -> AttributeValue:
    if left is None or right is None or "N" not in left or "N" not in right:
        raise _wrong_type()
    return {"N": add_numbers(left["N"], right["N"], sign)}


def _append(left: AttributeValue | None, right: AttributeValue | None) -> AttributeValue:
    if left is None or right is None or "L" not in left or "L" not in right:
        raise _wrong_type()
    return {"L": [*left["L"], *right["L"]]}


def apply_update(update: Update, item: Item, values: Values) -> Item:
    """Change `item` (a copy of the caller's own) and return it. All values are computed from the item as it was.

    Raises: ValidationException.
    """
    puts: list[tuple[Resolved, AttributeValue]] = []
    for path, operand in update.sets:
        value = operand(item, values)
        assert value is not None
        puts.append((path, copied(value)))
    for path, ref in update.adds:
        puts.append((path, _added(_find(item, path), values[ref])))
    gone = [path for path in update.removes if _find(item, path) is not None]
    for path, ref in update.deletes:
        found = _find(item, path)
        left = _reduced(found, values[ref])
        if left is not None:
            puts.append((path, left))
        elif found is not None:
            gone.append(path)
    if len(puts) > 1:  # elements beyond a list's end are appended in the order of their indexes
        puts.sort(key=_place)
    for path, value in puts:
        _put(item, path, value)
    # a list's later elements first, so that none has moved when its turn comes; paths that share a beginning go on alike
    for path in sorted(gone, reverse=True):
        _remove(item, path)
    return item


def _place(put: tuple[Resolved, AttributeValue]) -> int:
    last = put[0][-1]
    return last if isinstance(last, int) else -1


def _parent(item: Item, path: Resolved) -> Any:
    """The dict or list that holds a path's last element. Raises: ValidationException when there is none."""
    holder: Any = item
    for element, following in pairwise(path):
        if isinstance(holder, dict):
            value = holder.get(element)
        else:
            value = holder[element] if isinstance(element, int) and element < len(holder) else None
        kind = "L" if isinstance(following, int) else "M"
        if value is None or kind not in value:
            raise _bad_path()
        holder = value[kind]
    return holder


def _find(item: Item, path: Resolved) -> AttributeValue | None:
    holder, last = _parent(item, path), path[-1]
    found: AttributeValue | None
    if isinstance(last, int):
        found = holder[last] if last < len(holder) else None
    else:
        found = holder.get(last)
    return found


def _put(item: Item, path: Resolved, value: AttributeValue) -> None:
    holder, last = _parent(item, path), path[-1]
    if isinstance(last, int) and last >= len(holder):
        holder.append(value)
    else:
        holder[last] = value


def _remove(item: Item, path: Resolved) -> None:
    holder, last = _parent(item, path), path[-1]
    if isinstance(last, int):
        if last < len(holder):
            del holder[last]
    else:
        holder.pop(last, None)


def _added(found: AttributeValue | None, value: AttributeValue) -> AttributeValue:
    if found is None:
        return copied(value)
    kind = kind_of(value)
    if kind not in found:
        raise _wrong_type()
    if kind == "N":
        return {"N": add_numbers(found["N"], value["N"])}
    return {kind: list(dict.fromkeys([*found[kind], *value[kind]]))}


def _reduced(found: AttributeValue | None, value: AttributeValue) -> AttributeValue | None:
    if found is None:
        return None
    kind = kind_of(value)
    if kind not in found:
        raise _wrong_type()
    gone = set(value[kind])
    left = [element for element in found[kind] if element not in gone]
    return {kind: left} if left else None
