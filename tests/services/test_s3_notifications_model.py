"""One event for each change of an object, none for what changed nothing, against a model in plain dicts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cumulet.aws.errors import AwsError
from cumulet.services import s3, sqs
from cumulet.testing.inprocess import InProcess

QUEUE = "arn:aws:sqs:us-east-1:000000000000:told"
URL = "http://127.0.0.1/000000000000/told"
KEYS = st.sampled_from(["in/a.txt", "in/b.jpg", "out/a.txt", "in/"])
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]


class Events(RuleBasedStateMachine):
    """`keys` is key -> [(version, body or None for a marker)], newest first; `due` what must be in the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cloud = self.loop.run_until_complete(InProcess([s3.SERVICE, sqs.SERVICE]).__aenter__())
        self.keys: dict[str, list[tuple[str, bytes | None]]] = {}
        self.versioning = ""
        self.due: list[tuple[str, str, str]] = []
        self.sequencer = 0

    def call(self, operation: str, service: str = "s3", **request: Any) -> Any:
        return self.loop.run_until_complete(self.cloud.call(service, operation, request))

    @initialize()
    def begin(self) -> None:
        self.call("CreateQueue", "sqs", QueueName="told")
        self.call("CreateBucket", Bucket="shop")
        rules = [{"Name": "prefix", "Value": "in/"}]
        told = {"QueueArn": QUEUE, "Events": EVENTS, "Filter": {"Key": {"FilterRules": rules}}}
        self.call(
            "PutBucketNotificationConfiguration",
            Bucket="shop",
            NotificationConfiguration={"QueueConfigurations": [told]},
        )
        self.due.append(("test", "", ""))

    def expect(self, name: str, key: str, version: str) -> None:
        if key.startswith("in/"):
            self.due.append((name, key, version if self.versioning or version != "null" else ""))

    def stored(self, how: str, key: str, version: str, body: bytes) -> None:
        kept = [each for each in self.keys.get(key, []) if each[0] != version]
        self.keys[key] = [(version, body), *kept]
        self.expect(f"ObjectCreated:{how}", key, version)

    def live(self, key: str) -> bytes | None:
        return self.keys[key][0][1] if self.keys.get(key) else None

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def version(self, status: str) -> None:
        self.call("PutBucketVersioning", Bucket="shop", VersioningConfiguration={"Status": status})
        self.versioning = status

    @rule(key=KEYS, body=st.binary(max_size=3), new=st.booleans())
    def put(self, key: str, body: bytes, new: bool) -> None:
        condition = {"IfNoneMatch": "*"} if new else {}
        try:
            answer = self.call("PutObject", Bucket="shop", Key=key, Body=body, **condition)
        except AwsError as error:
            assert error.wire_code == "PreconditionFailed" and self.live(key) is not None
            return
        self.stored("Put", key, answer.get("VersionId", "null"), body)

    @rule(key=KEYS, source=KEYS)
    def copy(self, key: str, source: str) -> None:
        try:
            answer = self.call("CopyObject", Bucket="shop", Key=key, CopySource=f"shop/{source}")
        except AwsError as error:
            assert error.wire_code == ("InvalidRequest" if self.live(source) is not None else "NoSuchKey")
            return
        self.stored("Copy", key, answer.get("VersionId", "null"), self.live(source) or b"")

    @rule(key=KEYS, body=st.binary(min_size=1, max_size=3), finish=st.booleans())
    def upload(self, key: str, body: bytes, finish: bool) -> None:
        upload = self.call("CreateMultipartUpload", Bucket="shop", Key=key)["UploadId"]
        where: dict[str, Any] = {"Bucket": "shop", "Key": key, "UploadId": upload}
        etag = self.call("UploadPart", PartNumber=1, Body=body, **where)["ETag"]
        if not finish:
            self.call("AbortMultipartUpload", **where)
            return
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        answer = self.call("CompleteMultipartUpload", MultipartUpload=parts, **where)
        self.stored("CompleteMultipartUpload", key, answer.get("VersionId", "null"), body)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        answer = self.call("DeleteObject", Bucket="shop", Key=key)
        if self.versioning:
            marker = answer["VersionId"]
            kept = [each for each in self.keys.get(key, []) if each[0] != marker]
            self.keys[key] = [(marker, None), *kept]
            self.expect("ObjectRemoved:DeleteMarkerCreated", key, marker)
        elif self.keys.pop(key, None):
            self.expect("ObjectRemoved:Delete", key, "null")

    @rule(key=KEYS, number=st.integers(0, 2))
    def purge(self, key: str, number: int) -> None:
        versions = self.keys.get(key, [])
        version = versions[number][0] if number < len(versions) else "null"
        self.call("DeleteObjects", Bucket="shop", Delete={"Objects": [{"Key": key, "VersionId": version}]})
        if any(each[0] == version for each in versions):
            self.keys[key] = [each for each in versions if each[0] != version]
            self.expect("ObjectRemoved:Delete", key, version)

    @rule(key=KEYS, put=st.booleans())
    def tag(self, key: str, put: bool) -> None:
        try:
            if put:
                self.call("PutObjectTagging", Bucket="shop", Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
            else:
                self.call("DeleteObjectTagging", Bucket="shop", Key=key)
        except AwsError:
            assert self.live(key) is None
            return
        self.expect(f"ObjectTagging:{'Put' if put else 'Delete'}", key, self.keys[key][0][0])

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds: int) -> None:
        self.loop.run_until_complete(self.cloud.advance(seconds))

    @invariant()
    def every_change_is_told_once_and_in_order(self) -> None:
        got = []
        while messages := self.call("ReceiveMessage", "sqs", QueueUrl=URL, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.call("DeleteMessage", "sqs", QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])
                got.append(self.told(json.loads(message["Body"])))
        assert got == self.due
        self.due = []

    def told(self, body: dict[str, Any]) -> tuple[str, str, str]:
        if "Records" not in body:
            return ("test", "", "")
        (record,) = body["Records"]
        thing = record["s3"]["object"]
        if "sequencer" in thing:
            assert int(thing["sequencer"], 16) > self.sequencer
            self.sequencer = int(thing["sequencer"], 16)
        if record["eventName"] in ("ObjectCreated:Put", "ObjectCreated:Copy") and "-" not in thing["eTag"]:
            body_ = self.live(thing["key"]) or b""
            assert (thing["size"], thing["eTag"]) == (len(body_), hashlib.md5(body_).hexdigest())
        return record["eventName"], thing["key"], thing.get("versionId", "")

    def teardown(self) -> None:
        self.loop.run_until_complete(self.cloud.__aexit__(None, None, None))
        self.loop.close()


TestEvents = Events.TestCase
TestEvents.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
