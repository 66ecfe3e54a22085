"""SQS dead-letter queues: redrive policies, moves, message move tasks, and the trace that goes along."""

import json

import pytest

from cumulet.services.sqs import redrive
from tests.services.sqs_client import ARN, attributes, bodies, delete, held, receive, refused


@pytest.fixture
def sqs(aws):
    return aws("sqs")


def policy(name, count=2):
    return json.dumps({"deadLetterTargetArn": f"{ARN}:{name}", "maxReceiveCount": count})


@pytest.fixture
def dead(sqs):
    return sqs.create_queue(QueueName="dead")["QueueUrl"]


@pytest.fixture
def url(sqs, dead):
    return sqs.create_queue(QueueName="q", Attributes={"RedrivePolicy": policy("dead")})["QueueUrl"]


@pytest.fixture
def bury(sqs, url, clock):
    """Send messages and let them fail until they are in the dead-letter queue."""

    def run(*messages):
        for message in messages:
            sqs.send_message(QueueUrl=url, MessageBody=message)
        for _ in range(3):
            receive(sqs, url)
            clock.advance(31)

    return run


def test_a_poison_message_moves_after_max_receive_count_receives_and_the_good_ones_do_not(sqs, url, dead, clock):
    """B2.4: the poison message lands in the DLQ after maxReceiveCount; the good ones do not."""
    sent = {body: sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"] for body in ("good", "poison")}
    sent_at = int(clock.now() * 1000)
    for message in receive(sqs, url):
        if message["Body"] == "good":
            delete(sqs, url, message)
    clock.advance(30)
    (message,) = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"
    clock.advance(30)
    assert held(sqs, dead) == (0, 0, 0)
    assert receive(sqs, url) == []
    assert (held(sqs, url), held(sqs, dead)) == ((0, 0, 0), (1, 0, 0))
    (message,) = receive(sqs, dead, AttributeNames=["All"])
    assert (message["Body"], message["MessageId"]) == ("poison", sent["poison"])
    found = message["Attributes"]
    assert found["DeadLetterQueueSourceArn"] == f"{ARN}:q"
    assert found["ApproximateReceiveCount"] == "3"  # across all queues
    assert found["SentTimestamp"] == found["ApproximateFirstReceiveTimestamp"] == str(sent_at)


def test_one_receive_moves_the_poison_and_gives_what_is_good(sqs, url, dead, bury, clock):
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        receive(sqs, url)
        clock.advance(31)
    sqs.send_message(QueueUrl=url, MessageBody="good")
    assert bodies(sqs, url, 1) == ["good"]
    assert bodies(sqs, dead) == ["poison"]


def test_large_bodies_and_attributes_move_along(sqs, url, dead, clock):
    attribute = {"a": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    for size in (10, 10_000, 100_000):
        sqs.send_message(QueueUrl=url, MessageBody="x" * size, MessageAttributes=attribute)
    for _ in range(3):
        receive(sqs, url)
        clock.advance(31)
    messages = receive(sqs, dead, MessageAttributeNames=["All"])
    assert [len(m["Body"]) for m in messages] == [10, 10_000, 100_000]
    assert all(m["MessageAttributes"] == attribute for m in messages)
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead")
    clock.advance(31)
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead")
    clock.advance(1)
    assert [len(m["Body"]) for m in receive(sqs, url)] == [10, 10_000, 100_000]


def test_a_dead_letter_expires_by_when_it_was_sent_first(sqs, url, dead, bury, clock):
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MessageRetentionPeriod": "200"})
    bury("m")  # 62 seconds until the receive that moves it, which is at 62
    assert held(sqs, dead) == (1, 0, 0)
    clock.advance(200 - 93 - 1)
    assert held(sqs, dead) == (1, 0, 0)
    clock.advance(1.1)
    assert held(sqs, dead) == (0, 0, 0)


def test_a_dead_letter_that_arrives_after_younger_ones_expires_by_itself(sqs, dead, bury, clock):
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MessageRetentionPeriod": "200"})
    sqs.send_message(QueueUrl=dead, MessageBody="direct")
    bury("first")
    clock.advance(50)
    sqs.send_message(QueueUrl=dead, MessageBody="late")
    assert held(sqs, dead) == (3, 0, 0)
    clock.advance(200 - 143 + 0.1)
    assert held(sqs, dead) == (1, 0, 0)


def test_a_fifo_receive_that_moves_a_dead_letter_goes_on_in_its_group(sqs):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    sqs.create_queue(QueueName="dead.fifo", Attributes=fifo)
    url = sqs.create_queue(QueueName="q.fifo", Attributes={**fifo, "RedrivePolicy": policy("dead.fifo", 1)})["QueueUrl"]
    for body in ("1", "2", "3", "4"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    assert bodies(sqs, url, 1, VisibilityTimeout=0) == ["1"]
    assert bodies(sqs, url, 2) == ["2", "3"]


def test_a_dead_letter_lives_longer_when_the_retention_period_grows(sqs, url, dead, clock):
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy("dead", 1)})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MessageRetentionPeriod": "200"})
    sqs.send_message(QueueUrl=url, MessageBody="old")
    receive(sqs, url, VisibilityTimeout=10)
    clock.advance(40)
    sqs.send_message(QueueUrl=dead, MessageBody="younger, and before it")
    assert receive(sqs, url) == []
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MessageRetentionPeriod": "400"})
    clock.advance(400 - 40 - 1)
    assert held(sqs, dead) == (2, 0, 0)
    clock.advance(1.1)
    assert held(sqs, dead) == (1, 0, 0)
    clock.advance(40)
    assert held(sqs, dead) == (0, 0, 0)


def test_a_fifo_dead_letter_keeps_its_group_and_gets_a_new_time_number_and_deduplication_id(sqs, clock):
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    url = sqs.create_queue(
        QueueName="q.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "RedrivePolicy": policy("dead.fifo", 1)},
    )["QueueUrl"]
    sent = [sqs.send_message(QueueUrl=url, MessageBody=str(n), MessageGroupId="g") for n in range(2)]
    receive(sqs, url, 1)
    clock.advance(31)
    assert bodies(sqs, url) == ["1"]  # the next of the group
    (message,) = receive(sqs, dead, AttributeNames=["All"])
    found = message["Attributes"]
    assert message["MessageId"] == found["MessageDeduplicationId"] == sent[0]["MessageId"]
    assert found["MessageGroupId"] == "g"
    assert found["SentTimestamp"] == str(int(clock.now() * 1000))
    assert len(found["SequenceNumber"]) == 20


def test_a_deleted_dead_letter_queue_keeps_no_message_from_being_received(sqs, url, dead, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    sqs.delete_queue(QueueUrl=dead)
    for _ in range(4):
        assert bodies(sqs, url) == ["m"]
        clock.advance(31)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nonsense", "Redrive policy is not a valid JSON map."),
        ("[]", "Redrive policy is not a valid JSON map."),
        ('{"maxReceiveCount": 1}', "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
        (
            json.dumps({"deadLetterTargetArn": f"{ARN}:dead"}),
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        ),
        (policy("dead", 0), "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive."),
        (
            policy("dead", 1001),
            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
        ),
        (policy("nowhere"), "Dead letter target does not exist."),
        (policy("f.fifo"), "Dead-letter queue must be same type of queue as the source."),
    ],
)
def test_redrive_policies_that_aws_refuses(sqs, url, value, reason):
    sqs.create_queue(QueueName="f.fifo", Attributes={"FifoQueue": "true"})
    text = refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": value})
    assert text == f"Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}"
    refused("InvalidParameterValue", sqs.create_queue, QueueName="new", Attributes={"RedrivePolicy": value})


def test_max_receive_count_from_1_to_1000_as_number_or_text(sqs, url, dead):
    for count in (1, 1000, "7"):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy("dead", count)})
        text = attributes(sqs, url)["RedrivePolicy"]  # a number, however it was given, as on AWS
        assert text == policy("dead", int(count)).replace(" ", "")
    again = {"VisibilityTimeout": attributes(sqs, url)["VisibilityTimeout"], "RedrivePolicy": policy("dead", "7")}
    assert sqs.create_queue(QueueName="q", Attributes=again)["QueueUrl"] == url


def test_a_queue_says_who_may_use_it_for_dead_letters(sqs, dead):
    def allow(**value):
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(value) if value else ""})

    def use(name):
        return sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy("dead")})

    allow(redrivePermission="denyAll")
    request = {"QueueName": "a", "Attributes": {"RedrivePolicy": policy("dead")}}
    refused("InvalidParameterValue", sqs.create_queue, **request)
    allow(redrivePermission="byQueue", sourceQueueArns=[f"{ARN}:a"])
    use("a")
    refused("InvalidParameterValue", sqs.create_queue, **{**request, "QueueName": "b"})
    allow(redrivePermission="allowAll")
    use("b")
    allow()
    use("c")
    assert "RedriveAllowPolicy" not in attributes(sqs, dead)
    allow(redrivePermission="byQueue", sourceQueueArns=[f"{ARN}:{n}" for n in range(10)])
    for wrong in (
        "nonsense",
        json.dumps({"redrivePermission": "sometimes"}),
        json.dumps({"redrivePermission": "byQueue"}),
        json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}:{n}" for n in range(11)]}),
        json.dumps({"redrivePermission": "allowAll", "sourceQueueArns": [f"{ARN}:a"]}),
    ):
        refused(
            "InvalidParameterValue", sqs.set_queue_attributes,
            QueueUrl=dead, Attributes={"RedriveAllowPolicy": wrong},
        )  # fmt: skip


def test_the_sources_of_a_dead_letter_queue_are_listed(sqs, dead):
    urls = [
        sqs.create_queue(QueueName=f"s{n}", Attributes={"RedrivePolicy": policy("dead")})["QueueUrl"] for n in range(5)
    ]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == urls
    pages = list(
        sqs.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=dead, PaginationConfig={"PageSize": 2})
    )
    assert [len(page["queueUrls"]) for page in pages] == [2, 2, 1]
    sqs.set_queue_attributes(QueueUrl=urls[0], Attributes={"RedrivePolicy": ""})
    sqs.delete_queue(QueueUrl=urls[1])
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == urls[2:]
    for wrong in (0, 1001):
        refused("InvalidParameterValue", sqs.list_dead_letter_source_queues, QueueUrl=dead, MaxResults=wrong)


# message move tasks


def tasks(sqs, count=10):
    return sqs.list_message_move_tasks(SourceArn=f"{ARN}:dead", MaxResults=count)["Results"]


def test_a_move_task_brings_dead_letters_back_as_new_messages(sqs, url, dead, bury, clock):
    bury("one", "two")
    before = {m["MessageId"] for m in receive(sqs, dead, VisibilityTimeout=0)}
    handle = sqs.start_message_move_task(SourceArn=f"{ARN}:dead")["TaskHandle"]
    started = int(clock.now() * 1000)
    clock.advance(1)
    assert (held(sqs, dead), held(sqs, url)) == ((0, 0, 0), (2, 0, 0))
    messages = receive(sqs, url, AttributeNames=["All"])
    assert [m["Body"] for m in messages] == ["one", "two"]
    assert not before & {m["MessageId"] for m in messages}
    for message in messages:
        found = message["Attributes"]
        assert found["ApproximateReceiveCount"] == "1"
        assert int(found["SentTimestamp"]) >= started
        assert "DeadLetterQueueSourceArn" not in found
    (task,) = tasks(sqs)
    assert task.pop("StartedTimestamp") == pytest.approx(started, abs=1)
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": f"{ARN}:dead",
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
    }
    assert handle
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.cancel_message_move_task, TaskHandle=handle)


def test_a_task_moves_at_its_rate_and_can_be_cancelled(sqs, url, dead, bury, clock):
    other = sqs.create_queue(QueueName="other")["QueueUrl"]
    for n in range(7):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    handle = sqs.start_message_move_task(
        SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:other", MaxNumberOfMessagesPerSecond=2
    )["TaskHandle"]
    clock.advance(1)
    (task,) = tasks(sqs)
    assert (task["Status"], task["TaskHandle"], task["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 2)
    assert task["DestinationArn"] == f"{ARN}:other"
    assert task["ApproximateNumberOfMessagesMoved"] == 4
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.start_message_move_task, SourceArn=f"{ARN}:dead")
    assert sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] == 4
    clock.advance(10)
    assert bodies(sqs, other) == ["0", "1", "2", "3"]
    assert bodies(sqs, dead) == ["4", "5", "6"]
    assert tasks(sqs)[0]["Status"] == "CANCELLED" and "TaskHandle" not in tasks(sqs)[0]
    refused("ResourceNotFoundException", sqs.cancel_message_move_task, TaskHandle="nonsense")


def test_a_task_ends_when_others_took_the_messages_it_was_to_move(sqs, url, dead, clock):
    sqs.create_queue(QueueName="other")
    for n in range(4):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:other", MaxNumberOfMessagesPerSecond=1)
    clock.quiet()
    for message in receive(sqs, dead):
        delete(sqs, dead, message)
    clock.advance(5)
    (task,) = tasks(sqs)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)


def test_a_message_without_a_source_fails_a_task_without_a_destination(sqs, url, dead, clock):
    sqs.send_message(QueueUrl=dead, MessageBody="direct")
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead")
    clock.advance(1)
    (task,) = tasks(sqs)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert bodies(sqs, dead) == ["direct"]


def test_a_task_moves_more_than_it_takes_at_once_and_no_more_than_was_there(sqs, url, dead, clock):
    for _ in range(25):
        sqs.send_message_batch(QueueUrl=dead, Entries=[{"Id": str(n), "MessageBody": "m"} for n in range(10)])
    sqs.create_queue(QueueName="other")
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:other")
    clock.quiet()
    assert tasks(sqs)[0]["ApproximateNumberOfMessagesMoved"] == 250
    assert tasks(sqs)[0]["Status"] == "COMPLETED"
    assert held(sqs, dead) == (0, 0, 0)


def test_the_ten_newest_tasks_are_listed_newest_first(sqs, url, dead, clock):
    sqs.create_queue(QueueName="other")
    for n in range(12):
        for _ in range(n):
            sqs.send_message(QueueUrl=dead, MessageBody="m")
        sqs.start_message_move_task(SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:other")
        clock.advance(1)
    assert [task["ApproximateNumberOfMessagesMoved"] for task in tasks(sqs)] == list(range(11, 1, -1))
    assert len(sqs.list_message_move_tasks(SourceArn=f"{ARN}:dead")["Results"]) == 1
    for wrong in (0, 11):
        refused("InvalidParameterValue", sqs.list_message_move_tasks, SourceArn=f"{ARN}:dead", MaxResults=wrong)


def test_a_task_runs_36_hours_at_most(sqs, url, dead, clock, monkeypatch):
    assert redrive.LONGEST_S == 36 * 3600
    monkeypatch.setattr(redrive, "LONGEST_S", 3)  # 129,600 messages would take a while
    sqs.create_queue(QueueName="other")
    for n in range(5):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:other", MaxNumberOfMessagesPerSecond=1)
    clock.advance(2.9)
    assert tasks(sqs)[0]["Status"] == "RUNNING"
    clock.advance(0.2)
    (task,) = tasks(sqs)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("FAILED", 3)
    assert task["FailureReason"] == "TaskTimedOut"
    assert bodies(sqs, dead) == ["3", "4"]


def test_an_account_has_100_active_tasks(sqs, aws, clock):
    sqs.create_queue(QueueName="other")

    def start(name):
        dead = sqs.create_queue(QueueName=f"dead-{name}")["QueueUrl"]
        sqs.create_queue(QueueName=f"source-{name}", Attributes={"RedrivePolicy": policy(f"dead-{name}")})
        entries = [{"Id": str(n), "MessageBody": "m"} for n in range(2)]
        sqs.send_message_batch(QueueUrl=dead, Entries=entries)
        request = {"SourceArn": f"{ARN}:dead-{name}", "DestinationArn": f"{ARN}:other"}
        return {**request, "MaxNumberOfMessagesPerSecond": 1}

    handles = [sqs.start_message_move_task(**start(n))["TaskHandle"] for n in range(100)]
    more = start("more")
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.start_message_move_task, **more)
    sqs.cancel_message_move_task(TaskHandle=handles[0])
    sqs.start_message_move_task(**more)


def test_move_tasks_that_aws_refuses(sqs, url, dead):
    sqs.create_queue(QueueName="f.fifo", Attributes={"FifoQueue": "true"})
    start = sqs.start_message_move_task
    refused("ResourceNotFoundException", start, SourceArn=f"{ARN}:nowhere")
    refused("ResourceNotFoundException", sqs.list_message_move_tasks, SourceArn=f"{ARN}:nowhere")
    assert (
        refused("InvalidParameterValue", start, SourceArn=f"{ARN}:q")
        == "Source queue must be configured as a Dead Letter Queue."
    )
    refused("ResourceNotFoundException", start, SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:nowhere")
    refused("InvalidParameterValue", start, SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:dead")
    refused("InvalidParameterValue", start, SourceArn=f"{ARN}:dead", DestinationArn=f"{ARN}:f.fifo")
    for wrong in (0, 501):
        refused("InvalidParameterValue", start, SourceArn=f"{ARN}:dead", MaxNumberOfMessagesPerSecond=wrong)
    start(SourceArn=f"{ARN}:dead", MaxNumberOfMessagesPerSecond=500)


def test_a_fifo_redrive_keeps_the_order_within_the_group(sqs, clock):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes=fifo)["QueueUrl"]
    url = sqs.create_queue(QueueName="q.fifo", Attributes={**fifo, "RedrivePolicy": policy("dead.fifo", 1)})["QueueUrl"]
    for n in range(6):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), MessageGroupId=f"g{n % 2}")
    receive(sqs, url)
    clock.advance(31)
    assert receive(sqs, url) == []
    assert held(sqs, dead) == (6, 0, 0)
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead.fifo")
    clock.advance(1)
    found = receive(sqs, url, AttributeNames=["MessageGroupId"])
    assert [m["Body"] for m in found if m["Attributes"]["MessageGroupId"] == "g0"] == ["0", "2", "4"]
    assert [m["Body"] for m in found if m["Attributes"]["MessageGroupId"] == "g1"] == ["1", "3", "5"]


def test_the_way_to_the_dead_letter_queue_and_back_is_one_trace(sqs, url, dead, bury, cloud, clock):
    bury("m")
    sqs.start_message_move_task(SourceArn=f"{ARN}:dead")
    clock.advance(1)

    async def steps():
        tracer = cloud.cloud.pipeline.tracer
        roots = [trace["trace_id"] for trace in tracer.traces(1000) if trace["name"] == "sqs.SendMessage"]
        return [span["name"] for span in tracer.spans(roots[0])]

    assert cloud.run(steps()) == ["sqs.SendMessage", "sqs.cumulet:Bury", "sqs.cumulet:Redrive"]
