"""SQS queues: creating, finding, describing, changing, purging, deleting; tags and permissions."""

import json

import pytest

from tests.services.sqs_client import ACCOUNT, ARN, NO_QUEUE, attributes, refused


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName="q")["QueueUrl"]


def test_a_queues_url_is_built_from_the_host_that_the_client_used(sqs, cloud):
    made = sqs.create_queue(QueueName="q")["QueueUrl"]
    assert made == f"{cloud.endpoint}/{ACCOUNT}/q"
    assert sqs.get_queue_url(QueueName="q")["QueueUrl"] == made
    assert sqs.get_queue_url(QueueName="q", QueueOwnerAWSAccountId=ACCOUNT)["QueueUrl"] == made


def test_any_host_in_a_queue_url_and_a_name_alone_find_the_queue(sqs, url):
    for form in (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q", f"http://localhost:9/{ACCOUNT}/q", "q"):
        sqs.send_message(QueueUrl=form, MessageBody="hi")
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "3"
    refused("InvalidAddress", sqs.send_message, QueueUrl="http://localhost/q", MessageBody="hi")


def test_a_queue_that_is_not_there_is_reported_in_awss_words(sqs):
    url = f"http://localhost/{ACCOUNT}/nowhere"
    for call, request in (
        (sqs.send_message, {"MessageBody": "x"}),
        (sqs.receive_message, {}),
        (sqs.delete_message, {"ReceiptHandle": "x"}),
        (sqs.get_queue_attributes, {}),
        (sqs.delete_queue, {}),
        (sqs.purge_queue, {}),
        (sqs.list_queue_tags, {}),
    ):
        assert refused(NO_QUEUE, call, QueueUrl=url, **request) == "The specified queue does not exist."
    assert refused(NO_QUEUE, sqs.get_queue_url, QueueName="nowhere") == "The specified queue does not exist."
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="nowhere")


def test_queues_of_other_regions_and_accounts_are_others(sqs, aws, url):
    other = aws("sqs", region_name="eu-west-1")
    refused(NO_QUEUE, other.get_queue_url, QueueName="q")
    assert "QueueUrls" not in other.list_queues()
    stranger = aws("sqs", aws_access_key_id="123456789012")
    refused(NO_QUEUE, stranger.get_queue_url, QueueName="q")
    assert stranger.get_queue_url(QueueName="q", QueueOwnerAWSAccountId=ACCOUNT)["QueueUrl"] == url


def test_a_new_queue_has_awss_defaults(sqs, url, clock):
    now = str(int(clock.now()))
    assert attributes(sqs, url) == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "CreatedTimestamp": now,
        "DelaySeconds": "0",
        "LastModifiedTimestamp": now,
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"{ARN}:q",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    assert attributes(sqs, url, "QueueArn", "DelaySeconds") == {"QueueArn": f"{ARN}:q", "DelaySeconds": "0"}
    assert attributes(sqs, url, "Policy") == {}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])


def test_creating_a_queue_again_gives_the_same_one_unless_an_attribute_differs(sqs, url):
    first = sqs.create_queue(QueueName="a", Attributes={"VisibilityTimeout": "40"})["QueueUrl"]
    assert sqs.create_queue(QueueName="a", Attributes={"VisibilityTimeout": "40"})["QueueUrl"] == first
    assert sqs.create_queue(QueueName="a")["QueueUrl"] == first
    message = refused("QueueAlreadyExists", sqs.create_queue, QueueName="a", Attributes={"VisibilityTimeout": "41"})
    assert message == "A queue already exists with the same name and a different value for attribute VisibilityTimeout"


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 80])
def test_queue_names_that_aws_takes(sqs, name):
    assert sqs.create_queue(QueueName=name)["QueueUrl"].endswith(f"/{name}")


@pytest.mark.parametrize("name", ["", "x" * 81, "a b", "a.fifo", "ä", "a/b"])
def test_queue_names_that_aws_refuses(sqs, name):
    message = refused("InvalidParameterValue", sqs.create_queue, QueueName=name)
    assert message == "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


def test_a_fifo_queues_name_ends_with_fifo_within_80_characters(sqs):
    fifo = {"FifoQueue": "true"}
    made = sqs.create_queue(QueueName="x" * 75 + ".fifo", Attributes=fifo)["QueueUrl"]
    found = attributes(sqs, made)
    assert {name: found[name] for name in ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")} == {
        "FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue",
    }  # fmt: skip
    for name in ("x" * 76 + ".fifo", "plain", ".fifo"):
        message = refused("InvalidParameterValue", sqs.create_queue, QueueName=name, Attributes=fifo)
        assert message.startswith("The name of a FIFO queue can only include")


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("DelaySeconds", 0, 900),
        ("MaximumMessageSize", 1024, 1_048_576),
        ("MessageRetentionPeriod", 60, 1_209_600),
        ("ReceiveMessageWaitTimeSeconds", 0, 20),
        ("VisibilityTimeout", 0, 43_200),
    ],
)
def test_every_number_of_a_queue_has_its_range(sqs, url, name, low, high):
    for value in (low, high):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(value)})
        assert attributes(sqs, url)[name] == str(value)
    for value in (str(low - 1), str(high + 1), "", "many", "1.5", "\u0663", "1" * 5000):
        message = refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})
        assert message == f"Invalid value for the parameter {name}."
        refused("InvalidAttributeValue", sqs.create_queue, QueueName="other", Attributes={name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Colour", "blue"),
        ("QueueArn", "x"),
        ("FifoQueue", "true"),
        ("ContentBasedDeduplication", "true"),
        ("FifoThroughputLimit", "perQueue"),
        ("CreatedTimestamp", "1"),
    ],
)
def test_what_cannot_be_set_on_a_standard_queue_is_refused(sqs, url, name, value):
    message = refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})
    assert message == f"Unknown Attribute {name}."


def test_high_throughput_needs_deduplication_within_the_group(sqs):
    fifo = sqs.create_queue(QueueName="f.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    high = {"FifoThroughputLimit": "perMessageGroupId"}
    refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=fifo, Attributes=high)
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={**high, "DeduplicationScope": "messageGroup"})
    assert attributes(sqs, fifo)["FifoThroughputLimit"] == "perMessageGroupId"
    refused(
        "InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=fifo, Attributes={"DeduplicationScope": "queue"}
    )
    for name in ("DeduplicationScope", "FifoThroughputLimit", "ContentBasedDeduplication"):
        refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=fifo, Attributes={name: "sometimes"})


def test_one_encryption_takes_the_place_of_the_other(sqs, url):
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    found = attributes(sqs, url)
    names = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")
    assert [found[name] for name in names] == ["alias/aws/sqs", "300", "false"]
    for value in ("59", "86401"):
        refused(
            "InvalidAttributeValue", sqs.set_queue_attributes,
            QueueUrl=url, Attributes={"KmsDataKeyReusePeriodSeconds": value},
        )  # fmt: skip
    both = {"SqsManagedSseEnabled": "true", "KmsMasterKeyId": "alias/aws/sqs"}
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes=both)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert "KmsMasterKeyId" not in attributes(sqs, url)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "false", "KmsMasterKeyId": ""})
    assert attributes(sqs, url)["SqsManagedSseEnabled"] == "false"


def test_a_policy_is_kept_and_an_empty_one_removes_it(sqs, url, clock):
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}]}
    )
    clock.advance(10)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    found = attributes(sqs, url)
    assert found["Policy"] == policy
    assert int(found["LastModifiedTimestamp"]) == int(found["CreatedTimestamp"]) + 10
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": "{"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in attributes(sqs, url)


def test_queues_are_listed_by_prefix_and_in_pages(sqs):
    assert "QueueUrls" not in sqs.list_queues()
    for n in range(12):
        sqs.create_queue(QueueName=f"job-{n:02d}")
    sqs.create_queue(QueueName="another")
    names = [url.rsplit("/", 1)[1] for url in sqs.list_queues(QueueNamePrefix="job-")["QueueUrls"]]
    assert names == [f"job-{n:02d}" for n in range(12)]
    pages = list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix="job", PaginationConfig={"PageSize": 5}))
    assert [len(page["QueueUrls"]) for page in pages] == [5, 5, 2]
    assert len({url for page in pages for url in page["QueueUrls"]}) == 12
    assert len(sqs.list_queues()["QueueUrls"]) == 13
    for wrong in (0, 1001):
        refused("InvalidParameterValue", sqs.list_queues, MaxResults=wrong)


def test_a_deleted_queues_name_is_free_after_60_seconds(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="old")
    sqs.delete_queue(QueueUrl=url)
    refused(NO_QUEUE, sqs.get_queue_url, QueueName="q")
    clock.advance(59)
    message = refused("AWS.SimpleQueueService.QueueDeletedRecently", sqs.create_queue, QueueName="q")
    assert (
        message == "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    )
    clock.advance(1)
    assert sqs.create_queue(QueueName="q")["QueueUrl"] == url
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "0"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_purge_empties_a_queue_once_in_60_seconds(sqs, url, clock):
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), DelaySeconds=n)
    flying = sqs.receive_message(QueueUrl=url)["Messages"][0]
    sqs.purge_queue(QueueUrl=url)
    found = attributes(sqs, url)
    assert [value for name, value in found.items() if name.startswith("Approximate")] == ["0", "0", "0"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=flying["ReceiptHandle"])
    sqs.send_message(QueueUrl=url, MessageBody="new")
    clock.advance(59)
    message = refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purge_queue, QueueUrl=url)
    assert message == "Only one PurgeQueue operation on q is allowed every 60 seconds."
    clock.advance(1)
    assert [m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]] == ["new"]
    sqs.purge_queue(QueueUrl=url)


def test_tags_are_added_changed_listed_and_removed(sqs):
    url = sqs.create_queue(QueueName="q", tags={"team": "blue"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"team": "red", "empty": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "red", "empty": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["team", "unknown"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"empty": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["empty"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)


def test_tags_have_limits(sqs, url):
    sqs.tag_queue(QueueUrl=url, Tags={"k" * 128: "v" * 256, "a_b.c:d/e=f+g-h@i": "ü ñ"})
    for wrong in ({"k" * 129: "v"}, {"k": "v" * 257}, {"": "v"}, {"a#": "v"}, {"aws:mine": "v"}, {"AWS:mine": "v"}):
        refused("InvalidParameterValue", sqs.tag_queue, QueueUrl=url, Tags=wrong)
    sqs.tag_queue(QueueUrl=url, Tags={f"t{n}": "" for n in range(48)})
    refused("InvalidParameterValue", sqs.tag_queue, QueueUrl=url, Tags={"one": "more"})
    sqs.tag_queue(QueueUrl=url, Tags={"t1": "changed"})


def test_permissions_become_statements_of_the_policy(sqs, url):
    sqs.add_permission(QueueUrl=url, Label="send", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    sqs.add_permission(
        QueueUrl=url, Label="both", AWSAccountIds=["111122223333", "444455556666"], Actions=["SendMessage", "*"]
    )
    policy = json.loads(attributes(sqs, url)["Policy"])
    assert policy == {
        "Version": "2008-10-17",
        "Id": f"{ARN}:q/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "send",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": "SQS:SendMessage",
                "Resource": f"{ARN}:q",
            },
            {
                "Sid": "both",
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]},
                "Action": ["SQS:SendMessage", "SQS:*"],
                "Resource": f"{ARN}:q",
            },
        ],
    }
    sqs.remove_permission(QueueUrl=url, Label="send")
    assert [s["Sid"] for s in json.loads(attributes(sqs, url)["Policy"])["Statement"]] == ["both"]
    message = refused("InvalidParameterValue", sqs.remove_permission, QueueUrl=url, Label="send")
    assert message == "Value send for parameter Label is invalid. Reason: can't find label on existing policy."
    sqs.remove_permission(QueueUrl=url, Label="both")
    assert "Policy" not in attributes(sqs, url)


def test_permissions_have_limits(sqs, url):
    def add(code=None, **changes):
        request = {"QueueUrl": url, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["*"], **changes}
        return sqs.add_permission(**request) if code is None else refused(code, sqs.add_permission, **request)

    seven = ["SendMessage", "ReceiveMessage", "DeleteMessage", "PurgeQueue", "GetQueueUrl", "GetQueueAttributes"]
    seven.append("ChangeMessageVisibility")
    add(Label="l" * 80, Actions=seven)
    assert add("OverLimit", Actions=[*seven, "SendMessage"]) == "8 Actions were found, maximum allowed is 7."
    for owners in ("CreateQueue", "DeleteQueue", "SetQueueAttributes", "TagQueue", "StartMessageMoveTask"):
        reason = "Only the queue owner is allowed to invoke this action."
        text = f"Value SQS:{owners} for parameter ActionName is invalid. Reason: {reason}"
        assert add("InvalidParameterValue", Actions=["SendMessage", owners]) == text
    assert "Already exists" in add("InvalidParameterValue", Label="l" * 80)
    add("InvalidParameterValue", Label="l" * 81)
    add("InvalidParameterValue", Label="a b")
    add("InvalidParameterValue", Actions=["Dance"])
    add("InvalidParameterValue", AWSAccountIds=["42"])
    add(Label="many", AWSAccountIds=[f"{n:012d}" for n in range(50)])
    add("OverLimit", AWSAccountIds=[f"{n:012d}" for n in range(51)])
    for n in range(18):
        add(Label=f"s{n}")
    add("OverLimit", Label="s18")
    add("MissingParameter", Label="x", Actions=[])


def test_a_standard_queue_is_not_asked_for_with_fifo_queue_false(sqs):
    request = {"QueueName": "plain", "Attributes": {"FifoQueue": "false"}}
    assert refused("InvalidAttributeName", sqs.create_queue, **request) == "Unknown Attribute FifoQueue."


def test_lists_refuse_tokens_that_they_did_not_give(sqs, url):
    sqs.create_queue(QueueName="r")
    token = sqs.list_queues(MaxResults=1)["NextToken"]
    assert sqs.list_queues(MaxResults=1, NextToken=token)["QueueUrls"][0].endswith("/r")
    for wrong in ("q", "!!!", "YSBi", f"{token}="):
        refused("InvalidParameterValue", sqs.list_queues, MaxResults=1, NextToken=wrong)
        refused(
            "InvalidParameterValue", sqs.list_dead_letter_source_queues, QueueUrl=url, MaxResults=1, NextToken=wrong
        )


def statement(**changes):
    return {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*", **changes}


def policy(*statements, **changes):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **changes})


def conditions(count):
    return {"StringEquals": {f"aws:PrincipalTag/{n}": "x" for n in range(count)}}


@pytest.mark.parametrize(
    ("good", "bad", "text"),
    [
        (policy(*[statement()] * 20), policy(*[statement()] * 21), "21 Statements were found, maximum allowed is 20."),
        (
            policy(statement(Action=["sqs:SendMessage"] * 7)),
            policy(statement(Action=["sqs:SendMessage"] * 8)),
            "8 Actions were found, maximum allowed is 7.",
        ),
        (
            policy(statement(Principal={"AWS": [f"{n:012d}" for n in range(49)], "Service": "sns.amazonaws.com"})),
            policy(statement(Principal={"AWS": [f"{n:012d}" for n in range(50)], "Service": "sns.amazonaws.com"})),
            "51 Principals were found, maximum allowed is 50.",
        ),
        (
            policy(statement(Condition=conditions(10))),
            policy(statement(Condition={**conditions(10), "Bool": {"aws:SecureTransport": "true"}})),
            "11 Conditions were found, maximum allowed is 10.",
        ),
    ],
)
def test_policies_have_quotas(sqs, url, good, bad, text):
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": good})
    assert refused("OverLimit", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": bad}) == text
    assert refused("OverLimit", sqs.create_queue, QueueName="new", Attributes={"Policy": bad}) == text
    assert attributes(sqs, url)["Policy"] == good


def test_a_policy_has_8192_bytes(sqs, url):
    def of(size):
        return policy(statement(), Id="x" * (size - len(policy(statement(), Id=""))))

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": of(8192)})
    for text in (of(8193), of(8192 - 1).replace("xx", "é", 1)[:-1] + "  }"):
        assert len(text.encode()) == 8193
        refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": text})
    grant = {"QueueUrl": url, "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
    refused("InvalidAttributeValue", sqs.add_permission, Label="too-much", **grant)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"Statement":[]}',
        '{"Statement":"x"}',
        '{"Statement":[5]}',
        policy(statement(), Version="2013-10-17"),
        policy({"Action": "sqs:*"}),
        policy(statement(Effect="Maybe")),
        policy(statement(Principal=None)),
        policy(statement(Action=[])),
        policy(statement(Action=5)),
        policy(statement(Principal={"AWS": [5]})),
        policy(statement(Condition=[])),
        policy(statement(Condition={"Bool": "true"})),
        "[" * 5000,
    ],
)
def test_what_is_no_policy_is_refused(sqs, url, text):
    message = refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": text})
    assert message == "Invalid value for the parameter Policy."


def test_a_queues_policy_is_about_queues(sqs, url):
    for action in ("sns:Publish", "Send"):
        text = refused(
            "InvalidParameterValue",
            sqs.set_queue_attributes,
            QueueUrl=url,
            Attributes={"Policy": policy(statement(Action=action))},
        )
        assert text.startswith(f"Value {action} for parameter ActionName is invalid.")
    for action in ("*", "sqs:*", "SQS:Send*", ["sqs:SendMessage", "SQS:ReceiveMessage"]):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement(Action=action))})
    one = json.dumps({"Version": "2012-10-17", "Statement": statement(Sid="only")})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": one})
    sqs.add_permission(QueueUrl=url, Label="more", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    assert [each["Sid"] for each in json.loads(attributes(sqs, url)["Policy"])["Statement"]] == ["only", "more"]
