"""The FIFOer in both forms, driven and broken. Checklist: B8.1 to B8.8."""

import itertools
import json
import time
import urllib.request

import pytest

ACCOUNTS = ("ada", "bob", "eve")


def of_2018(pattern, endpoint):
    return pattern.deploy(endpoint, "fifoer-2018", "template-2018.yaml")


def reports(service):
    group = f"/aws/lambda/{service.outputs['Consumer']}"
    logs = service.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event for page in pages for event in page["events"] if event["message"].startswith("REPORT")]


def dead(service):
    answer = service.client("sqs").receive_message(
        QueueUrl=service.outputs["Failed"], MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [json.loads(message["Body"])["number"] for message in answer.get("Messages", [])]


def test_a_rule_wakes_the_function_every_minute(pattern, cloud, clock):
    """B8.1: rate(1 minute) fires every minute, on the virtual clock too."""
    service = of_2018(pattern, cloud.endpoint)
    before = len(reports(service))
    clock.advance(600)
    assert len(reports(service)) - before == 10


def test_the_cascade_drains_a_hundred_messages_in_order(pattern, cloud, clock):
    """B8.3: up to ten ordered messages at a time; B8.4: it invokes itself until all are removed; B8.2: one at a time."""
    service = of_2018(pattern, cloud.endpoint)
    for number in range(100):
        pattern.send(service, "ada", number)
    clock.advance(60)
    assert pattern.booked(service) == {"ada": list(range(100))}
    by_request = {}
    for row in pattern.bookings(service):
        by_request.setdefault(row["request"], []).append(row["number"])
    assert sorted(len(numbers) for numbers in by_request.values()) == [10] * 10


def test_a_group_is_locked_while_its_messages_are_in_flight(pattern, cloud):
    """B8.3: ReceiveMessage gives at most ten, in order; the group gives no more until they are deleted."""
    service = of_2018(pattern, cloud.endpoint)
    for number in range(12):
        pattern.send(service, "ada", number)
    pattern.send(service, "bob", 99)
    sqs, url = service.client("sqs"), service.outputs["Tasks"]

    def receive():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get("Messages", [])
        return [(message, json.loads(message["Body"])["number"]) for message in found]

    first = receive()
    assert [number for _, number in first] == list(range(10))
    assert [number for _, number in receive()] == [99], "another group is not locked"
    assert receive() == []
    for message, _ in first:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert [number for _, number in receive()] == [10, 11]


def runs(service):
    """(began, ended) of every invocation of the consumer that ran, in order."""
    found = []
    for trace in json.load(urllib.request.urlopen(f"{service.endpoint}/_cumulet/trace?limit=1000", timeout=60))[
        "traces"
    ]:
        for span in service.trace(trace["trace_id"]):
            if span["name"] == f"invoke {service.outputs['Consumer']}":
                found.append((span["started"], span["started"] + span["duration_ms"] / 1e3))
    return sorted(set(found))


def test_wake_ups_that_overlap_run_one_after_the_other_and_none_is_lost(pattern, cloud, clock):
    """B8.2, B8.5: concurrency is 1; an asynchronous invocation that finds it taken waits and is run later."""
    service = of_2018(pattern, cloud.endpoint)
    client, name = service.client("lambda"), service.outputs["Consumer"]
    for number in range(25):
        pattern.send(service, "ada", number)
    before = len(reports(service))
    for _ in range(12):
        client.invoke(FunctionName=name, InvocationType="Event")
    clock.advance(55)  # before the rule
    assert pattern.booked(service) == {"ada": list(range(25))}
    ran = runs(service)
    assert len(reports(service)) - before == len(ran) == 12 + 3, "and one for each batch, by itself"
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(ran)), "never two at a time"


def test_a_broken_chain_is_taken_up_again(pattern, server_process):
    """B8.6: the server is killed in the middle of the chain, twice; Lambda's retry or the rule goes on with it, in order."""
    server = server_process("--clock", "virtual").start()
    service = of_2018(pattern, server.endpoint)
    for sent in (0, 200):
        for number in range(sent, sent + 200):
            pattern.send(service, "ada", number)
        service.invoke("Consumer", {}, "Event")  # as the rule does
        deadline = time.monotonic() + 180
        while len(booked := pattern.booked(service).get("ada", [])) < sent + 10:
            assert time.monotonic() < deadline, "the chain does not begin"
        server.kill()
        assert booked == list(range(len(booked)))
        assert len(booked) < sent + 200, "it was in the middle"
        server.start()
        service.clock(advance=120)  # what was in flight is visible again after 30 s, the rule comes every minute
        assert pattern.booked(service) == {"ada": list(range(sent + 200))}
    assert dead(service) == []


@pytest.mark.parametrize("form", ["template.yaml", "template-2018.yaml"])
def test_what_cannot_be_booked_ends_in_a_fifo_dead_letter_queue_and_is_redriven(pattern, cloud, clock, form):
    """B8.7: FIFO dead-letter queue and redrive; what follows in the group waits for it, other groups go on."""
    service = pattern.deploy(cloud.endpoint, "fifoer", form)
    sqs, functions, name = service.client("sqs"), service.client("lambda"), service.outputs["Consumer"]
    functions.put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )  # all are there when it begins
    pattern.send(service, "ada", 0)
    pattern.send(service, "ada", 1, amount=5000)
    pattern.send(service, "ada", 2)
    pattern.send(service, "bob", 7)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    clock.advance(60)
    assert pattern.booked(service) == {"ada": [0], "bob": [7]}
    clock.advance(900)
    assert dead(service) == [1, 2], "what follows it was received with it each time"
    assert pattern.booked(service) == {"ada": [0], "bob": [7]}
    service.client("dynamodb").put_item(
        TableName=service.outputs["Ledger"], Item={"account": {"S": "ada"}, "sequence": {"S": "~approval"}}
    )
    found = sqs.get_queue_attributes(QueueUrl=service.outputs["Failed"], AttributeNames=["QueueArn"])
    sqs.start_message_move_task(SourceArn=found["Attributes"]["QueueArn"])
    clock.advance(120)
    assert dead(service) == []
    assert pattern.booked(service) == {"ada": [0, 1, 2], "bob": [7]}


def test_the_trigger_keeps_the_order_of_each_group(pattern, cloud, clock):
    """B8.8: a FIFO queue as event source: order per group, one batch in flight per group, parallel groups."""
    service = pattern.deploy(cloud.endpoint)
    for number in range(40):
        for account in ACCOUNTS:
            pattern.send(service, account, number)
    clock.quiet()
    assert pattern.booked(service) == {account: list(range(40)) for account in ACCOUNTS}


def test_order_survives_sigkill(pattern, server_process):
    """B8.8: at least once and in order, though the server dies in the middle."""
    server = server_process("--clock", "virtual").start()
    service = pattern.deploy(server.endpoint)
    for number in range(30):
        for account in ACCOUNTS:
            pattern.send(service, account, number)
        if number % 10 == 9:
            server.kill()
            server.start()
    service.clock(advance=900)
    assert pattern.booked(service) == {account: list(range(30)) for account in ACCOUNTS}
    assert dead(service) == [], "nothing healthy reaches the dead-letter queue"
