"""What the commands that look at a running cloud show, and which cloud they look at."""

import os
import subprocess
import sys

import boto3
import pytest

from cumulet.cli.client import Client
from cumulet.cli.observe import _events


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A running server: its data directory and its endpoint."""
    data = tmp_path_factory.mktemp("cloud") / "data"
    said = cumulet("up", "--detach", "--port", 0, "--data", data)
    yield data, next(word for word in said.split() if word.startswith("http://"))
    cumulet("down", "--data", data)


def cumulet(*arguments, status=0, endpoint=None):
    environment = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "cumulet.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment | ({} if endpoint is None else {"AWS_ENDPOINT_URL": endpoint}),
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def client(service, endpoint):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_the_server_of_a_named_data_directory_is_meant_whatever_the_environment_says(cloud):
    data, endpoint = cloud
    assert f"at {endpoint}: running" in cumulet("status", "--data", data, endpoint="http://127.0.0.1:1")
    said = cumulet("status", "--data", data, "--endpoint-url", "http://127.0.0.1:1", status=1)
    assert "No Cumulet answers at http://127.0.0.1:1" in said


def test_a_data_directory_without_a_server_is_not_mistaken_for_another_cloud(cloud, tmp_path):
    _, endpoint = cloud
    said = cumulet("reset", "--data", tmp_path, status=1, endpoint=endpoint)
    assert f"No server runs on {tmp_path}" in said


def test_the_list_of_traces_leaves_out_what_only_looked(cloud):
    data, endpoint = cloud
    cumulet("reset", "--data", data)
    assert "No traces since the server started." in cumulet("trace", "--data", data)
    sqs = client("sqs", endpoint)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    sqs.list_queues()
    assert [line.split()[-1] for line in cumulet("trace", "--data", data).splitlines()] == ["sqs.CreateQueue"]
    everything = cumulet("trace", "--all", "--data", data)
    assert "sqs.GetQueueAttributes" in everything
    assert "sqs.ListQueues" in everything


def test_following_a_log_shows_late_lines_too_and_each_line_once(cloud):
    _, endpoint = cloud
    logs = client("logs", endpoint)
    logs.create_log_group(logGroupName="g")
    now = int(Client(endpoint).get("/_cumulet/clock")["now"] * 1000)
    shown = {}

    def write(stream, *lines):
        logs.create_log_stream(logGroupName="g", logStreamName=stream)
        events = [{"timestamp": now + at, "message": text} for at, text in lines]
        logs.put_log_events(logGroupName="g", logStreamName=stream, logEvents=events)

    def came():
        return [text for _, _, text in _events(Client(endpoint), ["g"], shown)]

    write("a", (0, "first"), (500, "third"))
    assert came() == ["first", "third"]
    write("b", (100, "second"), (500, "as old as the third"))
    assert came() == ["second", "as old as the third"]
    assert came() == []
