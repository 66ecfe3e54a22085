"""Events and schedules survive SIGKILL: an acknowledged event reaches its target at least once."""

import asyncio
import contextlib
import http.client
import itertools
import json
import threading
import time

import pytest

from cumulet.kernel.ids import Ids
from cumulet.kernel.service import Service
from cumulet.services import events as events_package
from cumulet.testing.inprocess import InProcess

pytestmark = pytest.mark.crash

WRITERS = 4
KILLS = 4
HEADERS = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AWSEvents.PutEvents",
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/events/aws4_request, SignedHeaders=host, Signature=00",
}
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:"


def drain(server, name):
    """The numbers in a queue's messages."""
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"])["detail"].get("n") for message in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found


class Load:
    """Clients that put events until the server is gone, and remember which were acknowledged."""

    def __init__(self, port, numbers):
        self.port, self.numbers, self.acknowledged, self.wrong = port, numbers, set(), []
        self.began = threading.Event()
        self.threads = [threading.Thread(target=self.write) for _ in range(WRITERS)]

    def write(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            while True:
                mine = [next(self.numbers) for _ in range(3)]
                entries = [{"Source": "app", "DetailType": "t", "Detail": json.dumps({"n": n})} for n in mine]
                connection.request("POST", "/", json.dumps({"Entries": entries}), HEADERS)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200 or body["FailedEntryCount"]:
                    self.wrong.append(body)
                    return
                self.acknowledged.update(mine)
                self.began.set()


def test_acknowledged_events_are_in_the_targets_queue_after_each_kill(server_process):
    server = server_process().start()
    events, sqs = server.client("events"), server.client("sqs")
    for name in ("one", "two"):
        sqs.create_queue(QueueName=name)
        events.put_rule(Name=name, EventPattern='{"source": ["app"]}')
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": QUEUE_ARN + name}])
    events.create_archive(ArchiveName="a", EventSourceArn="arn:aws:events:us-east-1:000000000000:event-bus/default")
    numbers, acknowledged, found = itertools.count(), set(), {"one": set(), "two": set()}
    pause = Ids()
    for kill in range(KILLS):
        load = Load(server.port, numbers)
        for thread in load.threads:
            thread.start()
        if kill % 2:  # the others are killed at any moment, be it before the first event is in
            assert load.began.wait(60)
        time.sleep(0.02 + int(pause.hex(2), 16) / 2000)  # the moment of the kill is the point of the test
        server.kill()
        for thread in load.threads:
            thread.join()
        assert not load.wrong, load.wrong[:3]
        acknowledged |= load.acknowledged
        server.start()
        for name, arrived in found.items():
            got = drain(server, name)
            assert len(got) == len(set(got))  # without a retry each comes once
            arrived |= set(got)
            assert acknowledged <= arrived
    assert found["one"] == found["two"]  # one event's deliveries are one transaction
    assert server.client("events").describe_archive(ArchiveName="a")["EventCount"] == len(found["one"])
    assert len(acknowledged) >= 3 * KILLS // 2


def test_a_schedule_goes_on_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    events, sqs = server.client("events"), server.client("sqs")
    sqs.create_queue(QueueName="q")
    events.put_rule(Name="tick", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": f"{QUEUE_ARN}q"}])
    server.advance(1800)
    server.kill()
    server.start()
    assert drain(server, "q") == []
    server.advance(7200)
    assert len(drain(server, "q")) == 2


def test_what_a_schedule_missed_fires_once_at_the_start(tmp_path):
    fired = []

    def send(ctx, req):
        fired.append(ctx.now)
        return {}

    services = [events_package.SERVICE, Service("sqs", internals={"SendMessage": send})]

    async def main():
        async with InProcess(services, folder=tmp_path) as cloud:
            begin = cloud.clock.now()
            await cloud.call("events", "PutRule", {"Name": "tick", "ScheduleExpression": "rate(1 minute)"})
            await cloud.call("events", "PutTargets", {"Rule": "tick", "Targets": [{"Id": "1", "Arn": f"{QUEUE_ARN}q"}]})
            await cloud.advance(130)
        again = InProcess(services, folder=tmp_path)
        again.clock.set(begin + 36_010)  # ten hours later
        async with again:
            await again.quiet()
            assert [round(at - begin) for at in fired] == [60, 120, 36_010]
            await again.advance(120)
            assert [round(at - begin) for at in fired[3:]] == [36_060, 36_120]

    asyncio.run(main())


def test_a_retry_is_still_due_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    events, sqs = server.client("events"), server.client("sqs")
    sqs.create_queue(QueueName="dead")
    auth = {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}
    connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=auth)["ConnectionArn"]
    destination = events.create_api_destination(
        Name="d", ConnectionArn=connection, InvocationEndpoint="http://127.0.0.1:9/", HttpMethod="POST"
    )["ApiDestinationArn"]
    target = {
        "Id": "1", "Arn": destination, "RetryPolicy": {"MaximumRetryAttempts": 2},
        "DeadLetterConfig": {"Arn": f"{QUEUE_ARN}dead"},
    }  # fmt: skip
    events.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    events.put_targets(Rule="r", Targets=[target])
    events.put_events(Entries=[{"Source": "app", "DetailType": "t", "Detail": '{"n": 5}'}])
    server.advance(1)  # the first attempt
    assert drain(server, "dead") == []
    server.kill()
    server.start()
    server.advance(60)
    assert drain(server, "dead") == [5]
