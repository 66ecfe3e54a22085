"""The Fan-Out/Fan-In deployed, driven, and its workers broken. Checklist: B16.1, B16.2, B16.3, B16.4, B16.5."""

import io
import json
import zipfile

import pytest

NUMBERS = list(range(200))
TOTAL = sum(number * number for number in NUMBERS)


@pytest.fixture
def service(pattern, cloud):
    return pattern.deploy(cloud.endpoint)


def parts(service, job):
    pages = (
        service.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=service.outputs["Results"],
            KeyConditionExpression="job = :job",
            ExpressionAttributeValues={":job": {"S": job}},
            ConsistentRead=True,
        )
    )
    items = [item for page in pages for item in page["Items"]]
    return sorted(item["part"]["S"] for item in items if item["part"]["S"] != "~job")


def waiting(service, output):
    answer = service.client("sqs").receive_message(
        QueueUrl=service.outputs[output], MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return answer.get("Messages", [])


def test_a_job_is_split_worked_on_in_parallel_and_combined(pattern, service, clock):
    """B16.2: one invocation becomes N Event invokes; B16.3: N items under one job id, exactly the set expected."""
    service.invoke("Split", {"job": "j", "numbers": NUMBERS, "per_part": 10}, "Event")
    clock.quiet()
    assert parts(service, "j") == [f"{number:05d}" for number in range(20)]
    assert pattern.result(service, "j") == {"job": "j", "parts": 20, "total": TOTAL}


def test_the_caller_ends_before_its_workers(service, clock):
    """B16.2: the Event type disconnects the calling function: it answers while parts are still to be done."""
    root = "1-65000000-161616161616161616161616"
    with service.traced("lambda", root):
        assert service.invoke("Split", {"job": "k", "numbers": NUMBERS, "per_part": 1}) == {"parts": 200}
    clock.quiet()
    assert len(parts(service, "k")) == 200
    names = {f"invoke {service.outputs[name]}": name for name in ("Split", "Worker")}
    ends = {"Split": [], "Worker": []}
    for span in service.trace(root):
        if span["name"] in names:
            ends[names[span["name"]]].append(span["started"] + span["duration_ms"] / 1e3)
    assert (len(ends["Split"]), len(ends["Worker"])) == (1, 200)
    assert ends["Split"][0] < max(ends["Worker"])


CRASHING = """
import os

import boto3
import worker


def handler(event, context):
    late = int(event["part"]) % 2
    first = [{**worker.key("crashed-" + event["job"], event["part"])}, "attribute_not_exists(part)"]
    if late:
        worker.handler(event, context)
    try:
        boto3.client("dynamodb").put_item(TableName=worker.TABLE, Item=first[0], ConditionExpression=first[1])
    except worker.ClientError:
        return None if late else worker.handler(event, context)
    os._exit(1)
"""


def test_workers_that_crash_are_run_again_and_the_set_is_exact(pattern, service, clock):
    """B16.3: every worker dies once, one half before its work and one half after it; retries make the exact set, each part once."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("crashing.py", CRASHING)
        archive.write(pattern.__file__.replace("drive.py", "src/worker.py"), "worker.py")
    client, name = service.client("lambda"), service.outputs["Worker"]
    client.update_function_code(FunctionName=name, ZipFile=package.getvalue())
    client.update_function_configuration(FunctionName=name, Handler="crashing.handler")
    service.invoke("Split", {"job": "c", "numbers": NUMBERS, "per_part": 10}, "Event")
    clock.quiet()
    assert parts(service, "crashed-c") == [f"{number:05d}" for number in range(20)], "each has crashed"
    assert parts(service, "c") == [f"{number:05d}" for number in range(1, 20, 2)]
    clock.advance(600)
    assert parts(service, "c") == [f"{number:05d}" for number in range(20)]
    assert pattern.result(service, "c") == {"job": "c", "parts": 20, "total": TOTAL}
    assert waiting(service, "WorkerFailed") == []


def test_results_are_in_the_jobs_folder(service, clock):
    """B16.4: each part writes to the same job folder; the listing of the prefix is complete."""
    service.invoke("Split", {"job": "f", "numbers": NUMBERS, "per_part": 20}, "Event")
    service.invoke("Split", {"job": "fa", "numbers": [1], "per_part": 1}, "Event")
    clock.quiet()
    listed = service.client("s3").list_objects_v2(Bucket=service.outputs["Folder"], Prefix="f/")["Contents"]
    assert [item["Key"] for item in listed] == [f"f/{number:05d}.json" for number in range(10)]


def test_a_failed_worker_is_in_the_dead_letter_queue_and_its_replay_completes_the_job(pattern, service, clock):
    """B16.5: failed workers end in the queue; given again without their fault the job is complete."""
    service.invoke("Split", {"job": "d", "numbers": NUMBERS, "per_part": 20, "fails": [3, 7]}, "Event")
    clock.advance(600)
    assert len(parts(service, "d")) == 8
    assert pattern.result(service, "d") is None
    failed = waiting(service, "WorkerFailed")
    assert sorted(json.loads(message["Body"])["part"] for message in failed) == ["00003", "00007"]
    for message in failed:
        service.invoke("Worker", {**json.loads(message["Body"]), "fails": []}, "Event")
    clock.quiet()
    assert pattern.result(service, "d") == {"job": "d", "parts": 10, "total": TOTAL}


def test_a_part_that_is_worked_on_twice_counts_once(pattern, service, clock):
    """B16.3: the set is exact after repeated attempts."""
    for _ in range(3):
        service.invoke("Split", {"job": "t", "numbers": NUMBERS, "per_part": 20}, "Event")
    clock.quiet()
    assert pattern.result(service, "t") == {"job": "t", "parts": 10, "total": TOTAL}


def test_a_function_may_not_run_longer_than_fifteen_minutes(service):
    """B16.1: a timeout over 900 seconds is refused."""
    client = service.client("lambda")
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.update_function_configuration(FunctionName=service.outputs["Worker"], Timeout=901)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert "less than or equal to 900" in str(refused.value)


def test_a_job_survives_sigkill_at_any_moment(pattern, server_process):
    """B16.3: the exact set after the server died in the middle of the work."""
    server = server_process("--clock", "virtual").start()
    service = pattern.deploy(server.endpoint)
    for number in range(4):
        service.invoke("Split", {"job": f"s{number}", "numbers": NUMBERS, "per_part": 5}, "Event")
        server.kill()
        server.start()
    service.clock(advance=900)
    for number in range(4):
        assert pattern.result(service, f"s{number}") == {"job": f"s{number}", "parts": 40, "total": TOTAL}
    for queue in ("SplitFailed", "WorkerFailed", "CombineFailed"):
        assert waiting(service, queue) == [], "nothing healthy reaches a dead-letter queue"
