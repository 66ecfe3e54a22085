"""PynamoDB's models, unmodified: keys, indexes, every kind of attribute, conditions, batches, transactions, versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("pynamodb", reason="pynamodb is not installed")

from pynamodb.attributes import (
    BinaryAttribute,
    BinarySetAttribute,
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NullAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import PAY_PER_REQUEST_BILLING_MODE
from pynamodb.exceptions import DeleteError, PutError, TableError, TransactGetError, TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

SCHEMA = {"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}


class Address(MapAttribute[str, Any]):
    street = UnicodeAttribute()
    number = NumberAttribute(default=1)


class ByState(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by-state"
        projection = AllProjection()
        read_capacity_units = 1
        write_capacity_units = 1

    state = UnicodeAttribute(hash_key=True)
    placed = UTCDateTimeAttribute(range_key=True)


class ByTotal(LocalSecondaryIndex[Any]):
    class Meta:
        index_name = "by-total"
        projection = KeysOnlyProjection()

    customer = UnicodeAttribute(hash_key=True)
    total = NumberAttribute(range_key=True)


def models(endpoint: str) -> tuple[Any, Any]:
    class Order(Model):
        class Meta:
            table_name = "orders"
            host = endpoint
            region = "us-east-1"
            billing_mode = PAY_PER_REQUEST_BILLING_MODE
            max_retry_attempts = 0

        customer = UnicodeAttribute(hash_key=True)
        number = NumberAttribute(range_key=True)
        state = UnicodeAttribute(default="new")
        placed = UTCDateTimeAttribute(default=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        total = NumberAttribute(default=0)
        tags = UnicodeSetAttribute(null=True)
        sizes = NumberSetAttribute(null=True)
        keys = BinarySetAttribute(null=True, legacy_encoding=False)
        raw = BinaryAttribute(null=True, legacy_encoding=False)
        lines: Any = ListAttribute(null=True)
        address: Any = Address(null=True)
        extra = JSONAttribute(null=True)
        paid = BooleanAttribute(null=True)
        nothing = NullAttribute(null=True)
        until = TTLAttribute(null=True)
        by_state = ByState()
        by_total = ByTotal()

    class Account(Model):
        class Meta:
            table_name = "accounts"
            host = endpoint
            region = "us-east-1"
            read_capacity_units = 5
            write_capacity_units = 5
            max_retry_attempts = 0

        name = UnicodeAttribute(hash_key=True)
        money = NumberAttribute(default=0)
        version = VersionAttribute()

    return Order, Account


@pytest.fixture
def made(cloud: Any) -> tuple[Any, Any]:
    order, account = models(cloud.endpoint)
    with patch("time.sleep", lambda _: cloud.quiet()):
        for model in (order, account):
            model.create_table(wait=True)
    return order, account


@pytest.fixture
def order(made: tuple[Any, Any]) -> Any:
    return made[0]


@pytest.fixture
def account(made: tuple[Any, Any]) -> Any:
    return made[1]


def test_a_table_is_made_described_and_deleted(order: Any, account: Any, cloud: Any) -> None:
    assert order.exists()
    table = order.describe_table()
    assert table["KeySchema"] == list(SCHEMA)
    assert (table["BillingModeSummary"]["BillingMode"], table["TableStatus"]) == ("PAY_PER_REQUEST", "ACTIVE")
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-state"]
    assert [index["Projection"]["ProjectionType"] for index in table["LocalSecondaryIndexes"]] == ["KEYS_ONLY"]
    assert account.describe_table()["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    connection = Connection(region="us-east-1", host=cloud.endpoint)
    assert connection.list_tables()["TableNames"] == ["accounts", "orders"]
    with pytest.raises(TableError, match="TimeToLive is already enabled"):
        order.create_table()
    order.create_table(ignore_update_ttl_errors=True)
    order.delete_table()
    cloud.quiet()
    assert not order.exists()


def test_time_to_live_comes_with_the_table(order: Any, clock: Any) -> None:
    order("ann", 1, until=datetime.fromtimestamp(int(clock.now()) + 60, UTC)).save()
    order("ann", 2).save()
    assert order.get("ann", 1).until == datetime.fromtimestamp(int(clock.now()) + 60, UTC)
    clock.advance(70)
    assert [each.number for each in order.query("ann")] == [2]


def test_every_kind_of_attribute_comes_back(order: Any) -> None:
    values: dict[str, Any] = {
        "placed": datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC),
        "total": 12.5,
        "tags": {"a", "b"},
        "sizes": {1, 2.5, -3},
        "keys": {b"\x00", b"\xff"},
        "raw": bytes(range(256)),
        "lines": [{"sku": "x", "deep": [1, None, True]}, "text", 3],
        "extra": {"json": [1, {"a": None}]},
        "paid": False,
    }
    order("ann", 1, address=Address(street="Lane"), **values).save()
    found = order.get("ann", 1, consistent_read=True)
    for name, value in values.items():
        assert getattr(found, name) == value, name
    assert (found.address.street, found.address.number, found.nothing, found.until) == ("Lane", 1, None, None)
    assert order.get("ann", 1, attributes_to_get=["total"]).attribute_values.keys() >= {"total"}
    with pytest.raises(order.DoesNotExist):
        order.get("ann", 2)


def test_updates_do_every_action(order: Any) -> None:
    kept = order("ann", 1, total=1, tags={"a"}, lines=["x"], address=Address(street="Lane"), paid=True)
    kept.save()
    kept.update(
        actions=[
            order.total.set(order.total + 5),
            order.tags.add({"b"}),
            order.lines.set(order.lines.append(["y"])),
            order.address.street.set("Road"),
            order.state.set(order.state | "none"),
            order.paid.remove(),
        ]
    )
    assert (kept.total, kept.tags, kept.lines, kept.address.street, kept.paid) == (
        6,
        {"a", "b"},
        ["x", "y"],
        "Road",
        None,
    )
    kept.update(actions=[order.total.add(4), order.tags.delete({"a"}), order.lines[0].remove()])
    kept.update(actions=[order.lines.set(order.lines.prepend(["w"]))])
    found = order.get("ann", 1)
    assert (found.total, found.tags, found.lines, found.state) == (10, {"b"}, ["w", "y"], "new")
    other = order("ann", 2)
    other.update(actions=[order.total.set(3)])  # an update makes the item
    assert order.get("ann", 2).total == 3


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (lambda o: o.customer.does_not_exist(), False),
        (lambda o: o.customer.exists() & (o.total == 5), True),
        (lambda o: (o.total < 5) | o.state.startswith("ne"), True),
        (lambda o: ~o.state.is_in("new", "old"), False),
        (lambda o: o.total.between(1, 5) & o.tags.contains("a"), True),
        (lambda o: o.state.contains("ew") & (o.address.street == "Lane"), True),
        (lambda o: o.tags.is_type() & (o.lines[0] != "y"), True),
        (lambda o: o.state != "new", False),
    ],
)
def test_conditions_hold_or_say_what_is_there(order: Any, condition: Any, holds: bool) -> None:
    kept = order("ann", 1, total=5, tags={"a"}, lines=["x"], address=Address(street="Lane"))
    kept.save()
    calls = [
        (PutError, lambda: kept.save(condition=condition(order))),
        (UpdateError, lambda: kept.update(actions=[order.paid.set(True)], condition=condition(order))),
        (DeleteError, lambda: kept.delete(condition=condition(order))),
    ]
    for error, call in calls:
        if holds:
            call()
        else:
            with pytest.raises(error) as caught:
                call()
            assert caught.value.cause_response_code == "ConditionalCheckFailedException"
            assert caught.value.cause_response_message == "The conditional request failed"
    assert order.count("ann") == (0 if holds else 1)


def test_queries_go_by_keys_indexes_and_filters_in_pages(order: Any) -> None:
    for number in range(20):
        state = "old" if number % 2 else "new"
        placed = datetime(2026, 1, 1 + number, tzinfo=UTC)
        order("ann", number, state=state, total=100 - number, placed=placed).save()
    order("bob", 1).save()
    numbers = [int(each.number) for each in order.query("ann", order.number.between(3, 6))]
    assert numbers == [3, 4, 5, 6]
    assert [int(each.number) for each in order.query("ann", scan_index_forward=False, limit=2)] == [19, 18]
    assert order.count("ann", order.number > 4, filter_condition=order.state == "old") == 8
    late = order.by_state.query("old", order.placed >= datetime(2026, 1, 16, tzinfo=UTC))
    assert [int(each.number) for each in late] == [15, 17, 19]
    cheap = order.by_total.query("ann", order.total < 84)
    assert [int(each.number) for each in cheap] == [19, 18, 17]
    assert order.by_state.count("new") == 11
    found, last = [], None
    while True:
        page = order.query("ann", page_size=3, limit=6, last_evaluated_key=last)
        found += [int(each.number) for each in page]
        last = page.last_evaluated_key
        if last is None:
            break
    assert found == list(range(20))
    some = order.query("ann", attributes_to_get=["total"], limit=1)
    assert next(iter(some)).total == 100


def test_scans_read_everything_in_segments_and_by_index(order: Any) -> None:
    with order.batch_write() as batch:
        for number in range(60):
            batch.save(order(f"c{number % 7}", number, total=number))
    assert order.count() == 60
    assert sorted(int(each.number) for each in order.scan(order.total >= 50, page_size=7)) == list(range(50, 60))
    parts = [list(order.scan(segment=segment, total_segments=4)) for segment in range(4)]
    assert sum(map(len, parts)) == 60
    assert len(list(order.by_state.scan(limit=10))) == 10


def test_batches_write_delete_and_get(order: Any) -> None:
    kept = [order("ann", number) for number in range(60)]
    with order.batch_write() as batch:
        for each in kept:
            batch.save(each)
    keys = [("ann", number) for number in range(120)]
    assert {int(each.number) for each in order.batch_get(keys)} == set(range(60))
    with order.batch_write(auto_commit=False) as batch:
        for each in kept[:20]:
            batch.delete(each)
    assert {int(each.number) for each in order.batch_get(keys, consistent_read=True)} == set(range(20, 60))


def test_transactions_write_all_or_nothing_and_read_one_moment(order: Any, account: Any, cloud: Any) -> None:
    account("ann", money=10).save()
    account("bob", money=0).save()
    connection = Connection(region="us-east-1", host=cloud.endpoint)

    def move(amount: int, token: str | None = None) -> None:
        with TransactWrite(connection=connection, client_request_token=token) as transaction:
            transaction.update(
                account("ann"), actions=[account.money.add(-amount)], condition=account.money >= amount,
                add_version_condition=False,
            )  # fmt: skip
            transaction.update(account("bob"), actions=[account.money.add(amount)], add_version_condition=False)
            transaction.save(order("ann", amount), condition=order.customer.does_not_exist())
            transaction.condition_check(order, "none", 1, condition=order.customer.does_not_exist())

    move(7, "token")
    move(7, "token")
    with pytest.raises(TransactWriteError) as caught:
        move(4)
    assert caught.value.cause_response_code == "TransactionCanceledException"
    codes = [reason and reason.code for reason in caught.value.cancellation_reasons]
    assert codes == [None, None, "ConditionalCheckFailed", None]  # it sends checks, puts and then updates
    with TransactGet(connection=connection) as transaction:
        ann, bob, bought, missing = [
            transaction.get(*key) for key in ((account, "ann"), (account, "bob"), (order, "ann", 7), (order, "ann", 4))
        ]
    assert (ann.get().money, bob.get().money, bought.get().number) == (3, 7, 7)
    with pytest.raises(order.DoesNotExist):
        missing.get()
    with pytest.raises(TransactGetError), TransactGet(connection=connection) as transaction:
        transaction.get(account, "")
    with TransactWrite(connection=connection) as transaction:
        transaction.delete(order("ann", 7))
    assert order.count("ann") == 0


def test_a_version_lets_only_the_latest_reader_write(account: Any) -> None:
    first = account("ann", money=1)
    first.save()
    second = account.get("ann")
    assert (first.version, second.version) == (1, 1)
    first.money = 2
    first.save()
    second.money = 3
    for call, error in (
        (second.save, PutError),
        (lambda: second.update(actions=[account.money.set(9)]), UpdateError),
        (second.delete, DeleteError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.cause_response_code == "ConditionalCheckFailedException"
    second.refresh()
    second.update(actions=[account.money.add(5)])
    assert (second.money, second.version) == (7, 3)
    with pytest.raises(PutError):
        account("ann").save()  # a new item of that name
    second.save(add_version_condition=False)
    account.get("ann").delete()
