"""What counts as a call of what, and what is kept of it. Checklist: A4."""

import pytest

from cumulet.console import observed as observing
from cumulet.console.observed import Observed, Place
from cumulet.console.resources import ids_of, in_stack, of_arn, resource
from cumulet.kernel.trace import Span, Tracer

F, G = (f"arn:aws:lambda:us-east-1:1:function:{name}" for name in "fg")
QUEUE = "arn:aws:sqs:us-east-1:1:q"
TABLE = ("dynamodb", "1", "us-east-1", "tab")
TAB = "arn:aws:dynamodb:us-east-1:1:table/tab"


def step(tracer, name, kind, parent=None, subject=None, at=0.0):
    if isinstance(parent, Span) or kind == "effect":
        span = tracer.below(parent or tracer.begin("timer", "timer", at), name, kind, at)
    else:
        span = tracer.begin(name, kind, at, parent)
    span.subject = subject
    return span


def counts(observed):
    return {place: (edge.count, edge.errors) for place, edge in observed.edges.items()}


def test_a_call_of_a_function_that_still_runs_is_the_functions():
    tracer, observed = Tracer(), Observed()
    running = step(tracer, "invoke f", "effect", None, ("lambda", "1", "us-east-1", F))
    asked = step(tracer, "dynamodb.PutItem", "request", running.header(), TABLE)
    tracer.end(asked)
    observed.look(tracer, 1.0)
    assert counts(observed) == {Place(F, TAB, False): (1, 0)}
    tracer.end(running)
    late = step(tracer, "dynamodb.PutItem", "request", running.header(), TABLE)
    tracer.end(late)
    observed.look(tracer, 2.0)
    assert counts(observed) == {Place(F, TAB, False): (2, 0)}


def test_a_function_that_invokes_itself_has_an_edge_to_itself():
    tracer, observed = Tracer(), Observed()
    outer = step(tracer, "invoke f", "effect", None, ("lambda", "1", "us-east-1", F))
    asked = step(tracer, "lambda.Invoke", "request", outer.header(), ("lambda", "1", "us-east-1", "f"))
    inner = step(tracer, "invoke f", "effect", asked, ("lambda", "1", "us-east-1", f"{F}:$LATEST"))
    for span in (inner, asked, outer):
        tracer.end(span)
    observed.look(tracer, 1.0)
    assert counts(observed) == {Place(F, F, False): (1, 0)}


def test_a_retry_is_a_call_of_who_sent_the_event():
    tracer, observed = Tracer(), Observed()
    sender = step(tracer, "invoke f", "effect", None, ("lambda", "1", "us-east-1", F))
    accepted = step(tracer, "lambda.Invoke", "request", sender.header(), ("lambda", "1", "us-east-1", "g"))
    tracer.end(accepted)
    tracer.end(sender)
    for _ in range(2):
        timer = step(tracer, "timer lambda.event", "timer")
        timer.follow([accepted.header()], at=G)
        attempt = step(tracer, "invoke g", "effect", timer, ("lambda", "1", "us-east-1", G))
        tracer.end(attempt, "Error")
        tracer.end(timer)
    observed.look(tracer, 1.0)
    assert counts(observed) == {Place(F, G, True): (2, 2)}


def test_an_invocation_that_ran_and_failed_is_counted_once():
    tracer, observed = Tracer(), Observed()
    asked = step(tracer, "lambda.Invoke", "request", None, ("lambda", "1", "us-east-1", "f"))
    ran = step(tracer, "invoke f", "effect", asked, ("lambda", "1", "us-east-1", F))
    tracer.end(ran, "UnsupportedRuntime")
    observed.look(tracer, 1.0)
    tracer.end(asked, "InvalidRuntimeException")
    observed.look(tracer, 2.0)
    assert counts(observed) == {Place("client", F, False): (1, 1)}


def test_steps_that_ask_no_resource_are_no_calls():
    tracer, observed = Tracer(), Observed()
    tracer.end(step(tracer, "sqs.ListQueues", "request"))
    tracer.end(step(tracer, "timer lambda.poll", "timer"))
    hidden = step(tracer, "lambda.CreateFunction", "request")
    tracer.end(step(tracer, "s3.GetObject", "call", hidden, ("s3", "1", "us-east-1", "code")))
    tracer.end(hidden)
    observed.look(tracer, 1.0)
    assert counts(observed) == {}


def test_what_ran_while_nobody_looked_is_missed_and_said():
    """The first look finds what is kept; later ones say how much they did not see."""
    tracer, observed = Tracer(kept=10), Observed()
    for number in range(25):
        tracer.end(step(tracer, "sqs.SendMessage", "request", None, ("sqs", "1", "us-east-1", QUEUE), at=float(number)))
    observed.look(tracer, 30.0)
    assert (observed.since, observed.missed, counts(observed)) == (15.0, 0, {Place("client", QUEUE, True): (10, 0)})
    for _ in range(13):
        tracer.end(step(tracer, "sqs.SendMessage", "request", None, ("sqs", "1", "us-east-1", QUEUE), at=31.0))
    observed.look(tracer, 31.0)
    assert (observed.missed, counts(observed)) == (3, {Place("client", QUEUE, True): (20, 0)})


def test_the_edges_are_bounded_and_so_is_what_each_keeps(monkeypatch):
    monkeypatch.setattr(observing, "_EDGES", 3)
    tracer, observed = Tracer(), Observed()
    for number in range(600):
        for name in range(5):
            subject = ("sqs", "1", "us-east-1", f"{QUEUE}{name}")
            tracer.end(step(tracer, "sqs.SendMessage", "request", None, subject, at=float(number)))
    observed.look(tracer, 600.0)
    assert len(observed.edges) == 3
    for edge in observed.edges.values():
        assert edge.count == 600 and len(edge.traces) == 20
        assert len(edge._durations) == 512 and len(edge._seconds) == 61
        assert edge.last_minute(599.0) == 60 and edge.last_minute(630.0) == 29 and edge.last_minute(700.0) == 0


def test_a_quantile_is_of_the_newest_durations():
    edge = observing.Edge(Place("client", QUEUE, True))
    tracer = Tracer()
    for ms in range(1, 101):
        span = tracer.begin("x", "call", 0.0)
        span.started, span.ended = 0.0, ms / 1e3
        edge.add(span)
    assert (round(edge.quantile(0.5)), round(edge.quantile(0.99))) == (51, 100)


@pytest.mark.parametrize(
    ("subject", "id_"),
    [
        (("lambda", "1", "us-east-1", "f:live"), F),
        (("lambda", "9", "us-east-1", "1:function:f:3"), F),
        (("lambda", "9", "eu-west-1", f"{F}:live"), F),
        (("sqs", "9", "us-east-1", "http://localhost:4566/1/q"), QUEUE),
        (("sqs", "1", "us-east-1", "q"), QUEUE),
        (("dynamodb", "9", "", f"{TAB}/index/i"), TAB),
        (("dynamodb", "9", "", f"{TAB}/stream/2026-11-21T00:00:00.000"), TAB),
        (("s3", "1", "us-east-1", "b"), "arn:aws:s3:::b"),
        (("events", "1", "us-east-1", "default"), "arn:aws:events:us-east-1:1:event-bus/default"),
        (("http", "", "", "https://user:secret@example.com:8443/a?token=b"), "http:example.com:8443"),
        (("http", "", "", "https://example.com/a"), "http:example.com"),
        (("execute-api", "1", "us-east-1", "a1"), "execute-api:a1"),
    ],
)
def test_a_resource_has_one_id(subject, id_):
    assert ids_of(subject) == (id_,)


@pytest.mark.parametrize("subject", [None, ("sns", "1", "us-east-1", None), ("lambda-url", "1", "us-east-1", "u")])
def test_what_names_no_resource_has_none(subject):
    assert ids_of(subject) == ()


@pytest.mark.parametrize(
    ("type_", "physical_id", "id_"),
    [
        ("AWS::Lambda::Function", "f", F),
        ("AWS::SQS::Queue", "http://127.0.0.1:4566/1/q", QUEUE),
        ("AWS::SNS::Topic", "arn:aws:sns:us-east-1:1:t", "arn:aws:sns:us-east-1:1:t"),
        ("AWS::DynamoDB::Table", "tab", TAB),
        ("AWS::S3::Bucket", "b", "arn:aws:s3:::b"),
        ("AWS::Events::Rule", "bus|r", "arn:aws:events:us-east-1:1:rule/bus/r"),
        ("AWS::Events::Rule", "r", "arn:aws:events:us-east-1:1:rule/r"),
        ("AWS::RDS::DBInstance", "db1", "arn:aws:rds:us-east-1:1:db:db1"),
        ("AWS::ApiGatewayV2::Api", "a1", "execute-api:a1"),
        ("AWS::IAM::Role", "r", ""),
    ],
)
def test_a_stacks_resource_has_the_same_id(type_, physical_id, id_):
    assert in_stack(type_, physical_id, "1", "us-east-1") == id_


@pytest.mark.parametrize(
    ("id_", "kind", "name"),
    [
        (F, "function", "f"),
        (TAB, "table", "tab"),
        ("arn:aws:events:us-east-1:1:rule/bus/r", "rule", "bus/r"),
        ("arn:aws:events:us-east-1:1:event-bus/b", "bus", "b"),
        ("arn:aws:rds:us-east-1:1:db:db1", "database", "db1"),
        ("http:example.com", "host", "example.com"),
        ("arn:aws:quantum:us-east-1:1:x/y", "quantum", "x/y"),
    ],
)
def test_a_node_says_what_it_is(id_, kind, name):
    node = resource(id_)
    assert (node.kind, node.name, node.label) == (kind, name, name)


def test_what_is_no_arn_is_no_resource():
    assert of_arn("nonsense") == ""
