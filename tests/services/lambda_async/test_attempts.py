"""Lambda: what becomes of queued events: retries, age, throttling, dead-letter queues."""

import json

import pytest

from tests.services.lambda_async.calls import ECHO, FAILS

# acknowledged, run, tried again


def test_a_request_waits_for_the_reply_and_shows_the_functions_error(client, create):
    """A1, B4.2: RequestResponse returns the handler's result, or its error."""
    create("def handler(event, context):\n    return {'twice': event['n'] * 2}\n")
    assert json.load(client.invoke(FunctionName="f", Payload=b'{"n": 21}')["Payload"]) == {"twice": 42}
    answer = client.invoke(FunctionName="f", Payload=b"{}")
    assert (answer["FunctionError"], json.load(answer["Payload"])["errorType"]) == ("Unhandled", "KeyError")


def test_an_event_is_acknowledged_while_its_handler_still_runs(client, create, gate, clock, send, messages):
    """A2, B5.1: 202 before the handler ends."""
    create(gate.code)
    send({"n": 1})
    gate.await_one()
    assert "passed {'n': 1}" not in messages()
    gate.let_go()
    clock.quiet()
    assert "passed {'n': 1}" in messages()


def test_a_failing_event_is_attempted_three_times_and_then_buried_as_it_was_accepted(
    client, create, queue, clock, send, messages
):
    """B5.2, B5.5, B12.3: 1 + 2 attempts with one request id, then the dead-letter queue with its three attributes."""
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    request_id = send(b'{ "order":  [1, "\\u00fc"] }')
    clock.advance(179)
    assert take() == []
    clock.advance(1)
    (message,) = take()
    assert message["Body"] == '{ "order":  [1, "\\u00fc"] }'
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no {'order': [1, 'ü']}"}
    assert message["MessageAttributes"]["ErrorCode"]["DataType"] == "Number"
    assert [line for line in messages() if line.startswith("attempt")] == [f"attempt {request_id}"] * 3
    clock.advance(7 * 3600)
    assert take() == []


def test_an_error_message_is_cut_to_a_kilobyte(client, create, queue, clock, send):
    arn, take = queue("dead")
    create("def handler(event, context):\n    raise ValueError('x' * 3000)\n", DeadLetterConfig={"TargetArn": arn})
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    send(1)
    clock.quiet()
    assert take()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"] == "x" * 1024


def test_an_error_message_that_a_queue_would_refuse_is_cleaned(client, create, queue, clock, send):
    arn, take = queue("dead")
    create("def handler(event, context):\n    raise ValueError('bell \\a, end')\n", DeadLetterConfig={"TargetArn": arn})
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    send(1)
    clock.quiet()
    assert take()[0]["MessageAttributes"]["ErrorMessage"]["StringValue"] == "bell , end"


def test_a_topic_can_be_the_dead_letter_queue(aws, client, create, queue, clock, send):
    arn, take = queue("listens")
    topic = aws("sns").create_topic(Name="dead")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    create(FAILS, DeadLetterConfig={"TargetArn": topic})
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    request_id = send({"a": 1})
    clock.advance(5)
    envelope = json.loads(take()[0]["Body"])
    assert json.loads(envelope["Message"]) == {"a": 1}
    assert envelope["MessageAttributes"]["RequestID"]["Value"] == request_id


def test_a_large_event_arrives_whole_in_the_dead_letter_queue(client, create, queue, clock, send, cloud):
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    folder = cloud.cloud.store.blobs.folder
    before = {path for path in folder.rglob("*") if path.is_file()}
    body = json.dumps("x" * 200_000).encode()
    send(body)
    clock.advance(180)
    assert take()[0]["Body"].encode() == body
    assert {path for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("retries", "seconds"), [(0, 0), (1, 60), (2, 180)])
def test_fewer_retries_can_be_set(client, create, queue, clock, send, retries, seconds):
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=retries)
    send(1)
    clock.quiet()
    if seconds:
        clock.advance(seconds - 1)
        assert take() == []
        clock.advance(1)
    assert len(take()) == 1


def test_an_event_that_grows_too_old_is_given_up_with_its_retries_left(client, create, queue, clock, send):
    """The maximum age of 100 s falls between the second attempt (60 s) and the third (180 s)."""
    arn, take = queue("failed")
    create(FAILS)
    client.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=100,
                                            DestinationConfig={"OnFailure": {"Destination": arn}})  # fmt: skip
    send(1)
    clock.advance(99)
    assert take() == []
    clock.advance(1)
    context = json.loads(take()[0]["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 2)


def test_events_of_a_function_without_concurrency_are_buried_at_once(client, create, queue, clock, send, messages):
    arn, take = queue("dead")
    create(ECHO, DeadLetterConfig={"TargetArn": arn})
    client.put_function_event_invoke_config(FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}})
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    send({"n": 1})
    clock.quiet()
    bodies = sorted((json.loads(message["Body"]) for message in take()), key=len)
    assert bodies[0] == {"n": 1}
    assert bodies[1]["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert bodies[1]["requestContext"]["approximateInvokeCount"] == 0
    assert messages() == []


def test_the_old_form_of_an_event_goes_the_same_way(client, create, queue, clock):
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    assert client.invoke_async(FunctionName="f", InvokeArgs=b'{"old": 1}')["Status"] == 202
    clock.advance(180)
    assert json.loads(take()[0]["Body"]) == {"old": 1}


def test_a_deleted_functions_events_end(client, create, queue, clock, send):
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    send(1)
    clock.advance(30)
    client.delete_function(FunctionName="f")
    clock.advance(3600)
    assert take() == []


# throttling


def test_a_function_reserved_to_one_never_competes_with_itself(client, create, gate, clock, send, messages):
    """B8.2, B8.5: overlapping events run one at a time, and a throttled one is kept, not lost."""
    create(gate.code)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    for n in range(6):
        send(n)
    gate.await_one()
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke(FunctionName="f")
    gate.let_go()
    clock.quiet()
    assert sorted(line for line in messages() if line.startswith("passed")) == [f"passed {n}" for n in range(6)]
    assert gate.most_at_once() == 1


def test_an_event_that_is_throttled_all_the_time_is_given_up_at_its_age(
    client, create, gate, queue, clock, send, cloud
):
    """B8.5: another invocation holds the only slot until the event is too old."""
    arn, take = queue("dead")
    create(gate.code, DeadLetterConfig={"TargetArn": arn})
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    client.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=60)
    from cumulet.kernel.store import Fate
    from cumulet.services.lambda_.capacity import Running

    table = Running()
    table.by_function["000000000000", "us-east-1", "f"] = {"other": (1e12, Fate())}
    cloud.cloud.pipeline.volatile["lambda.running"] = table
    request_id = send({"n": 1})
    clock.advance(59)
    assert take() == []
    clock.advance(1)
    (message,) = take()
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"RequestID": request_id, "ErrorCode": "429", "ErrorMessage": "Rate Exceeded."}


def test_raising_the_reservation_lets_waiting_events_run_at_once(client, create, clock, send, messages, cloud):
    create(ECHO)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    from cumulet.kernel.store import Fate
    from cumulet.services.lambda_.capacity import Running

    table = Running()
    table.by_function["000000000000", "us-east-1", "f"] = {"other": (1e12, Fate())}
    cloud.cloud.pipeline.volatile["lambda.running"] = table
    for n in range(20):
        send(n)
    clock.quiet()
    assert messages() == []
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=9)
    clock.quiet()
    assert sum(line.startswith("got") for line in messages()) == 20
