"""SELECT: as a Query of one partition key or of several, else as a Scan; single items for batches and transactions."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.dynamodb.capacity import Tally
from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.keyconditions import KeyConditions, KeyTest
from cumulet.services.dynamodb.expressions.nodes import (
    Between,
    Call,
    Compare,
    In,
    Node,
    Or,
    Parenthesized,
    Path,
    Value,
)
from cumulet.services.dynamodb.expressions.paths import Resolved, Tree, lookup, tree_of
from cumulet.services.dynamodb.keyranges import key_range
from cumulet.services.dynamodb.layout import IndexLayout, Layout, item_of, open_table
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.partiql.conditions import attribute_of, compiled, conjuncts, demand_key, equality, turned
from cumulet.services.dynamodb.partiql.statements import Select
from cumulet.services.dynamodb.reads import answer, begin_after, index_of, reading, start_row
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.values import kind_of, ordered

Json = dict[str, Any]
_MAX_KEYS = 50
_RANGED = ("=", "<", "<=", ">", ">=")


class Cursor(msgspec.Struct):
    """Where a NextToken goes on: in which statement, at which of its key ranges, behind which key."""

    statement: bytes
    part: int
    key: Item | None


@dataclass(slots=True)
class _Plan:
    """The row ranges of a SELECT, in order, and what filters their items."""

    ranges: list[tuple[bytes, bytes]]
    keep: Callable[[Item], bool] | None
    reverse: bool


def select(ctx: Context, statement: Select, req: Json) -> Json:
    """One page of a SELECT, in the words of ExecuteStatement's answer. Raises: ValidationException."""
    layout = open_table(ctx, statement.table)
    asked: Json = {name: req[name] for name in ("ConsistentRead", "Limit") if name in req}
    if statement.index is not None:
        asked["IndexName"] = statement.index
    index = index_of(layout, asked)
    plan = _plan(layout, index, statement)
    shape = _shape(statement)
    cursor = _cursor(req, plan)
    items: list[Any] = []
    total = Tally(layout.table.name)
    left: int | None = req.get("Limit")
    token: Cursor | None = None
    for part in range(cursor.part, len(plan.ranges)):
        low, high = plan.ranges[part]
        tree: Tree | None = None if shape is None else tree_of([path for _, path in shape])
        read = reading({**asked, **({"Limit": left} if left else {})}, layout, index, low, high, plan.keep, tree)
        read.reverse = plan.reverse
        if part == cursor.part and cursor.key is not None:
            at = start_row(layout, index, cursor.key)
            if not low <= at < high:
                raise _foreign_token()
            begin_after(read, at)
        read.tree = None  # SELECT names what it takes out, so it needs the whole item
        page = answer(ctx, {}, read)
        assert read.tally is not None
        total.join(read.tally)
        items += page["Items"] if shape is None else [_shaped(item, shape) for item in page["Items"]]
        left = None if left is None else left - page["ScannedCount"]
        last = page.get("LastEvaluatedKey")
        if last is not None or left == 0 or part + 1 < len(plan.ranges):
            token = Cursor(_digest(req), part if last is not None else part + 1, last)
        else:
            token = None
        if last is not None or left == 0:
            break
    charge(ctx, layout.table, total, write=False)
    out: Json = {"Items": items}
    if token is not None and token.part < len(plan.ranges):
        out["NextToken"] = b64encode(msgspec.json.encode(token)).decode()
        if token.key is not None:
            out["LastEvaluatedKey"] = token.key
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        out["ConsumedCapacity"] = total.answer(level)
    return out


# tokens


def _digest(req: Json) -> bytes:
    return hashlib.sha256(msgspec.json.encode([req["Statement"], req.get("Parameters", [])])).digest()[:12]


def _foreign_token() -> ValidationException:
    return ValidationException("NextToken does not match request")


def _cursor(req: Json, plan: _Plan) -> Cursor:
    if "NextToken" not in req:
        return Cursor(b"", 0, None)
    try:
        cursor = msgspec.json.decode(b64decode(req["NextToken"], validate=True), type=Cursor)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ValidationException("Invalid NextToken") from error
    if cursor.statement != _digest(req) or not 0 <= cursor.part < len(plan.ranges):
        raise _foreign_token()
    return cursor


# what is taken out of an item


def _shape(statement: Select) -> list[tuple[str, Resolved]] | None:
    """(name in the answer, path): a path from its last name on, `b[0]` for `a.b[0]`."""
    if statement.paths is None:
        return None
    shape = []
    for path in statement.paths:
        resolved: Resolved = tuple(element if isinstance(element, int) else str(element) for element in path.elements)
        named = max(at for at, element in enumerate(resolved) if isinstance(element, str))
        name = str(resolved[named]) + "".join(f"[{element}]" for element in resolved[named + 1 :])
        shape.append((name, resolved))
    return shape


def _shaped(item: Any, shape: list[tuple[str, Resolved]]) -> Item:
    whole: Item = msgspec.json.decode(item) if isinstance(item, msgspec.Raw) else item
    out: Item = {}
    for name, path in shape:
        value = lookup(whole, path)
        if value is not None:
            out[name] = value
    return out


# from the WHERE clause to ranges


def _plan(layout: Layout, index: IndexLayout | None, statement: Select) -> _Plan:
    pk, sk = (layout.pk, layout.sk) if index is None else (index.index.pk, index.index.sk)
    nodes = conjuncts(statement.where)
    fixed = _partition(pk, nodes, statement.values)
    reverse = _order(statement, pk, sk, fixed)
    if fixed is None:
        prefix = layout.prefix if index is None else index.prefix
        return _Plan([(prefix, prefix + b"\xff")], compiled(nodes, statement.values), False)
    keys, taken = fixed
    rest = [node for node in nodes if node is not taken]
    tests: tuple[KeyTest, ...] = ()
    for node in rest:
        test = _key_test(sk, node, statement.values)
        if test is not None:
            tests = (test,)
            rest = [other for other in rest if other is not node]
            break
    ranges = []
    for value in keys:
        values = {**statement.values, ":pk": value}
        conditions = KeyConditions((KeyTest(pk, "=", (":pk",)), *tests), frozenset(), frozenset())
        ranges.append(key_range(layout, index, conditions, values))
    if _descending(statement, pk):
        ranges.reverse()
    return _Plan(ranges, compiled(rest, statement.values), reverse)


def _partition(
    pk: str, nodes: list[Node], values: dict[str, AttributeValue]
) -> tuple[list[AttributeValue], Node] | None:
    """(the partition keys' values in ascending order, the condition that names them), or None."""
    for node in nodes:
        value = equality(node, pk)
        if value is not None:
            return [values[value.text]], node
    for node in nodes:
        either = _either(pk, node)
        if either is not None:
            if len(either) > _MAX_KEYS and isinstance(node, Or):
                continue  # a Scan
            if len(either) > _MAX_KEYS:
                raise ValidationException(
                    f"The IN operator is provided with too many operands; number of operands: {len(either)}, "
                    f"max number of operands on a partition key: {_MAX_KEYS}"
                )
            return _sorted_keys([values[value.text] for value in either]), node
    return None


def _sorted_keys(values: list[AttributeValue]) -> list[AttributeValue]:
    """Partition keys in ascending order, each once. Raises: ValidationException when they are not of one type."""
    keys = {msgspec.json.encode(value): value for value in values}
    kinds = {kind_of(value) for value in keys.values()}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise ValidationException(
            "One or more parameter values were invalid: Condition parameter type does not match schema type"
        )
    kind = kinds.pop()
    return sorted(keys.values(), key=lambda value: ordered(kind, value))


def _either(pk: str, node: Node) -> list[Value] | None:
    """The values of `pk IN [a, b]` or `pk = a OR pk = b`, or None when a condition is something else."""
    match node:
        case In(operand, options) if attribute_of(operand) == pk:
            found = [option for option in options if isinstance(option, Value)]
            return found if len(found) == len(options) else None
        case Parenthesized(inner):
            return _either(pk, inner)
        case Or(left, right):
            one, two = _either(pk, left), _either(pk, right)
            return None if one is None or two is None else [*one, *two]
    value = equality(turned(node), pk)
    return None if value is None else [value]


def _key_test(sk: str | None, node: Node, values: dict[str, AttributeValue]) -> KeyTest | None:
    """A condition on the sort key that limits the range of rows, or None."""
    if sk is None:
        return None
    match node:
        case Compare(operator, left, Value() as right) if operator in _RANGED and attribute_of(left) == sk:
            return KeyTest(sk, operator, (right.text,))
        case Between(operand, Value() as low, Value() as high) if attribute_of(operand) == sk:
            return KeyTest(sk, "BETWEEN", (low.text, high.text))
        case Call("begins_with", (Path() as first, Value() as second)) if attribute_of(first) == sk:
            return KeyTest(sk, "begins_with", (second.text,))
    return None


def _descending(statement: Select, name: str | None) -> bool:
    return any(descending for other, descending in statement.order if other == name)


def _order(statement: Select, pk: str, sk: str | None, fixed: object) -> bool:
    """Whether the sort key descends. Raises: ValidationException for an ORDER BY that no index carries."""
    if not statement.order:
        return False
    if statement.where is None:
        raise ValidationException("Must have WHERE clause in the statement when using ORDER BY clause.")
    if fixed is None:
        raise ValidationException(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
        )
    for name, _ in statement.order:
        if name not in (pk, sk):
            raise ValidationException(f"Variable reference {name} in ORDER BY clause must be part of the primary key")
    return _descending(statement, sk)


# single items


def read_item(ctx: Context, statement: Select, operation: str) -> tuple[Layout, bytes, bytes | None, Item | None]:
    """(the table, the item's row key and row, what SELECT takes out of it). Raises: ValidationException, ResourceNotFoundException."""
    layout = open_table(ctx, statement.table)
    if statement.index is not None or statement.order:
        raise ValidationException(
            f"Select statements within {operation} must specify the primary key in the where clause."
        )
    try:
        key, rest = demand_key(layout, statement)
    except ValidationException as error:
        raise ValidationException(
            f"Select statements within {operation} must specify the primary key in the where clause."
        ) from error
    at = layout.key_of(key)
    row = ctx.tx.get_bytes(at)
    if row is None:
        return layout, at, None, None
    item = item_of(row)
    keep = compiled(rest, statement.values)
    if keep is not None and not keep(item):
        return layout, at, row, None
    shape = _shape(statement)
    return layout, at, row, item if shape is None else _shaped(item, shape)
