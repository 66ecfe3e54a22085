"""Lambda: a model of a queue with its function; partial responses, payloads and states by their tables."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.sources.model import STATES
from cumulet.services.lambda_.sources.records import failed_of, payload_of

from .lambda_sources_bench import ACCOUNT, in_cloud


def test_the_table_of_states_is_whole():
    assert {state for state, _ in STATES} == {"Creating", "Enabling", "Updating", "Disabling", "Deleting"}
    assert all(
        result == ("Enabled" if enabled else "Disabled") or not result for (_, enabled), result in STATES.items()
    )


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        (b'{"other": 1, "batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}', {"a"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"messageId": "a"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "unknown"}]}', {"a", "b"}),
        (b'{"batchItemFailures": ["a"]}', {"a", "b"}),
        (b'{"batchItemFailures": {}}', {"a", "b"}),
        (b"{no json", {"a", "b"}),
        (b"[1]", {"a", "b"}),
    ],
)
def test_a_partial_response_is_read_by_awss_rules(answer, failed):
    assert failed_of(answer, {"a", "b"}) == failed


def test_a_payload_has_six_megabytes_and_not_a_byte_more():
    frame = len(b'{"Records":[]}')
    body = {"body": "x" * (6_291_456 - frame - len('{"body":""}'))}
    payload, count = payload_of([body])
    assert (len(payload), count) == (6_291_456, 1)
    assert payload_of([{"body": body["body"] + "x"}]) == (b'{"Records":[]}', 0)
    half = {"body": "x" * (6_291_456 // 2 - 20)}
    payload, count = payload_of([half, half, half])
    assert count == 2
    assert json.loads(payload) == {"Records": [half, half]}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 6)),
        st.tuples(st.just("bad"), st.integers(1, 2)),
        st.tuples(st.just("advance"), st.sampled_from([0.5, 5, 31])),
        st.tuples(st.just("enable"), st.booleans()),
        st.tuples(st.just("reserve"), st.sampled_from([0, 1, 3])),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("fifo", [False, True])
def test_every_message_runs_until_it_succeeds_or_is_a_dead_letter(fifo):
    """B2.4, B2.5, B8.8: whatever happens to mapping and function meanwhile; a model of at-least-once delivery."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(STEPS)
    def check(steps):
        in_cloud(lambda bench, machine: _delivered(bench, machine, steps, fifo))

    check()


async def _delivered(bench, machine, steps, fifo):
    end = ".fifo" if fifo else ""
    dead = await bench.queue("dead" + end)
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead{end}", "maxReceiveCount": 2}
    url = await bench.queue("q" + end, RedrivePolicy=json.dumps(redrive))
    await bench.function()
    uuid = await bench.map("q" + end, BatchSize=3, FunctionResponseTypes=["ReportBatchItemFailures"])
    good, bad, tries, done, sent = [], [], {}, [], 0

    def answer(bodies):
        for body in bodies:
            tries[body] = tries.get(body, 0) + 1
        failed = [i for i, body in enumerate(bodies) if body.startswith("bad")]
        if fifo and failed:  # as AWS asks: what follows a failure of a batch was not tried
            failed = list(range(failed[0], len(bodies)))
        done.extend(body for i, body in enumerate(bodies) if i not in failed)
        ids = [machine.ids[bodies[i]] for i in failed]
        return json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in ids]}).encode()

    machine.answer, machine.ids = answer, {}
    for step, value in steps:
        if step in ("send", "bad"):
            for _ in range(value):
                sent += 1
                body = f"{'bad' if step == 'bad' else 'good'} {sent}"
                (bad if step == "bad" else good).append(body)
                extra = {"MessageGroupId": "g" + str(sent % 2)} if fifo else {}
                request = {"QueueUrl": url, "MessageBody": body, **extra}
                machine.ids[body] = (await bench.cloud.call("sqs", "SendMessage", request))["MessageId"]
        elif step == "advance":
            await bench.cloud.advance(value)
        elif step == "reserve":
            await bench.reserve(value)
        else:
            await bench.cloud.advance(1)
            await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": value})
    await bench.cloud.advance(1)
    await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
    await bench.cloud.call("lambda", "DeleteFunctionConcurrency", {"FunctionName": "f"})
    for _ in range(3 * (len(bad) + len(good)) if fifo else 3):
        await bench.cloud.advance(31)
    assert await bench.counts(url) == (0, 0)
    dead_count = (await bench.counts(dead))[0]
    assert len(done) == len(set(done)) == len(good) + len(bad) - dead_count
    if fifo:
        numbers = [int(body.split()[1]) for body in done]
        for group in (0, 1):
            in_group = [number for number in numbers if number % 2 == group]
            assert in_group == sorted(in_group)
        assert all(count <= 2 for count in tries.values())
    else:
        assert set(done) == set(good)
        assert all(tries[body] == 1 for body in good)
        assert all(tries[body] == 2 for body in bad)
