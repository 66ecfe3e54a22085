"""The Router deployed, driven, and its tasks broken. Checklist: A2, B5.2, B12.1, B12.2, B12.3."""

import json

import pytest

from cumulet.testing.deployment import FunctionFailed


@pytest.fixture
def service(pattern, cloud):
    return pattern.deploy(cloud.endpoint)


def messages(service, output):
    """What waits in a queue, with its attributes."""
    answer = service.client("sqs").receive_message(
        QueueUrl=service.outputs[output], MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return answer.get("Messages", [])


def test_exactly_one_of_three_tasks_runs_for_an_event(pattern, service, clock):
    """B12.1: an asynchronous call decides which task type is used, and invokes only that one."""
    for event in pattern.EVENTS:
        service.invoke("Router", event, "Event")
    clock.quiet()
    assert pattern.done(service) == {"e1": ["welcome"], "e2": ["invoice"], "e3": ["reminder"]}


def test_the_task_gets_the_event_enriched(service, clock):
    """B12.2: additional context and data reach the task."""
    service.invoke(
        "Router", {"id": "x", "kind": "overdue", "customer": " Eve ", "plan": "pro", "reminders": 2}, "Event"
    )
    clock.quiet()
    item = service.client("dynamodb").get_item(
        TableName=service.outputs["Done"], Key={"id": {"S": "x"}, "task": {"S": "reminder"}}
    )["Item"]
    assert (item["customer"], item["cents"], item["level"]) == ({"S": "eve"}, {"N": "2900"}, {"N": "3"})


@pytest.mark.parametrize(
    ("kind", "queue"),
    [
        ("signup", "WelcomeFailed"),
        ("renewal", "InvoiceFailed"),
        ("overdue", "ReminderFailed"),
        ("riddle", "RouterFailed"),
    ],
)
def test_each_function_has_its_own_dead_letter_queue(service, clock, kind, queue):
    """B12.3: four dead-letter queues; the event is there after three attempts, with what went wrong, ready to be replayed."""
    event = {"id": "bad", "kind": kind, "customer": "mallory", "fails": True}
    service.invoke("Router", event, "Event")
    clock.advance(59)
    assert messages(service, queue) == []
    clock.advance(300)
    (message,) = messages(service, queue)
    body = json.loads(message["Body"])
    assert {**body, **event} == body, "the payload is what the function got"
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert set(attributes) == {"RequestID", "ErrorCode", "ErrorMessage"}
    expected = "no task for events" if kind == "riddle" else "of bad fails"
    assert expected in attributes["ErrorMessage"]
    for other in ("WelcomeFailed", "InvoiceFailed", "ReminderFailed", "RouterFailed"):
        assert bool(messages(service, other)) == (other == queue)


def test_a_failed_task_is_replayed_from_its_queue(pattern, service, clock):
    """B5.4, B12.3: the message's body is the event; given to the function again it is done."""
    service.invoke("Router", {"id": "late", "kind": "signup", "customer": "Ada", "fails": True}, "Event")
    clock.advance(400)
    (message,) = messages(service, "WelcomeFailed")
    with pytest.raises(FunctionFailed):
        service.invoke("Welcome", json.loads(message["Body"]))
    service.invoke("Welcome", {**json.loads(message["Body"]), "fails": False}, "Event")
    clock.quiet()
    assert pattern.done(service) == {"late": ["welcome"]}


def test_events_survive_sigkill(pattern, server_process):
    """B5.3: every event that was accepted is routed and done, however often the server dies meanwhile."""
    server = server_process("--clock", "virtual").start()
    service = pattern.deploy(server.endpoint)
    kinds = ("signup", "renewal", "overdue")
    for number in range(60):
        service.invoke("Router", {"id": f"n{number}", "kind": kinds[number % 3], "customer": "c"}, "Event")
        if number % 25 == 24:
            server.kill()
            server.start()
    server.kill()
    server.start()
    service.clock(advance=600)
    tasks = {"signup": "welcome", "renewal": "invoice", "overdue": "reminder"}
    assert pattern.done(service) == {f"n{number}": [tasks[kinds[number % 3]]] for number in range(60)}
    for queue in ("WelcomeFailed", "InvoiceFailed", "ReminderFailed", "RouterFailed"):
        assert messages(service, queue) == [], "nothing healthy reaches a dead-letter queue"
