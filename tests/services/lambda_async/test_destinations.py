"""Lambda: where queued events end: destinations, and what cannot be delivered."""

import json
import re

from tests.services.lambda_async.calls import ARN, ECHO, FAILS, PICKY, metric, refused

# destinations


def test_the_record_of_a_failure_is_aws_own(client, create, queue, clock, send):
    arn, take = queue("failed")
    create(FAILS)
    client.put_function_event_invoke_config(FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}})
    request_id = send({"n": 1})
    clock.advance(180)
    record = json.loads(take()[0]["Body"])
    assert list(record) == [
        "version", "timestamp", "requestContext", "requestPayload", "responseContext", "responsePayload",
    ]  # fmt: skip
    assert record["version"] == "1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])
    assert record["requestContext"] == {
        "requestId": request_id, "functionArn": f"{ARN}f:$LATEST", "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }  # fmt: skip
    assert record["requestPayload"] == {"n": 1}
    assert record["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
    }  # fmt: skip
    assert record["responsePayload"]["errorMessage"] == "no {'n': 1}"


def test_the_record_of_a_success_holds_request_and_response(client, create, queue, clock, send):
    arn, take = queue("worked")
    create("def handler(event, context):\n    return {'done': event}\n", Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.put_function_event_invoke_config(
        FunctionName="f", Qualifier="live", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    send({"n": 1}, Qualifier="live")
    send({"n": 2})  # $LATEST has no destination
    clock.quiet()
    (message,) = take()
    record = json.loads(message["Body"])
    assert record["requestContext"]["functionArn"] == f"{ARN}f:live"
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == ("Success", 1)
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "1"}
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, {"done": {"n": 1}})


def test_a_function_can_be_a_destination(client, create, clock, send, messages):
    create(ECHO)
    create("def handler(event, context):\n    print('after', event['responsePayload'])\n", "g")
    client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": f"{ARN}g"}}
    )
    send({"n": 1})
    clock.quiet()
    assert "after {'n': 1}" in messages("g")


def test_a_bucket_takes_the_records_of_failures(aws, client, create, clock, send):
    s3 = aws("s3")
    s3.create_bucket(Bucket="failures")
    create(FAILS)
    client.put_function_event_invoke_config(
        FunctionName="f",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
    )
    request_id = send({"n": 1})
    clock.quiet()
    (found,) = s3.list_objects_v2(Bucket="failures")["Contents"]
    assert re.fullmatch(
        r"aws/lambda/async/f/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}", found["Key"]
    )
    record = json.load(s3.get_object(Bucket="failures", Key=found["Key"])["Body"])
    assert record["requestContext"]["requestId"] == request_id


def test_a_topic_takes_records(aws, client, create, queue, clock, send):
    arn, take = queue("listens")
    topic = aws("sns").create_topic(Name="records")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    create(ECHO)
    client.put_function_event_invoke_config(FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": topic}})
    send({"n": 1})
    clock.advance(5)
    assert json.loads(take()[0]["Body"])["responsePayload"] == {"n": 1}


def test_a_record_too_large_for_a_topic_goes_without_its_payloads(aws, client, create, queue, clock, send):
    """SNS takes 256 KB: of a failure the record is sent without the payloads."""
    arn, take = queue("listens")
    topic = aws("sns").create_topic(Name="records")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    create("def handler(event, context):\n    raise ValueError('no')\n")
    client.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": topic}}
    )
    send("x" * 263_000)
    clock.advance(5)
    record = json.loads(take()[0]["Body"])
    assert "requestPayload" not in record
    assert record["requestContext"]["condition"] == "RetriesExhausted"


def test_an_event_bus_takes_records(aws, client, create, queue, clock, send):
    arn, take = queue("listens")
    events = aws("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["lambda"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    create(PICKY)
    client.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": bus}, "OnFailure": {"Destination": bus}},
    )  # fmt: skip
    send({"n": 1})
    send({"bad": True})
    clock.advance(5)
    found = {event["detail-type"]: event for event in (json.loads(message["Body"]) for message in take())}
    assert set(found) == {
        "Lambda Function Invocation Result - Success", "Lambda Function Invocation Result - Failure",
    }  # fmt: skip
    success = found["Lambda Function Invocation Result - Success"]
    assert success["resources"] == [bus, f"{ARN}f:$LATEST"]
    assert success["detail"]["requestPayload"] == {"n": 1}


# what cannot be delivered


def test_a_dead_letter_queue_that_is_not_there_is_counted_and_holds_nothing_up(
    aws, client, create, clock, send, messages
):
    missing = "arn:aws:sqs:us-east-1:000000000000:missing"
    create(PICKY, DeadLetterConfig={"TargetArn": missing})
    client.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": missing}}
    )
    send({"bad": 1})
    send({"n": 2})
    clock.quiet()
    assert "saw {'n': 2}" in messages()
    assert metric(aws, clock, "DeadLetterErrors") == 1
    assert metric(aws, clock, "DestinationDeliveryFailures") == 1


def test_invocations_errors_and_events_are_counted(aws, client, create, clock, send):
    create(PICKY, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)
    send({"n": 1})
    send({"bad": 1})
    clock.advance(60)
    client.invoke(FunctionName="f", Qualifier="live")
    assert metric(aws, clock, "Invocations") == 4
    assert metric(aws, clock, "Errors") == 2
    assert metric(aws, clock, "Duration", "SampleCount") == 4
    assert metric(aws, clock, "AsyncEventsReceived") == 2
    assert metric(aws, clock, "AsyncEventAge", "Maximum") == 60_000
    assert metric(aws, clock, "AsyncEventsDropped") == 1
    assert metric(aws, clock, "ConcurrentExecutions", "Maximum") >= 1
    assert metric(aws, clock, "Invocations", FunctionName="f", Resource="f:live") == 1


def test_throttles_are_counted(aws, client, create, clock):
    create(ECHO)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    for _ in range(3):
        assert refused(client.invoke, FunctionName="f")[0] == "TooManyRequestsException"
    assert metric(aws, clock, "Throttles") == 3
