"""Lambda: tumbling windows over a stream, and what readers calculate (windows, retries, positions) by their tables."""

import dataclasses
import json
from types import SimpleNamespace

import pytest

from cumulet.aws.arn import Arn
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import InvalidParameterValueException
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.sources.feeds import FEEDS, read
from cumulet.services.lambda_.sources.model import Mapping
from cumulet.services.lambda_.sources.progress import Reader, Window, follows
from cumulet.services.lambda_.sources.streamsettings import check_source
from cumulet.services.lambda_.sources.trials import Item, Verdict, aged, delay_s, first_failure, judged, part_of
from cumulet.services.lambda_.sources.windows import kept, start_of, state_in

from .lambda_streams_bench import in_stream_cloud, lost


def counting(changes, event):
    """A function that keeps the changes of a window as its state."""
    return json.dumps({"state": {"seen": event["state"].get("seen", []) + changes}}).encode()


def told(event):
    return event["state"].get("seen", []), event["isFinalInvokeForWindow"], event["isWindowTerminatedEarly"]


async def to_next_window(bench, size=60):
    now = bench.cloud.clock.now()
    await bench.cloud.advance(size - now % size + 1)


def test_a_window_keeps_its_state_and_ends_with_a_last_invocation():
    async def test(bench, machine):
        machine.answer = counting
        await bench.map_stream(TumblingWindowInSeconds=60)
        await to_next_window(bench)
        await bench.put("a 1", "a 2")
        await bench.cloud.advance(10)
        await bench.put("a 3")
        await bench.cloud.advance(10)
        assert machine.batches == [["a 1"], ["a 2"], ["a 3"]]
        assert [told(event) for event in machine.events] == [
            ([], False, False), (["a 1"], False, False), (["a 1", "a 2"], False, False),
        ]  # fmt: skip
        await bench.cloud.advance(38)
        assert len(machine.events) == 3
        await bench.cloud.advance(2)
        [*_, last] = machine.events
        assert (last["Records"], told(last)) == ([], (["a 1", "a 2", "a 3"], True, False))
        assert last["shardId"].startswith("shardId-")
        assert last["eventSourceARN"] == bench.arn
        assert last["window"] == machine.events[0]["window"]
        assert last["window"]["start"].endswith(":00Z")
        await bench.cloud.advance(600)
        assert len(machine.events) == 4
        await bench.put("a 4")
        await bench.cloud.quiet()
        assert told(machine.events[-1]) == ([], False, False)

    in_stream_cloud(test)


def test_a_batch_does_not_reach_into_the_next_window():
    async def test(bench, machine):
        machine.answer = counting
        await to_next_window(bench)
        await bench.put("a 1", "a 2")
        await bench.cloud.advance(60)
        await bench.put("a 3")
        await bench.map_stream(TumblingWindowInSeconds=60)
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1", "a 2"], [], ["a 3"]]
        assert [told(event) for event in machine.events] == [
            ([], False, False), (["a 1", "a 2"], True, False), ([], False, False),
        ]  # fmt: skip

    in_stream_cloud(test)


def test_an_answer_without_a_state_is_a_failure():
    async def test(bench, machine):
        await bench.put("a 1")
        await bench.map_stream(TumblingWindowInSeconds=60, MaximumRetryAttempts=2)
        await bench.cloud.advance(20)
        assert machine.batches == [["a 1"]] * 3

    in_stream_cloud(test)


def test_a_partial_failure_keeps_the_state_of_what_succeeded():
    async def test(bench, machine):
        bad = {"a 2"}

        def answer(changes, event):
            good = changes[: changes.index("a 2")] if bad & set(changes) else changes
            failed = [event["Records"][len(good)]["dynamodb"]["SequenceNumber"]] if len(good) < len(changes) else []
            state = {"seen": event["state"].get("seen", []) + good}
            return json.dumps({"state": state, "batchItemFailures": [{"itemIdentifier": n} for n in failed]}).encode()

        machine.answer = answer
        await to_next_window(bench)
        await bench.put("a 1", "a 2", "a 3")
        await bench.map_stream(TumblingWindowInSeconds=60, FunctionResponseTypes=["ReportBatchItemFailures"])
        await bench.cloud.advance(5)
        assert {tuple(event["state"].get("seen", [])) for event in machine.events[1:]} == {("a 1",)}
        bad.clear()
        await bench.cloud.advance(60)
        assert told(machine.events[-1]) == (["a 1", "a 2", "a 3"], True, False)

    in_stream_cloud(test)


def test_a_state_over_one_megabyte_ends_the_window_early():
    async def test(bench, machine):
        def answer(changes, event):
            return json.dumps({"state": {"x": "x" * (1_048_576 if "a 1" in changes else 10)}}).encode()

        machine.answer = answer
        await bench.map_stream(TumblingWindowInSeconds=600)
        await to_next_window(bench, 600)
        await bench.put("a 1")
        await bench.cloud.quiet()
        assert machine.batches == [["a 1"], []]
        last = machine.events[-1]
        assert (last["isFinalInvokeForWindow"], last["isWindowTerminatedEarly"]) == (True, True)
        await bench.put("a 2")
        await bench.cloud.quiet()
        assert machine.events[-1]["state"] == {}
        assert machine.events[-1]["window"] == machine.events[0]["window"]

    in_stream_cloud(test)


def test_a_last_invocation_is_retried_and_given_up_like_a_batch():
    async def test(bench, machine):
        config = await lost(bench)
        machine.answer = lambda changes, event: (
            "Unhandled" if event["isFinalInvokeForWindow"] else counting(changes, event)
        )
        await to_next_window(bench)
        await bench.put("a 1")
        await bench.map_stream(TumblingWindowInSeconds=60, MaximumRetryAttempts=1, DestinationConfig=config)
        await bench.cloud.advance(100)
        assert machine.batches == [["a 1"], [], []]
        [report] = await bench.reports()
        assert report["DDBStreamBatchInfo"]["batchSize"] == 0
        await bench.put("a 2")
        await bench.cloud.quiet()
        assert (machine.batches[-1], machine.events[-1]["state"]) == (["a 2"], {})

    in_stream_cloud(test)


@pytest.mark.parametrize("change", [{"TumblingWindowInSeconds": 0}, {"ParallelizationFactor": 2}])
def test_a_window_ends_early_when_its_mapping_changes(change):
    async def test(bench, machine):
        machine.answer = counting
        uuid = await bench.map_stream(TumblingWindowInSeconds=60)
        await to_next_window(bench)
        await bench.put("a 1")
        await bench.cloud.advance(1)
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, **change})
        await bench.cloud.advance(1)
        assert [told(event) for event in machine.events] == [([], False, False), (["a 1"], True, True)]
        await bench.put("a 2")
        await bench.cloud.quiet()
        assert machine.batches[-1] == ["a 2"]

    in_stream_cloud(test)


def test_the_end_of_a_shard_ends_its_window():
    async def test(bench, machine):
        machine.answer = counting
        await bench.map_stream(TumblingWindowInSeconds=900)
        await bench.cloud.advance(4 * 3600 - 30)
        await bench.put("a 1")
        await bench.cloud.advance(120)
        await bench.put("a 2")
        await bench.cloud.advance(1800)
        shards = [event["shardId"] for event in machine.events]
        assert [told(event)[:2] for event in machine.events] == [
            ([], False), (["a 1"], True), ([], False), (["a 2"], True),
        ]  # fmt: skip
        assert shards[0] == shards[1] != shards[2] == shards[3]

    in_stream_cloud(test)


def test_windows_begin_at_multiples_of_their_length():
    assert [start_of(at, 60) for at in (0.0, 59.9, 60.0, 119.0)] == [0.0, 0.0, 60.0, 60.0]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b'{"state": {"a": 1}, "batchItemFailures": []}', b'{"a": 1}'),
        (b'{"state": null}', b"null"),
        (b"{}", None),
        (b"null", None),
        (b"", None),
        (b"{no json", None),
    ],
)
def test_a_state_is_read_as_json(answer, state):
    assert state_in(answer) == state


@pytest.mark.parametrize(("size", "early"), [(1_048_576, False), (1_048_577, True)])
def test_a_state_has_one_megabyte(size, early):
    found = kept(Reader(), Window(start=0.0, size_s=60, state=b"{}"), b"x" * size, Item("1", 1.0))
    assert found.window is not None
    assert found.window.early is early


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (b"", None),
        (b"null", None),
        (b'""', None),
        (b"{}", None),
        (b'{"batchItemFailures": null}', None),
        (b'{"batchItemFailures": []}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": "30"}]}', 2),
        (b'{"batchItemFailures": [{"itemIdentifier": "30"}, {"itemIdentifier": "20"}]}', 1),
        (b'{"batchItemFailures": [{"itemIdentifier": "20"}, {"itemIdentifier": "30"}]}', 1),
        (b'{"batchItemFailures": [{"itemIdentifier": "20"}, {"itemIdentifier": "40"}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', 0),
        (b'{"batchItemFailures": [{"sequence": "20"}]}', 0),
        (b'{"batchItemFailures": "20"}', 0),
        (b'{"batchItemFailures": ["20"]}', 0),
        (b"[1]", 0),
        (b"{no json", 0),
    ],
)
def test_the_lowest_sequence_number_of_a_partial_response_counts(answer, place):
    assert first_failure(answer, ["10", "20", "30"]) == place


def test_pauses_double_up_to_a_minute():
    assert [delay_s(n) for n in (1, 2, 6, 7, 5000)] == [1.0, 2.0, 32.0, 60.0, 60.0]


def test_sequence_numbers_are_numbers():
    assert follows("1000", "999")
    assert follows("1", "")
    assert not follows("999", "999")


def test_failures_of_the_platform_use_up_no_retry():
    mapping = Mapping(
        account="1", region="r", uuid="u", kind="dynamodb", source_arn="arn", modified=0.0, state="Enabled", enabled=True,
        function=Ref("1", "r", "f"), batch_size=10, retries=0, bisect=True,
    )  # fmt: skip
    items = [Item("1", 0.0), Item("2", 0.0)]
    step = judged(Reader(), mapping, items, "2", Verdict(0, counts=False, status=500), 100.0)
    assert (step.discarded, step.reader.retry_at, step.reader.checkpoint) == (None, 101.0, "")
    assert [(part.size, part.tries) for part in step.reader.parts] == [(2, 0)]
    step = judged(step.reader, mapping, items, "2", Verdict(0), 200.0)
    assert [(part.size, part.tries) for part in step.reader.parts] == [(1, 0), (1, 0)]
    step = judged(step.reader, mapping, items[:1], "1", Verdict(0), 200.0)
    assert step.discarded is not None
    assert (step.discarded.size, step.discarded.tries, step.reader.checkpoint) == (1, 1, "1")


def test_what_is_left_of_a_part_that_grew_old_keeps_its_tries():
    items = [Item(str(n), float(n)) for n in range(1, 5)]
    part = replace(part_of(items), tries=2, invoked=3)
    tail = part_of([Item("5", 5.0)])
    step = aged(Reader(parts=(part, tail), failures=2, retry_at=9.0), items, "4", 3)
    assert step.discarded is not None
    assert (step.discarded.start, step.discarded.end, step.discarded.size, step.discarded.invoked) == ("1", "3", 3, 3)
    [rest, behind] = step.reader.parts
    assert (rest.start, rest.end, rest.size, rest.tries, behind) == ("4", "4", 1, 2, tail)
    assert (step.reader.checkpoint, step.reader.retry_at) == ("3", 0.0)
    step = aged(Reader(parts=(part, tail)), items, "4", 4)
    assert (step.reader.checkpoint, step.reader.parts) == ("4", (tail,))


def test_halves_of_a_half_come_before_the_other_half():
    mapping = Mapping(
        account="1", region="r", uuid="u", kind="dynamodb", source_arn="arn", modified=0.0, state="Enabled", enabled=True,
        function=Ref("1", "r", "f"), batch_size=10, bisect=True,
    )  # fmt: skip
    items = [Item(str(n), 0.0) for n in range(1, 6)]
    step = judged(Reader(), mapping, items, "5", Verdict(0), 0.0)
    assert [(part.start, part.end) for part in step.reader.parts] == [("1", "2"), ("3", "5")]
    step = judged(step.reader, mapping, items[:2], "2", Verdict(0), 0.0)
    assert [(part.start, part.end) for part in step.reader.parts] == [("1", "1"), ("2", "2"), ("3", "5")]


def test_a_kind_of_stream_with_times_begins_at_one(monkeypatch):
    feed = dataclasses.replace(FEEDS["dynamodb"], service="kinesis", positions=frozenset({"LATEST", "AT_TIMESTAMP"}))
    monkeypatch.setitem(FEEDS, "kinesis", feed)
    asked = []
    pipeline = SimpleNamespace(authority=None)
    ctx = SimpleNamespace(
        now=100.0, pipeline=pipeline, call=lambda service, operation, request, **_: asked.append(request)
    )
    text = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    for request, message in (
        ({"StartingPosition": "AT_TIMESTAMP"}, "Need to specify a timestamp"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 100.1}, "cannot be in the future"),
    ):
        with pytest.raises(InvalidParameterValueException, match=message):
            check_source(ctx, Arn.parse(text), text, request)
    check_source(ctx, Arn.parse(text), text, {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 100.0})
    mapping = Mapping(
        account="1", region="r", uuid="u", kind="kinesis", source_arn=text, modified=0.0, state="Enabled", enabled=True,
        function=Ref("1", "r", "f"), batch_size=10, position="AT_TIMESTAMP", position_at=50.0,
    )  # fmt: skip
    read(ctx, mapping, "shard", "", 10, 100)
    read(ctx, mapping, "shard", "7", 10, 100)
    place = {"StreamArn": text, "ShardId": "shard", "Limit": 10, "MaxBytes": 100}
    assert asked == [
        {**place, "After": "", "StartingPosition": "AT_TIMESTAMP", "Timestamp": 50.0},
        {**place, "After": "7"},
    ]
