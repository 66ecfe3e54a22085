"""Queues and topics with KMS keys: what lies in the store, and what happens when the key cannot be used."""

import json

import pytest
from botocore.exceptions import ClientError

from cumulet.aws.errors import InternalFailure
from cumulet.services.sqs import sending

SECRET = "the secret text"


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def kms(aws):
    return aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture
def url(sqs, key):
    return sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


def stored(cloud, service):
    """Everything that a service has in the store, blobs too."""
    store = cloud.cloud.store

    async def read():
        tx = store.begin(None)
        rows = [value for _, value in tx.scan_bytes(b"", b"\xff") if value]
        return b"".join(rows) + b"".join(path.read_bytes() for path in store.blobs.folder.rglob("*") if path.is_file())

    return cloud.run(read())


def arn(url):
    return f"arn:aws:sqs:us-east-1:000000000000:{url.rsplit('/', 1)[1]}"


ATTRIBUTES = {
    "kind": {"DataType": "String", "StringValue": "attribute secret"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}


@pytest.mark.parametrize("size", [10, 3500, 20_000, 60_000, 200_000])
def test_body_and_attributes_are_sealed_in_the_store(sqs, cloud, url, size):
    body = SECRET + "x" * (size - 10)
    sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=ATTRIBUTES)
    found = stored(cloud, "sqs")
    assert SECRET.encode() not in found
    assert b"attribute secret" not in found
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert message["Body"] == body
    assert message["MessageAttributes"] == ATTRIBUTES
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_without_a_key_messages_are_stored_as_they_are(sqs, cloud):
    """What the test above looks for can be found."""
    url = sqs.create_queue(QueueName="plain")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    assert SECRET.encode() in stored(cloud, "sqs")


def test_a_disabled_key_stops_sending_and_receiving_when_the_data_key_is_no_longer_used(sqs, kms, key, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    kms.disable_key(KeyId=key)
    clock.advance(299)
    sqs.send_message(QueueUrl=url, MessageBody="by the data key of before")
    clock.advance(2)
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == "KMS.DisabledException"
    entries = [{"Id": "a", "MessageBody": "x"}]
    assert refused(sqs.send_message_batch, QueueUrl=url, Entries=entries) == "KMS.DisabledException"
    assert refused(sqs.receive_message, QueueUrl=url) == "KMS.DisabledException"
    kms.enable_key(KeyId=key)
    [message] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert (message["Body"], message["Attributes"]["ApproximateReceiveCount"]) == (SECRET, "1")


def test_the_reuse_period_is_the_queues(sqs, kms, key, url, clock):
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsDataKeyReusePeriodSeconds": "60"})
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    kms.disable_key(KeyId=key)
    clock.advance(59)
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    clock.advance(2)
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == "KMS.DisabledException"


def test_keys_that_cannot_be_used_have_names_of_their_own(sqs, kms, key, url, clock):
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == "KMS.InvalidStateException"
    clock.advance(7 * 86_400 + 1)
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == "KMS.NotFoundException"
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": mac})
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == "KMS.InvalidKeyUsageException"


def test_a_message_whose_key_is_gone_cannot_be_received(sqs, kms, key, url, clock):
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "1209600"})
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    clock.advance(7 * 86_400 + 1)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    assert refused(sqs.receive_message, QueueUrl=url) == "KMS.NotFoundException"


def test_the_key_of_sqs_is_made_at_its_first_use(sqs, kms, cloud):
    url = sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": "alias/aws/sqs"})["QueueUrl"]
    assert kms.list_aliases()["Aliases"] == []
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    assert [one["AliasName"] for one in kms.list_aliases()["Aliases"]] == ["alias/aws/sqs"]
    assert SECRET.encode() not in stored(cloud, "sqs")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == SECRET


def test_messages_keep_their_encryption_whatever_becomes_of_the_queue(sqs, kms, key, url, clock, cloud):
    sqs.send_message(QueueUrl=url, MessageBody="sealed")
    kms.rotate_key_on_demand(KeyId=key)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    sqs.send_message(QueueUrl=url, MessageBody="open")
    clock.advance(301)
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in got] == ["sealed", "open"]


def test_dead_letters_and_fifo_queues_are_encrypted_too(sqs, cloud, key, clock):
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})
    settings = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
        "KmsMasterKeyId": key,
        "RedrivePolicy": redrive,
    }
    url = sqs.create_queue(QueueName="q.fifo", Attributes=settings)["QueueUrl"]
    for number in range(2):
        sent = sqs.send_message(
            QueueUrl=url, MessageBody=SECRET + "x" * 5000, MessageGroupId="g", MessageAttributes=ATTRIBUTES
        )
        assert sent["SequenceNumber"], number
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    clock.advance(31)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert SECRET.encode() not in stored(cloud, "sqs")
    [message] = sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]) == (SECRET + "x" * 5000, ATTRIBUTES)


# topics


@pytest.fixture
def topic(aws, key):
    return aws("sns").create_topic(Name="t", Attributes={"KmsMasterKeyId": key})["TopicArn"]


def test_a_topic_with_a_key_shows_it_and_delivers(aws, sqs, kms, key, topic, clock):
    sns = aws("sns")
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"] == key
    queue = sqs.create_queue(QueueName="in")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(queue), Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message=SECRET)
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == SECRET
    kms.disable_key(KeyId=key)
    clock.advance(301)
    assert refused(sns.publish, TopicArn=topic, Message="x") == "KMSDisabled"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(sns.publish, TopicArn=topic, Message="x") == "KMSInvalidState"
    clock.advance(7 * 86_400 + 1)
    assert refused(sns.publish, TopicArn=topic, Message="x") == "KMSNotFound"
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a", "Message": "x"}])
    assert [failed["Code"] for failed in batch["Failed"]] == ["KMSNotFound"]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue="")
    sns.publish(TopicArn=topic, Message="x")


@pytest.fixture
def waiting(aws, sqs, topic, clock, monkeypatch):
    """Publishes to a queue that fails for the server's sake, so that the delivery waits; `waiting()` ends that, and gives the queues."""
    sns = aws("sns")
    queue = sqs.create_queue(QueueName="in")["QueueUrl"]
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(dead)})
    attributes = {"RawMessageDelivery": "true", "RedrivePolicy": policy}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(queue), Attributes=attributes)

    def broken(*arguments):
        raise InternalFailure("not now")

    monkeypatch.setattr(sending, "send", broken)
    sns.publish(TopicArn=topic, Message=SECRET, MessageAttributes={"kind": ATTRIBUTES["kind"]})

    def mend():
        monkeypatch.undo()
        clock.advance(120)
        return queue, dead

    return mend


def test_a_message_that_waits_in_sns_is_sealed(sqs, cloud, waiting):
    found = stored(cloud, "sns")
    assert SECRET.encode() not in found
    assert b"attribute secret" not in found
    [message] = sqs.receive_message(QueueUrl=waiting()[0], MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]) == (SECRET, {"kind": ATTRIBUTES["kind"]})


def test_a_delivery_whose_key_is_disabled_is_given_up(sqs, kms, key, cloud, waiting):
    kms.disable_key(KeyId=key)
    cloud.cloud.pipeline.volatile.pop("kms.opening", None)
    cloud.cloud.pipeline.volatile.pop("kms.sealing", None)
    for queue in waiting():
        assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    assert list(cloud.cloud.store.begin(None).scan_keys(("sns", "delivery"))) == []


def test_templates_set_keys(aws, clock):
    template = {
        "Resources": {
            "Key": {"Type": "AWS::KMS::Key"},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/aws/sns"}},
        },
        "Outputs": {"Queue": {"Value": {"Ref": "Queue"}}, "Topic": {"Value": {"Ref": "Topic"}}},
    }
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(template))
    clock.advance(60)
    stack = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    aws("sqs").send_message(QueueUrl=outputs["Queue"], MessageBody="x")
    aws("sns").publish(TopicArn=outputs["Topic"], Message="x")


def test_a_notification_is_signed_and_sealed_in_an_encrypted_queue(aws, sqs, key, url, cloud):
    sns = aws("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(url))
    sns.publish(TopicArn=topic, Message=SECRET)
    assert SECRET.encode() not in stored(cloud, "sqs")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    assert body["Message"] == SECRET
    assert len(body["Signature"]) == 172
    assert set(body["Signature"]) != {"-"}
