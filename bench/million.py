"""Writes and reads of a table that holds 1,000,000 items beside those of an empty one, over HTTP, durable.

.venv/bin/python bench/million.py [--items 1000000]
"""

from __future__ import annotations

import argparse
import statistics
import time

from compare import ITEM, ROOT, Server, pss_mb
from load import json_call, measure


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    command = [str(ROOT / ".venv/bin/cumulet"), "up", "--port", "{port}", "--data", "{folder}/data"]
    server = Server("cumulet", command, {}, "/_cumulet/health")
    server.start()
    host = f"127.0.0.1:{server.port}"

    def request(operation: str, body: object) -> bytes:
        return json_call("dynamodb", f"DynamoDB_20120810.{operation}", host, body)

    def put(table: str, first: int):
        return lambda number: request(
            "PutItem", {"TableName": table, "Item": {"id": {"S": f"e{first + number}"}, "v": ITEM}}
        )

    def batch(number: int) -> bytes:
        writes = [{"PutRequest": {"Item": {"id": {"S": f"k{number * 25 + n}"}, "v": ITEM}}} for n in range(25)]
        return request("BatchWriteItem", {"RequestItems": {"full": writes}})

    try:
        client = server.client("dynamodb")
        for name in ("empty", "full"):
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
        before = [measure(server.port, put("empty", n * 10_000), 10_000, 32) for n in range(3)]
        reads = [
            measure(
                server.port,
                lambda n: request("GetItem", {"TableName": "empty", "Key": {"id": {"S": f"e{n * 7919 % 30_000}"}}}),
                5_000,
                32,
            )
        ]
        began = time.perf_counter()
        measure(server.port, batch, options.items // 25, 16)
        loading = time.perf_counter() - began
        after = [measure(server.port, put("full", n * 10_000), 10_000, 32) for n in range(3)]
        again = [
            measure(
                server.port,
                lambda n: request(
                    "GetItem", {"TableName": "full", "Key": {"id": {"S": f"k{n * 7919 % options.items}"}}}
                ),
                5_000,
                32,
            )
        ]
        rates = [statistics.median(outcome.rate for outcome in outcomes) for outcomes in (before, after, reads, again)]
        print(f"loaded {options.items:,} items by BatchWriteItem: {options.items / loading:,.0f}/s")
        print(f"PutItem: empty {rates[0]:,.0f}/s, full {rates[1]:,.0f}/s: {rates[0] / rates[1]:.2f} times the time")
        print(f"GetItem: small {rates[2]:,.0f}/s, full {rates[3]:,.0f}/s")
        print(f"memory of the server: {pss_mb(server.process.pid):.0f} MB")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
