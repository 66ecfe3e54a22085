"""S3's lifecycle rules over real sockets, on virtual time: what goes, when, and what stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

DAY = 86_400
LARGE = b"x" * (128 * 1024)


@pytest.fixture
def s3(aws: Any, clock: Any) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket="shop")
    clock.advance(DAY - clock.now() % DAY + 3600)  # one o'clock
    return client


def rules(s3: Any, *given: dict[str, Any], **more: Any) -> None:
    listed = [{"Status": "Enabled", "Filter": {"Prefix": ""}, **each} for each in given]
    s3.put_bucket_lifecycle_configuration(Bucket="shop", LifecycleConfiguration={"Rules": listed}, **more)


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="shop").get("Contents", [])]


def versions(s3: Any) -> list[tuple[str, str, bool]]:
    got = s3.list_object_versions(Bucket="shop")
    listed = [(each["Key"], each["VersionId"], False) for each in got.get("Versions", [])]
    return listed + [(each["Key"], each["VersionId"], True) for each in got.get("DeleteMarkers", [])]


def put(s3: Any, key: str, body: bytes = b"1", **more: Any) -> str:
    return str(s3.put_object(Bucket="shop", Key=key, Body=body, **more).get("VersionId", "null"))


def enable_versions(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})


def test_rules_are_kept_with_an_id_and_removed(s3: Any) -> None:
    assert refused(lambda: s3.get_bucket_lifecycle_configuration(Bucket="shop"))[0] == "NoSuchLifecycleConfiguration"
    both = {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 500}}
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": both,
        "Expiration": {"Days": 365},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER_IR"}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 10, "NewerNoncurrentVersions": 3},
    }
    rules(s3, rule, {"Expiration": {"Days": 1}})
    got = s3.get_bucket_lifecycle_configuration(Bucket="shop")
    assert got["Rules"][0] == rule and got["Rules"][1]["ID"]
    assert got["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    rules(s3, {"Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}})
    got = s3.get_bucket_lifecycle_configuration(Bucket="shop")
    assert got["Rules"][0]["Expiration"] == {"Date": datetime(2030, 1, 1, tzinfo=UTC)}
    s3.delete_bucket_lifecycle(Bucket="shop")
    assert refused(lambda: s3.get_bucket_lifecycle_configuration(Bucket="shop"))[0] == "NoSuchLifecycleConfiguration"


def test_objects_go_at_the_midnight_after_their_days(s3: Any, clock: Any) -> None:
    rules(s3, {"ID": "a b", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 2}})
    got = s3.put_object(Bucket="shop", Key="tmp/a", Body=b"1")
    due = datetime.fromtimestamp((clock.now() // DAY + 3) * DAY, UTC)
    header = f'expiry-date="{due:%a, %d %b %Y %H:%M:%S} GMT", rule-id="a%20b"'
    assert got["Expiration"] == header
    assert s3.head_object(Bucket="shop", Key="tmp/a")["Expiration"] == header
    assert s3.get_object(Bucket="shop", Key="tmp/a")["Expiration"] == header
    copied = s3.copy_object(Bucket="shop", Key="tmp/b", CopySource="shop/tmp/a")
    assert copied["Expiration"] == header
    assert "Expiration" not in s3.put_object(Bucket="shop", Key="kept", Body=b"1")
    clock.advance(3 * DAY - 3700)
    assert keys(s3) == ["kept", "tmp/a", "tmp/b"]
    clock.advance(200)
    assert keys(s3) == ["kept"]


def test_a_rule_for_a_date_holds_from_that_date_on(s3: Any, clock: Any) -> None:
    midnight = (clock.now() // DAY + 2) * DAY
    rules(s3, {"Expiration": {"Date": datetime.fromtimestamp(midnight, UTC)}})
    put(s3, "a")
    clock.advance(midnight - clock.now() - 10)
    assert keys(s3) == ["a"]
    clock.advance(20)
    assert keys(s3) == []
    put(s3, "b")
    clock.advance(DAY)
    assert keys(s3) == []


def test_tags_and_sizes_choose_objects(s3: Any, clock: Any) -> None:
    both = {"And": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], "ObjectSizeLessThan": 3}}
    rules(
        s3,
        {"Filter": both, "Expiration": {"Days": 1}},
        {"Filter": {"Tag": {"Key": "gone", "Value": "yes"}}, "Expiration": {"Days": 1}},
        {"Filter": {"ObjectSizeGreaterThan": 10}, "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "off"}, "Status": "Disabled", "Expiration": {"Days": 1}},
    )
    put(s3, "both", b"12", Tagging="a=1&b=2&c=3")
    put(s3, "large", b"123", Tagging="a=1&b=2")
    put(s3, "one", b"12", Tagging="a=1")
    put(s3, "gone", b"1", Tagging="gone=yes")
    put(s3, "stays", b"1", Tagging="gone=no")
    put(s3, "ten", b"x" * 10)
    put(s3, "eleven", b"x" * 11)
    put(s3, "off")
    clock.advance(2 * DAY)
    assert keys(s3) == ["large", "off", "one", "stays", "ten"]


def test_an_expired_object_of_a_versioned_bucket_gets_a_marker_which_goes_when_it_is_alone(s3: Any, clock: Any) -> None:
    enable_versions(s3)
    rules(s3, {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}})
    version = put(s3, "a")
    clock.advance(2 * DAY)
    (first, second) = versions(s3)
    assert first == ("a", version, False) and second[2]
    clock.advance(3 * DAY)  # noncurrent since midnight: 3 days later it goes, and with it, as old enough, the marker
    assert versions(s3) == []


def test_markers_with_nothing_beneath_them_are_cleaned_and_others_kept(s3: Any, clock: Any) -> None:
    enable_versions(s3)
    s3.delete_object(Bucket="shop", Key="alone")
    version = put(s3, "covered")
    marker = s3.delete_object(Bucket="shop", Key="covered")["VersionId"]
    rules(s3, {"Expiration": {"ExpiredObjectDeleteMarker": True}})
    clock.advance(DAY)
    assert versions(s3) == [("covered", version, False), ("covered", marker, True)]


def test_the_newest_noncurrent_versions_are_kept(s3: Any, clock: Any) -> None:
    enable_versions(s3)
    made = [put(s3, "a", bytes([number])) for number in range(6)]
    rules(s3, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}})
    clock.advance(DAY)
    assert len(versions(s3)) == 6  # not a day old yet
    clock.advance(DAY)
    assert {version for _, version, _ in versions(s3)} == set(made[3:])
    assert s3.get_object(Bucket="shop", Key="a")["Body"].read() == b"\x05"


def test_a_version_is_noncurrent_since_the_next_one_came(s3: Any, clock: Any) -> None:
    enable_versions(s3)
    made = []
    for _ in range(3):
        made.append(put(s3, "a"))
        clock.advance(2 * DAY)
    rules(s3, {"NoncurrentVersionExpiration": {"NoncurrentDays": 4}})
    clock.advance(DAY)  # the first is noncurrent for five days, the second for three
    assert {version for _, version, _ in versions(s3)} == set(made[1:])
    clock.advance(2 * DAY)
    assert {version for _, version, _ in versions(s3)} == set(made[2:])


def test_an_object_is_moved_to_other_storage_classes(s3: Any, clock: Any) -> None:
    enable_versions(s3)
    put(s3, "a", LARGE)
    put(s3, "a", LARGE)
    put(s3, "small", LARGE[1:])
    rules(
        s3,
        {
            "Transitions": [{"Days": 90, "StorageClass": "GLACIER_IR"}, {"Days": 30, "StorageClass": "STANDARD_IA"}],
            "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "INTELLIGENT_TIERING"}],
        },
    )

    def classes() -> list[str]:
        return [each["StorageClass"] for each in s3.list_object_versions(Bucket="shop")["Versions"]]

    clock.advance(29 * DAY)
    assert classes() == ["STANDARD", "INTELLIGENT_TIERING", "STANDARD"]
    clock.advance(2 * DAY)
    assert classes() == ["STANDARD_IA", "INTELLIGENT_TIERING", "STANDARD"]
    clock.advance(60 * DAY)
    assert classes() == ["GLACIER_IR", "INTELLIGENT_TIERING", "STANDARD"]
    assert s3.get_object(Bucket="shop", Key="a")["Body"].read() == LARGE


def test_unfinished_uploads_are_aborted(s3: Any, clock: Any) -> None:
    rules(s3, {"ID": "tidy", "Filter": {"Prefix": "a"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    old = s3.create_multipart_upload(Bucket="shop", Key="a")
    assert old["AbortRuleId"] == "tidy" and old["AbortDate"].timestamp() == (clock.now() // DAY + 2) * DAY
    s3.upload_part(Bucket="shop", Key="a", UploadId=old["UploadId"], PartNumber=1, Body=b"1")
    listed = s3.list_parts(Bucket="shop", Key="a", UploadId=old["UploadId"])
    assert listed["AbortRuleId"] == "tidy"
    other = s3.create_multipart_upload(Bucket="shop", Key="b")
    assert "AbortDate" not in other
    clock.advance(2 * DAY)
    uploads = s3.list_multipart_uploads(Bucket="shop")["Uploads"]
    assert [each["UploadId"] for each in uploads] == [other["UploadId"]]


def test_what_expires_is_told(s3: Any, aws: Any, clock: Any) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    events = ["s3:LifecycleExpiration:*", "s3:LifecycleTransition"]
    told = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:told", "Events": events}
    s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration={"QueueConfigurations": [told]})
    rules(
        s3,
        {"Filter": {"Prefix": "tmp"}, "Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"Filter": {"Prefix": "big"}, "Transitions": [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]},
    )
    put(s3, "tmp")
    put(s3, "big", LARGE)
    clock.advance(2 * DAY)
    enable_versions(s3)
    put(s3, "tmp2")
    clock.advance(2 * DAY)
    found = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [record for message in got for record in json.loads(message["Body"]).get("Records", [])]
    assert [(each["eventName"], each["s3"]["object"]["key"]) for each in found] == [
        ("LifecycleTransition", "big"),
        ("LifecycleExpiration:Delete", "tmp"),
        ("LifecycleExpiration:DeleteMarkerCreated", "tmp2"),
    ]
    assert all(each["eventVersion"] == "2.3" for each in found)
    assert all(each["userIdentity"] == {"principalId": "s3.amazonaws.com"} for each in found)
    transition = {"transitionEventData": {"destinationStorageClass": "INTELLIGENT_TIERING"}}
    assert found[0]["lifecycleEventData"] == transition


def test_many_objects_go_in_steps(s3: Any, clock: Any) -> None:
    for number in range(450):
        put(s3, f"tmp/{number}")
    put(s3, "zero")
    rules(s3, {"Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}})
    clock.advance(2 * DAY)
    assert keys(s3) == ["zero"]


def test_nothing_goes_when_the_rules_are_removed_or_the_bucket_is_new(s3: Any, clock: Any) -> None:
    rules(s3, {"Expiration": {"Days": 1}})
    put(s3, "a")
    s3.delete_bucket_lifecycle(Bucket="shop")
    clock.advance(3 * DAY)
    assert keys(s3) == ["a"]
    rules(s3, {"Expiration": {"Days": 1}})
    s3.delete_object(Bucket="shop", Key="a")
    s3.delete_bucket(Bucket="shop")
    s3.create_bucket(Bucket="shop")
    put(s3, "b")
    clock.advance(3 * DAY)
    assert keys(s3) == ["b"]


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        ({}, "InvalidRequest", "At least one action needs to be specified in a rule"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument", "'Days' for Expiration action must be a positive integer"),
        ({"Expiration": {"Date": datetime(2030, 1, 1, 1, tzinfo=UTC)}}, "InvalidArgument", "must be at midnight GMT"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML", ""),
        ({"Expiration": {"Days": 1}, "ID": "i" * 256}, "InvalidArgument", "255"),
        ({"Expiration": {"Days": 1}, "Prefix": "a"}, "MalformedXML", ""),
        (
            {"Expiration": {"Days": 1}, "Filter": {"Prefix": "a", "Tag": {"Key": "k", "Value": "v"}}},
            "MalformedXML",
            "",
        ),
        (
            {"Expiration": {"ExpiredObjectDeleteMarker": True}, "Filter": {"Tag": {"Key": "k", "Value": "v"}}},
            "InvalidRequest",
            "ExpiredObjectDeleteMarker cannot be specified with Tags",
        ),
        (
            {
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                "Filter": {"Tag": {"Key": "k", "Value": "v"}},
            },
            "InvalidRequest",
            "AbortIncompleteMultipartUpload cannot be specified with Tags",
        ),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}, "InvalidArgument", "positive integer"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}}, "InvalidArgument", "positive integer"),
        (
            {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}},
            "InvalidArgument",
            "NewerNoncurrentVersions",
        ),
        ({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument", "or equal to 30"),
        (
            {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}], "Expiration": {"Days": 30}},
            "InvalidArgument",
            "must be greater than 'Days' in the Transition action",
        ),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "NotImplemented", "GLACIER"),
        ({"NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "DEEP_ARCHIVE"}]}, "NotImplemented", "DEEP"),
    ],
)  # fmt: skip
def test_rules_are_checked(s3: Any, rule: Any, code: str, message: str) -> None:
    found = refused(lambda: rules(s3, rule))
    assert found[0] == code and message in found[1]


def test_a_hundred_kept_versions_and_an_id_of_255_characters_are_taken(s3: Any) -> None:
    action = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 100}
    rules(s3, {"ID": "i" * 255, "NoncurrentVersionExpiration": action})


def test_a_thousand_rules_and_no_more(s3: Any) -> None:
    many = [{"Filter": {"Prefix": f"{number}/"}, "Expiration": {"Days": 1}} for number in range(1001)]
    rules(s3, *many[:1000])
    assert refused(lambda: rules(s3, *many))[0] == "MalformedXML"
    assert refused(lambda: rules(s3))[0] == "MalformedXML"
    twice = [{"ID": "same", "Expiration": {"Days": 1}}] * 2
    assert refused(lambda: rules(s3, *twice)) == (
        "InvalidArgument",
        "Rule ID must be unique. Found same ID for more than one rule",
    )
