"""Lambda: failed events read, traced and played again; settings of events."""

import json

import pytest

from tests.services.lambda_async.calls import ARN, ECHO, FAILS, PICKY, packed, refused, spans_of

# looking at failures, and trying again


def test_a_failure_can_be_read_and_played_again_with_its_payload_intact(client, create, queue, clock, send, messages):
    """B5.4: the dead letter is the event; invoking the function with it runs the same event."""
    arn, take = queue("dead")
    create(PICKY, DeadLetterConfig={"TargetArn": arn})
    send({"bad": "yes", "n": 7})
    clock.advance(180)
    (message,) = take()
    client.update_function_code(FunctionName="f", ZipFile=packed(ECHO))
    send(message["Body"].encode())
    clock.quiet()
    assert "got {'bad': 'yes', 'n': 7}" in messages()
    assert take() == []


def test_the_functions_of_a_dead_letter_queue_can_be_found(client, create, queue, cloud):
    """B5.4: whoever plays a queue's messages again asks for the functions whose events they were."""
    arn, _ = queue("dead")
    create(ECHO, DeadLetterConfig={"TargetArn": arn}, Publish=True)
    create(ECHO, "g", DeadLetterConfig={"TargetArn": arn})
    create(ECHO, "h")
    from cumulet.kernel.pipeline import Call

    call = Call("lambda", "cumulet:DeadLetterSources", {"TargetArn": arn}, "000000000000", "us-east-1", "r")
    assert cloud.run(cloud.cloud.pipeline.call(call)) == {"FunctionArns": [f"{ARN}f", f"{ARN}g"]}


def test_one_trace_goes_from_the_request_over_all_attempts_to_the_dead_letter(client, create, queue, clock, cloud):
    arn, take = queue("dead")
    create(FAILS, DeadLetterConfig={"TargetArn": arn})
    root = "1-5759e988-bd862e3fe1be46a994272793"

    def add_trace(request, **_):
        request.headers["X-Amzn-Trace-Id"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1"

    client.meta.events.register("before-sign.lambda.Invoke", add_trace)
    try:
        for n in range(2):
            client.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps(n))
    finally:
        client.meta.events.unregister("before-sign.lambda.Invoke", add_trace)
    clock.advance(180)
    spans = spans_of(cloud, root)
    names = [span["name"] for span in spans]
    assert names.count("lambda.Invoke") == 2
    assert names.count("invoke f") == 6
    assert names.count("sqs.SendMessage") == 2
    known = {span["span_id"] for span in spans} | {"53995c3f42cd8ad8"}
    assert all(span["parent_id"] in known for span in spans)
    assert len(take()) == 2


def test_events_that_one_worker_runs_one_after_the_other_keep_their_own_traces(client, create, clock, cloud):
    create(FAILS)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    for _ in range(5):
        client.invoke(FunctionName="f", InvocationType="Event")
    clock.advance(180)
    spans = list(cloud.cloud.pipeline.tracer._spans)
    roots = [span.trace_id for span in spans if span.name == "lambda.Invoke"]
    assert len(set(roots)) == 5
    for root in roots:
        own = [span for span in spans if span.trace_id == root]
        assert sum(span.name == "invoke f" for span in own) == 3
        known = {span.span_id for span in own}
        assert [span.name for span in own if span.parent_id not in known] == ["lambda.Invoke"]


# patterns


def test_a_job_is_cut_into_events_and_failed_workers_are_played_again(client, create, queue, clock, send, messages):
    """B16.2, B16.5: one caller, many Event invocations, the caller ends first; failed workers wait in the queue."""
    arn, take = queue("dead")
    create("import boto3, json\ndef handler(event, context):\n    client = boto3.client('lambda')\n"
           "    for n in range(event['parts']):\n"
           "        client.invoke(FunctionName='worker', InvocationType='Event', Payload=json.dumps({'n': n, 'bad': n == 3}))\n"
           "    return 'cut'\n", "boss")  # fmt: skip
    create(PICKY, "worker", DeadLetterConfig={"TargetArn": arn})
    assert client.invoke(FunctionName="boss", Payload=b'{"parts": 6}')["Payload"].read() == b'"cut"'
    clock.advance(180)
    assert len({line for line in messages("worker") if line.startswith("saw")}) == 6
    (message,) = take()
    assert json.loads(message["Body"]) == {"n": 3, "bad": True}
    client.update_function_code(FunctionName="worker", ZipFile=packed(ECHO))
    send(message["Body"].encode(), "worker")
    clock.quiet()
    assert "got {'n': 3, 'bad': True}" in messages("worker")


def test_a_function_may_not_take_longer_than_fifteen_minutes(client, create, queue, clock, send):
    """B16.1: more is refused; a handler past its timeout is killed, reported, and its event tried again."""
    assert refused(create, code=ECHO, Timeout=901)[0] == "ValidationException"
    arn, take = queue("dead")
    create("import time\ndef handler(event, context):\n    time.sleep(1000)\n", Timeout=900,
           DeadLetterConfig={"TargetArn": arn})  # fmt: skip
    send(1)
    clock.advance(2000)
    (message,) = take()
    assert "Task timed out after 900.00 seconds" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]


def test_moving_an_alias_back_rolls_back_for_events_too(client, create, clock, send, messages):
    """C10: a release is an alias that moves; a roll-back moves it back."""
    code = "def handler(event, context):\n    print('version', context.function_version)\n"
    create(code, Publish=True)
    client.update_function_code(FunctionName="f", ZipFile=packed(code + "# two\n"), Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="2")
    send(1, Qualifier="live")
    clock.quiet()
    assert [line for line in messages() if line.startswith("version")] == ["version 2"]
    clock.advance(60)
    client.update_alias(FunctionName="f", Name="live", FunctionVersion="1")
    send(2, Qualifier="live")
    clock.quiet()
    assert [line for line in messages() if line.startswith("version")] == ["version 2", "version 1"]


# settings


def test_settings_of_events_are_kept_changed_listed_and_deleted(client, create, clock):
    create(ECHO, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    made = client.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60
    )
    assert (made["FunctionArn"], made["MaximumRetryAttempts"], made["MaximumEventAgeInSeconds"]) == (
        f"{ARN}f:$LATEST",
        0,
        60,
    )
    assert made["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    assert made["LastModified"].timestamp() == pytest.approx(clock.now(), abs=1)
    changed = client.update_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)
    assert (changed["MaximumRetryAttempts"], changed["MaximumEventAgeInSeconds"]) == (1, 60)
    again = client.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=21600)
    assert "MaximumRetryAttempts" not in again
    client.put_function_event_invoke_config(FunctionName="f:live", MaximumRetryAttempts=2)
    client.put_function_event_invoke_config(FunctionName="f", Qualifier="1", MaximumRetryAttempts=2)
    first = client.list_function_event_invoke_configs(FunctionName="f", MaxItems=2)
    rest = client.list_function_event_invoke_configs(FunctionName="f", MaxItems=2, Marker=first["NextMarker"])
    arns = [c["FunctionArn"] for page in (first, rest) for c in page["FunctionEventInvokeConfigs"]]
    assert arns == [f"{ARN}f:$LATEST", f"{ARN}f:1", f"{ARN}f:live"]
    client.delete_function_event_invoke_config(FunctionName="f")
    code, message = refused(client.get_function_event_invoke_config, FunctionName="f")
    assert (code, message) == (
        "ResourceNotFoundException", f"The function {ARN}f:$LATEST doesn't have an EventInvokeConfig",
    )  # fmt: skip
    assert refused(client.delete_function_event_invoke_config, FunctionName="f")[0] == "ResourceNotFoundException"
    assert refused(client.update_function_event_invoke_config, FunctionName="f", MaximumRetryAttempts=1)[0] == (
        "ResourceNotFoundException"
    )
    client.delete_alias(FunctionName="f", Name="live")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert refused(client.get_function_event_invoke_config, FunctionName="f:live")[0] == "ResourceNotFoundException"
    assert client.get_function_event_invoke_config(FunctionName="f:1")["MaximumRetryAttempts"] == 2


@pytest.mark.parametrize("setting", [
    {"MaximumRetryAttempts": 3}, {"MaximumRetryAttempts": -1},
    {"MaximumEventAgeInSeconds": 59}, {"MaximumEventAgeInSeconds": 21_601},
])  # fmt: skip
def test_settings_outside_their_limits_are_refused(aws, create, setting):
    from botocore.config import Config

    create(ECHO)
    client = aws("lambda", config=Config(parameter_validation=False))
    assert refused(client.put_function_event_invoke_config, FunctionName="f", **setting)[0] == "ValidationException"


def test_what_cannot_be_a_destination_is_refused(client, create):
    create(ECHO)
    put = client.put_function_event_invoke_config
    assert refused(put, FunctionName="f") == (
        "InvalidParameterValueException", "You must specify at least one of error handling or destination setting.",
    )  # fmt: skip
    bucket = {"OnSuccess": {"Destination": "arn:aws:s3:::b"}}
    code, message = refused(put, FunctionName="f", DestinationConfig=bucket)
    assert (code, message) == (
        "InvalidParameterValueException",
        "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::b), onFailure=null) "
        "is invalid.",
    )
    for arn in ("arn:aws:sqs:us-east-1:000000000000:q.fifo", "arn:aws:kinesis:us-east-1:000000000000:stream/s"):
        got = refused(put, FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}})
        assert got[0] == "InvalidParameterValueException"
    own = {"OnFailure": {"Destination": f"{ARN}f"}}
    assert refused(put, FunctionName="f", DestinationConfig=own)[1] == (
        "You can't specify the function as a destination for itself."
    )
    assert refused(put, FunctionName="nope", MaximumRetryAttempts=0)[0] == "ResourceNotFoundException"


def test_a_dead_letter_queue_is_set_shown_and_taken_away(client, create):
    queue = "arn:aws:sqs:us-east-1:000000000000:q"
    assert create(ECHO, DeadLetterConfig={"TargetArn": queue})["DeadLetterConfig"] == {"TargetArn": queue}
    changed = client.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in changed
    for target in ("arn:aws:lambda:us-east-1:000000000000:function:g", f"{queue}.fifo"):
        code, message = refused(
            client.update_function_configuration, FunctionName="f", DeadLetterConfig={"TargetArn": target}
        )
        assert code == "InvalidParameterValueException"
        assert target in message
