"""Lambda: a model of a stream's consumer: every record is processed once, in order per key, or reported as given up."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cumulet.kernel.outcome import EffectFailed

from .lambda_streams_bench import in_stream_cloud, lost

OUTCOMES = st.lists(st.sampled_from(["ok", "error", "partial", "nonsense", "platform"]), max_size=12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from("abcde"), min_size=1, max_size=6)),
        st.tuples(st.just("poison"), st.sampled_from("abcde")),
        st.tuples(st.just("advance"), st.sampled_from([0.5, 3, 70, 5 * 3600])),
        st.tuples(st.just("enable"), st.booleans()),
        st.tuples(st.just("reserve"), st.sampled_from([0, 1, 3])),
        st.tuples(st.just("factor"), st.sampled_from([1, 2, 5])),
        st.tuples(st.just("batch"), st.sampled_from([1, 3, 100])),
    ),
    min_size=1,
    max_size=10,
)
MAPPINGS = st.fixed_dictionaries(
    {
        "BatchSize": st.sampled_from([1, 4, 100]),
        "ParallelizationFactor": st.sampled_from([1, 3]),
        "BisectBatchOnFunctionError": st.booleans(),
        "FunctionResponseTypes": st.sampled_from([[], ["ReportBatchItemFailures"]]),
        "MaximumRetryAttempts": st.sampled_from([0, 3]),
        "MaximumBatchingWindowInSeconds": st.sampled_from([0, 2]),
        "TumblingWindowInSeconds": st.sampled_from([0, 30]),
    }
)


class Consumer:
    """A function whose invocations end as `outcomes` say, and well when those are used up; what is poison fails always."""

    def __init__(self, mapping, outcomes):
        self.partial = bool(mapping["FunctionResponseTypes"])
        self.outcomes, self.done = list(outcomes), []

    def __call__(self, changes, event):
        outcome = self.outcomes.pop(0) if self.outcomes else "ok"
        poison = next((n for n, change in enumerate(changes) if "bad" in change), None)
        if outcome == "platform":
            return EffectFailed("InternalFailure", "no")
        if outcome == "error" or (poison is not None and not self.partial):
            return "Unhandled"
        if outcome == "nonsense" and self.partial and changes and not event.get("isFinalInvokeForWindow"):
            return b'{"state": {}, "batchItemFailures": [{"itemIdentifier": "?"}]}'
        failed = poison
        if outcome == "partial" and self.partial and changes:
            failed = min(len(changes) // 2, len(changes) if poison is None else poison)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
        self.done += list(zip(changes[:failed], map(int, numbers[:failed]), strict=True))
        failures = [] if failed is None else [{"itemIdentifier": numbers[failed]}]
        return json.dumps({"state": {}, "batchItemFailures": failures}).encode()


def test_every_record_is_processed_in_order_or_reported():
    """B17.2, B17.4."""

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(MAPPINGS, STEPS, OUTCOMES)
    def check(mapping, steps, outcomes):
        in_stream_cloud(lambda bench, machine: _consumed(bench, machine, mapping, steps, outcomes))

    check()


async def _consumed(bench, machine, mapping, steps, outcomes):
    config = await lost(bench)
    consumer = machine.answer = Consumer(mapping, outcomes)
    uuid = await bench.map_stream(DestinationConfig=config, **mapping)
    sent = []

    async def update(**request):
        await bench.cloud.advance(1)
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, **request})

    for step, value in steps:
        if step in ("put", "poison"):
            for key in value:
                sent.append(f"{key} {'bad' if step == 'poison' else ''}{len(sent)}")
                await bench.put(sent[-1])
        elif step == "advance":
            await bench.cloud.advance(value)
        elif step == "reserve":
            await bench.reserve(value)
        elif step == "enable":
            await update(Enabled=value)
        elif step == "factor":
            await update(ParallelizationFactor=value)
        else:
            await update(BatchSize=value)
    await update(Enabled=True)
    await bench.cloud.call("lambda", "DeleteFunctionConcurrency", {"FunctionName": "f"})
    await bench.cloud.advance(1200)
    done = [change for change, _ in consumer.done]
    ranges = [report["DDBStreamBatchInfo"] for report in await bench.reports()]
    given_up = sum(info["batchSize"] for info in ranges)
    assert len(done) == len(set(done))
    assert len(done) + given_up == len(sent)
    numbers = {change: record["dynamodb"]["SequenceNumber"] for event, batch in zip(machine.events, machine.batches, strict=True)
               for record, change in zip(event["Records"], batch, strict=True)}  # fmt: skip
    for change in set(sent) - set(done):
        number = int(numbers[change])
        assert any(int(i["startSequenceNumber"]) <= number <= int(i["endSequenceNumber"]) for i in ranges)
    for key in "abcde":
        own = [number for change, number in consumer.done if change[0] == key]
        assert own == sorted(own)
    if mapping["BisectBatchOnFunctionError"]:
        assert all(info["batchSize"] <= 1 for info in ranges)
