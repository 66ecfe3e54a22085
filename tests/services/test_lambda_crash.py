"""Queued events survive SIGKILL: every acknowledged one is run at least once."""

import contextlib
import functools
import http.client
import io
import json
import re
import threading
import zipfile

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

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


def test_a_function_that_runs_when_the_server_is_stopped_ends_and_has_been_attempted_once(server_process):
    """A graceful stop lets functions end, and they reach the API until then: no attempt is spent on it."""
    server = server_process().start()
    client = functools.partial(
        boto3.client,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    sqs, functions = client("sqs"), client("lambda")
    queue = sqs.create_queue(QueueName="done")["QueueUrl"]
    began = sqs.create_queue(QueueName="began")["QueueUrl"]
    code = (
        "import boto3, time\n"
        "sqs = boto3.client('sqs')\n"
        "def handler(event, context):\n"
        f"    sqs.send_message(QueueUrl='{began}', MessageBody='x')\n"
        "    time.sleep(0.7)\n"
        f"    sqs.send_message(QueueUrl='{queue}', MessageBody='x')\n"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)
    functions.create_function(
        FunctionName="slow", Runtime="python3.12", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": buffer.getvalue()},
    )  # fmt: skip
    functions.invoke(FunctionName="slow", InvocationType="Event")
    assert sqs.receive_message(QueueUrl=began, WaitTimeSeconds=20)["Messages"]
    server.stop()
    server.start()
    assert len(sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=began, WaitTimeSeconds=1), "it is not run again"


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
    assert sqs.receive_message(QueueUrl=queues["began"], WaitTimeSeconds=20)["Messages"]

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
