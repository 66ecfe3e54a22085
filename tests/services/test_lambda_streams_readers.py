"""Lambda: who reads a stream's shards, in which order, and what happens to what fails, against a runtime that a test plays."""

import json

import pytest

from .lambda_streams_bench import in_stream_cloud

LOST = "arn:aws:sqs:us-east-1:000000000000:lost"


def test_changes_reach_the_function_in_order_in_batches():
    """B17.1, D12: one invocation for what is there, not one for each record."""

    async def test(bench, machine):
        await bench.put("a 1", "b 1", "a 2")
        await bench.map_stream(BatchSize=2)
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1", "b 1"], ["a 2"]]
        await bench.put("a -")
        await bench.cloud.quiet()
        assert machine.batches[2:] == [["a -"]]

    in_stream_cloud(test)


def test_a_failing_batch_blocks_its_shard_and_is_retried_with_growing_pauses():
    """B17.2: the same batch over and over, in order, until the function is mended."""

    async def test(bench, machine):
        machine.answer = lambda changes, event: "Unhandled"
        await bench.map_stream(BatchSize=2)
        await bench.cloud.advance(1)
        began = bench.cloud.clock.now()
        await bench.put("a 1", "a 2", "a 3")
        await bench.cloud.advance(1)
        assert machine.batches[0] == ["a 1"]
        await bench.cloud.advance(300)
        assert all(batch == ["a 1"] for batch in machine.batches)
        pauses = [round(time - began) for time in machine.times]
        assert pauses == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
        machine.answer = lambda changes, event: b"null"
        await bench.cloud.advance(60)
        assert machine.batches[-2:] == [["a 1"], ["a 2", "a 3"]]

    in_stream_cloud(test)


async def lost(bench):
    """A queue for reports; returns the setting that names it."""
    await bench.queue("lost")
    return {"OnFailure": {"Destination": LOST}}


def sequences(machine):
    """The sequence number of every change that an event had."""
    found = {}
    for event, changes in zip(machine.events, machine.batches, strict=True):
        for record, change in zip(event["Records"], changes, strict=True):
            found[change] = record["dynamodb"]["SequenceNumber"]
    return found


@pytest.mark.parametrize("retries", [0, 2])
def test_a_batch_is_given_up_after_its_retries_and_reported(retries):
    """B17.4: AWS's report with the range of records; what follows is processed."""

    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = lambda changes, event: "Unhandled" if "a 2" in changes else b"null"
        await bench.put("a 1", "a 2", "a 3", "a 4")
        uuid = await bench.map_stream(BatchSize=3, MaximumRetryAttempts=retries, DestinationConfig=config)
        await bench.cloud.advance(30)
        assert machine.batches == [["a 1", "a 2", "a 3"]] * (1 + retries) + [["a 4"]]
        [report] = await bench.reports()
        numbers = sequences(machine)
        info = report.pop("DDBStreamBatchInfo")
        assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (numbers["a 1"], numbers["a 3"])
        assert (info["batchSize"], info["streamArn"]) == (3, bench.arn)
        assert info["shardId"].startswith("shardId-")
        assert info["approximateArrivalOfFirstRecord"] == info["approximateArrivalOfLastRecord"]
        assert info["approximateArrivalOfFirstRecord"].endswith("Z")
        assert report["requestContext"].pop("requestId")
        assert report.pop("timestamp").endswith("Z")
        assert report == {
            "version": "1.0",
            "requestContext": {
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 1 + retries,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        }
        found = await bench.cloud.call("lambda", "GetEventSourceMapping", {"UUID": uuid})
        assert found["LastProcessingResult"] == "OK"

    in_stream_cloud(test)


@pytest.mark.parametrize("poison", range(7))
def test_bisection_isolates_the_poison_record_which_is_reported_alone(poison):
    """B17.4: the others are processed exactly once each beside the failed batches, in order."""

    async def test(bench, machine):
        config = await lost(bench)
        done = []

        def answer(changes, event):
            if f"a {poison}" in changes:
                return "Unhandled"
            done.extend(changes)
            return b"null"

        machine.answer = answer
        await bench.put(*(f"a {n}" for n in range(7)))
        await bench.map_stream(BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, DestinationConfig=config)
        await bench.cloud.advance(30)
        assert done == [f"a {n}" for n in range(7) if n != poison]
        [report] = await bench.reports()
        info = report["DDBStreamBatchInfo"]
        number = sequences(machine)[f"a {poison}"]
        assert (info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) == (number, number, 1)
        assert machine.batches.count([f"a {poison}"]) == 2  # splitting used up no retry
        assert report["requestContext"]["approximateInvokeCount"] == 2

    in_stream_cloud(test)


def test_halves_are_tried_at_once():
    async def test(bench, machine):
        machine.answer = lambda changes, event: "Unhandled" if len(changes) > 1 else b"null"
        await bench.put("a 1", "a 2", "a 3")
        await bench.map_stream(BisectBatchOnFunctionError=True)
        await bench.cloud.advance(0.5)
        assert machine.batches == [["a 1", "a 2", "a 3"], ["a 1"], ["a 2", "a 3"], ["a 2"], ["a 3"]]

    in_stream_cloud(test)


def partial(bad):
    """A function that stops at the first change in `bad` and names it."""

    def answer(changes, event):
        for record, change in zip(event["Records"], changes, strict=True):
            if change in bad:
                failures = [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]
                return json.dumps({"batchItemFailures": failures}).encode()
        return b'{"batchItemFailures": []}'

    return answer


def test_a_partial_response_moves_the_checkpoint_before_what_failed():
    async def test(bench, machine):
        bad = {"a 3"}
        machine.answer = partial(bad)
        await bench.put(*(f"a {n}" for n in range(1, 6)))
        uuid = await bench.map_stream(FunctionResponseTypes=["ReportBatchItemFailures"])
        await bench.cloud.advance(0.5)
        rest = ["a 3", "a 4", "a 5"]
        assert machine.batches == [["a 1", "a 2", *rest]]
        found = await bench.cloud.call("lambda", "GetEventSourceMapping", {"UUID": uuid})
        assert found["LastProcessingResult"] == "OK"
        await bench.cloud.advance(1)
        assert machine.batches[1:] == [rest]
        found = await bench.cloud.call("lambda", "GetEventSourceMapping", {"UUID": uuid})
        assert found["LastProcessingResult"] == "PROBLEM: Function call failed"
        bad.clear()
        await bench.cloud.advance(10)
        assert machine.batches[2:] == [rest]

    in_stream_cloud(test)


def test_a_record_that_is_named_as_failed_is_tried_no_more_often_than_its_retries():
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = partial({"a 2"})
        await bench.put("a 1", "a 2", "a 3")
        request = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 2}
        await bench.map_stream(DestinationConfig=config, **request)
        await bench.cloud.advance(30)
        assert machine.batches == [["a 1", "a 2", "a 3"], ["a 2", "a 3"], ["a 2", "a 3"]]
        [report] = await bench.reports()
        assert report["DDBStreamBatchInfo"]["batchSize"] == 2

    in_stream_cloud(test)


def test_a_partial_response_with_bisection_loses_the_poison_alone():
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = partial({"a 3"})
        await bench.put(*(f"a {n}" for n in range(1, 8)))
        request = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "BisectBatchOnFunctionError": True}
        await bench.map_stream(MaximumRetryAttempts=0, DestinationConfig=config, **request)
        await bench.cloud.advance(30)
        [report] = await bench.reports()
        assert report["DDBStreamBatchInfo"]["batchSize"] == 1
        assert report["DDBStreamBatchInfo"]["startSequenceNumber"] == sequences(machine)["a 3"]
        after = [change for batch in machine.batches if "a 3" not in batch for change in batch]
        assert after == ["a 4", "a 5", "a 6", "a 7"]

    in_stream_cloud(test)


def test_records_that_are_too_old_are_given_up_young_ones_are_not():
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = lambda changes, event: "Unhandled" if "a 1" in changes else b"null"
        await bench.put("a 1")
        await bench.cloud.advance(40)
        await bench.put("a 2")
        await bench.map_stream(MaximumRecordAgeInSeconds=60, DestinationConfig=config)
        await bench.cloud.advance(19)
        assert await bench.reports() == []
        assert machine.batches[-1] == ["a 1", "a 2"]
        await bench.cloud.advance(2)
        [report] = await bench.reports()
        assert report["requestContext"]["condition"] == "RecordAgeExceeded"
        assert report["DDBStreamBatchInfo"]["batchSize"] == 1
        assert machine.batches[-1] == ["a 2"]

    in_stream_cloud(test)


def test_records_that_were_never_tried_grow_old_too():
    """The function has no concurrency: no attempt is counted, the age is."""

    async def test(bench, machine):
        config = await lost(bench)
        await bench.reserve(0)
        await bench.map_stream(MaximumRecordAgeInSeconds=60, MaximumRetryAttempts=0, DestinationConfig=config)
        await bench.put("a 1")
        await bench.cloud.advance(58)
        assert (machine.batches, await bench.reports()) == ([], [])
        await bench.cloud.advance(3)
        [report] = await bench.reports()
        assert report["requestContext"]["condition"] == "RecordAgeExceeded"
        assert (report["requestContext"]["approximateInvokeCount"], report["responseContext"]) == (0, None)
        assert machine.batches == []

    in_stream_cloud(test)


def test_records_that_expired_while_they_blocked_their_shard_are_reported():
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = lambda changes, event: "Unhandled" if "a 1" in changes else b"null"
        await bench.put("a 1")
        await bench.map_stream(DestinationConfig=config)
        await bench.cloud.advance(3600)
        await bench.put("a 2")
        await bench.cloud.advance(24 * 3600)
        assert machine.batches[-1] == ["a 2"]
        [report] = await bench.reports()
        assert report["DDBStreamBatchInfo"]["startSequenceNumber"] == sequences(machine)["a 1"]

    in_stream_cloud(test)


def test_a_throttled_function_gets_every_batch_in_order_and_throttling_is_no_attempt():
    """B17.3: reserved concurrency 1; no batch is lost although no retry is allowed."""

    async def test(bench, machine):
        await bench.reserve(1)
        await bench.map_stream(BatchSize=2, ParallelizationFactor=4, MaximumRetryAttempts=0)
        await bench.pass_time(0.5)
        await bench.put(*(f"{key} {n}" for n in range(4) for key in "abcdef"))
        while sum(len(batch) for batch in machine.batches) < 24 or machine.ends:
            await machine.running(1)
            await bench.pass_time(0.3)
            machine.end()
            await bench.pass_time(0.1)
        assert machine.most == 1
        changes = [change for batch in machine.batches for change in batch]
        for key in "abcdef":
            assert [each for each in changes if each[0] == key] == [f"{key} {n}" for n in range(4)]

    in_stream_cloud(test, hold=True)


def test_lanes_run_at_once_and_keep_the_order_of_a_key():
    """B17.2."""

    async def test(bench, machine):
        await bench.map_stream(ParallelizationFactor=10, BatchSize=3)
        await bench.pass_time(0.5)
        await bench.put(*(f"{key} {n}" for n in range(3) for key in "abcdefghijklmnopqrst"))
        await bench.pass_time(0.2)
        assert 2 < machine.most <= 10
        running = [set(change[0] for change in batch) for batch in machine.batches]
        assert sum(len(keys) for keys in running) == len(set.union(*running))
        machine.hold = False
        machine.end(10)
        await bench.cloud.quiet()
        changes = [change for batch in machine.batches for change in batch]
        assert len(changes) == 60
        for key in "abcdefghijklmnopqrst":
            assert [each for each in changes if each[0] == key] == [f"{key} {n}" for n in range(3)]

    in_stream_cloud(test, hold=True)


def test_another_number_of_lanes_goes_on_where_each_key_was():
    async def test(bench, machine):
        bad = {"b 1"}
        machine.answer = lambda changes, event: "Unhandled" if bad & set(changes) else b"null"
        uuid = await bench.map_stream(ParallelizationFactor=3, BatchSize=1)
        await bench.cloud.advance(1)
        await bench.put(*(f"{key} {n}" for n in range(3) for key in "abcdef"))
        await bench.cloud.advance(1)
        for factor in (1, 7, 2):
            await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "ParallelizationFactor": factor})
            await bench.cloud.advance(1)
            assert len(bench.rows("source-reader")) == factor
            await bench.put(f"g {factor}")
        bad.clear()
        await bench.cloud.advance(100)
        good = [change for batch in machine.batches for change in batch if change != "b 1"]
        assert len(good) == len(set(good)) == 17 + 3
        for key in "acdef":
            assert [each for each in good if each[0] == key] == [f"{key} {n}" for n in range(3)]
        assert machine.batches.index(["b 2"]) > max(n for n, batch in enumerate(machine.batches) if batch == ["b 1"])

    in_stream_cloud(test)


def test_a_window_of_time_gathers_a_batch():
    """D12."""

    async def test(bench, machine):
        await bench.map_stream(BatchSize=5, MaximumBatchingWindowInSeconds=20)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.advance(10)
        await bench.put("a 2")
        await bench.cloud.advance(9.5)
        assert machine.batches == []
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1", "a 2"]]
        await bench.put(*(f"b {n}" for n in range(6)))
        await bench.cloud.quiet()
        assert machine.batches[1:] == [["b 0", "b 1", "b 2", "b 3", "b 4"]]
        await bench.cloud.advance(21)
        assert machine.batches[2:] == [["b 5"]]

    in_stream_cloud(test)


def test_latest_begins_where_the_mapping_was_created():
    async def test(bench, machine):
        await bench.put("a 1", "b 1")
        await bench.map_stream(StartingPosition="LATEST")
        await bench.put("a 2")
        await bench.cloud.advance(1)
        assert machine.batches == [["a 2"]]

    in_stream_cloud(test)


def test_a_filter_passes_over_what_is_not_wanted():
    async def test(bench, machine):
        pattern = json.dumps({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"v": {"S": [{"prefix": "y"}]}}}})
        await bench.map_stream(FilterCriteria={"Filters": [{"Pattern": pattern}]}, BatchSize=2)
        await bench.cloud.advance(1)
        await bench.put("a no", "b yes", "c yes2", "b yes3", "d no", "e y")
        await bench.cloud.advance(1)
        assert [change for batch in machine.batches for change in batch] == ["b yes", "c yes2", "e y"]

    in_stream_cloud(test)


def test_what_filters_pass_over_moves_the_checkpoint_now_and_then():
    async def test(bench, machine):
        pattern = json.dumps({"eventName": ["REMOVE"]})
        await bench.map_stream(FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await bench.cloud.advance(1)
        await bench.put(*(f"a {n}" for n in range(999)))
        await bench.cloud.quiet()
        [(key, reader)] = bench.rows("source-reader").items()
        assert reader.checkpoint == ""
        await bench.put("a 999")
        await bench.cloud.quiet()
        reader = bench.rows("source-reader")[key]
        assert reader.checkpoint.endswith("1000")
        await bench.put("a -")
        await bench.cloud.quiet()
        assert machine.batches == [["a -"]]

    in_stream_cloud(test)


def test_children_are_read_after_their_parents():
    """B17.2: a shard that rolls over while a batch of it fails holds its child back."""

    async def test(bench, machine):
        bad = {"a 1"}
        machine.answer = lambda changes, event: "Unhandled" if bad & set(changes) else b"null"
        await bench.map_stream()
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.advance(5 * 3600)
        await bench.put("a 2")
        await bench.cloud.advance(60)
        assert {tuple(batch) for batch in machine.batches} == {("a 1",)}
        bad.clear()
        await bench.cloud.advance(61)
        assert machine.batches[-2:] == [["a 1"], ["a 2"]]
        await bench.cloud.advance(60 * 3600)
        await bench.put("a 3")
        await bench.cloud.quiet()
        assert machine.batches[-1] == ["a 3"]
        assert len(bench.rows("source-shard")) < 10
        assert len(bench.rows("source-reader")) == 1

    in_stream_cloud(test)


def test_a_disabled_mapping_goes_on_where_it_was():
    async def test(bench, machine):
        uuid = await bench.map_stream()
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False})
        await bench.cloud.advance(1)
        await bench.put("a 2")
        await bench.cloud.advance(1000)
        assert machine.batches == [["a 1"]]
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1"], ["a 2"]]

    in_stream_cloud(test)


def test_a_deleted_mapping_leaves_nothing():
    async def test(bench, machine):
        uuid = await bench.map_stream(ParallelizationFactor=2)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        await bench.cloud.call("lambda", "DeleteEventSourceMapping", {"UUID": uuid})
        await bench.cloud.advance(1)
        await bench.put("a 2")
        await bench.cloud.quiet()
        assert machine.batches == [["a 1"]]
        left = [key for key in bench.cloud.store.begin(None).scan_keys(("lambda",)) if str(key[1]).startswith("source")]
        assert left == []
        running = [key for key in bench.cloud.store.begin(None).scan_keys(("~running",))]
        assert running == []

    in_stream_cloud(test)


def test_an_idle_mapping_does_nothing():
    async def test(bench, machine):
        await bench.map_stream(ParallelizationFactor=2)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        timers = [key for key in bench.cloud.store.begin(None).scan_keys(("~timer",)) if str(key[2]).startswith("lambda")]
        assert timers == []

    in_stream_cloud(test)
