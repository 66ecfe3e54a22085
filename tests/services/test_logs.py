"""CloudWatch Logs, as boto3 sees it."""

import pytest
from botocore.exceptions import ClientError

GROUP_ARN = "arn:aws:logs:us-east-1:000000000000:log-group:"


@pytest.fixture
def client(aws):
    return aws("logs")


@pytest.fixture
def stream(client):
    client.create_log_group(logGroupName="g")
    client.create_log_stream(logGroupName="g", logStreamName="s")
    return {"logGroupName": "g", "logStreamName": "s"}


@pytest.fixture
def now(clock):
    return int(clock.now() * 1000)


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def put(client, where, *events):
    return client.put_log_events(**where, logEvents=[{"timestamp": at, "message": text} for at, text in events])


def texts(answer):
    return [event["message"] for event in answer["events"]]


# groups


def test_groups_are_made_listed_and_deleted(client, clock):
    for name in ("a/1", "a/2", "b"):
        client.create_log_group(logGroupName=name, tags={"n": name})
    assert refused(client.create_log_group, logGroupName="b") == (
        "ResourceAlreadyExistsException", "The specified log group already exists",
    )  # fmt: skip
    assert [g["logGroupName"] for g in client.describe_log_groups(logGroupNamePrefix="a/")["logGroups"]] == [
        "a/1",
        "a/2",
    ]
    assert [g["logGroupName"] for g in client.describe_log_groups(logGroupNamePattern="2")["logGroups"]] == ["a/2"]
    pages = client.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 1})
    found = [g for page in pages for g in page["logGroups"]]
    assert [g["logGroupName"] for g in found] == ["a/1", "a/2", "b"]
    assert found[2]["arn"] == f"{GROUP_ARN}b:*"
    assert found[2]["creationTime"] == int(clock.now() * 1000)
    assert "retentionInDays" not in found[2]
    client.delete_log_group(logGroupName="b")
    assert refused(client.delete_log_group, logGroupName="b") == (
        "ResourceNotFoundException", "The specified log group does not exist.",
    )  # fmt: skip


def test_a_deleted_group_does_not_give_its_events_to_the_next_of_its_name(client, stream, now, clock, cloud):
    put(client, stream, (now, "old"))
    client.delete_log_group(logGroupName="g")
    client.create_log_group(logGroupName="g")
    client.create_log_stream(**stream)
    assert texts(client.get_log_events(**stream)) == []
    client.delete_log_group(logGroupName="g")
    clock.quiet()
    left = cloud.cloud.store.begin(None).scan_keys(("logs",))
    assert list(left) == []


def test_a_deleted_stream_does_not_give_its_events_to_the_next_of_its_name(client, stream, now):
    put(client, stream, (now, "old"))
    client.delete_log_stream(**stream)
    assert refused(client.get_log_events, **stream) == (
        "ResourceNotFoundException", "The specified log stream does not exist.",
    )  # fmt: skip
    client.create_log_stream(**stream)
    assert texts(client.get_log_events(**stream)) == []


def test_settings_that_would_not_be_honoured_are_refused_by_name(client):
    assert refused(client.create_log_group, logGroupName="g", logGroupClass="INFREQUENT_ACCESS")[0] == "NotImplemented"
    code, message = refused(
        client.create_log_group, logGroupName="g", kmsKeyId="arn:aws:kms:us-east-1:000000000000:key/k"
    )
    assert code == "NotImplemented"
    assert "kmsKeyId" in message
    client.create_log_group(logGroupName="g")
    code, message = refused(client.start_query, logGroupName="g", startTime=0, endTime=1, queryString="fields @message")
    assert "StartQuery" in message


def test_a_protected_group_cannot_be_deleted(client):
    client.create_log_group(logGroupName="g", deletionProtectionEnabled=True)
    assert refused(client.delete_log_group, logGroupName="g")[0] == "ValidationException"
    client.put_log_group_deletion_protection(logGroupIdentifier="g", deletionProtectionEnabled=False)
    client.delete_log_group(logGroupName="g")


def test_tags_in_both_forms(client):
    client.create_log_group(logGroupName="g", tags={"a": "1"})
    client.tag_resource(resourceArn=f"{GROUP_ARN}g", tags={"b": "2"})
    client.tag_log_group(logGroupName="g", tags={"c": "3"})
    client.untag_resource(resourceArn=f"{GROUP_ARN}g", tagKeys=["a"])
    assert client.list_tags_for_resource(resourceArn=f"{GROUP_ARN}g")["tags"] == {"b": "2", "c": "3"}
    client.untag_log_group(logGroupName="g", tags=["b"])
    assert client.list_tags_log_group(logGroupName="g")["tags"] == {"c": "3"}
    assert (
        refused(client.tag_resource, resourceArn=f"{GROUP_ARN}none", tags={"a": "1"})[0] == "ResourceNotFoundException"
    )


# streams


def test_streams_are_listed_by_name_and_by_their_newest_event(client, now):
    client.create_log_group(logGroupName="g")
    for name, at in (("x1", now - 1000), ("x2", now), ("y", now - 2000)):
        client.create_log_stream(logGroupName="g", logStreamName=name)
        put(client, {"logGroupName": "g", "logStreamName": name}, (at - 5, "a"), (at, "b"))
    client.create_log_stream(logGroupName="g", logStreamName="empty")

    def names(**request):
        pages = client.get_paginator("describe_log_streams").paginate(
            logGroupName="g", PaginationConfig={"PageSize": 1}, **request
        )
        return [s["logStreamName"] for page in pages for s in page["logStreams"]]

    assert names() == ["empty", "x1", "x2", "y"]
    assert names(descending=True) == ["y", "x2", "x1", "empty"]
    assert names(logStreamNamePrefix="x") == ["x1", "x2"]
    assert names(orderBy="LastEventTime", descending=True) == ["x2", "x1", "y", "empty"]
    one = client.describe_log_streams(logGroupIdentifier=f"{GROUP_ARN}g", logStreamNamePrefix="x1")["logStreams"][0]
    assert (one["firstEventTimestamp"], one["lastEventTimestamp"], one["lastIngestionTime"]) == (
        now - 1005,
        now - 1000,
        now,
    )
    assert refused(client.describe_log_streams, logGroupName="g", orderBy="LastEventTime", logStreamNamePrefix="x")[
        0
    ] == ("InvalidParameterException")
    again = refused(client.create_log_stream, logGroupName="g", logStreamName="y")
    assert again == ("ResourceAlreadyExistsException", "The specified log stream already exists")


# events


def test_events_are_read_from_the_tail_or_the_head_and_paged_by_tokens(client, stream, now):
    for number in range(10):
        put(client, stream, (now - 100 + number, f"m{number}"))
    assert texts(client.get_log_events(**stream, limit=3)) == ["m7", "m8", "m9"]
    page = client.get_log_events(**stream, limit=4, startFromHead=True)
    seen = texts(page)
    while True:
        following = client.get_log_events(**stream, limit=4, startFromHead=True, nextToken=page["nextForwardToken"])
        if following["nextForwardToken"] == page["nextForwardToken"]:
            break
        seen += texts(following)
        page = following
    assert seen == [f"m{number}" for number in range(10)]
    put(client, stream, (now, "late"))
    assert texts(client.get_log_events(**stream, nextToken=page["nextForwardToken"])) == ["late"]
    back = client.get_log_events(**stream, limit=4, nextToken=page["nextBackwardToken"])
    assert texts(back) == ["m4", "m5", "m6", "m7"]
    assert texts(client.get_log_events(**stream, limit=9, nextToken=back["nextForwardToken"])) == ["m8", "m9", "late"]
    assert refused(client.get_log_events, **stream, nextToken="x")[0] == "InvalidParameterException"


def test_batches_that_overlap_in_time_are_read_in_order(client, stream, now):
    put(client, stream, (now - 5000, "1"), (now - 1000, "4"), (now, "6"))
    put(client, stream, (now - 4000, "2"), (now - 500, "5"))
    put(client, stream, (now - 3000, "3"))
    everything = ["1", "2", "3", "4", "5", "6"]
    assert texts(client.get_log_events(**stream, startFromHead=True)) == everything
    assert texts(client.get_log_events(**stream)) == everything
    for limit in (1, 2, 3, 4, 5):
        assert texts(client.get_log_events(**stream, limit=limit)) == everything[-limit:]
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName="g", PaginationConfig={"PageSize": limit}
        )
        assert [text for page in pages for text in texts(page)] == everything


def test_a_time_range_excludes_its_end_in_a_stream_and_includes_it_in_a_search(client, stream, now):
    put(client, stream, *((now - 10 + n, str(n)) for n in range(5)))
    window = {"startTime": now - 9, "endTime": now - 7}
    assert texts(client.get_log_events(**stream, **window)) == ["1", "2"]
    assert texts(client.filter_log_events(logGroupName="g", **window)) == ["1", "2", "3"]


def test_a_batch_has_to_be_in_order_within_a_day_and_within_a_megabyte(client, stream, now):
    code, message = _refused_put(client, stream, (now, "b"), (now - 1, "a"))
    assert (code, message) == (
        "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.",
    )  # fmt: skip
    assert "cannot span more than 24 hours" in _refused_put(client, stream, (now - 86_400_001, "a"), (now, "b"))[1]
    fits = "x" * (1_048_576 - 26)
    put(client, stream, (now, fits))
    assert "Upload too large" in _refused_put(client, stream, (now, fits + "x"))[1]
    many = [(now, "x")] * 10_001
    assert _refused_put(client, stream, *many)[0] == "InvalidParameterException"


def _refused_put(client, where, *events):
    with pytest.raises(ClientError) as caught:
        put(client, where, *events)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_events_too_old_or_too_new_are_left_out_and_reported(client, stream, now):
    day = 86_400_000
    assert put(client, stream, (now - 14 * day - 1, "old"))["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    answer = put(client, stream, (now, "kept"), (now + 2 * 3_600_000 + 1, "new"))
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    client.put_retention_policy(logGroupName="g", retentionInDays=1)
    answer = put(client, stream, (now - day - 1, "expired"), (now - 1, "kept"))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert texts(client.get_log_events(**stream)) == ["kept", "kept"]


def test_a_sequence_token_is_not_needed_and_a_wrong_one_harmless(client, stream, now):
    assert put(client, stream, (now, "a"))["nextSequenceToken"]
    client.put_log_events(**stream, logEvents=[{"timestamp": now, "message": "b"}], sequenceToken="wrong")
    assert texts(client.get_log_events(**stream)) == ["a", "b"]
    assert refused(client.put_log_events, logGroupName="g", logStreamName="none", logEvents=[
        {"timestamp": now, "message": "x"}])[1] == "The specified log stream does not exist."  # fmt: skip


def test_a_search_interleaves_streams_by_time(client, now):
    client.create_log_group(logGroupName="g")
    for name in ("a", "b", "c"):
        client.create_log_stream(logGroupName="g", logStreamName=name)
    for number in range(9):
        name = "abc"[number % 3]
        put(client, {"logGroupName": "g", "logStreamName": name}, (now - 100 + number // 2, f"{number}{name} ERROR"))

    def search(**request):
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName="g", filterPattern="ERROR", PaginationConfig={"PageSize": 2}, **request
        )
        return [event for page in pages for event in page["events"]]

    found = search()
    assert sorted(event["message"][:2] for event in found) == [f"{n}{'abc'[n % 3]}" for n in range(9)]
    assert [event["timestamp"] for event in found] == sorted(event["timestamp"] for event in found)
    assert len({event["eventId"] for event in found}) == 9
    assert {event["logStreamName"] for event in search(logStreamNames=["a", "c"])} == {"a", "c"}
    assert {event["logStreamName"] for event in search(logStreamNamePrefix="b")} == {"b"}
    newest = search(startFromHead=False, startTime=now - 1000)
    assert [event["eventId"] for event in newest] == [event["eventId"] for event in reversed(found)]
    assert client.filter_log_events(logGroupName="g", filterPattern="nothing")["events"] == []
    both = refused(client.filter_log_events, logGroupName="g", logStreamNames=["a"], logStreamNamePrefix="b")
    assert both[0] == "InvalidParameterException"


# retention


def rows(cloud):
    tx = cloud.cloud.store.begin(None)
    return len(list(tx.scan_keys(("logs", "batch"))))


def test_expired_events_are_hidden_at_once_and_removed_by_a_timer(client, stream, now, clock, cloud):
    put(client, stream, (now - 2 * 86_400_000, "two days old"))
    put(client, stream, (now, "new"))
    client.put_retention_policy(logGroupName="g", retentionInDays=1)
    assert texts(client.get_log_events(**stream)) == ["new"]
    assert texts(client.filter_log_events(logGroupName="g")) == ["new"]
    clock.quiet()
    assert rows(cloud) == 1
    assert client.describe_log_groups()["logGroups"][0]["retentionInDays"] == 1
    clock.advance(86_400 - 1)
    assert rows(cloud) == 1
    clock.advance(62)
    assert rows(cloud) == 0
    later = int(clock.now() * 1000)
    put(client, stream, (later, "later"))
    clock.advance(86_400 + 61)
    assert rows(cloud) == 0


def test_a_longer_or_no_retention_keeps_events(client, stream, now, clock, cloud):
    client.put_retention_policy(logGroupName="g", retentionInDays=1)
    put(client, stream, (now, "a"))
    client.put_retention_policy(logGroupName="g", retentionInDays=3)
    clock.advance(2 * 86_400)
    assert texts(client.get_log_events(**stream)) == ["a"]
    client.delete_retention_policy(logGroupName="g")
    clock.advance(10 * 86_400)
    assert texts(client.get_log_events(**stream)) == ["a"]
    assert rows(cloud) == 1
    assert refused(client.put_retention_policy, logGroupName="g", retentionInDays=2)[0] == "InvalidParameterException"
