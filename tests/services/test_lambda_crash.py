"""Queued events survive SIGKILL: every acknowledged one is run at least once."""

import asyncio
import contextlib
import http.client
import io
import json
import re
import threading
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cumulet.app import Cloud, Config
from cumulet.testing import clients

pytestmark = pytest.mark.crash

EVENTS = 30
CODE = "def handler(event, context):\n    print('event', event['n'], 'ran')\n"


def create_function(server):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), CODE)
    server.client("lambda").create_function(
        FunctionName="worker", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/worker", Handler="index.handler",
        Code={"ZipFile": sink.getvalue()}, Timeout=30,
    )  # fmt: skip


def send(server, numbers):
    """Queue events until the server is gone; returns those that it acknowledged."""
    client, acknowledged = server.client("lambda"), set()
    with contextlib.suppress(BotoCoreError, ClientError):
        for number in numbers:
            payload = json.dumps({"n": number})
            answer = client.invoke(FunctionName="worker", InvocationType="Event", Payload=payload)
            assert answer["StatusCode"] == 202
            acknowledged.add(number)
    return acknowledged


def ran(server):
    """How often each event ran, as the log says."""
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/worker")
    counts = {}
    for page in pages:
        for event in page["events"]:
            found = re.match(r"event (\d+) ran", event["message"])
            if found:
                counts[int(found[1])] = counts.get(int(found[1]), 0) + 1
    return counts


def test_thirty_acknowledged_events_all_run_although_the_server_is_killed_at_once(server_process):
    server = server_process("--clock", "virtual").start()
    create_function(server)
    acknowledged = send(server, range(EVENTS))
    server.kill()
    assert len(acknowledged) == EVENTS
    server.start()
    server.advance(1)
    assert set(ran(server)) == acknowledged


@pytest.mark.parametrize(
    "point", ["effect.perform:7", "effect.settle:5", "store.commit:20", "store.committed:25", "timer.fire:9"]
)
def test_events_run_wherever_the_server_dies(server_process, point):
    server = server_process("--clock", "virtual").start()
    create_function(server)
    server.stop()
    server.start(crash_at=point)
    acknowledged = send(server, range(EVENTS))
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.advance(1)  # should it still live, it dies of the rest of its work
    server.ended()
    server.start()
    server.advance(1)
    counts = ran(server)
    assert acknowledged <= set(counts)
    assert sum(counts.values()) <= len(acknowledged) + 2 * EVENTS  # again, not for ever


def test_a_failed_events_retry_is_still_due_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    create_function(server)
    client = server.client("lambda")
    client.update_function_configuration(FunctionName="worker", Handler="index.missing")
    send(server, [1])
    server.advance(1)
    client.update_function_configuration(FunctionName="worker", Handler="index.handler")
    server.kill()
    server.start()
    server.advance(1)
    assert ran(server) == {}
    server.advance(60)
    assert ran(server) == {1: 1}


def test_a_server_that_stops_leaves_its_events_to_the_next_start_without_counting_an_attempt(server_process):
    server = server_process("--clock", "virtual").start()
    create_function(server)
    busy = io.BytesIO()
    with zipfile.ZipFile(busy, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("index.py"), "import threading\nTAKES_A_WHILE = threading.Event().wait(0.3)\n" + CODE
        )
    server.client("lambda").update_function_code(FunctionName="worker", ZipFile=busy.getvalue())
    assert send(server, range(EVENTS)) == set(range(EVENTS))
    server.stop()
    server.start()
    server.advance(1)
    assert ran(server).keys() == set(range(EVENTS))
    said = server.log.read_text()
    assert "WARNING" not in said
    assert "ERROR" not in said


def test_a_function_that_runs_when_the_server_is_stopped_ends_and_has_been_attempted_once(tmp_path, monkeypatch):
    """A graceful stop lets functions end, and they reach the API until then: no attempt is spent on it."""
    monkeypatch.setattr("cumulet.app._DRAIN_S", 600.0)
    code = (
        "import boto3\n"
        "sqs = boto3.client('sqs')\n"
        "urls = {name: sqs.get_queue_url(QueueName=name)['QueueUrl'] for name in ('began', 'go', 'done')}\n"
        "def handler(event, context):\n"
        "    sqs.send_message(QueueUrl=urls['began'], MessageBody='x')\n"
        "    while 'Messages' not in sqs.receive_message(QueueUrl=urls['go']):\n"
        "        pass\n"
        "    sqs.send_message(QueueUrl=urls['done'], MessageBody='x')\n"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)

    async def stopped_while_it_runs():
        cloud = Cloud(Config(data=tmp_path / "data", port=0))
        await cloud.start()
        sqs, functions = clients.client(cloud.endpoint, "sqs"), clients.client(cloud.endpoint, "lambda")
        for name in ("began", "go", "done"):
            await asyncio.to_thread(sqs.create_queue, QueueName=name)
        await asyncio.to_thread(
            functions.create_function, FunctionName="slow", Runtime="python3.12", Handler="app.handler",
            Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": buffer.getvalue()}, Timeout=900,
        )  # fmt: skip
        await asyncio.to_thread(functions.invoke, FunctionName="slow", InvocationType="Event")
        await asyncio.to_thread(first, sqs, "began")
        closing = asyncio.ensure_future(cloud.close())
        await asyncio.sleep(0)  # it waits for the function
        await asyncio.to_thread(sqs.send_message, QueueUrl=f"{cloud.endpoint}/000000000000/go", MessageBody="x")
        await closing

    async def found_by_the_next():
        cloud = Cloud(Config(data=tmp_path / "data", port=0))
        await cloud.start()
        await cloud.pipeline.quiet()
        sqs = clients.client(cloud.endpoint, "sqs")
        found = [len(await asyncio.to_thread(all_of, sqs, name)) for name in ("began", "done")]
        await cloud.close()
        return found

    asyncio.run(stopped_while_it_runs())
    assert asyncio.run(found_by_the_next()) == [0, 1], "it is not run again"


def first(sqs, name):
    """The first message that comes to a queue; it is deleted."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    while not (got := sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages")):
        pass
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])
    return got[0]["Body"]


def all_of(sqs, name):
    """The messages that are visible now, at most ten."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def test_a_function_that_runs_longer_than_a_stop_waits_does_not_fail_of_it(server_process):
    """A3: what still runs is ended while the API is there; it runs again at the next start, and reaches no dead-letter queue."""
    server = server_process().start()
    dynamodb, sqs, functions = server.client("dynamodb"), server.client("sqs"), server.client("lambda")
    dynamodb.create_table(
        TableName="runs", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("good", "bad", "began")}
    code = (
        "import boto3\n"
        "from botocore.config import Config\n"
        "once = Config(retries={'total_max_attempts': 1})\n"
        "table, sqs = boto3.resource('dynamodb', config=once).Table('runs'), boto3.client('sqs', config=once)\n"
        "def handler(event, context):\n"
        "    add = dict(Key={'k': 'runs'}, UpdateExpression='ADD n :one', ReturnValues='ALL_NEW')\n"
        "    number = table.update_item(ExpressionAttributeValues={':one': 1}, **add)['Attributes']['n']\n"
        f"    sqs.send_message(QueueUrl='{queues['began']}', MessageBody=str(number))\n"
        "    while number == 1:\n"
        "        table.get_item(Key={'k': 'runs'})\n"
        "    return 'ended'\n"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)
    functions.create_function(
        FunctionName="long", Runtime="python3.12", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": buffer.getvalue()}, Timeout=900,
    )  # fmt: skip
    arn = "arn:aws:sqs:us-east-1:000000000000:"
    functions.put_function_event_invoke_config(
        FunctionName="long", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": f"{arn}good"}, "OnFailure": {"Destination": f"{arn}bad"}},
    )  # fmt: skip
    functions.invoke(FunctionName="long", InvocationType="Event")
    assert first(sqs, "began") == "1"

    def listen():
        """A request under way, which the server that stops lets end."""
        with contextlib.suppress(BotoCoreError, ClientError):
            server.client("sqs").receive_message(QueueUrl=queues["bad"], WaitTimeSeconds=20)

    listener = threading.Thread(target=listen)
    listener.start()
    server.stop()
    listener.join()
    server.start()
    while not (
        found := {
            name: sqs.receive_message(QueueUrl=queues[name], WaitTimeSeconds=1).get("Messages") for name in queues
        }
    )["good"]:
        assert found["bad"] is None, found["bad"]
    assert json.loads(found["good"][0]["Body"])["responsePayload"] == "ended"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_environments_that_were_being_initialised_are_ready_after_the_next_start(server_process, end):
    """A3: neither a stop nor a crash is a failure of the function's init phase."""
    server = server_process().start()
    client = server.client("lambda")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "app.py", "import threading\nthreading.Event().wait(3)\ndef handler(event, context):\n    pass\n"
        )
    client.create_function(
        FunctionName="slow", Runtime="python3.12", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": buffer.getvalue()}, Publish=True,
    )  # fmt: skip
    which = {"FunctionName": "slow", "Qualifier": "1"}
    client.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=1)
    getattr(server, end)()
    server.start()
    while (found := client.get_provisioned_concurrency_config(**which))["Status"] == "IN_PROGRESS":
        pass
    assert found["Status"] == "READY", found.get("StatusReason")
