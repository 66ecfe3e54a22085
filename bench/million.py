"""What a table of 1,000,000 items of 1 KiB costs beside a small one, over HTTP, durable: six statements, each with its target.

    .venv/bin/python bench/million.py [--items 1000000]

An empty table is written to; the table is loaded, written to, read beside a small one in turns, backed up and restored; then it gets a global
index, which is queried while items are written. The server runs on one core and the load on the other.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator

from compare import ITEM, ROOT, Server, pss_mb
from load import drive, json_call, measure

SMALL, PARTITION, GROUPS = 2_000, 10, 1_000
ROUNDS, READS = 7, 500
BUSY_S = 10.0


class Bench:
    """A server, its client, and requests to its tables `small` and `full`, whose partitions hold ten items each."""

    def __init__(self, items: int) -> None:
        command = [str(ROOT / ".venv/bin/cumulet"), "up", "--port", "{port}", "--data", "{folder}/data"]
        self.server = Server("cumulet", command, {}, "/_cumulet/health")
        self.server.start()
        os.sched_setaffinity(0, {1 % (os.cpu_count() or 1)})
        self.client = self.server.client("dynamodb")
        self.count = {"small": min(SMALL, items), "full": items}

    def request(self, operation: str, body: object) -> bytes:
        return json_call("dynamodb", f"DynamoDB_20120810.{operation}", f"127.0.0.1:{self.server.port}", body)

    def item(self, number: int) -> dict[str, object]:
        place = {"id": {"S": f"k{number // PARTITION}"}, "n": {"N": str(number % PARTITION)}}
        return {**place, "group": {"S": f"g{number % GROUPS}"}, "v": ITEM}

    def create(self, name: str) -> None:
        keys = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}]
        types = [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}]
        self.client.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys, AttributeDefinitions=types
        )
        self.active(name)

    def active(self, name: str) -> None:
        """Wait for a table and its indexes."""
        while True:
            table = self.client.describe_table(TableName=name)["Table"]
            indexes = table.get("GlobalSecondaryIndexes", [])
            if table["TableStatus"] == "ACTIVE" and all(index["IndexStatus"] == "ACTIVE" for index in indexes):
                return
            time.sleep(0.1)

    def load(self, name: str, start: int = 0, end: int | None = None) -> float:
        """Seconds to write some of a table's items by BatchWriteItem over 16 connections."""
        last = self.count[name] if end is None else end

        def batch(number: int) -> bytes:
            numbers = range(start + number * 25, min(start + number * 25 + 25, last))
            return self.request("BatchWriteItem", {"RequestItems": {name: [{"PutRequest": {"Item": self.item(n)}} for n in numbers]}})  # fmt: skip

        began = time.perf_counter()
        outcome = measure(self.server.port, batch, -(-(last - start) // 25), 16)
        assert not outcome.failed
        return time.perf_counter() - began

    def writes(self, name: str, start: int) -> float:
        """New items per second by PutItem at 32 connections, the median of three."""
        count = min(10_000, self.count["full"] // 10)

        def put(first: int) -> Callable[[int], bytes]:
            return lambda number: self.request("PutItem", {"TableName": name, "Item": self.item(first + number)})

        rates = []
        for turn in range(3):
            outcome = measure(self.server.port, put(start + turn * count), count, 32)
            assert not outcome.failed
            rates.append(outcome.rate)
        return statistics.median(rates)

    def get(self, name: str) -> Callable[[int], bytes]:
        def make(number: int) -> bytes:
            item = self.item(number * 7919 % self.count[name])
            return self.request("GetItem", {"TableName": name, "Key": {"id": item["id"], "n": item["n"]}})

        return make

    def query(self, name: str) -> Callable[[int], bytes]:
        def make(number: int) -> bytes:
            of = {":id": self.item(number * 7919 % self.count[name])["id"]}
            condition = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": of}
            return self.request("Query", {"TableName": name, **condition})

        return make

    def reads(self) -> dict[str, tuple[float, float]]:
        """p50 of GetItem and Query in ms: (small, full), one connection, in turns."""
        seen: dict[tuple[str, str], list[float]] = {}
        for turn in range(ROUNDS):
            for kind, made in (("GetItem", self.get), ("Query", self.query)):
                for name in ("small", "full")[:: 1 if turn % 2 else -1]:
                    outcome = measure(self.server.port, made(name), READS, 1)
                    assert not outcome.failed
                    seen.setdefault((kind, name), []).append(outcome.median_ms)
        middle = {key: statistics.median(times) for key, times in seen.items()}
        return {kind: (middle[kind, "small"], middle[kind, "full"]) for kind in ("GetItem", "Query")}

    def memory(self) -> float:
        time.sleep(2)
        return pss_mb(self.server.process.pid)

    def backup(self) -> tuple[float, float]:
        """Seconds for a backup, and for a restore of it."""
        began = time.perf_counter()
        arn = self.client.create_backup(TableName="full", BackupName="bench")["BackupDetails"]["BackupArn"]
        while (
            self.client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
            == "CREATING"
        ):
            time.sleep(0.05)
        middle = time.perf_counter()
        self.client.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
        self.active("again")
        ended = time.perf_counter()
        for number in (0, self.count["full"] - 1):
            item = self.item(number)
            key = {"id": item["id"], "n": item["n"]}
            assert self.client.get_item(TableName="again", Key=key)["Item"] == item
        return middle - began, ended - middle

    def index(self) -> float:
        """Seconds to give the table a global index."""
        index = {
            "IndexName": "by-group",
            "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        began = time.perf_counter()
        self.client.update_table(
            TableName="full",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (("id", "S"), ("n", "N"), ("group", "S"))],
            GlobalSecondaryIndexUpdates=[{"Create": index}],
        )  # fmt: skip
        self.active("full")
        return time.perf_counter() - began

    def busy(self) -> tuple[float, float]:
        """(queries of the index, items written) per second, both at once: 8 connections each."""

        def query(number: int) -> bytes:
            of = {"#g": "group"}, {":g": {"S": f"g{number * 7 % GROUPS}"}}
            return self.request("Query", {"TableName": "full", "IndexName": "by-group", "KeyConditionExpression": "#g = :g",
                                          "Limit": 20, "ExpressionAttributeNames": of[0], "ExpressionAttributeValues": of[1]})  # fmt: skip

        def put(number: int) -> bytes:
            return self.request("PutItem", {"TableName": "full", "Item": self.item(2 * self.count["full"] + number)})

        end = time.perf_counter() + BUSY_S

        def lasting(make: Callable[[int], bytes]) -> Iterator[bytes]:
            return (make(n) for n in itertools.takewhile(lambda _: time.perf_counter() < end, itertools.count()))

        async def both() -> list[tuple[float, list[float], list[bytes]]]:
            port = self.server.port
            return await asyncio.gather(*(drive("127.0.0.1", port, lasting(make), 8) for make in (query, put)))

        rates = []
        for elapsed, times, failures in asyncio.run(both()):
            assert not failures, failures[0]
            rates.append(len(times) / elapsed)
        return rates[0], rates[1]


def said(what: str, figure: str, target: str, met: bool) -> None:
    print(f"| {what} | {figure} | {target} | {'met' if met else 'MISSED'} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    bench = Bench(options.items)
    items = f"{options.items:,} items"
    try:
        for name in ("empty", "small", "full"):
            bench.create(name)
        empty = bench.writes("empty", 0)
        bench.load("small")
        for made in (bench.get, bench.query):  # warm, so that what a first request brings does not count as the table's
            measure(bench.server.port, made("small"), 2_000, 16)
        before = bench.memory()
        print(f"| with {items} of 1 KiB | figure | target | |\n|---|---|---|---|")
        tenth = options.items // 10
        seconds = bench.load("full", 0, tenth)
        between = bench.memory()  # its caches have bounds, which a tenth of a million items fills
        seconds += bench.load("full", tenth)
        rate = options.items / seconds
        said("load by BatchWriteItem, 16 connections", f"{rate:,.0f} items/s", ">= 5,000 items/s", rate >= 5_000)
        full = bench.writes("full", options.items)
        figure = f"{full:,.0f}/s, empty {empty:,.0f}/s: {empty / full:.2f} times the time"
        said("PutItem, 32 connections", figure, "<= 1.3 times", empty / full <= 1.3)
        for kind, (small, full) in bench.reads().items():
            ratio = full / small
            figure = f"{full:.3f} ms, small {small:.3f} ms: {ratio:.2f} times"
            said(f"{kind}, p50, one connection", figure, "<= 1.5 times", ratio <= 1.5)
        after = bench.memory()
        figure = f"{before:.0f} MB empty, {between:.0f} MB with a tenth, {after:.0f} MB with all and read"
        said("memory of the server (PSS)", figure, "< 32 MB more than with a tenth", after - between < 32)
        made_s, restored_s = bench.backup()
        both = made_s + restored_s
        said("backup, restore", f"{made_s:.1f} s + {restored_s:.1f} s", "< 30 s", both < 30)
        print(f"| global index made | {bench.index():.1f} s | | |")
        queries, writes = bench.busy()
        said(f"queries of it beside {writes:,.0f} PutItem/s", f"{queries:,.0f}/s", ">= 200/s", queries >= 200)
        print(f"| memory at the end | {bench.memory():.0f} MB | | |")
    finally:
        bench.server.stop()


if __name__ == "__main__":
    main()
