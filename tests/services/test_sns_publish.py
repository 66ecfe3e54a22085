"""Publishing to SNS topics with real queues and functions behind them."""

import base64
import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

CODE = "import json\n\ndef handler(event, context):\n    print('event', json.dumps(event))\n"


@pytest.fixture
def sns(aws):
    return aws("sns")


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name="news")["TopicArn"]


@pytest.fixture
def queue(sqs):
    """`queue("orders")` makes a queue; returns (URL, ARN)."""

    def make(name):
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return url, found["QueueArn"]

    return make


@pytest.fixture
def received(sqs):
    """Takes everything that a queue has to give."""

    def take(url):
        found = []
        while True:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                found.append(message)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    return take


def subscribe(sns, topic, arn, protocol="sqs", **attributes):
    request = {"Attributes": attributes} if attributes else {}
    return sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=arn, **request)["SubscriptionArn"]


def refused(call, code, *words, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    found = error.value.response["Error"]
    assert found["Code"] == code, found
    for word in words:
        assert word in found["Message"], found


def text(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


def test_a_queue_gets_the_message_in_an_envelope(sns, topic, queue, received):
    url, arn = queue("orders")
    subscription = subscribe(sns, topic, arn)
    sent = sns.publish(
        TopicArn=topic,
        Message='an "order" \u00e9',
        Subject="New",
        MessageAttributes={"n": text("1", "Number"), "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
    )
    [message] = received(url)
    envelope = json.loads(message["Body"])
    assert list(envelope) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ]
    assert envelope["Type"] == "Notification"
    assert envelope["MessageId"] == sent["MessageId"]
    assert (envelope["TopicArn"], envelope["Subject"]) == (topic, "New")
    assert envelope["Message"] == 'an "order" \u00e9'
    assert envelope["UnsubscribeURL"].endswith(f"Action=Unsubscribe&SubscriptionArn={subscription}")
    assert envelope["MessageAttributes"] == {
        "n": {"Type": "Number", "Value": "1"},
        "b": {"Type": "Binary", "Value": base64.b64encode(b"\x00\x01").decode()},
    }
    assert message["Body"].startswith('{\n  "Type" : "Notification",\n  "MessageId" : "')
    assert "MessageAttributes" not in message


def test_raw_delivery_sends_the_message_and_its_attributes_as_they_are(sns, topic, queue, received):
    url, arn = queue("orders")
    subscribe(sns, topic, arn, RawMessageDelivery="true")
    attributes = {"n": text("1", "Number"), "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    sns.publish(TopicArn=topic, Message="bare", MessageAttributes=attributes)
    [message] = received(url)
    assert message["Body"] == "bare"
    assert message["MessageAttributes"] == attributes


def test_three_queues_get_one_copy_each(sns, topic, queue, received):
    """B18.3, B7.4: three microservices with queues of their own are notified once each."""
    queues = [queue(name) for name in ("billing", "shipping", "audit")]
    for _, arn in queues:
        subscribe(sns, topic, arn)
    sns.publish(TopicArn=topic, Message="order 1")
    for url, _ in queues:
        [message] = received(url)
        assert json.loads(message["Body"])["Message"] == "order 1"


def test_a_later_subscriber_gets_later_messages(sns, topic, queue, received):
    """B7.3, B7.2: subscribing needs nothing of the publisher, and no restart."""
    first, arn = queue("first")
    subscribe(sns, topic, arn, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="1")
    second, arn = queue("second")
    subscription = subscribe(sns, topic, arn, RawMessageDelivery="true")
    sns.publish(TopicArn=topic, Message="2")
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.publish(TopicArn=topic, Message="3")
    assert sorted(message["Body"] for message in received(first)) == ["1", "2", "3"]
    assert [message["Body"] for message in received(second)] == ["2"]


def test_a_function_gets_an_event_of_sns(aws, clock, cloud, sns, topic):
    """D10: a microservice publishes, another one's function is told."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), CODE)
    function = aws("lambda").create_function(
        FunctionName="worker",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/worker",
        Handler="index.handler",
        Code={"ZipFile": sink.getvalue()},
    )
    subscription = subscribe(sns, topic, function["FunctionArn"], "lambda")
    sent = sns.publish(TopicArn=topic, Message="wake up", MessageAttributes={"a": text("x")})
    cloud.quiet()
    events = aws("logs").filter_log_events(logGroupName="/aws/lambda/worker", filterPattern="event")["events"]
    [line] = [event["message"] for event in events if event["message"].startswith("event ")]
    [record] = json.loads(line.removeprefix("event "))["Records"]
    assert record["EventSource"] == "aws:sns" and record["EventVersion"] == "1.0"
    assert record["EventSubscriptionArn"] == subscription
    notification = record["Sns"]
    assert set(notification) == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertUrl", "UnsubscribeUrl", "MessageAttributes",
    }  # fmt: skip
    assert notification["MessageId"] == sent["MessageId"] and notification["Subject"] is None
    assert notification["Message"] == "wake up"
    assert notification["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}


INVALIDATE = """import json, boto3

def handler(event, context):
    for record in event["Records"]:
        key = json.loads(record["Sns"]["Message"])["id"]
        boto3.client("dynamodb").delete_item(TableName="cache", Key={"id": {"S": key}})
"""


def test_a_subscriber_invalidates_a_cache(aws, cloud, sns, topic):
    """B15.3: cache invalidation is a subscription; the next read is fresh."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), INVALIDATE)
    function = aws("lambda").create_function(
        FunctionName="invalidate",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/worker",
        Handler="index.handler",
        Code={"ZipFile": sink.getvalue()},
        Timeout=20,
    )
    subscribe(sns, topic, function["FunctionArn"], "lambda")
    db, store = aws("dynamodb"), {"7": "old"}
    db.create_table(
        TableName="cache",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def read(key):
        found = db.get_item(TableName="cache", Key={"id": {"S": key}}).get("Item")
        if found is None:
            found = {"id": {"S": key}, "value": {"S": store[key]}}
            db.put_item(TableName="cache", Item=found)
        return found["value"]["S"]

    assert read("7") == "old"
    store["7"] = "new"
    assert read("7") == "old"
    sns.publish(TopicArn=topic, Message='{"id":"7"}')
    cloud.quiet()
    assert read("7") == "new"


def test_a_queue_that_is_gone_does_not_hold_up_the_others(sns, sqs, topic, queue, received):
    """B7.4: a failing subscriber's messages end in its dead-letter queue."""
    gone, gone_arn = queue("gone")
    fine, fine_arn = queue("fine")
    dead, dead_arn = queue("dead")
    subscribe(sns, topic, gone_arn, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn}))
    subscribe(sns, topic, fine_arn)
    sqs.delete_queue(QueueUrl=gone)
    sns.publish(TopicArn=topic, Message="hello")
    assert len(received(fine)) == 1
    [message] = received(dead)
    assert json.loads(message["Body"])["Message"] == "hello"
    assert "NonExistentQueue" in message["MessageAttributes"]["ErrorCode"]["StringValue"]


def test_a_json_structure_gives_each_protocol_its_own_text(sns, topic, queue, received):
    url, arn = queue("orders")
    other, other_arn = queue("raw")
    subscribe(sns, topic, arn)
    subscribe(sns, topic, other_arn, RawMessageDelivery="true")
    texts = {"default": "for all", "sqs": "for queues", "lambda": 1, "fax": "ignored"}
    sns.publish(TopicArn=topic, Message=json.dumps(texts), MessageStructure="json")
    assert json.loads(received(url)[0]["Body"])["Message"] == "for queues"
    assert received(other)[0]["Body"] == "for queues"
    sns.publish(TopicArn=topic, Message='{"default": "for all"}', MessageStructure="json")
    assert received(other)[0]["Body"] == "for all"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("no json", "JSON message body failed to parse"),
        ("[]", "JSON message body failed to parse"),
        ('{"default":"a","default":"b"}', "JSON message body failed to parse"),
        ('{"sqs":"a"}', "No default entry in JSON message body"),
        ('{"default":1}', "No default entry in JSON message body"),
    ],
)
def test_a_json_structure_is_checked(sns, topic, message, words):
    refused(sns.publish, "InvalidParameter", words, TopicArn=topic, Message=message, MessageStructure="json")


def test_a_filter_on_attributes_and_one_on_the_body(sns, topic, queue, received):
    by_attribute, arn = queue("attribute")
    subscribe(sns, topic, arn, FilterPolicy='{"price":[{"numeric":[">=",100]}]}', RawMessageDelivery="true")
    by_body, arn = queue("body")
    subscription = subscribe(
        sns,
        topic,
        arn,
        FilterPolicy='{"order":{"state":["paid"]}}',
        FilterPolicyScope="MessageBody",
        RawMessageDelivery="true",
    )
    paid, open_ = '{"order":{"state":"paid"}}', '{"order":{"state":"open"}}'
    sns.publish(TopicArn=topic, Message=paid, MessageAttributes={"price": text("99.99999", "Number")})
    sns.publish(TopicArn=topic, Message=open_, MessageAttributes={"price": text("1e2", "Number")})
    sns.publish(TopicArn=topic, Message="no json")
    assert [message["Body"] for message in received(by_attribute)] == [open_]
    assert [message["Body"] for message in received(by_body)] == [paid]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue='{"order":{"state":["open"]}}'
    )
    sns.publish(TopicArn=topic, Message=open_)
    assert [message["Body"] for message in received(by_body)] == [open_]


# limits


def test_no_filter_on_attributes_takes_a_message_without_any(sns, topic, queue, received):
    url, arn = queue("absent")
    subscribe(sns, topic, arn, RawMessageDelivery="true", FilterPolicy='{"store":[{"exists":false}]}')
    sns.publish(TopicArn=topic, Message="bare")
    sns.publish(TopicArn=topic, Message="other", MessageAttributes={"kind": text("x")})
    sns.publish(TopicArn=topic, Message="there", MessageAttributes={"store": text("x"), "kind": text("x")})
    assert [message["Body"] for message in received(url)] == ["other"]


def test_a_message_with_its_attributes_has_256_kilobytes(sns, topic):
    sns.publish(TopicArn=topic, Message="x" * 262_144)
    refused(sns.publish, "InvalidParameter", "Message too long", TopicArn=topic, Message="x" * 262_145)
    refused(sns.publish, "InvalidParameter", "Message too long", TopicArn=topic, Message="\u00e9" * 131_073)
    attributes = {"name": text("value")}  # 4 + 6 + 5 bytes
    sns.publish(TopicArn=topic, Message="x" * (262_144 - 15), MessageAttributes=attributes)
    request = {"TopicArn": topic, "Message": "x" * (262_144 - 14), "MessageAttributes": attributes}
    refused(sns.publish, "InvalidParameter", "Message too long", **request)


def test_a_topic_may_take_larger_or_only_smaller_messages(sns, topic, queue, received):
    url, arn = queue("orders")
    subscribe(sns, topic, arn, RawMessageDelivery="true")
    setting = {"TopicArn": topic, "AttributeName": "MaximumMessageSize"}
    sns.set_topic_attributes(**setting, AttributeValue="1048576")
    sns.publish(TopicArn=topic, Message="x" * 1_048_576)
    assert len(received(url)[0]["Body"]) == 1_048_576
    refused(sns.publish, "InvalidParameter", "Message too long", TopicArn=topic, Message="x" * 1_048_577)
    sns.set_topic_attributes(**setting, AttributeValue="1024")
    refused(sns.publish, "InvalidParameter", "Message too long", TopicArn=topic, Message="x" * 1025)


@pytest.mark.parametrize("subject", ["", "x" * 101, "two\nlines", "bell\x07"])
def test_a_subject_is_a_line_of_up_to_a_hundred_characters(sns, topic, subject):
    refused(sns.publish, "InvalidParameter", "Subject", TopicArn=topic, Message="x", Subject=subject)
    sns.publish(TopicArn=topic, Message="x", Subject="x" * 100)


@pytest.mark.parametrize(
    ("name", "attribute", "words"),
    [
        ("a b", text("x"), "attribute name 'a b' is invalid"),
        (".a", text("x"), "is invalid"),
        ("a..b", text("x"), "is invalid"),
        ("x" * 257, text("x"), "is invalid"),
        ("AWS.x", text("x"), "reserved prefix"),
        ("a", text("x", "Text"), "has an invalid message attribute type"),
        ("a", text("x", ""), "non-empty message attribute type"),
        ("a", text(""), "non-empty message attribute value"),
        ("a", text("x", "Number"), "Could not cast message attribute 'a' value to number."),
        ("a", text("1_000", "Number"), "Could not cast message attribute 'a' value to number."),
        ("a", text(" 5", "Number"), "Could not cast message attribute 'a' value to number."),
        ("a", text("\u0663", "Number"), "Could not cast message attribute 'a' value to number."),
        ("a", text("x", "Binary"), "must use field 'Binary'"),
        ("a", {"DataType": "String", "BinaryValue": b"x"}, "must use field 'String'"),
    ],
)
def test_message_attributes_are_checked(sns, topic, name, attribute, words):
    request = {"TopicArn": topic, "Message": "x", "MessageAttributes": {name: attribute}}
    refused(sns.publish, "ParameterValueInvalid", words, **request)


def test_publish_wants_one_destination_and_a_message(sns, topic):
    refused(sns.publish, "InvalidParameter", "no value for required parameter", Message="x")
    refused(sns.publish, "InvalidParameter", TopicArn=topic, PhoneNumber="+4912345678", Message="x")
    refused(sns.publish, "InvalidParameter", "Empty message", TopicArn=topic, Message="")
    refused(sns.publish, "InvalidParameter", "MessageStructure", TopicArn=topic, Message="x", MessageStructure="xml")
    refused(sns.publish, "NotFound", "Topic does not exist", TopicArn=topic + "x", Message="x")
    endpoint = "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/app/id"
    refused(sns.publish, "NotImplemented", "platform endpoint", TargetArn=endpoint, Message="x")
    assert sns.publish(TargetArn=topic, Message="x")["MessageId"]


# batches


def entries(*texts):
    return [{"Id": str(n), "Message": body} for n, body in enumerate(texts)]


def test_a_batchs_entries_succeed_and_fail_on_their_own(sns, topic, queue, received):
    url, arn = queue("orders")
    subscribe(sns, topic, arn, RawMessageDelivery="true")
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries("a", "", "c"))
    assert [each["Id"] for each in answer["Successful"]] == ["0", "2"]
    assert answer["Failed"] == [
        {"Id": "1", "Code": "InvalidParameter", "Message": "Invalid parameter: Empty message", "SenderFault": True}
    ]
    assert sorted(message["Body"] for message in received(url)) == ["a", "c"]


def test_batches_are_checked(sns, topic):
    def batch(listed):
        return {"TopicArn": topic, "PublishBatchRequestEntries": listed}

    refused(sns.publish_batch, "EmptyBatchRequest", **batch([]))
    sns.publish_batch(**batch(entries(*"0123456789")))
    refused(sns.publish_batch, "TooManyEntriesInBatchRequest", **batch(entries(*"0123456789x")))
    refused(sns.publish_batch, "BatchEntryIdsNotDistinct", **batch(entries("a") * 2))
    for bad in ("", "a b", "x" * 81):
        refused(sns.publish_batch, "InvalidBatchEntryId", **batch([{"Id": bad, "Message": "x"}]))
    sns.publish_batch(**batch(entries("x" * 131_072, "x" * 131_072)))
    refused(sns.publish_batch, "BatchRequestTooLong", **batch(entries("x" * 131_072, "x" * 131_073)))
    missing = {"TopicArn": topic + "x", "PublishBatchRequestEntries": entries("a")}
    refused(sns.publish_batch, "NotFound", **missing)


# FIFO


@pytest.fixture
def fifo(sns):
    return sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]


def test_a_fifo_topic_keeps_order_and_ids_to_a_fifo_queue(sns, fifo, queue, received):
    url, arn = queue("orders.fifo")
    subscribe(sns, fifo, arn)
    numbers = []
    for n in range(12):
        sent = sns.publish(TopicArn=fifo, Message=str(n), MessageGroupId=f"g{n % 2}", MessageDeduplicationId=f"d{n}")
        numbers.append(sent["SequenceNumber"])
    assert numbers == sorted(set(numbers)) and {len(number) for number in numbers} == {20}
    got = received(url)
    for group in ("g0", "g1"):
        mine = [message for message in got if message["Attributes"]["MessageGroupId"] == group]
        bodies = [json.loads(message["Body"]) for message in mine]
        assert [int(body["Message"]) for body in bodies] == list(range(int(group[1]), 12, 2))
        assert [body["SequenceNumber"] for body in bodies] == numbers[int(group[1]) :: 2]
    assert {message["Attributes"]["MessageDeduplicationId"] for message in got} == {f"d{n}" for n in range(12)}


def test_a_duplicate_is_accepted_and_not_delivered_for_five_minutes(sns, clock, fifo, queue, received):
    url, arn = queue("orders.fifo")
    subscribe(sns, fifo, arn, RawMessageDelivery="true")
    message = {"TopicArn": fifo, "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = sns.publish(**message, Message="one")
    clock.advance(299.5)
    again = sns.publish(**message, Message="two")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    clock.advance(0.5)
    sns.publish(**message, Message="three")
    assert [each["Body"] for each in received(url)] == ["one", "three"]


def test_content_based_deduplication_looks_at_the_body_alone(sns, fifo, queue, received):
    url, arn = queue("orders.fifo")
    subscribe(sns, fifo, arn, RawMessageDelivery="true")
    request = {"TopicArn": fifo, "Message": "same", "MessageGroupId": "g"}
    refused(sns.publish, "InvalidParameter", "ContentBasedDeduplication enabled or", **request)
    sns.set_topic_attributes(TopicArn=fifo, AttributeName="ContentBasedDeduplication", AttributeValue="true")
    sns.publish(**request)
    sns.publish(**request, MessageAttributes={"a": text("x")})
    sns.publish(**{**request, "Message": "other"})
    assert [each["Body"] for each in received(url)] == ["same", "other"]


def test_the_throughput_scope_says_where_ids_are_duplicates(sns, fifo):
    message = {"TopicArn": fifo, "Message": "x", "MessageDeduplicationId": "d"}
    first = sns.publish(**message, MessageGroupId="a")
    assert sns.publish(**message, MessageGroupId="b")["MessageId"] == first["MessageId"]
    sns.set_topic_attributes(TopicArn=fifo, AttributeName="FifoThroughputScope", AttributeValue="MessageGroup")
    first = sns.publish(**message, MessageGroupId="a")
    assert sns.publish(**message, MessageGroupId="a")["MessageId"] == first["MessageId"]
    assert sns.publish(**message, MessageGroupId="b")["MessageId"] != first["MessageId"]


def test_a_new_topic_of_the_same_name_knows_no_ids(sns, fifo):
    message = {"TopicArn": fifo, "Message": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = sns.publish(**message)
    sns.delete_topic(TopicArn=fifo)
    sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})
    assert sns.publish(**message)["MessageId"] != first["MessageId"]


def test_ids_of_fifo_messages_are_checked(sns, fifo, topic):
    refused(
        sns.publish, "InvalidParameter", "MessageGroupId parameter is required", TopicArn=fifo, Message="x",
        MessageDeduplicationId="d",
    )  # fmt: skip
    for bad in ("x" * 129, "a b", "\u00e9"):
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
        for member in ids:
            request = {"TopicArn": fifo, "Message": "x", **ids, member: bad}
            refused(sns.publish, "InvalidParameter", member, **request)
    longest = {"MessageGroupId": "x" * 128, "MessageDeduplicationId": "y" * 128}
    sns.publish(TopicArn=fifo, Message="x", **longest)
    refused(
        sns.publish, "InvalidParameter", "not valid for this topic type", TopicArn=topic, Message="x",
        MessageDeduplicationId="d",
    )  # fmt: skip


def test_batches_to_a_fifo_topic_keep_their_order_and_drop_duplicates(sns, fifo, queue, received):
    url, arn = queue("orders.fifo")
    subscribe(sns, fifo, arn, RawMessageDelivery="true")
    listed = [
        {**entry, "MessageGroupId": "g", "MessageDeduplicationId": entry["Message"]} for entry in entries(*"abac")
    ]
    answer = sns.publish_batch(TopicArn=fifo, PublishBatchRequestEntries=listed)
    ids = [each["MessageId"] for each in answer["Successful"]]
    assert ids[0] == ids[2] and len(set(ids)) == 3
    assert [each["Body"] for each in received(url)] == ["a", "b", "c"]


def test_a_standard_queue_takes_messages_of_a_fifo_topic(sns, fifo, queue, received):
    url, arn = queue("orders")
    subscribe(sns, fifo, arn, RawMessageDelivery="true")
    sns.publish(TopicArn=fifo, Message="x", MessageGroupId="g", MessageDeduplicationId="d")
    assert [each["Body"] for each in received(url)] == ["x"]


# what people get


def test_text_messages_go_to_the_outbox(sns, topic, outbox):
    sent = sns.publish(PhoneNumber="+4915112345678", Message="Your code is 1234")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Bookshop of the town")
    subscribe(sns, topic, "+4915187654321", "sms")
    sns.publish(TopicArn=topic, Message="Closed today")
    direct, by_topic = outbox()
    assert (direct["To"], direct["Body"], direct["MessageId"]) == (
        "+4915112345678",
        "Your code is 1234",
        sent["MessageId"],
    )
    assert (by_topic["To"], by_topic["Body"]) == ("+4915187654321", "Bookshop o> Closed today")
    refused(sns.publish, "InvalidParameter", "is not valid to publish to", PhoneNumber="911", Message="x")
    refused(sns.publish, "InvalidParameter", "too long", PhoneNumber="+4915112345678", Message="x" * 1601)


def test_emails_go_to_the_outbox(sns, topic, outbox, opened):
    for protocol in ("email", "email-json"):
        subscribe(sns, topic, "a@example.org", protocol)
        opened(outbox()[-1])
    sns.publish(TopicArn=topic, Message="hello", Subject="Hi")
    plain, structured = sorted(outbox()[-2:], key=lambda message: message["Protocol"])
    assert (plain["Protocol"], plain["To"], plain["Subject"]) == ("email", "a@example.org", "Hi")
    assert plain["Body"].startswith("hello\n") and "Action=Unsubscribe" in plain["Body"]
    assert json.loads(structured["Body"])["Message"] == "hello"


def test_the_outbox_is_asked_for_one_recipient_account_or_region(aws, cloud, sns, outbox):
    sns.publish(PhoneNumber="+4915112345678", Message="a")
    sns.publish(PhoneNumber="+4915187654321", Message="b")
    aws("sns", region_name="eu-west-1").publish(PhoneNumber="+4915112345678", Message="c")
    aws("sns", aws_access_key_id="111111111111").publish(PhoneNumber="+4915112345678", Message="d")
    assert [message["Body"] for message in outbox()] == ["a", "b"]
    assert [message["Body"] for message in outbox("?to=%2B4915187654321")] == ["b"]
    assert [message["Body"] for message in outbox("?region=eu-west-1")] == ["c"]
    assert [message["Body"] for message in outbox("?account=111111111111")] == ["d"]


@pytest.fixture
def outbox(cloud):
    """The messages in the outbox."""
    import urllib.request

    def look(query=""):
        with urllib.request.urlopen(f"{cloud.endpoint}/_cumulet/outbox{query}") as answer:
            return json.load(answer)["Messages"]

    return look


@pytest.fixture
def opened():
    """Visits the link in an outgoing message."""
    import re
    import urllib.request

    def visit(message):
        link = re.search(r"http://\S+?Action=ConfirmSubscription[^\s\"]+", message["Body"])
        with urllib.request.urlopen(link[0]) as answer:
            return answer.read().decode()

    return visit
