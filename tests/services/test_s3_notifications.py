"""S3's notifications over real sockets: who may be told of what, what he is told, and when nothing is said."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:told"
OVERLAP = "Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type"


class Told:
    """A bucket and a queue that is told of its events."""

    def __init__(self, aws: Any) -> None:
        self.s3, self.sqs = aws("s3"), aws("sqs")
        self.s3.create_bucket(Bucket="shop")
        self.url = self.sqs.create_queue(QueueName="told")["QueueUrl"]

    def tell(self, *events: str, arn: str = QUEUE, **more: Any) -> None:
        configuration = {
            "QueueArn": arn,
            "Events": list(events) or ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            **more,
        }
        self.put(QueueConfigurations=[configuration])

    def put(self, **configuration: Any) -> None:
        self.s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration=configuration)

    def bodies(self) -> list[dict[str, Any]]:
        """All messages in the queue; they are deleted."""
        found = []
        while got := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def records(self) -> list[dict[str, Any]]:
        return [record for body in self.bodies() for record in body.get("Records", [])]

    def names(self) -> list[tuple[str, str]]:
        return [(each["eventName"], each["s3"]["object"]["key"]) for each in self.records()]


@pytest.fixture
def told(aws: Any) -> Told:
    return Told(aws)


def refused(call: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    return dict(caught.value.response["Error"])


def test_a_queue_gets_a_test_event_and_then_the_event_in_aws_form(told: Told) -> None:
    told.tell("s3:ObjectCreated:*", Id="new-things")
    (test,) = told.bodies()
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", "shop")
    assert test.keys() == {"Service", "Event", "Time", "Bucket", "RequestId", "HostId"}
    put = told.s3.put_object(Bucket="shop", Key="red flower/é(1)~=.jpg", Body=b"12345")
    (record,) = told.records()
    assert record.keys() == {"eventVersion", "eventSource", "awsRegion", "eventTime", "eventName", "userIdentity",
                             "requestParameters", "responseElements", "s3"}  # fmt: skip
    assert (record["eventVersion"], record["eventSource"], record["awsRegion"]) == ("2.1", "aws:s3", "us-east-1")
    assert record["eventName"] == "ObjectCreated:Put" and record["eventTime"].endswith("Z")
    assert record["userIdentity"] == {"principalId": f"AWS:{ACCOUNT}"}
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    assert record["responseElements"] == {name: headers[name] for name in ("x-amz-request-id", "x-amz-id-2")}
    s3 = record["s3"]
    assert (s3["s3SchemaVersion"], s3["configurationId"]) == ("1.0", "new-things")
    assert s3["bucket"]["name"] == "shop" and s3["bucket"]["arn"] == "arn:aws:s3:::shop"
    thing = s3["object"]
    assert thing["key"] == "red+flower/%C3%A9%281%29%7E%3D.jpg"
    assert urllib.parse.unquote_plus(thing["key"]) == "red flower/é(1)~=.jpg"
    assert (thing["size"], thing["eTag"]) == (5, put["ETag"].strip('"'))
    assert "versionId" not in thing and int(thing["sequencer"], 16) > 0


def test_every_kind_of_write_has_its_event(told: Told) -> None:
    told.tell("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    s3 = told.s3
    s3.put_object(Bucket="shop", Key="a", Body=b"1")
    s3.copy_object(Bucket="shop", Key="b", CopySource="shop/a")
    upload = s3.create_multipart_upload(Bucket="shop", Key="c")["UploadId"]
    part = s3.upload_part(Bucket="shop", Key="c", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="shop", Key="c", UploadId=upload, MultipartUpload=parts)
    s3.put_object_tagging(Bucket="shop", Key="a", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    s3.delete_object_tagging(Bucket="shop", Key="a")
    form = s3.generate_presigned_post("shop", "d")
    boundary = "x" * 20
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in [*form["fields"].items(), ("file", "hello")]
    )
    request = urllib.request.Request(
        form["url"],
        f"{fields}--{boundary}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    urllib.request.urlopen(request, timeout=60).close()
    s3.delete_object(Bucket="shop", Key="a")
    s3.delete_object(Bucket="shop", Key="a")  # nothing is there any more
    s3.delete_objects(Bucket="shop", Delete={"Objects": [{"Key": "b"}, {"Key": "none"}]})
    assert told.names() == [
        ("ObjectCreated:Put", "a"),
        ("ObjectCreated:Copy", "b"),
        ("ObjectCreated:CompleteMultipartUpload", "c"),
        ("ObjectTagging:Put", "a"),
        ("ObjectTagging:Delete", "a"),
        ("ObjectCreated:Post", "d"),
        ("ObjectRemoved:Delete", "a"),
        ("ObjectRemoved:Delete", "b"),
    ]


def test_versions_and_delete_markers_are_named_and_sequencers_rise(told: Told) -> None:
    told.s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    told.tell()
    told.bodies()
    put = told.s3.put_object(Bucket="shop", Key="a", Body=b"1")
    marker = told.s3.delete_object(Bucket="shop", Key="a")
    told.s3.delete_object(Bucket="shop", Key="a", VersionId=marker["VersionId"])
    told.s3.delete_object(Bucket="shop", Key="a", VersionId=put["VersionId"])
    records = told.records()
    things = [each["s3"]["object"] for each in records]
    assert [each["eventName"].partition(":")[2] for each in records] == [
        "Put",
        "DeleteMarkerCreated",
        "Delete",
        "Delete",
    ]
    versions = [put["VersionId"], marker["VersionId"], marker["VersionId"], put["VersionId"]]
    assert [each["versionId"] for each in things] == versions
    assert "size" not in things[1] and things[1]["eTag"] == "d41d8cd98f00b204e9800998ecf8427e"
    assert "size" not in things[2] and "eTag" not in things[2]
    sequencers = [int(each["sequencer"], 16) for each in things]
    assert sequencers == sorted(set(sequencers))


def test_prefix_and_suffix_choose_keys(told: Told) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    told.tell("s3:ObjectCreated:Put", Filter={"Key": {"FilterRules": rules}})
    told.bodies()
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg", "in/.jpg"):
        told.s3.put_object(Bucket="shop", Key=key, Body=b"")
    told.s3.copy_object(Bucket="shop", Key="in/b.jpg", CopySource="shop/in/a.jpg")
    assert told.names() == [("ObjectCreated:Put", "in/a.jpg"), ("ObjectCreated:Put", "in/.jpg")]
    got = told.s3.get_bucket_notification_configuration(Bucket="shop")["QueueConfigurations"][0]
    assert got["QueueArn"] == QUEUE and got["Events"] == ["s3:ObjectCreated:Put"] and got["Id"]
    shown = [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".jpg"}]
    assert got["Filter"]["Key"]["FilterRules"] == shown
    again = told.s3.get_bucket_notification_configuration(Bucket="shop")  # what is shown can be put
    told.put(QueueConfigurations=again["QueueConfigurations"])


def test_a_refused_write_is_no_event(told: Told) -> None:
    told.s3.put_object(Bucket="shop", Key="a", Body=b"1")
    told.tell()
    told.bodies()
    refused(lambda: told.s3.put_object(Bucket="shop", Key="a", Body=b"2", IfNoneMatch="*"))
    refused(lambda: told.s3.put_object(Bucket="shop", Key="a", Body=b"2", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="))
    refused(lambda: told.s3.copy_object(Bucket="shop", Key="b", CopySource="shop/none"))
    assert told.records() == []


def test_an_empty_configuration_turns_notifications_off(told: Told) -> None:
    told.tell()
    told.put()
    told.bodies()
    told.s3.put_object(Bucket="shop", Key="a", Body=b"1")
    assert told.bodies() == []
    got = told.s3.get_bucket_notification_configuration(Bucket="shop")
    assert got.keys() == {"ResponseMetadata"}


def configuration(events: list[str], prefix: str = "", suffix: str = "") -> dict[str, Any]:
    rules = [{"Name": name, "Value": value} for name, value in (("prefix", prefix), ("suffix", suffix)) if value]
    return {"QueueArn": QUEUE, "Events": events, **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})}


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (configuration(["s3:ObjectCreated:*"]), configuration(["s3:ObjectCreated:Put"]), True),
        (configuration(["s3:ObjectCreated:Copy"]), configuration(["s3:ObjectCreated:Put"]), False),
        (configuration(["s3:ObjectCreated:*"], "a/"), configuration(["s3:ObjectCreated:*"], "b/"), False),
        (configuration(["s3:ObjectCreated:*"], "a/"), configuration(["s3:ObjectCreated:*"], "a/b"), True),
        (
            configuration(["s3:ObjectCreated:*"], "a/", ".jpg"),
            configuration(["s3:ObjectCreated:*"], "a", ".png"),
            False,
        ),
        (configuration(["s3:ObjectCreated:*"], "", ".jpg"), configuration(["s3:ObjectCreated:*"], "a", "x.jpg"), True),
        (configuration(["s3:ObjectCreated:*"], "a"), configuration(["s3:ObjectCreated:*"], "", ".jpg"), True),
    ],
)
def test_configurations_of_one_event_may_not_overlap(told: Told, one: Any, other: Any, overlap: bool) -> None:
    if not overlap:
        told.put(QueueConfigurations=[one, other])
        return
    error = refused(lambda: told.put(QueueConfigurations=[one, other]))
    assert error["Code"] == "InvalidArgument" and OVERLAP in error["Message"]


def test_overlaps_count_across_kinds_of_destinations(told: Told, aws: Any) -> None:
    topic = aws("sns").create_topic(Name="told")["TopicArn"]
    one = configuration(["s3:ObjectCreated:*"])
    other = {"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}
    error = refused(lambda: told.put(QueueConfigurations=[one], TopicConfigurations=[other]))
    assert OVERLAP in error["Message"]


def test_a_hundred_configurations_and_no_more(told: Told) -> None:
    told.put(QueueConfigurations=[configuration(["s3:ObjectCreated:*"], f"{number:03}/") for number in range(100)])
    many = [configuration(["s3:ObjectCreated:*"], f"{number:03}/") for number in range(101)]
    assert refused(lambda: told.put(QueueConfigurations=many))["Code"] == "InvalidArgument"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            [{"Name": "prefix", "Value": "a"}, {"Name": "prefix", "Value": "b"}],
            "Cannot specify more than one prefix rule",
        ),
        ([{"Name": "suffix", "Value": "x" * 1025}], "Size of filter rule value cannot exceed 1024 bytes"),
    ],
)
def test_filter_rules_are_checked(told: Told, rules: Any, message: str) -> None:
    error = refused(lambda: told.tell(Filter={"Key": {"FilterRules": rules}}))
    assert error["Code"] == "InvalidArgument" and message in error["Message"]


def test_a_filter_value_of_1024_bytes_is_taken(told: Told) -> None:
    told.tell(Filter={"Key": {"FilterRules": [{"Name": "prefix", "Value": "x" * 1024}]}})


def test_an_id_has_255_characters_at_most(told: Told) -> None:
    told.tell(Id="i" * 255)
    assert "255" in refused(lambda: told.tell(Id="i" * 256))["Message"]


@pytest.mark.parametrize(
    ("member", "arn", "reason"),
    [
        ("Queue", f"arn:aws:sqs:us-east-1:{ACCOUNT}:none", "The destination queue does not exist"),
        ("Topic", f"arn:aws:sns:us-east-1:{ACCOUNT}:none", "The destination topic does not exist"),
        ("LambdaFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:none", "Not authorized to invoke function"),
        ("Queue", f"arn:aws:sqs:us-east-1:{ACCOUNT}:told.fifo", "The destination queue is a FIFO queue"),
    ],
)
def test_destinations_must_be_there(told: Told, member: str, arn: str, reason: str) -> None:
    each = {f"{member}Arn": arn, "Events": ["s3:ObjectCreated:*"]}
    error = refused(lambda: told.put(**{f"{member}Configurations": [each]}))
    assert (error["Code"], error["Message"]) == (
        "InvalidArgument",
        "Unable to validate the following destination configurations",
    )
    assert error["ArgumentValue1"].startswith(reason) and arn in error["ArgumentName1"]
    told.s3.put_bucket_notification_configuration(
        Bucket="shop", NotificationConfiguration={f"{member}Configurations": [each]}, SkipDestinationValidation=True
    )


@pytest.mark.parametrize(
    "arn", ["told", "arn:aws:sns:us-east-1:000000000000:told", "arn:aws:sqs:eu-west-1:000000000000:told"]
)
def test_a_destination_is_an_arn_of_its_service_and_region(told: Told, arn: str) -> None:
    assert refused(lambda: told.tell(arn=arn))["Code"] == "InvalidArgument"


def test_a_bucket_that_is_not_there_has_no_notifications(told: Told) -> None:
    error = refused(lambda: told.s3.get_bucket_notification_configuration(Bucket="none"))
    assert error["Code"] == "NoSuchBucket"


def test_a_topic_gets_the_message_with_its_subject(told: Told, aws: Any) -> None:
    sns = aws("sns")
    topic = sns.create_topic(Name="told")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    told.put(TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}])
    told.s3.put_object(Bucket="shop", Key="a", Body=b"1")
    test, event = told.bodies()
    assert json.loads(test["Message"])["Event"] == "s3:TestEvent"
    assert event["Subject"] == "Amazon S3 Notification"
    assert json.loads(event["Message"])["Records"][0]["s3"]["object"]["key"] == "a"


def test_eventbridge_gets_every_event_without_being_asked_which(told: Told, aws: Any) -> None:
    events = aws("events")
    events.put_rule(
        Name="all", EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": ["shop"]}}})
    )
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": QUEUE}])
    told.put(EventBridgeConfiguration={})
    assert told.s3.get_bucket_notification_configuration(Bucket="shop")["EventBridgeConfiguration"] == {}
    s3 = told.s3
    s3.put_object(Bucket="shop", Key="a b", Body=b"123")
    s3.put_object_tagging(Bucket="shop", Key="a b", Tagging={"TagSet": []})
    s3.delete_object_tagging(Bucket="shop", Key="a b")
    s3.delete_object(Bucket="shop", Key="a b")
    s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket="shop", Key="b")
    got = told.bodies()
    kinds = ["Object Created", "Object Tags Added", "Object Tags Deleted", "Object Deleted", "Object Deleted"]
    assert [each["detail-type"] for each in got] == kinds
    first = got[0]
    assert (first["source"], first["account"], first["resources"]) == ("aws.s3", ACCOUNT, ["arn:aws:s3:::shop"])
    detail = first["detail"]
    assert (detail["version"], detail["bucket"], detail["reason"]) == ("0", {"name": "shop"}, "PutObject")
    assert (detail["requester"], detail["source-ip-address"]) == (ACCOUNT, "127.0.0.1") and detail["request-id"]
    sequencer = detail["object"].pop("sequencer")
    assert sequencer and detail["object"] == {"key": "a b", "size": 3, "etag": "202cb962ac59075b964b07152d234b70"}
    assert (got[3]["detail"]["reason"], got[3]["detail"]["deletion-type"]) == ("DeleteObject", "Permanently Deleted")
    assert got[4]["detail"]["deletion-type"] == "Delete Marker Created" and got[4]["detail"]["object"]["version-id"]


def test_who_wrote_is_told_by_his_unique_id(told: Told, aws: Any) -> None:
    told.tell()
    told.bodies()
    iam = aws("iam")
    user = iam.create_user(UserName="anna")["User"]
    key = iam.create_access_key(UserName="anna")["AccessKey"]
    anna = aws("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    anna.put_object(Bucket="shop", Key="a", Body=b"1")
    (record,) = told.records()
    assert record["userIdentity"] == {"principalId": f"AWS:{user['UserId']}"}


def test_a_destination_that_refuses_is_tried_again(told: Told, cloud: Any, clock: Any) -> None:
    told.tell()
    told.bodies()
    told.sqs.delete_queue(QueueUrl=told.url)
    told.s3.put_object(Bucket="shop", Key="a", Body=b"1")  # is stored nevertheless
    clock.advance(70)
    told.sqs.create_queue(QueueName="told")
    assert told.names() == []
    clock.advance(300)
    assert told.names() == [("ObjectCreated:Put", "a")]
    clock.advance(90_000)
    assert told.names() == []


def test_what_is_refused_for_a_day_or_has_no_configuration_any_more_is_given_up(
    told: Told, cloud: Any, clock: Any
) -> None:
    store = cloud.cloud.pipeline.store

    def waiting() -> int:
        return sum(b"notice" in key for key, _ in store.rows.between(b"", b"\xff", None, False))

    told.tell()
    told.sqs.delete_queue(QueueUrl=told.url)
    told.s3.put_object(Bucket="shop", Key="a", Body=b"1")
    clock.advance(86_000)
    assert waiting() > 0
    clock.advance(1000)
    assert waiting() == 0
    told.s3.put_object(Bucket="shop", Key="b", Body=b"1")
    told.put()
    clock.advance(2)
    assert waiting() == 0


FUNCTION = """
import boto3, json, urllib.parse
def handler(event, context):
    thing = event["Records"][0]["s3"]
    key = urllib.parse.unquote_plus(thing["object"]["key"])
    body = boto3.client("s3").get_object(Bucket=thing["bucket"]["name"], Key=key)["Body"].read().decode()
    boto3.client("s3").put_object(Bucket=thing["bucket"]["name"], Key=f"out/{key}", Body=body.upper())
"""


def test_a_function_runs_for_an_object_in_the_trace_of_the_put(told: Told, aws: Any, cloud: Any) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", FUNCTION)
    made = aws("lambda").create_function(
        FunctionName="upper", Runtime="python3.11", Handler="index.handler", Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Code={"ZipFile": package.getvalue()}, Timeout=60,
    )  # fmt: skip
    rules = [{"Name": "prefix", "Value": "in/"}]
    told.put(
        LambdaFunctionConfigurations=[
            {
                "LambdaFunctionArn": made["FunctionArn"],
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": rules}},
            }
        ]
    )
    told.s3.put_object(Bucket="shop", Key="in/a b.txt", Body=b"hello")
    cloud.quiet()
    assert told.s3.get_object(Bucket="shop", Key="out/in/a b.txt")["Body"].read() == b"HELLO"
    tracer = cloud.cloud.pipeline.tracer
    traces = [tracer.spans(each["trace_id"]) for each in tracer.traces(100)]
    puts = [[span for span in spans if span["name"] == "s3.PutObject"] for spans in traces]
    assert max(len(each) for each in puts) == 2  # the test's and the function's
