"""SQS's query protocol, which older SDKs and tools speak: forms in, XML out."""

import hashlib
import http.client
import re
import urllib.parse
from xml.etree import ElementTree

import pytest

TWICE = {f"DeleteMessageBatchRequestEntry.{n}.{m}": "same" for n in (1, 2) for m in ("Id", "ReceiptHandle")}
NS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00"


@pytest.fixture
def query(cloud):
    """Send a form; (status, the XML's root)."""
    host = cloud.endpoint.removeprefix("http://")

    def call(action, path="/", method="POST", **fields):
        form = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **fields})
        connection = http.client.HTTPConnection(host, timeout=60)
        headers = {"authorization": AUTHORIZATION, "content-type": "application/x-www-form-urlencoded"}
        if method == "GET":
            connection.request("GET", f"{path}?{form}", headers={"authorization": AUTHORIZATION})
        else:
            connection.request("POST", path, form, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.getheader("content-type").startswith("text/xml")
        return answer.status, ElementTree.fromstring(body)

    return call


def texts(root, name):
    return [element.text for element in root.iter(f"{NS}{name}")]


@pytest.fixture
def url(query):
    status, root = query(
        "CreateQueue", QueueName="q", **{"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "40"}
    )
    assert status == 200
    return texts(root, "QueueUrl")[0]


def test_a_message_goes_round_by_forms(query, url, cloud):
    assert url == f"{cloud.endpoint}/000000000000/q"
    fields = {
        "QueueUrl": url,
        "MessageBody": "héllo & <you>",
        "MessageAttribute.1.Name": "a",
        "MessageAttribute.1.Value.DataType": "Binary",
        "MessageAttribute.1.Value.BinaryValue": "AAE=",
        "MessageAttribute.2.Name": "b",
        "MessageAttribute.2.Value.DataType": "String",
        "MessageAttribute.2.Value.StringValue": "v",
    }
    status, root = query("SendMessage", **fields)
    assert status == 200
    assert root.tag == f"{NS}SendMessageResponse"
    assert texts(root, "MD5OfMessageBody") == [hashlib.md5("héllo & <you>".encode()).hexdigest()]
    assert texts(root, "RequestId")[0]
    status, root = query(
        "ReceiveMessage",
        QueueUrl=url,
        **{"AttributeName.1": "All", "MessageAttributeName.1": "All", "MaxNumberOfMessages": "10"},
    )
    assert texts(root, "Body") == ["héllo & <you>"]
    assert texts(root, "BinaryValue") == ["AAE="]
    (message,) = root.iter(f"{NS}Message")
    found = {a.findtext(f"{NS}Name"): a.findtext(f"{NS}Value") for a in message.findall(f"{NS}Attribute")}
    assert found["ApproximateReceiveCount"] == "1"
    handle = texts(root, "ReceiptHandle")[0]
    assert query("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout="0")[0] == 200
    status, root = query("ReceiveMessage", QueueUrl=url)
    status, root = query("DeleteMessage", QueueUrl=url, ReceiptHandle=texts(root, "ReceiptHandle")[0])
    assert (status, root.tag) == (200, f"{NS}DeleteMessageResponse")
    status, root = query("GetQueueAttributes", QueueUrl=url, **{"AttributeName.1": "All"})
    found = {a.findtext(f"{NS}Name"): a.findtext(f"{NS}Value") for a in root.iter(f"{NS}Attribute")}
    assert found["VisibilityTimeout"] == "40"
    assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_the_queue_may_be_in_the_path_and_the_request_a_get(query, url):
    path = urllib.parse.urlsplit(url).path
    assert query("SendMessage", path=path, MessageBody="by path")[0] == 200
    status, root = query("ReceiveMessage", path=path, method="GET")
    assert (status, texts(root, "Body")) == (200, ["by path"])


def test_batches_by_forms_report_each_entry(query, url):
    status, root = query(
        "SendMessageBatch",
        QueueUrl=url,
        **{
            "SendMessageBatchRequestEntry.1.Id": "good",
            "SendMessageBatchRequestEntry.1.MessageBody": "one",
            "SendMessageBatchRequestEntry.2.Id": "bad",
            "SendMessageBatchRequestEntry.2.MessageBody": "two",
            "SendMessageBatchRequestEntry.2.DelaySeconds": "901",
        },
    )
    assert status == 200
    (good,) = root.iter(f"{NS}SendMessageBatchResultEntry")
    (bad,) = root.iter(f"{NS}BatchResultErrorEntry")
    assert good.findtext(f"{NS}Id") == "good"
    assert (bad.findtext(f"{NS}Id"), bad.findtext(f"{NS}Code"), bad.findtext(f"{NS}SenderFault")) == (
        "bad",
        "InvalidParameterValue",
        "true",
    )
    _, root = query("ReceiveMessage", QueueUrl=url)
    status, root = query(
        "DeleteMessageBatch",
        QueueUrl=url,
        **{
            "DeleteMessageBatchRequestEntry.1.Id": "a",
            "DeleteMessageBatchRequestEntry.1.ReceiptHandle": texts(root, "ReceiptHandle")[0],
        },
    )
    assert texts(root, "Id") == ["a"]


@pytest.mark.parametrize(
    ("action", "fields", "code"),
    [
        ("GetQueueUrl", {"QueueName": "nowhere"}, "AWS.SimpleQueueService.NonExistentQueue"),
        ("SendMessage", {"QueueUrl": "{url}"}, "MissingParameter"),
        ("ReceiveMessage", {"QueueUrl": "{url}", "MaxNumberOfMessages": "11"}, "InvalidParameterValue"),
        ("DeleteMessage", {"QueueUrl": "{url}", "ReceiptHandle": "x"}, "ReceiptHandleIsInvalid"),
        ("DeleteMessageBatch", {"QueueUrl": "{url}", **TWICE}, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        ("CreateQueue", {"QueueName": "q", "Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "41"}, "QueueAlreadyExists"),
        ("SetQueueAttributes", {"QueueUrl": "{url}", "Attribute.1.Name": "Colour", "Attribute.1.Value": "x"}, "InvalidAttributeName"),
    ],
)  # fmt: skip
def test_errors_have_the_codes_of_the_query_protocol(query, url, action, fields, code):
    status, root = query(action, **{name: value.format(url=url) for name, value in fields.items()})
    assert status == 400
    error = root.find(f"{NS}Error")
    assert error.findtext(f"{NS}Code") == code
    assert error.findtext(f"{NS}Type") == "Sender"
    assert error.findtext(f"{NS}Message")


def test_a_queue_that_is_not_there_is_so_in_the_words_of_each_protocol(query, url, aws):
    _, root = query("SendMessage", QueueUrl=f"{url}-not", MessageBody="x")
    assert texts(root, "Message") == ["The specified queue does not exist for this wsdl version."]
    with pytest.raises(aws("sqs").exceptions.QueueDoesNotExist) as failure:
        aws("sqs").send_message(QueueUrl=f"{url}-not", MessageBody="x")
    assert failure.value.response["Error"]["Message"] == "The specified queue does not exist."


@pytest.mark.parametrize("action", ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
def test_a_batch_without_entries_is_empty(query, url, action):
    status, root = query(action, QueueUrl=url)
    assert (status, texts(root, "Code")) == (400, ["AWS.SimpleQueueService.EmptyBatchRequest"])
    assert texts(root, "Message") == [f"There should be at least one {action}RequestEntry in the request."]


def test_lists_and_maps_of_one_need_no_number(query, url):
    """boto 2 writes `AttributeName=All`, and `Attribute.Name=...&Attribute.Value=...`."""
    one = {"Attribute.Name": "VisibilityTimeout", "Attribute.Value": "35"}
    assert query("SetQueueAttributes", path="/000000000000/q", **one)[0] == 200
    _, root = query("GetQueueAttributes", path="/000000000000/q", AttributeName="VisibilityTimeout")
    assert (texts(root, "Name"), texts(root, "Value")) == (["VisibilityTimeout"], ["35"])
    _, root = query("GetQueueAttributes", path="/000000000000/q", AttributeName="All")
    assert len(texts(root, "Name")) > 9
    fields = {"Label": "l", "AWSAccountId": "111122223333", "ActionName": "SendMessage"}
    assert query("AddPermission", QueueUrl=url, **fields)[0] == 200
    tag = {"Tag.Key": "team", "Tag.Value": "blue"}
    assert query("TagQueue", QueueUrl=url, **tag)[0] == 200
    _, root = query("ListQueueTags", QueueUrl=url)
    assert (texts(root, "Key"), texts(root, "Value")) == (["team"], ["blue"])


def test_a_number_that_is_none_is_refused_in_plain_words(query, url):
    status, root = query("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages="many")
    assert (status, texts(root, "Code"), texts(root, "Message")) == (
        400,
        ["MalformedInput"],
        ["not an integer: 'many'"],
    )


def test_queues_tags_and_permissions_by_forms(query, url):
    assert query("TagQueue", QueueUrl=url, **{"Tag.1.Key": "team", "Tag.1.Value": "blue"})[0] == 200
    _, root = query("ListQueueTags", QueueUrl=url)
    assert (texts(root, "Key"), texts(root, "Value")) == (["team"], ["blue"])
    assert query("UntagQueue", QueueUrl=url, **{"TagKey.1": "team"})[0] == 200
    fields = {"Label": "l", "AWSAccountId.1": "111122223333", "ActionName.1": "SendMessage"}
    assert query("AddPermission", QueueUrl=url, **fields)[0] == 200
    assert query("RemovePermission", QueueUrl=url, Label="l")[0] == 200
    _, root = query("ListQueues", QueueNamePrefix="q")
    assert texts(root, "QueueUrl") == [url]
    assert query("PurgeQueue", QueueUrl=url)[0] == 200
    assert query("DeleteQueue", QueueUrl=url)[0] == 200
    _, root = query("ListQueues")
    assert texts(root, "QueueUrl") == []
    assert re.fullmatch(rf"{re.escape(NS)}ListQueuesResponse", root.tag)
