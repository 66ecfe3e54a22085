"""Microseconds an SQS operation takes in the pipeline, without HTTP: `python bench/sqs_op.py [N] [--waiting N] [--profile OP]`.

The pipeline runs over a store in memory, 32 operations a batch, so that commits are included but no fsync. `--waiting` fills the
queue first, to compare a long one with an empty one (in a data directory, as that is where a million messages are).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cumulet.kernel.pipeline import Call, Pipeline
from cumulet.services.sqs import SERVICE
from cumulet.testing.inprocess import InProcess

BODY = "x" * 1024
IN_FLIGHT = 32
URL = "http://127.0.0.1:4566/000000000000/bench"
FIFO = f"{URL}.fifo"


class Bench:
    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    async def run(self, operation: str, requests: list[dict[str, Any]]) -> tuple[float, list[Any]]:
        """(microseconds of CPU a request, answers)."""
        who = ("000000000000", "us-east-1", "r", "arn:aws:iam::000000000000:root")
        calls = [Call("sqs", operation, request, *who) for request in requests]
        answers: list[Any] = []
        started = time.process_time()
        for at in range(0, len(calls), IN_FLIGHT):
            for call in calls[at : at + IN_FLIGHT]:
                self.pipeline.handle(call, answers.append)
            if self.pipeline.store._thread is not None:
                await self.pipeline.store.settle()
            else:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        await self.pipeline.store.settle()
        taken = time.process_time() - started
        failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
        assert failed is None, failed
        return taken / len(requests) * 1e6, answers

    async def cycle(self, n: int, url: str, each: int = 1) -> dict[str, float]:
        group: Callable[[int], dict[str, Any]]
        if url == FIFO:
            group = lambda i: {"MessageGroupId": f"g{i}", "MessageDeduplicationId": f"{time.monotonic_ns()}-{i}"}  # noqa: E731
        else:
            group = lambda i: {}  # noqa: E731
        if each == 1:
            send, _ = await self.run(
                "SendMessage", [{"QueueUrl": url, "MessageBody": BODY, **group(i)} for i in range(n)]
            )
        else:
            entries = lambda i: [{"Id": f"{j}", "MessageBody": BODY, **group(i * each + j)} for j in range(each)]  # noqa: E731
            send, _ = await self.run("SendMessageBatch", [{"QueueUrl": url, "Entries": entries(i)} for i in range(n)])
        receive, got = await self.run(
            "ReceiveMessage", [{"QueueUrl": url, "MaxNumberOfMessages": each} for _ in range(n)]
        )
        batches = [[message["ReceiptHandle"] for message in answer["Messages"]] for answer in got]
        assert sum(map(len, batches)) == n * each
        if each == 1:
            requests = [{"QueueUrl": url, "ReceiptHandle": handles[0]} for handles in batches]
            delete, _ = await self.run("DeleteMessage", requests)
        else:
            done = [[{"Id": str(j), "ReceiptHandle": h} for j, h in enumerate(handles)] for handles in batches]
            requests = [{"QueueUrl": url, "Entries": entries} for entries in done]
            delete, _ = await self.run("DeleteMessageBatch", requests)
        return {"send": send, "receive": receive, "delete": delete}


async def measure(bench: Bench, n: int, profiled: str | None, label: str) -> None:
    for name, url, each in (("standard", URL, 1), ("standard, 10 a batch", URL, 10), ("FIFO", FIFO, 1)):
        if profiled == name:
            with cProfile.Profile() as profile:
                await bench.cycle(n, url, each)
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        rounds = [await bench.cycle(n // each, url, each) for _ in range(3)]
        best = {step: min(round_[step] for round_ in rounds) for step in rounds[0]}
        print(f"{label + name:<32}" + "".join(f"{step} {us:7.1f} us   " for step, us in best.items()))


async def main(n: int, waiting: int, profiled: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with InProcess([SERVICE], folder=Path(folder) if waiting else None) as cloud:
            await cloud.call("sqs", "CreateQueue", {"QueueName": "bench"})
            await cloud.call("sqs", "CreateQueue", {"QueueName": "bench.fifo", "Attributes": {"FifoQueue": "true"}})
            bench = Bench(cloud.pipeline)
            await measure(bench, n, profiled, "")
            if not waiting:
                return
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            entries = [{"Id": str(j), "MessageBody": BODY} for j in range(10)]
            for _ in range(0, waiting, 10_000):
                await bench.run("SendMessageBatch", [{"QueueUrl": URL, "Entries": entries}] * 1000)
            print(f"memory grew by {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MB")
            await measure(bench, n, None, f"{waiting:,}: ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("n", type=int, nargs="?", default=4000)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--profile")
    options = parser.parse_args()
    asyncio.run(main(options.n, options.waiting, options.profile))
