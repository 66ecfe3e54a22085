"""SQS FIFO queues: order and locks of groups, deduplication, sequence numbers, receive attempts."""

import concurrent.futures
import hashlib

import pytest

from tests.services.sqs_client import attributes, bodies, delete, held, receive, refused, rows, until_parked


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def fifo(sqs):
    return sqs.create_queue(QueueName="f.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})[
        "QueueUrl"
    ]


@pytest.fixture
def send(sqs, fifo):
    def call(body, group="g", **request):
        return sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId=group, **request)

    return call


def test_a_group_comes_in_order_and_is_locked_while_in_flight(sqs, fifo, send):
    for n in range(5):
        send(str(n))
    first, second = receive(sqs, fifo, 2)
    assert (first["Body"], second["Body"]) == ("0", "1")
    assert receive(sqs, fifo) == []
    delete(sqs, fifo, first)
    assert receive(sqs, fifo) == []
    delete(sqs, fifo, second)
    assert bodies(sqs, fifo) == ["2", "3", "4"]


def test_a_message_that_failed_comes_before_those_after_it(sqs, fifo, send, clock):
    for n in range(4):
        send(str(n))
    _, second = receive(sqs, fifo, 2)
    delete(sqs, fifo, second)
    clock.advance(30)
    assert bodies(sqs, fifo) == ["0", "2", "3"]


def test_a_returned_message_unlocks_its_group_when_nothing_else_is_in_flight(sqs, fifo, send):
    for n in range(3):
        send(str(n))
    first, second = receive(sqs, fifo, 2)
    for message, seen in ((second, []), (first, ["0", "1", "2"])):
        sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        assert bodies(sqs, fifo) == seen


def test_a_long_poll_gets_the_next_of_a_group_as_soon_as_the_one_before_is_deleted(sqs, fifo, send, cloud):
    send("0")
    (first,) = receive(sqs, fifo)
    send("1")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, fifo, WaitTimeSeconds=20)
        until_parked(cloud)
        delete(sqs, fifo, first)
        assert waiting.result(60) == ["1"]


def test_groups_do_not_wait_for_each_other(sqs, fifo, send):
    for n in range(3):
        for group in "ab":
            send(f"{group}{n}", group)
    assert bodies(sqs, fifo, 1) == ["a0"]
    assert bodies(sqs, fifo, 1) == ["b0"]
    assert receive(sqs, fifo) == []


def test_one_receive_takes_as_much_of_a_group_as_it_can_then_of_the_next(sqs, fifo, send):
    for n in range(7):
        send(f"a{n}", "a")
        send(f"b{n}", "b")
    assert bodies(sqs, fifo) == [f"a{n}" for n in range(7)] + ["b0", "b1", "b2"]
    assert receive(sqs, fifo) == []


def test_a_duplicate_is_accepted_once_per_five_minutes(sqs, fifo, send, clock):
    first = send("one", MessageDeduplicationId="d")
    clock.advance(299.9)
    again = send("two", MessageDeduplicationId="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert again["MD5OfMessageBody"] == hashlib.md5(b"two").hexdigest()
    assert held(sqs, fifo) == (1, 0, 0)
    clock.advance(0.1)
    third = send("three", MessageDeduplicationId="d")
    assert third["MessageId"] != first["MessageId"]
    assert bodies(sqs, fifo) == ["one", "three"]


def test_a_deduplication_id_counts_after_its_message_is_deleted_or_purged(sqs, fifo, send):
    send("m")
    delete(sqs, fifo, receive(sqs, fifo)[0])
    send("m")
    assert receive(sqs, fifo) == []
    send("n")
    sqs.purge_queue(QueueUrl=fifo)
    send("n")
    assert held(sqs, fifo) == (0, 0, 0)


def test_the_body_is_the_deduplication_id_where_the_queue_says_so(sqs, fifo, send):
    send("same", "a", MessageAttributes={"x": {"DataType": "String", "StringValue": "1"}})
    send("same", "b")
    send("same", "b", MessageDeduplicationId="own")
    send("other", MessageDeduplicationId=hashlib.sha256(b"same").hexdigest())
    messages = receive(sqs, fifo, AttributeNames=["All"])
    assert [(m["Body"], m["Attributes"]["MessageDeduplicationId"]) for m in messages] == [
        ("same", hashlib.sha256(b"same").hexdigest()),
        ("same", "own"),
    ]


def test_deduplication_within_the_group_only(sqs, fifo, send):
    sqs.set_queue_attributes(
        QueueUrl=fifo, Attributes={"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    )
    for group in "aab":
        send("same", group)
    assert held(sqs, fifo) == (2, 0, 0)


def test_sequence_numbers_of_20_digits_grow(sqs, fifo, send):
    numbers = [send(str(n))["SequenceNumber"] for n in range(3)]
    assert numbers == sorted(set(numbers)) and all(len(number) == 20 and number.isdigit() for number in numbers)
    messages = receive(sqs, fifo, AttributeNames=["All"])
    assert [m["Attributes"]["SequenceNumber"] for m in messages] == numbers
    assert {m["Attributes"]["MessageGroupId"] for m in messages} == {"g"}
    sqs.purge_queue(QueueUrl=fifo)
    assert send("later")["SequenceNumber"] > numbers[-1]


def test_a_batch_keeps_its_order_and_answers_duplicates(sqs, fifo):
    entries = [{"Id": str(n), "MessageBody": str(n % 3), "MessageGroupId": "g"} for n in range(5)]
    answer = sqs.send_message_batch(QueueUrl=fifo, Entries=entries)
    numbers = [entry["SequenceNumber"] for entry in answer["Successful"]]
    assert numbers[0] == numbers[3] and numbers[1] == numbers[4]
    assert bodies(sqs, fifo) == ["0", "1", "2"]


def test_what_a_fifo_message_must_have(sqs, fifo, send):
    text = refused("MissingParameter", sqs.send_message, QueueUrl=fifo, MessageBody="m")
    assert text == "The request must contain the parameter MessageGroupId."
    plain = sqs.create_queue(QueueName="plain.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    text = refused("InvalidParameterValue", sqs.send_message, QueueUrl=plain, MessageBody="m", MessageGroupId="g")
    assert (
        text
        == "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )
    text = refused(
        "InvalidParameterValue", sqs.send_message, QueueUrl=fifo, MessageBody="m", MessageGroupId="g", DelaySeconds=1
    )
    assert text.endswith("The request include parameter that is not valid for this queue type.")
    punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    send("m", punctuation, MessageDeduplicationId=punctuation)
    send("n", "g" * 128, MessageDeduplicationId="d" * 128)
    for wrong in ("", "g" * 129, "a b", "ä"):
        refused("InvalidParameterValue", sqs.send_message, QueueUrl=fifo, MessageBody="m", MessageGroupId=wrong)
        refused(
            "InvalidParameterValue", sqs.send_message,
            QueueUrl=fifo, MessageBody="m", MessageGroupId="g", MessageDeduplicationId=wrong,
        )  # fmt: skip
        refused("InvalidParameterValue", sqs.receive_message, QueueUrl=fifo, ReceiveRequestAttemptId=wrong)


def test_an_expired_receipt_handle_deletes_nothing_on_a_fifo_queue(sqs, fifo, send, clock):
    send("m")
    (old,) = receive(sqs, fifo)
    clock.advance(30)
    request = {"QueueUrl": fifo, "ReceiptHandle": old["ReceiptHandle"]}
    text = refused("InvalidParameterValue", sqs.delete_message, **request)
    assert text.endswith("for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
    (new,) = receive(sqs, fifo)
    refused("InvalidParameterValue", sqs.delete_message, **request)
    refused("InvalidParameterValue", sqs.change_message_visibility, **request, VisibilityTimeout=1)
    delete(sqs, fifo, new)
    delete(sqs, fifo, new)
    assert held(sqs, fifo) == (0, 0, 0)


def test_the_same_attempt_gets_the_same_messages_and_begins_their_timeout_anew(sqs, fifo, send, clock):
    for n in range(3):
        send(str(n))
    attempt = {"ReceiveRequestAttemptId": "try", "AttributeNames": ["ApproximateReceiveCount"]}
    first = receive(sqs, fifo, 2, **attempt)
    clock.advance(20)
    assert receive(sqs, fifo, 2, **attempt) == first
    clock.advance(20)
    assert receive(sqs, fifo) == []
    delete(sqs, fifo, first[0])
    assert receive(sqs, fifo, **attempt) == []
    delete(sqs, fifo, first[1])
    assert [m["Body"] for m in receive(sqs, fifo, **attempt)] == ["2"]


def test_an_attempt_whose_message_was_changed_or_is_over_is_a_new_receive(sqs, fifo, send, clock):
    send("m")
    attempt = {"ReceiveRequestAttemptId": "try"}
    (first,) = receive(sqs, fifo, **attempt)
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=40)
    assert receive(sqs, fifo, **attempt) == []
    clock.advance(40)
    (second,) = receive(sqs, fifo, VisibilityTimeout=400, **attempt)
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    clock.advance(299.9)
    assert len(receive(sqs, fifo, VisibilityTimeout=400, **attempt)) == 1
    clock.advance(0.2)
    assert receive(sqs, fifo, **attempt) == []


def test_a_fifo_queues_delay_keeps_the_order_and_its_change_holds_for_messages_there(sqs, fifo, send, clock):
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DelaySeconds": "100"})
    send("first")
    assert held(sqs, fifo) == (0, 0, 1)
    clock.advance(10)
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DelaySeconds": "20"})
    send("second")
    clock.advance(10.1)
    assert bodies(sqs, fifo, VisibilityTimeout=1) == ["first"]
    clock.advance(10)
    assert bodies(sqs, fifo) == ["first", "second"]


def test_without_delay_a_message_still_does_not_overtake_a_delayed_one_of_its_group(sqs, fifo, send, clock):
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DelaySeconds": "5"})
    send("first")
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DelaySeconds": "0"})
    send("second")
    send("elsewhere", "h")
    assert sorted(bodies(sqs, fifo)) == ["elsewhere", "first", "second"]


def test_what_deduplication_remembers_is_forgotten_in_time(sqs, fifo, send, cloud, clock):
    for n in range(5):
        send(str(n))
    receive(sqs, fifo, ReceiveRequestAttemptId="a")

    assert rows(cloud, "sqs", "seen") + rows(cloud, "sqs", "forget") == 12
    clock.advance(361)
    assert rows(cloud, "sqs", "seen") + rows(cloud, "sqs", "forget") == 0


def test_a_fifo_queue_of_standard_attributes_shows_them(sqs, fifo):
    found = attributes(sqs, fifo)
    assert (found["FifoQueue"], found["ContentBasedDeduplication"]) == ("true", "true")
