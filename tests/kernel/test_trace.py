"""Which traces are listed."""

from __future__ import annotations

from cumulet.kernel.trace import Tracer

CLIENT = "Root=1-00000000-aaaaaaaaaaaaaaaaaaaaaaaa;Parent=bbbbbbbbbbbbbbbb;Sampled=1"


def names(tracer: Tracer, *, idle: bool = True) -> list[str]:
    return [span["name"] for span in tracer.traces(100, idle=idle)]


def run(tracer: Tracer, name: str, kind: str = "request", parent: str | None = None, status: str = "ok") -> str:
    span = tracer.begin(name, kind, 0.0, parent)
    tracer.end(span, status)
    return span.header()


def test_a_trace_without_its_root_is_listed_by_its_first_span() -> None:
    tracer = Tracer()
    first = tracer.begin("timer lambda.poll", "timer", 0.0, CLIENT)
    run(tracer, "sqs.cumulet:Delete", "call", first.header())
    tracer.end(first)
    run(tracer, "sqs.SendMessage")
    assert names(tracer) == ["sqs.SendMessage", "timer lambda.poll"]


def test_a_trace_is_listed_by_its_root_alone_once_that_is_known() -> None:
    tracer = Tracer()
    root = tracer.begin("sns.Publish", "request", 0.0)
    run(tracer, "sqs.SendMessage", "call", root.header())
    assert names(tracer) == []
    run(tracer, "timer lambda.poll", "timer", root.header())
    assert names(tracer) == ["timer lambda.poll"]
    tracer.end(root)
    assert names(tracer) == ["sns.Publish"]


def test_what_only_looked_or_found_nothing_to_do_is_idle() -> None:
    tracer = Tracer()
    for name in ("sqs.GetQueueAttributes", "cloudformation.DescribeStacks", "dynamodb.GetItem", "sqs.cumulet:Peek"):
        run(tracer, name)
    run(tracer, "timer cloudwatch.evaluate", "timer")
    run(tracer, "timer lambda.poll", "timer", status="Broken")
    run(tracer, "sns.Publish", "call", run(tracer, "timer events.schedule", "timer"))
    run(tracer, "postgres.measure", "effect", run(tracer, "timer rds.measure", "timer"))
    run(tracer, "postgres.measure", "effect", run(tracer, "timer rds.broken", "timer"), status="Broken")
    assert len(names(tracer)) == 9
    assert names(tracer, idle=False) == [
        "timer rds.broken",
        "timer events.schedule",
        "timer lambda.poll",
        "dynamodb.GetItem",
    ]
