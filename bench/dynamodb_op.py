"""Microseconds a DynamoDB operation takes in the pipeline, without HTTP: `python bench/dynamodb_op.py [N] [--profile OP]`.

The pipeline runs over a store in memory, 64 operations a batch, so that commits are included but no fsync.
"""

from __future__ import annotations

import asyncio
import cProfile
import itertools
import pstats
import sys
import time
from collections.abc import Callable
from typing import Any

from cumulet.kernel.pipeline import Call, Pipeline
from cumulet.services.dynamodb import SERVICE
from cumulet.testing.inprocess import InProcess

ITEM = {
    "sort": {"N": "42"},
    "title": {"S": "x" * 600},
    "author": {"S": "somebody"},
    "count": {"N": "12345"},
    "price": {"N": "19.99"},
    "tags": {"SS": ["a", "b", "c"]},
    "address": {"M": {"street": {"S": "y" * 100}, "zip": {"S": "12345"}}},
    "ok": {"BOOL": True},
    "notes": {"S": "z" * 200},
}

_different = itertools.count(10_000)


def requests(name: str, n: int) -> tuple[str, Callable[[int], dict[str, Any]]]:
    key = lambda i: {"id": {"S": f"item-{i % n:06d}"}}  # noqa: E731
    put = {"TableName": "bench"}
    if name == "PutItem":
        return name, lambda i: {**put, "Item": {**key(i), **ITEM}}
    if name == "PutItem (condition)":
        names = {"ExpressionAttributeNames": {"#i": "id"}, "ConditionExpression": "attribute_not_exists(#i) OR ok = :t"}
        return "PutItem", lambda i: {
            **put, **names, "Item": {**key(i), **ITEM}, "ExpressionAttributeValues": {":t": {"BOOL": True}},
        }  # fmt: skip
    if name == "PutItem (index)":
        return "PutItem", lambda i: {"TableName": "indexed", "Item": {**key(i), **ITEM}}
    if name in ("PutItem (stream)", "PutItem (stream, keys)"):
        table = "streamed" if name == "PutItem (stream)" else "keys"
        return "PutItem", lambda i: {
            "TableName": table,
            "Item": {**key(i), **ITEM, "count": {"N": str(next(_different))}},
        }
    if name == "PutItem (old read)":
        return "PutItem", lambda i: {**put, "Item": {**key(i), **ITEM}, "ReturnValues": "ALL_OLD"}
    if name == "GetItem":
        return name, lambda i: {**put, "Key": key(i)}
    if name == "UpdateItem":
        return name, lambda i: {
            **put, "Key": key(i), "UpdateExpression": "SET price = price + :one, title = :t",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":t": {"S": "new"}},
        }  # fmt: skip
    if name == "TransactWriteItems (2)":
        return "TransactWriteItems", lambda i: {
            "TransactItems": [
                {"Put": {**put, "Item": {"id": {"S": f"{side}{i % n:06d}"}, **ITEM}}} for side in ("a", "b")
            ]
        }
    if name == "Query (10 items)":
        return "Query", lambda i: {
            "TableName": "indexed", "IndexName": "by-author", "Limit": 10, "KeyConditionExpression": "author = :a",
            "ExpressionAttributeValues": {":a": {"S": "somebody"}},
        }  # fmt: skip
    raise ValueError(name)


NAMES = (
    "PutItem",
    "PutItem (condition)",
    "PutItem (index)",
    "PutItem (old read)",
    "PutItem (stream)",
    "PutItem (stream, keys)",
    "GetItem",
    "UpdateItem",
    "TransactWriteItems (2)",
    "Query (10 items)",
)


async def run(pipeline: Pipeline, name: str, n: int) -> float:
    operation, make = requests(name, n)
    calls = [Call("dynamodb", operation, make(i), "000000000000", "us-east-1", "r") for i in range(n)]
    failed: list[Any] = []

    def reply(answer: Any) -> None:
        if isinstance(answer, Exception):
            failed.append(answer)

    started = time.process_time()
    for at in range(0, n, 64):
        for call in calls[at : at + 64]:
            pipeline.handle(call, reply)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await pipeline.store.settle()
    taken = time.process_time() - started
    assert not failed, failed[0]
    return taken / n * 1e6


async def main(n: int, profiled: str | None) -> None:
    async with InProcess([SERVICE]) as cloud:
        attributes = [{"AttributeName": "id", "AttributeType": "S"}]
        index = {
            "IndexName": "by-author",
            "KeySchema": [{"AttributeName": "author", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        author = {"AttributeName": "author", "AttributeType": "S"}
        table = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
        await cloud.call("dynamodb", "CreateTable", {"TableName": "bench", "AttributeDefinitions": attributes, **table})
        await cloud.call("dynamodb", "CreateTable", {
            "TableName": "indexed", "AttributeDefinitions": [*attributes, author], "GlobalSecondaryIndexes": [index], **table,
        })  # fmt: skip
        for name, view in (("streamed", "NEW_AND_OLD_IMAGES"), ("keys", "KEYS_ONLY")):
            await cloud.call("dynamodb", "CreateTable", {
                "TableName": name, "AttributeDefinitions": attributes, **table,
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view},
            })  # fmt: skip
        await cloud.quiet()
        for name in NAMES if profiled is None else (profiled,):
            if profiled == name:
                profile = cProfile.Profile()
                profile.enable()
                await run(cloud.pipeline, name, n)
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(30)
            best = min([await run(cloud.pipeline, name, n) for _ in range(3)])
            print(f"{name:<24}{best:8.1f} us")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--profile"]
    count = next((int(a) for a in arguments if a.isdigit()), 4000)
    asyncio.run(main(count, next((a for a in arguments if not a.isdigit()), None)))
