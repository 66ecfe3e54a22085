"""Lambda: what becomes of a batch that fails: retries, bisection, partial responses, age, and the report of what is given up."""

import json

import pytest

from .lambda_streams_bench import LOST, in_stream_cloud, lost, sequences


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
        await bench.put("a 1")
        await bench.cloud.advance(30)
        await bench.map_stream(MaximumRecordAgeInSeconds=60, MaximumRetryAttempts=0, DestinationConfig=config)
        await bench.cloud.advance(28)
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
        uuid = await bench.map_stream(DestinationConfig=config)
        await bench.cloud.advance(5)
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False})
        await bench.cloud.advance(25 * 3600)
        await bench.put("a 2")
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
        await bench.cloud.advance(60)
        assert machine.batches[-1] == ["a 2"]
        [report] = await bench.reports()
        assert report["requestContext"]["condition"] == "RecordAgeExceeded"
        assert report["DDBStreamBatchInfo"]["startSequenceNumber"] == sequences(machine)["a 1"]

    in_stream_cloud(test)


@pytest.mark.parametrize("old", [False, True])
def test_a_change_its_retries_and_its_report_are_one_trace(old):
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = lambda changes, event: "Unhandled"
        trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
        item = {"k": {"S": "a"}, "v": {"S": "1"}}
        await bench.cloud.call("dynamodb", "PutItem", {"TableName": "tab", "Item": item}, trace=trace)
        await bench.cloud.advance(60 if old else 1)
        await bench.map_stream(MaximumRetryAttempts=1, MaximumRecordAgeInSeconds=60, DestinationConfig=config)
        await bench.cloud.advance(10)
        assert len(machine.batches) == (0 if old else 2)
        request = {"QueueArn": LOST, "MaxNumberOfMessages": 10, "MaxBytes": 1_000_000}
        [message] = (await bench.cloud.call("sqs", "cumulet:Poll", request))["Messages"]
        assert message["Trace"].startswith("Root=1-5759e988-bd862e3fe1be46a994272793;")

    in_stream_cloud(test)
