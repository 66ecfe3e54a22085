"""The pytest plugin as users have it: the README's example runs, every test gets an empty cloud and a clock of its own."""

import io
import re
import time
import zipfile
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cumulet.testing import process

README = Path(__file__).parents[1] / "README.md"


def test_the_readmes_example_runs(aws, clock):
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    names = {}
    exec(block, names)
    names["test_an_item_is_stored"](aws, clock)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_begins_empty(aws, turn):
    """C12: an isolated cloud for each test."""
    s3 = aws("s3")
    assert s3.list_buckets()["Buckets"] == []
    s3.create_bucket(Bucket="left-behind")


def test_the_clock_moves_only_when_it_is_told(aws, clock):
    before = clock.now()
    aws("sts").get_caller_identity()
    assert clock.now() == before
    clock.advance(86_400)
    assert clock.now() == before + 86_400


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_the_clock_refuses_to_go_back_or_for_ever(clock, seconds):
    before = clock.now()
    with pytest.raises(ValueError, match="advances by 0 seconds or more"):
        clock.advance(seconds)
    assert clock.now() == before


def test_a_client_has_the_configuration_that_it_was_made_with(aws):
    """Configurations that are garbage by now gave their address, and so their client, to the next one."""
    for seconds in range(1, 30):
        assert aws("sqs", config=Config(read_timeout=seconds)).meta.config.read_timeout == seconds


def test_a_fault_at_no_point_is_refused(faults):
    with pytest.raises(ValueError, match=r"no fault point 'store.comit'.*store.commit"):
        faults.arm("store.comit", lambda: None)


@pytest.mark.parametrize("point", ["effect.perform", "effect.settle"])
def test_a_fault_raised_in_an_effect_is_answered(aws, faults, caplog, point):
    """A request whose effect fails gets an answer, and the next one works."""

    def fails():
        raise RuntimeError("the machine is on fire")

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "def handler(event, context):\n    return event\n")
    made = {"Runtime": "python3.12", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}
    function = aws("lambda")
    function.create_function(FunctionName="f", Code={"ZipFile": archive.getvalue()}, **made)
    faults.arm(point, fails)
    with caplog.at_level("CRITICAL", logger="cumulet"), pytest.raises(ClientError) as refusal:
        function.invoke(FunctionName="f")
    assert refusal.value.response["Error"]["Code"] == "ServiceException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    faults.disarm()
    assert function.invoke(FunctionName="f", Payload=b"1")["Payload"].read() == b"1"


def test_a_function_at_work_ends_with_the_cloud_and_leaves_nothing_in_the_next_one(aws, cloud):
    """C12: an isolated cloud for each test, whatever the one before has left running."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(
            "app.py",
            "import boto3\n\ndef handler(event, context):\n    client = boto3.client('sqs')\n"
            "    while True:\n        client.create_queue(QueueName='again')\n",
        )
    made = {"Runtime": "python3.12", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}
    aws("lambda").create_function(FunctionName="f", Code={"ZipFile": archive.getvalue()}, Timeout=900, **made)
    aws("lambda").invoke(FunctionName="f", InvocationType="Event")
    deadline = time.monotonic() + 120
    while "QueueUrls" not in aws("sqs").list_queues():
        assert time.monotonic() < deadline, "the function does not begin"
    cloud.reset()
    assert cloud.cloud.runtimes.stats()["busy"] == 0
    assert "QueueUrls" not in aws("sqs").list_queues()
    assert cloud.cloud.pipeline.busy == 0


def test_a_fault_raised_where_timers_fire_puts_the_timer_off(aws, clock, faults, caplog):
    def fails():
        faults.disarm()
        raise RuntimeError("the machine is on fire")

    tables = aws("dynamodb")
    faults.arm("timer.fire", fails)
    key = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
    types = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    with caplog.at_level("CRITICAL", logger="cumulet"):
        tables.create_table(TableName="items", BillingMode="PAY_PER_REQUEST", **key, **types)
        clock.quiet()
        assert tables.describe_table(TableName="items")["Table"]["TableStatus"] == "CREATING"
        clock.advance(1)
    assert tables.describe_table(TableName="items")["Table"]["TableStatus"] == "ACTIVE"


def test_no_port_is_given_out_twice_though_its_server_does_not_listen(monkeypatch):
    """Between a kill and a start nobody listens on it, and other tests look for one."""
    first = process.free_port()
    monkeypatch.setattr(process._dice, "sample", lambda ports, count: range(first, first + count))
    assert process.free_port() > first


def test_a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine(server_process, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = server_process("--clock", "virtual").start()
    server.advance(1)
    assert server.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_server_process_says_why_it_does_not_move_its_clock(server_process):
    server = server_process()
    with pytest.raises(AssertionError, match="start"):
        server.kill()
    with pytest.raises(ValueError, match="The clock is real"):
        server.start().advance(1)
