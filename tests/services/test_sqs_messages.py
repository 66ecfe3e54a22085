"""SQS messages on standard queues: sending, receiving, visibility, delays, batches, attributes, sizes, long polling."""

import hashlib
import json

import pytest

from tests.services.sqs_client import bodies, held, receive, refused, rows

MIB = 1_048_576


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName="q")["QueueUrl"]


def test_a_message_is_sent_received_and_deleted(sqs, url, clock):
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert sent["MD5OfMessageBody"] == hashlib.md5(b"hello").hexdigest()
    assert "SequenceNumber" not in sent
    assert held(sqs, url) == (1, 0, 0)
    (message,) = receive(sqs, url)
    assert (message["Body"], message["MessageId"]) == ("hello", sent["MessageId"])
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert "Attributes" not in message and "MessageAttributes" not in message
    assert held(sqs, url) == (0, 1, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert held(sqs, url) == (0, 0, 0)
    clock.advance(3600)
    assert not receive(sqs, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_an_unfinished_message_comes_back_when_the_visibility_timeout_ends(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="again")
    (first,) = receive(sqs, url)
    clock.advance(29.9)
    assert not receive(sqs, url)
    clock.advance(0.1)
    (second,) = receive(sqs, url, VisibilityTimeout=5)
    assert first["MessageId"] == second["MessageId"]
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    clock.advance(5)
    assert held(sqs, url) == (1, 0, 0)
    assert bodies(sqs, url, VisibilityTimeout=0) == ["again"]
    assert bodies(sqs, url) == ["again"]
    assert bodies(sqs, url) == []


def test_an_old_receipt_handle_deletes_nothing_and_one_of_a_message_not_received_since_deletes(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (old,) = receive(sqs, url)
    clock.advance(30)
    (new,) = receive(sqs, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=old["ReceiptHandle"])
    assert held(sqs, url) == (0, 1, 0)
    clock.advance(30)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=new["ReceiptHandle"])
    assert held(sqs, url) == (0, 0, 0)


def test_a_visible_message_that_was_counted_can_still_be_deleted(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url)
    clock.advance(31)
    assert held(sqs, url) == (1, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert held(sqs, url) == (0, 0, 0)


def test_receipt_handles_that_are_none_are_refused(sqs, url):
    other = sqs.create_queue(QueueName="other")["QueueUrl"]
    sqs.send_message(QueueUrl=other, MessageBody="m")
    foreign = receive(sqs, other)[0]["ReceiptHandle"]
    for handle in ("nonsense", "AAAA", foreign, ""):
        message = refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)
        assert message == f'The input receipt handle "{handle}" is not a valid receipt handle.'
        refused(
            "ReceiptHandleIsInvalid", sqs.change_message_visibility,
            QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1,
        )  # fmt: skip
    assert held(sqs, other) == (0, 1, 0)


def test_a_messages_visibility_can_be_changed_and_its_handle_stays_good(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    clock.advance(20)
    sqs.change_message_visibility(**change, VisibilityTimeout=60)
    clock.advance(59)
    assert not receive(sqs, url)
    sqs.change_message_visibility(**change, VisibilityTimeout=2)
    clock.advance(2)
    (message,) = receive(sqs, url)
    change["ReceiptHandle"] = message["ReceiptHandle"]
    sqs.change_message_visibility(**change, VisibilityTimeout=100)
    sqs.delete_message(**change)
    clock.advance(1000)
    assert held(sqs, url) == (0, 0, 0)


def test_visibility_zero_returns_a_message_at_once_and_then_it_is_not_in_flight(sqs, url):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**change, VisibilityTimeout=0)
    assert held(sqs, url) == (1, 0, 0)
    refused("AWS.SimpleQueueService.MessageNotInflight", sqs.change_message_visibility, **change, VisibilityTimeout=1)
    with pytest.raises(sqs.exceptions.MessageNotInflight):
        sqs.change_message_visibility(**change, VisibilityTimeout=1)
    sqs.delete_message(**change)
    message = refused("InvalidParameterValue", sqs.change_message_visibility, **change, VisibilityTimeout=1)
    assert message.endswith("Reason: Message does not exist or is not available for visibility timeout change.")


def test_a_message_is_in_flight_for_12_hours_in_all(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**change, VisibilityTimeout=43_200)
    for wrong in (43_201, -1):
        refused("InvalidParameterValue", sqs.change_message_visibility, **change, VisibilityTimeout=wrong)
    clock.advance(10)
    sqs.change_message_visibility(**change, VisibilityTimeout=43_190)
    text = refused("InvalidParameterValue", sqs.change_message_visibility, **change, VisibilityTimeout=43_191)
    assert "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]" in text


def test_a_delay_hides_a_message_by_queue_and_by_message(sqs, clock):
    url = sqs.create_queue(QueueName="slow", Attributes={"DelaySeconds": "10"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="queue's")
    sqs.send_message(QueueUrl=url, MessageBody="none", DelaySeconds=0)
    sqs.send_message(QueueUrl=url, MessageBody="own", DelaySeconds=900)
    assert held(sqs, url) == (1, 0, 2)
    assert bodies(sqs, url) == ["none"]
    clock.advance(9.9)
    assert bodies(sqs, url) == []
    clock.advance(0.1)
    assert bodies(sqs, url, VisibilityTimeout=1000) == ["queue's"]
    clock.advance(889.9)
    assert "own" not in bodies(sqs, url, VisibilityTimeout=1000)
    clock.advance(0.1)
    assert "own" in bodies(sqs, url, VisibilityTimeout=1000)
    for wrong in (-1, 901):
        text = refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", DelaySeconds=wrong)
        assert (
            text
            == f"Value {wrong} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )


def test_a_standard_queues_new_delay_holds_for_new_messages_only(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="first", DelaySeconds=5)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "100"})
    sqs.send_message(QueueUrl=url, MessageBody="second")
    clock.advance(5)
    assert bodies(sqs, url) == ["first"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("MaxNumberOfMessages", (0, 11)), ("VisibilityTimeout", (-1, 43_201)), ("WaitTimeSeconds", (-1, 21))],
)
def test_a_receives_numbers_have_their_ranges(sqs, url, name, wrong):
    for value in wrong:
        text = refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, **{name: value})
        assert text.startswith(f"Value {value} for parameter {name} is invalid. Reason: Must be")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (found,) = receive(sqs, url, 10, VisibilityTimeout=43_200, WaitTimeSeconds=20)
    assert found["Body"] == "x"


def test_ten_messages_come_at_most_and_in_the_order_they_were_sent(sqs, url):
    for n in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    assert bodies(sqs, url) == [str(n) for n in range(10)]
    assert bodies(sqs, url, 1) == ["10"]
    assert bodies(sqs, url) == ["11"]


def test_system_attributes_tell_who_when_and_how_often(sqs, url, clock):
    sent_at = clock.now()
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="m",
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": header}},
    )
    assert len(sent["MD5OfMessageSystemAttributes"]) == 32
    clock.advance(7)
    receive(sqs, url)
    clock.advance(30)
    (message,) = receive(sqs, url, MessageSystemAttributeNames=["All"])
    assert message["Attributes"] == {
        "ApproximateFirstReceiveTimestamp": str(int((sent_at + 7) * 1000)),
        "ApproximateReceiveCount": "2",
        "AWSTraceHeader": header,
        "SenderId": "000000000000",
        "SentTimestamp": str(int(sent_at * 1000)),
    }
    clock.advance(30)
    (message,) = receive(sqs, url, AttributeNames=["SenderId"], MessageSystemAttributeNames=["SentTimestamp"])
    assert set(message["Attributes"]) == {"SenderId", "SentTimestamp"}
    refused("InvalidAttributeName", sqs.receive_message, QueueUrl=url, AttributeNames=["Colour"])


def test_the_sender_of_a_message_is_the_user_who_sent_it(aws, sqs, url):
    iam = aws("iam")
    user = iam.create_user(UserName="ann")["User"]
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    own = aws("sqs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    own.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url, AttributeNames=["SenderId"])
    assert message["Attributes"]["SenderId"] == user["UserId"]


def test_only_a_well_formed_trace_header_is_a_system_attribute_to_send(sqs, url):
    for wrong in (
        {"AWSTraceHeader": {"DataType": "String", "StringValue": "nonsense"}},
        {"AWSTraceHeader": {"DataType": "Binary", "BinaryValue": b"x"}},
        {"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}},
    ):
        refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="m", MessageSystemAttributes=wrong)
    sent = sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes={}, MessageSystemAttributes={})
    assert not sent.keys() & {"MD5OfMessageAttributes", "MD5OfMessageSystemAttributes"}


ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "gr\u00fc\u00df"},
    "count": {"DataType": "Number.int", "StringValue": "-12.5e3"},
    "raw": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    "text.more": {"DataType": "String", "StringValue": "x"},
}


def test_message_attributes_come_back_as_asked_for_with_md5s_that_sdks_check(sqs, url, clock):
    sent = sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes=ATTRIBUTES)  # boto3 itself checks no MD5
    (message,) = receive(sqs, url, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == ATTRIBUTES
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    for names, expected in (
        (["text"], {"text"}),
        (["text.*"], {"text.more"}),
        (["text.*", "raw"], {"text.more", "raw"}),
        ([".*"], set(ATTRIBUTES)),
    ):
        clock.advance(30)
        (message,) = receive(sqs, url, MessageAttributeNames=names)
        assert set(message["MessageAttributes"]) == expected
        whole = message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
        assert whole == (expected == set(ATTRIBUTES))
    clock.advance(30)
    (message,) = receive(sqs, url, MessageAttributeNames=["unknown"])
    assert "MessageAttributes" not in message and "MD5OfMessageAttributes" not in message


def test_the_md5_of_attributes_is_made_as_the_developer_guide_says(sqs, url):
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="m",
        MessageAttributes={
            "b": {"DataType": "Binary", "BinaryValue": b"\x01\x02"},
            "a": {"DataType": "String", "StringValue": "v"},
        },
    )
    field = lambda raw: len(raw).to_bytes(4, "big") + raw  # noqa: E731
    expected = field(b"a") + field(b"String") + b"\x01" + field(b"v")
    expected += field(b"b") + field(b"Binary") + b"\x02" + field(b"\x01\x02")
    assert sent["MD5OfMessageAttributes"] == hashlib.md5(expected).hexdigest()


def _text(value, type_="String"):
    return {"DataType": type_, "StringValue": value}


GOOD_NUMBERS = [
    "0",
    "-0.0",
    "+5",
    "-.5",
    "5.",
    "1e5",
    "1E+5",
    "1e126",
    "-1e126",
    "1e-128",
    "9" * 38,
    "0" * 60 + "1",
    "1" + "0" * 60,
]
BAD_NUMBERS = [
    "1.1e126",
    "1e127",
    "-1e127",
    "9e-129",
    "1e99999",
    "1_000",
    "٣",
    "NaN",
    "0x10",
    " 5",
    "9" * 39,
    "1." + "3" * 38,
]


def test_a_number_has_38_digits_and_lies_between_10_to_the_minus_128_and_to_the_126(sqs, url):
    def number(value):
        return {"QueueUrl": url, "MessageBody": "m", "MessageAttributes": {"a": _text(value, "Number")}}

    for value in GOOD_NUMBERS:
        sqs.send_message(**number(value))
    for value in BAD_NUMBERS:
        text = refused("InvalidParameterValue", sqs.send_message, **number(value))
        assert text == "Can't cast the value of message (user) attribute 'a' to a number."


@pytest.mark.parametrize(
    "wrong",
    [
        {"x" * 257: _text("v")},
        {"": _text("v")},
        {"a b": _text("v")},
        {".a": _text("v")},
        {"a.": _text("v")},
        {"a..b": _text("v")},
        {"AWS.a": _text("v")},
        {"amazon.a": _text("v")},
        {"a": _text("")},
        {"a": _text("v", "")},
        {"a": _text("v", "Text")},
        {"a": _text("v", "String." + "x" * 250)},
        {"a": _text("many", "Number")},
        {"a": _text("bell\x07")},
        {"a": {"DataType": "Binary", "BinaryValue": b""}},
        {"a": {"DataType": "Binary", "StringValue": "v"}},
        {"a": {"DataType": "String", "StringListValues": ["v"]}},
        {f"a{n}": _text("v") for n in range(11)},
    ],
    ids=lambda wrong: f"{len(wrong)} {str(wrong)[:40]}",
)
def test_message_attributes_that_aws_refuses(sqs, url, wrong):
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="m", MessageAttributes=wrong)
    assert held(sqs, url) == (0, 0, 0)


def test_message_attributes_at_their_limits(sqs, url):
    most = {f"a{n}": _text("v") for n in range(9)}
    most["x" * 256] = _text("v", "String." + "y" * 249)
    sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes=most)
    (message,) = receive(sqs, url, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == most


@pytest.mark.parametrize("size", [1, 4096, 4097, 65_536, 65_537, MIB])
def test_bodies_of_every_size_come_back_and_leave_nothing_behind(sqs, url, cloud, clock, size):
    body = "é" * (size // 2) + "x" * (size % 2)
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    receive(sqs, url)
    clock.advance(30)
    (message,) = receive(sqs, url)
    assert message["Body"] == body
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert blobs(cloud) == []


def blobs(cloud):
    folder = cloud.cloud.store.blobs.folder
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_purge_and_a_deleted_queue_leave_no_rows_and_no_files(sqs, url, cloud, clock):
    for n in range(30):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 70_000, DelaySeconds=n)
    receive(sqs, url)
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="x" * 70_000)
    clock.quiet()
    assert len(blobs(cloud)) == 1
    sqs.delete_queue(QueueUrl=url)
    clock.advance(61)
    assert blobs(cloud) == []

    assert rows(cloud, "sqs") == 1  # the number of the last queue


def test_a_message_is_at_most_as_large_as_its_queue_allows_attributes_included(sqs, url):
    sqs.send_message(QueueUrl=url, MessageBody="x" * (MIB - 8), MessageAttributes={"a": _text("v")})
    for body, extra in (("x" * (MIB + 1), {}), ("x" * (MIB - 7), {"MessageAttributes": {"a": _text("v")}})):
        text = refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody=body, **extra)
        assert text == f"One or more parameters are invalid. Reason: Message must be shorter than {MIB} bytes."
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    sqs.send_message(QueueUrl=url, MessageBody="é" * 512)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="é" * 512 + "x")


def test_bodies_are_not_empty_and_of_characters_that_xml_allows(sqs, url):
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="")
    allowed = "\t\n\r \ud7ff\ue000\ufffd\U00010000\U0010ffff"
    sqs.send_message(QueueUrl=url, MessageBody=allowed)
    assert bodies(sqs, url) == [allowed]
    for bad in ("\x08", "\x00", "\x1f", "\ufffe", "\uffff"):
        text = refused("InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody=f"a{bad}")
        assert f"'#x{ord(bad):X}'" in text


def test_parameters_of_fifo_queues_are_refused_on_standard_ones(sqs, url):
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="m", MessageDeduplicationId="d")
    refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, ReceiveRequestAttemptId="a")


# batches


def test_a_batch_succeeds_and_fails_entry_by_entry(sqs, url):
    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "one"},
            {"Id": "bad", "MessageBody": "two", "DelaySeconds": 901},
            {"Id": "also-good", "MessageBody": "three", "MessageAttributes": {"a": _text("v")}},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good", "also-good"]
    assert answer["Successful"][1]["MD5OfMessageAttributes"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidParameterValue", True)
    messages = receive(sqs, url)
    assert [m["Body"] for m in messages] == ["one", "three"]
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "a", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"]
    assert answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    assert held(sqs, url) == (1, 1, 0)
    answer = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "a", "ReceiptHandle": messages[0]["ReceiptHandle"]},
            {"Id": "b", "ReceiptHandle": messages[1]["ReceiptHandle"]},
            {"Id": "c", "ReceiptHandle": "nonsense"},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a", "b"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["c"]
    assert held(sqs, url) == (0, 0, 0)


@pytest.mark.parametrize("operation", ["send_message_batch", "delete_message_batch", "change_message_visibility_batch"])
def test_a_batch_that_is_wrong_as_a_whole_does_nothing(sqs, url, operation):
    entry = {"MessageBody": "m"} if operation == "send_message_batch" else {"ReceiptHandle": "x"}
    if operation.startswith("change"):
        entry["VisibilityTimeout"] = 1
    call = getattr(sqs, operation)

    def wrong(code, *ids):
        return refused(
            f"AWS.SimpleQueueService.{code}", call, QueueUrl=url, Entries=[{"Id": id_, **entry} for id_ in ids]
        )

    call(QueueUrl=url, Entries=[{"Id": f"{n}", **entry} for n in range(10)])
    call(QueueUrl=url, Entries=[{"Id": "x" * 80, **entry}])
    wrong("EmptyBatchRequest")
    text = wrong("TooManyEntriesInBatchRequest", *map(str, range(11)))
    assert text == "Maximum number of entries per request are 10. You have sent 11."
    assert wrong("BatchEntryIdsNotDistinct", "a", "b", "a") == "Id a repeated."
    for bad in ("", "x" * 81, "a b", "ä"):
        wrong("InvalidBatchEntryId", "good", bad)
    assert sum(held(sqs, url)) == (11 if operation == "send_message_batch" else 0)


def test_a_batch_has_one_mebibyte_at_most(sqs, url):
    def entries(*sizes):
        return [{"Id": str(n), "MessageBody": "x" * size} for n, size in enumerate(sizes)]

    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries(*[MIB // 8] * 8))
    assert len(answer["Successful"]) == 8
    text = refused(
        "AWS.SimpleQueueService.BatchRequestTooLong", sqs.send_message_batch, QueueUrl=url, Entries=entries(MIB, 1)
    )
    assert text == f"Batch requests cannot be longer than {MIB} bytes. You have sent {MIB + 1} bytes."
    assert held(sqs, url) == (8, 0, 0)


def test_a_receive_of_ten_large_messages_gives_them_all(sqs, url):
    for n in range(4):
        sqs.send_message(QueueUrl=url, MessageBody=f"{n}" * 500_000)
    assert [body[0] for body in bodies(sqs, url)] == ["0", "1", "2", "3"]


# fair queues


def test_quiet_groups_are_served_before_a_noisy_one(sqs, url):
    send = lambda group, count: [  # noqa: E731
        sqs.send_message(QueueUrl=url, MessageBody=f"{group}{n}", MessageGroupId=group) for n in range(count)
    ]
    send("noisy", 60)
    for _ in range(3):
        assert len(receive(sqs, url)) == 10
    send("quiet", 3)
    sqs.send_message(QueueUrl=url, MessageBody="alone")
    found = bodies(sqs, url, 5)
    assert set(found[:4]) == {"quiet0", "quiet1", "quiet2", "alone"}
    assert found[4] == "noisy30"


def test_groups_on_a_standard_queue_lock_nothing_and_are_shown(sqs, url, clock):
    for n in range(4):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), MessageGroupId="g")
    assert bodies(sqs, url, 2) == ["0", "1"]
    messages = receive(sqs, url, AttributeNames=["MessageGroupId"])
    assert [m["Body"] for m in messages] == ["2", "3"]
    assert messages[0]["Attributes"] == {"MessageGroupId": "g"}
    assert held(sqs, url) == (0, 4, 0)
    clock.advance(30)
    assert sorted(bodies(sqs, url)) == ["0", "1", "2", "3"]


def test_messages_with_and_without_groups_all_come(sqs, url, clock):
    for n in range(20):
        group = {"MessageGroupId": f"g{n % 3}"} if n % 2 else {}
        sqs.send_message(QueueUrl=url, MessageBody=f"{n:02d}", DelaySeconds=n % 4, **group)
    clock.advance(5)
    found = bodies(sqs, url) + bodies(sqs, url)
    assert sorted(found) == [f"{n:02d}" for n in range(20)]
    assert held(sqs, url) == (0, 20, 0)


def test_bodies_are_not_touched_by_json(sqs, url):
    body = json.dumps({"a": [1, "\u2028", "\\", '"']})
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert bodies(sqs, url) == [body]
