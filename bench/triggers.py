"""Queues that trigger functions: latency of an idle queue, a throttled drain, the cost of idle triggers; over HTTP, durable.

.venv/bin/python bench/triggers.py [--messages 10000] [--queues 1000]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
import zipfile

from compare import ROOT, Server, cpu_s
from load import json_call, measure

ROLE = "arn:aws:iam::000000000000:role/bench"
LATENCY = (
    "import time\ndef handler(event, context):\n    now = time.time()\n"
    "    print('late', *[now - float(r['body']) for r in event['Records']])\n"
)
COUNT = (
    "def handler(event, context):\n    print('ran', *[r['body'] + ':' + r['attributes']['ApproximateReceiveCount']"
    " for r in event['Records']])\n"
)


class Bench:
    """A server with its clients."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sqs, self.client, self.logs = (server.client(name) for name in ("sqs", "lambda", "logs"))

    def function(self, name: str, code: str) -> None:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("index.py", code)
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": sink.getvalue()},
        )

    def queue(self, name: str, **attributes: str) -> str:
        return str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def map(self, queue: str, function: str) -> None:
        arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        self.client.create_event_source_mapping(EventSourceArn=arn, FunctionName=function)

    def words(self, function: str, first: str) -> list[str]:
        """What the function printed after `first`."""
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        lines = [event["message"].split() for page in pages for event in page["events"]]
        return [word for line in lines if line and line[0] == first for word in line[1:]]

    def held(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in found.values())


def latency(bench: Bench, count: int = 500) -> None:
    bench.function("late", LATENCY)
    url = bench.queue("idle")
    bench.map("idle", "late")
    time.sleep(1)
    for _ in range(20):
        bench.sqs.send_message(QueueUrl=url, MessageBody=repr(time.time()))
        time.sleep(0.05)
    for _ in range(count):
        bench.sqs.send_message(QueueUrl=url, MessageBody=repr(time.time()))
        time.sleep(0.02)
    time.sleep(0.5)
    found = sorted(float(word) * 1e3 for word in bench.words("late", "late")[20:])
    assert len(found) == count, len(found)
    print(f"idle queue, SendMessage to the handler's first line: median {statistics.median(found):.1f} ms, "
          f"p99 {found[int(count * 0.99)]:.1f} ms, longest {found[-1]:.1f} ms ({count} messages)")  # fmt: skip


def drain(bench: Bench, messages: int) -> None:
    bench.function("one", COUNT)
    bench.client.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=1)
    dead = bench.queue("dead")
    redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 3}
    url = bench.queue("burst", RedrivePolicy=json.dumps(redrive))
    bench.map("burst", "one")
    time.sleep(1)
    host = f"127.0.0.1:{bench.server.port}"

    def batch(number: int) -> bytes:
        entries = [{"Id": str(n), "MessageBody": str(number * 10 + n)} for n in range(10)]
        return json_call("sqs", "AmazonSQS.SendMessageBatch", host, {"QueueUrl": url, "Entries": entries})

    began, used = time.perf_counter(), cpu_s(bench.server.process.pid)
    measure(bench.server.port, batch, messages // 10, 16)
    sent, highest = time.perf_counter() - began, bench.held(url)
    while bench.held(url):
        time.sleep(0.05)
    elapsed, used = time.perf_counter() - began, cpu_s(bench.server.process.pid) - used
    ran = [word.split(":") for word in bench.words("one", "ran")]
    lost = messages - len({body for body, _ in ran})
    print(f"{messages:,} messages, reserved concurrency 1, batches of 10: sent in {sent:.1f} s (then {highest:,} waited), "
          f"drained after {elapsed:.1f} s ({messages / elapsed:,.0f}/s, {used / messages * 1e3:.3f} ms of server CPU each); "
          f"lost {lost}, twice {len(ran) - len({body for body, _ in ran})}, dead letters {bench.held(dead)}, "
          f"highest receive count {max(count for _, count in ran)}")  # fmt: skip


def idle(bench: Bench, queues: int, seconds: float = 20) -> None:
    began = time.perf_counter()
    for number in range(queues):
        bench.queue(f"many-{number}")
        bench.map(f"many-{number}", "late")
    made = time.perf_counter() - began
    time.sleep(3)
    used = cpu_s(bench.server.process.pid)
    time.sleep(seconds)
    used = cpu_s(bench.server.process.pid) - used
    print(
        f"{queues:,} idle queues with triggers (made in {made:.1f} s): {used / seconds:.2%} of a core over {seconds:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--queues", type=int, default=1_000)
    options = parser.parse_args()
    command = [str(ROOT / ".venv/bin/cumulet"), "up", "--port", "{port}", "--data", "{folder}/data"]
    server = Server("cumulet", command, {}, "/_cumulet/health")
    server.start()
    bench = Bench(server)
    try:
        latency(bench)
        drain(bench, options.messages)
        idle(bench, options.queues)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
