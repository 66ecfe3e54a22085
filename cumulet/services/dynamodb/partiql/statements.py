"""The statements of PartiQL for DynamoDB, parsed: conditions and updates are nodes of `expressions`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cumulet.services.dynamodb.expressions.nodes import Action, Node, Path
from cumulet.services.dynamodb.model import AttributeValue, Item


@dataclass(slots=True)
class Statement:
    """What all have: the table, the WHERE clause, and the values that its nodes refer to."""

    table: str
    where: Node | None = None
    values: dict[str, AttributeValue] = field(default_factory=dict)


@dataclass(slots=True)
class Select(Statement):
    """`paths` None is `*`; `order` is (attribute, descending); `exists` when it stands in EXISTS()."""

    index: str | None = None
    paths: tuple[Path, ...] | None = None
    order: tuple[tuple[str, bool], ...] = ()
    exists: bool = False


@dataclass(slots=True)
class Insert(Statement):
    item: Item = field(default_factory=dict)


@dataclass(slots=True)
class Update(Statement):
    """`returning` is a value of ReturnValues."""

    actions: tuple[Action, ...] = ()
    returning: str = "NONE"


@dataclass(slots=True)
class Delete(Statement):
    returning: str = "NONE"
