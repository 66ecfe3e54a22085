"""A request's expressions with its names and values: checked for what is undefined, unused or of the wrong type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.conditions import Check, Condition, compile_condition
from cumulet.services.dynamodb.expressions.keyconditions import KeyConditions, compile_key_conditions
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.parser import parse_projection
from cumulet.services.dynamodb.expressions.paths import Tree, hold_apart, resolve, tree_of
from cumulet.services.dynamodb.expressions.update import Update, compile_update
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.values import measure, text_size

_CACHED = 1024
_MAX_KEY = 255
_MAX_BYTES = 2 * 1024 * 1024
_name_key = re.compile(r"#[A-Za-z0-9_]+", re.ASCII).fullmatch
_value_key = re.compile(r":[A-Za-z0-9_]+", re.ASCII).fullmatch


def _check_length(member: str, key: str) -> None:
    if len(key) > _MAX_KEY:
        raise ValidationException(
            f"{member} contains invalid key: The key is too long; length: {len(key)}, limit: {_MAX_KEY}"
        )


def _total(member: str, size: int) -> int:
    """What all substitutions take together. Raises: ValidationException."""
    if size > _MAX_BYTES:
        raise ValidationException(f"The total size of {member} has exceeded the maximum allowed size")
    return size


@lru_cache(_CACHED)
def compile_projection(text: str, names: tuple[tuple[str, str], ...]) -> tuple[Tree, frozenset[str]]:
    """(the tree of the paths, the aliases used). Raises: ValidationException."""
    syntax = Syntax("ProjectionExpression", text)
    used: set[str] = set()
    known = dict(names)
    paths = [resolve(syntax, path, known, used) for path in parse_projection(text)]
    hold_apart(syntax, paths)
    return tree_of(paths), frozenset(used)


class Binding:
    """The expressions of one request. Compile all of them, then `finish`.

    `fields` are the request's members that may hold expressions, `valued` those that may use values.
    Raises: ValidationException.
    """

    __slots__ = ("_frozen", "_used_names", "_used_values", "values")

    def __init__(self, req: Mapping[str, Any], fields: Sequence[str], valued: Sequence[str] = ()) -> None:
        self._used_names: set[str] = set()
        self._used_values: set[str] = set()
        names: dict[str, str] | None = req.get("ExpressionAttributeNames")
        values: Item | None = req.get("ExpressionAttributeValues")
        self._frozen: tuple[tuple[str, str], ...] = ()
        self.values: Item = {}
        size = 0
        if names is not None:
            size = self._take_names(names, any(field in req for field in fields))
        if values is not None:
            self._take_values(values, req, valued, size)

    def _take_names(self, names: dict[str, str], needed: bool) -> int:
        if not needed:
            raise ValidationException("ExpressionAttributeNames can only be specified when using expressions")
        if not names:
            raise ValidationException("ExpressionAttributeNames must not be empty")
        for key in names:
            if not _name_key(key):
                raise ValidationException(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{key}"')
            _check_length("ExpressionAttributeNames", key)
        self._frozen = tuple(names.items())
        return _total("ExpressionAttributeNames", sum(len(key) + text_size(name) for key, name in self._frozen))

    def _take_values(self, values: Item, req: Mapping[str, Any], valued: Sequence[str], size: int) -> None:
        if not any(field in req for field in valued):
            verb = "is" if len(valued) == 1 else "are"
            raise ValidationException(
                "ExpressionAttributeValues can only be specified when using expressions: "
                f"{' and '.join(valued)} {verb} null"
            )
        if not values:
            raise ValidationException("ExpressionAttributeValues must not be empty")
        for key in values:
            if not _value_key(key):
                raise ValidationException(f'ExpressionAttributeValues contains invalid key: Syntax error; key: "{key}"')
            _check_length("ExpressionAttributeValues", key)
        for key, value in values.items():
            try:
                grown, self.values[key] = measure(value)
            except ValidationException as error:
                raise ValidationException(
                    f"ExpressionAttributeValues contains invalid value: {error.message} for key {key}"
                ) from error
            size += grown + len(key)
        _total("ExpressionAttributeValues", size)

    def _use(self, kind: str, names: frozenset[str], values: frozenset[str], checks: Sequence[Check] = ()) -> None:
        self._used_names |= names
        self._used_values |= values
        for ref in sorted(values):
            if ref not in self.values:
                raise ValidationException(
                    f"Invalid {kind}: An expression attribute value used in expression is not defined; "
                    f"attribute value: {ref}"
                )
        for check in checks:
            check(self.values)

    def condition(self, kind: str, text: str) -> Condition:
        condition = compile_condition(kind, text, self._frozen)
        self._use(kind, condition.names, condition.values, condition.checks)
        return condition

    def test(self, kind: str, text: str) -> Callable[[Item], bool]:
        """The condition as a function of the item alone."""
        test, values = self.condition(kind, text).test, self.values
        return lambda item: test(item, values)

    def projection(self, text: str) -> Tree:
        tree, names = compile_projection(text, self._frozen)
        self._used_names |= names
        return tree

    def update(self, text: str) -> Update:
        update = compile_update(text, self._frozen)
        self._use("UpdateExpression", update.names, update.values, update.checks)
        return update

    def key_conditions(self, text: str) -> KeyConditions:
        conditions = compile_key_conditions(text, self._frozen)
        self._use("KeyConditionExpression", conditions.names, conditions.values)
        return conditions

    def finish(self) -> None:
        """Raises: ValidationException when a name or a value was not used."""
        if len(self._used_names) < len(self._frozen):
            left = [name for name, _ in self._frozen if name not in self._used_names]
            raise ValidationException(
                f"Value provided in ExpressionAttributeNames unused in expressions: keys: {{{', '.join(left)}}}"
            )
        if len(self._used_values) < len(self.values):
            left = [ref for ref in self.values if ref not in self._used_values]
            raise ValidationException(
                f"Value provided in ExpressionAttributeValues unused in expressions: keys: {{{', '.join(left)}}}"
            )
