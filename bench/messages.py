"""Figures of messaging for bench/compare.py: SQS, SNS to three queues, EventBridge to a queue."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from load import http as http_call
from load import json_call, measure

CONNECTIONS = 32
BODY = "x" * 300
FIGURES = [
    ("send_rate", "SendMessage at 32 connections", "/s"),
    ("send_cpu_ms", "server CPU per SendMessage", "ms"),
    ("batch_rate", "messages by SendMessageBatch(10)", "/s"),
    ("cycle_rate", "send, receive and delete: cycles", "/s"),
    ("fanout_rate", "SNS publish to three queues", "/s"),
    ("events_rate", "PutEvents to a queue by a rule", "/s"),
]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def message_figures(server: Any, scale: float) -> dict[str, float]:
    """Every figure is a rate of answered requests; what is sent stays in its queue but for the cycles."""
    host = f"127.0.0.1:{server.port}"
    sqs, sns, events = server.client("sqs"), server.client("sns"), server.client("events")

    def call(operation: str, **request: object) -> bytes:
        return json_call("sqs", f"AmazonSQS.{operation}", host, request)

    def queue(name: str) -> tuple[str, str]:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def count(number: int) -> int:
        return max(64, int(number * scale))

    figures: dict[str, float] = {}
    url, _ = queue("sent")
    send = call("SendMessage", QueueUrl=url, MessageBody=BODY)
    before, sent = cpu_s(server.process.pid), count(20_000)
    figures["send_rate"] = measure(server.port, lambda number: send, sent, CONNECTIONS).rate
    figures["send_cpu_ms"] = (cpu_s(server.process.pid) - before) / sent * 1e3

    url, _ = queue("batches")
    entries = [{"Id": str(number), "MessageBody": BODY} for number in range(10)]
    batch = call("SendMessageBatch", QueueUrl=url, Entries=entries)
    figures["batch_rate"] = 10 * measure(server.port, lambda number: batch, count(5_000), CONNECTIONS).rate

    url, _ = queue("cycles")
    put, receive = call("SendMessage", QueueUrl=url, MessageBody=BODY), call("ReceiveMessage", QueueUrl=url)

    def cycle() -> Generator[bytes, bytes | None, None]:
        yield put
        answer = yield receive
        for message in json.loads(answer or b"{}").get("Messages", []):
            yield call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    figures["cycle_rate"] = measure(server.port, lambda number: cycle(), count(6_000), CONNECTIONS).rate / 3

    topic = sns.create_topic(Name="news")["TopicArn"]
    for number in range(3):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue(f"fan{number}")[1])
    publish = form_call("sns", host, Action="Publish", TopicArn=topic, Message=BODY, Version="2010-03-31")
    figures["fanout_rate"] = measure(server.port, lambda number: publish, count(5_000), CONNECTIONS).rate

    url, arn = queue("events")
    events.put_rule(Name="bench", EventPattern='{"source": ["bench"]}')
    events.put_targets(Rule="bench", Targets=[{"Id": "q", "Arn": arn}])
    entry = {"Source": "bench", "DetailType": "t", "Detail": json.dumps({"text": BODY})}
    put_events = json_call("events", "AWSEvents.PutEvents", host, {"Entries": [entry]}, "1.1")
    figures["events_rate"] = measure(server.port, lambda number: put_events, count(5_000), CONNECTIONS).rate
    arrived = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    if int(arrived["Attributes"]["ApproximateNumberOfMessages"]) < count(5_000):
        del figures["events_rate"]  # the rule did not deliver
    return figures


def form_call(service: str, host: str, **form: str) -> bytes:
    """One request of the query protocol."""
    from load import AUTHORIZATION

    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION.format(service=service),
    }
    return http_call("POST", "/", host, headers, urlencode(form).encode())
