"""Two services kept the same by a stream, poisoned, throttled, replayed and killed, on a real PostgreSQL. Checklist: B17.1 to B17.6, D11."""

import concurrent.futures
import http.client
import json
import random
import threading
import urllib.request

import pytest

CLOSED = "ALTER TABLE people ADD CONSTRAINT closed CHECK (false) NOT VALID"
OPEN = "ALTER TABLE people DROP CONSTRAINT closed"
TOO_LONG = "E" * 100
RETRIES = 3


@pytest.fixture(scope="module")
def running(pattern, tmp_path_factory):
    """One server in real time for what is about load, lag and crashes."""
    from cumulet.testing.process import ServerProcess

    server = ServerProcess(tmp_path_factory.mktemp("profiles") / "data").start()
    yield server, pattern.deploy(server.endpoint)
    server.stop()


@pytest.fixture(scope="module")
def on_virtual_time(pattern, tmp_path_factory):
    from cumulet.testing.process import ServerProcess

    server = ServerProcess(tmp_path_factory.mktemp("virtual") / "data", "--clock", "virtual").start()
    yield pattern.deploy(server.endpoint, Retries=str(RETRIES))
    server.stop()


@pytest.fixture
def service(pattern, on_virtual_time):
    """Without profiles and without people, whatever a test before it left broken; retries pass at once."""
    service = on_virtual_time
    release(service)
    pattern.rename(service, "first", "First")  # the first change makes the relation
    service.clock(advance=1)
    with pattern.database(service) as connection:
        connection.run("ALTER TABLE people DROP CONSTRAINT IF EXISTS closed")
        connection.run(pattern.WIDE)
        for profile in pattern.profiles(service):
            pattern.remove(service, profile)
        service.clock(advance=120)
        connection.run("TRUNCATE people")
        connection.run("ALTER TABLE people ALTER COLUMN name TYPE varchar(60)")
    service.client("sqs").purge_queue(QueueUrl=service.outputs["Invalid"])
    service.clock(advance=60)
    assert pattern.waiting(service) == 0
    return service


@pytest.fixture
def analytics(pattern, service):
    with pattern.database(service) as connection:
        yield connection


def records_of(service, *profiles):
    """(shard, record) for every record of these profiles that the stream has, in order within a shard."""
    streams, arn = service.client("dynamodbstreams"), service.outputs["Stream"]
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        position = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while position:
            page = streams.get_records(ShardIterator=position)
            found += [(shard["ShardId"], record) for record in page["Records"]]
            position = page.get("NextShardIterator") if page["Records"] else None
    return [(shard, record) for shard, record in found if record["dynamodb"]["Keys"]["id"]["S"] in profiles]


def event_of(records):
    """Lambda's event; the time of a record is no JSON, and nobody asks for it."""
    return json.loads(json.dumps({"Records": records}, default=str))


def hold(service):
    """Changes gather in the stream until the function may run again."""
    service.client("lambda").put_function_concurrency(
        FunctionName=service.outputs["Replicate"], ReservedConcurrentExecutions=0
    )


def release(service):
    service.client("lambda").put_function_concurrency(
        FunctionName=service.outputs["Replicate"], ReservedConcurrentExecutions=2
    )


def set_aside(service):
    """The bodies of the messages in Invalid, which stay there."""
    answer = service.client("sqs").receive_message(
        QueueUrl=service.outputs["Invalid"], MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def invocations(service):
    pages = (
        service.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{service.outputs['Replicate']}", filterPattern="REPORT")
    )
    return sum(len(page["events"]) for page in pages)


def test_what_is_added_changed_and_deleted_reaches_analytics_once_each(pattern, service, analytics):
    """B17.1: INSERT, MODIFY and REMOVE, each once, with images; D11: a changed name reaches the analytics service."""
    pattern.rename(service, "bob", "Bob")
    pattern.rename(service, "bob", "Robert")
    pattern.rename(service, "ada", "Ada Byron")
    pattern.rename(service, "ada", "Ada Lovelace")
    pattern.remove(service, "bob")
    assert service.request("DELETE", "/profiles/bob")[0] == 404
    service.clock(advance=1)
    assert pattern.people(analytics) == pattern.profiles(service)
    assert pattern.people(analytics)["ada"][0] == "Ada Lovelace"
    assert "bob" not in pattern.people(analytics)
    applied = pattern.changes(analytics)
    assert (applied["bob"], applied["ada"]) == (3, 2)
    kinds = [
        (record["eventName"], *(record["dynamodb"].get(image, {}).get("name", {}).get("S") for image in ("OldImage", "NewImage")))
        for _, record in records_of(service, "bob")
    ]  # fmt: skip
    assert kinds == [("INSERT", None, "Bob"), ("MODIFY", "Bob", "Robert"), ("REMOVE", "Robert", None)]


def test_what_is_written_again_as_it_is_makes_no_change(pattern, service, analytics):
    """B17.1: one record for a real change, none for what changes nothing."""
    pattern.rename(service, "same", "Same")
    dynamodb, table = service.client("dynamodb"), service.outputs["Profiles"]
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": "same"}})["Item"]
    dynamodb.put_item(TableName=table, Item=item)
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "nobody"}})
    service.clock(advance=1)
    assert len(records_of(service, "same", "nobody")) == 1
    assert pattern.changes(analytics)["same"] == 1


def test_every_change_is_newer_than_the_one_before_though_the_clock_stands_still(pattern, service, analytics):
    """B17.5: last_updated with every change; the clock's tick alone would not tell ten changes apart."""
    service.clock(freeze=True)
    stamps = [pattern.rename(service, "quick", f"Quick {number}") for number in range(10)]
    assert stamps == sorted(set(stamps))
    service.clock(advance=1)
    assert pattern.people(analytics)["quick"] == ("Quick 9", stamps[-1])


def test_a_failing_batch_blocks_its_shard_and_keeps_the_order_until_the_cause_is_mended(pattern, service, analytics):
    """B17.2: retried over and over, and nothing behind it is applied first."""
    before, tried = pattern.people(analytics), invocations(service)
    analytics.run(CLOSED)
    for number in range(5):
        pattern.rename(service, "blocked", f"Blocked {number}")
    service.clock(advance=4)
    assert invocations(service) - tried >= 2, "it was tried again"
    assert pattern.people(analytics) == before
    assert pattern.waiting(service) == 0
    analytics.run(OPEN)
    service.clock(advance=10)
    assert pattern.people(analytics) == pattern.profiles(service)
    assert pattern.changes(analytics)["blocked"] == 5, "a change that is overtaken would not count"
    assert pattern.waiting(service) == 0


def test_a_change_waits_behind_an_invalid_one_of_its_profile(pattern, service, analytics):
    """B17.2: order per key: the good change behind a bad one is not applied before that is given up or mended."""
    pattern.rename(service, "patient", "Patient")
    service.clock(advance=1)
    hold(service)
    pattern.rename(service, "patient", TOO_LONG)
    pattern.rename(service, "patient", "Short")
    release(service)
    service.clock(advance=2)
    assert pattern.people(analytics)["patient"][0] == "Patient"
    analytics.run(pattern.WIDE)
    service.clock(advance=60)
    assert pattern.people(analytics)["patient"][0] == "Short"
    assert pattern.changes(analytics)["patient"] == 3
    assert pattern.waiting(service) == 0


def test_an_invalid_change_is_isolated_by_bisection_and_set_aside_with_its_range(pattern, service, analytics):
    """B17.4: after MaximumRetryAttempts, it alone; the changes before and behind it are applied in order."""
    hold(service)
    for number in range(20):
        pattern.rename(service, "poisoned", TOO_LONG if number == 11 else f"Name {number}")
    service.clock(advance=300)
    assert pattern.waiting(service) == 0, "throttled is not tried"
    release(service)
    service.clock(advance=300)
    assert pattern.changes(analytics)["poisoned"] == 19
    pattern.until(lambda: pattern.connections(analytics) <= 2)  # B17.3: failed invocations leave no connection behind
    assert pattern.people(analytics) == pattern.profiles(service)
    (report,) = set_aside(service)
    assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert report["requestContext"]["approximateInvokeCount"] >= RETRIES + 1
    assert report["requestContext"]["functionArn"].split(":function:")[1].startswith(service.outputs["Replicate"])
    assert report["responseContext"]["functionError"] == "Unhandled"
    ((shard, record),) = [
        found
        for found in records_of(service, "poisoned")
        if found[1]["dynamodb"].get("NewImage", {}).get("name") == {"S": TOO_LONG}
    ]
    info, number = report["DDBStreamBatchInfo"], record["dynamodb"]["SequenceNumber"]
    assert (info["shardId"], info["startSequenceNumber"], info["endSequenceNumber"]) == (shard, number, number)
    assert (info["batchSize"], info["streamArn"]) == (1, service.outputs["Stream"])


def test_the_replay_applies_what_was_set_aside_and_leaves_what_is_newer(pattern, service, analytics):
    """B17.4: manage your own dead-letter queue; B17.5: replayed late, an old change does not undo a newer one."""
    pattern.rename(service, "late", TOO_LONG)
    pattern.rename(service, "outdated", TOO_LONG)
    pattern.rename(service, "removed", TOO_LONG)
    service.clock(advance=120)
    pattern.rename(service, "outdated", "Newer")
    pattern.remove(service, "removed")
    service.clock(advance=120)
    assert pattern.waiting(service) == 3
    assert "late" not in pattern.people(analytics)

    answer = service.invoke("Replay", {})
    assert answer["replayed"] == 0
    assert len(answer["kept"]) == 3, "not mended yet"
    assert all("too long" in kept["reason"] for kept in answer["kept"])
    assert pattern.waiting(service) == 3

    analytics.run(pattern.WIDE)
    service.clock(advance=61)  # they are visible again
    assert service.invoke("Replay", {}) == {"replayed": 3, "kept": []}
    assert pattern.people(analytics)["late"][0] == TOO_LONG
    assert pattern.people(analytics)["outdated"][0] == "Newer"
    assert "removed" not in pattern.people(analytics)
    assert pattern.people(analytics) == pattern.profiles(service)
    assert pattern.waiting(service) == 0


def test_a_long_outage_is_set_aside_and_replayed_in_any_order(pattern, service, analytics):
    """B17.4, B17.5: no change is lost though the retries do not outlast the outage; the newest of each profile is left."""
    analytics.run(CLOSED)
    for number in range(3):
        for profile in ("out-a", "out-b", "out-c"):
            pattern.rename(service, profile, f"{profile} {number}")
    pattern.remove(service, "out-c")
    service.clock(advance=900)
    assert sum(report["DDBStreamBatchInfo"]["batchSize"] for report in set_aside(service)) == 10
    analytics.run(OPEN)
    answer = service.invoke("Replay", {})
    assert (answer["replayed"], answer["kept"]) == (10, [])
    assert pattern.people(analytics) == pattern.profiles(service)
    assert set(pattern.people(analytics)) == {"out-a", "out-b"}
    assert pattern.waiting(service) == 0


def test_one_trace_goes_from_the_request_to_the_row(pattern, service, analytics):
    """B17.1: the change is followed over the table and its stream to the function that replicates it."""
    root = "1-65000000-171717171717171717171717"
    ask = urllib.request.Request(
        f"{service.url}/profiles/traced",
        json.dumps({"name": "Traced"}).encode(),
        {"content-type": "application/json", "X-Amzn-Trace-Id": f"Root={root}"},
        method="PUT",
    )
    with urllib.request.urlopen(ask, timeout=60) as answer:
        assert answer.status == 200
    service.clock(advance=1)
    assert pattern.people(analytics)["traced"][0] == "Traced"
    spans = {span["name"]: span for span in service.trace(root)}
    assert "dynamodb.UpdateItem" in spans
    assert f"invoke {service.outputs['Replicate']}" in spans


def test_what_the_stream_no_longer_has_stays_set_aside(pattern, server_process):
    """B17.4: a stream keeps a record for 24 hours, the queue its range for 14 days."""
    service = pattern.deploy(server_process("--clock", "virtual").start().endpoint, Retries=str(RETRIES))
    pattern.rename(service, "forgotten", TOO_LONG)
    service.clock(advance=120)
    (report,) = set_aside(service)
    rds = service.client("rds")
    (database,) = rds.describe_db_instances()["DBInstances"]
    rds.stop_db_instance(DBInstanceIdentifier=database["DBInstanceIdentifier"])  # or its metrics are taken 1500 times
    service.clock(advance=25 * 3600)
    reason = "The stream no longer has the records."
    expected = {"replayed": 0, "kept": [{"reason": reason, **report["DDBStreamBatchInfo"]}]}
    assert service.invoke("Replay", {}) == expected
    assert pattern.waiting(service) == 1


def test_a_change_without_last_updated_is_set_aside_and_the_services_next_write_wins(pattern, service, analytics):
    """B17.5: a record that cannot be compared is invalid."""
    service.client("dynamodb").put_item(
        TableName=service.outputs["Profiles"], Item={"id": {"S": "bare"}, "name": {"S": "Bare"}}
    )
    service.clock(advance=120)
    assert "bare" not in pattern.people(analytics)
    assert pattern.waiting(service) == 1
    pattern.rename(service, "bare", "Dressed")
    service.clock(advance=1)
    assert pattern.people(analytics) == pattern.profiles(service)


def test_whatever_the_order_and_however_often_the_newest_row_is_left(pattern, service, analytics):
    """B17.5: out-of-order and duplicate delivery, with deletions; each order from an empty relation and again over the full one."""
    names = [f"mixed-{number}" for number in range(4)]
    for turn in range(3):
        for name in names:
            pattern.rename(service, name, f"{name} in turn {turn}")
    pattern.remove(service, names[0])
    pattern.remove(service, names[1])
    service.clock(advance=1)
    pattern.rename(service, names[1], "back again")
    service.clock(advance=1)
    expected = {name: row for name, row in pattern.profiles(service).items() if name in names}
    assert set(expected) == set(names[1:])
    records = [record for _, record in records_of(service, *names)]
    assert len(records) == 15
    for seed in range(12):
        mixed = records + records[::2]
        random.Random(seed).shuffle(mixed)
        analytics.run("DELETE FROM people WHERE id LIKE 'mixed-%'")
        for start in range(0, len(mixed), 5):
            service.invoke("Replicate", event_of(mixed[start : start + 5]))
        assert {name: row for name, row in pattern.people(analytics).items() if name in names} == expected, seed
        assert service.invoke("Replicate", event_of(mixed)) == {"applied": 0, "outdated": len(mixed)}


def test_a_flood_of_changes_sees_as_many_connections_as_the_function_may_run(pattern, running):
    """B17.3: reserved concurrency is the throttle; B17.2: a throttled batch is late, not lost and not set aside."""
    _, service = running
    shards = service.client("dynamodbstreams").describe_stream(StreamArn=service.outputs["Stream"])
    assert len(shards["StreamDescription"]["Shards"]) > 2, "without the throttle there would be more connections"
    with pattern.database(service) as connection, concurrent.futures.ThreadPoolExecutor(16) as pool:
        flood = [pool.submit(pattern.rename, service, f"flood-{n % 40}", f"Name {n}") for n in range(400)]

        def arrived():
            pattern.until(
                lambda: pattern.connections(connection) <= 2
            )  # another environment's would stay; one that is being closed goes
            return all(change.done() for change in flood) and pattern.people(connection) == pattern.profiles(service)

        pattern.until(arrived)
        assert [change.result() for change in flood if change.exception()] == []
        applied = pattern.changes(connection)
        assert pattern.connections(connection) in (1, 2)
    assert sum(count for name, count in applied.items() if name.startswith("flood-")) == 400
    assert pattern.waiting(service) == 0


def test_analytics_is_behind_for_a_moment_only(pattern, running):
    """B17.6: from the answer to the row, over stream, function and SQL, no poller's schedule is waited for: the clock stands
    still."""
    _, service = running
    service.clock(freeze=True)
    try:
        with pattern.database(service) as connection:
            assert len(pattern.lags(service, connection, 60)) == 60
    finally:
        service.clock(real=True)


def test_analytics_is_what_the_profiles_are_after_sigkill(pattern, running):
    """D11, A3: the server dies in the middle of the changes, three times; nothing acknowledged is lost on either side."""
    server, service = running
    acknowledged, lock = {}, threading.Lock()

    def write(writer, enough):
        """Change the writer's own profiles until the server is gone."""
        for number in range(10_000):
            profile = f"crash-{writer}-{number % 5}"
            try:
                if number % 7 == 6:
                    pattern.remove(service, profile)
                    at = None
                else:
                    at = pattern.rename(service, profile, f"Name {number}")
            except (OSError, ValueError, RuntimeError, http.client.HTTPException):  # whether it was done is not known
                acknowledged.pop(profile, None)
                return
            with lock:
                acknowledged[profile] = at
                enough.release()

    for _ in range(3):
        enough = threading.Semaphore(0)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, writer, enough) for writer in range(4)]
            for _ in range(80):
                assert enough.acquire(timeout=180)
            server.kill()
            for writer in writers:
                writer.result()
        server.start()

    def same():
        try:
            with pattern.database(service) as connection:
                return pattern.people(connection) == pattern.profiles(service)
        except Exception:  # the database is being started again
            return False

    pattern.until(same)
    kept = pattern.profiles(service)
    assert {profile: kept[profile][1] if profile in kept else None for profile in acknowledged} == acknowledged
    assert pattern.waiting(service) == 0
    pattern.rename(service, "after", "After")
    pattern.until(same)
