"""Lambda: what becomes of queued events: retries, age, dead-letter queues, destinations, metrics, traces."""

import io
import json
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ECHO = "def handler(event, context):\n    print('got', event)\n    return event\n"
FAILS = "def handler(event, context):\n    print('attempt', context.aws_request_id)\n    raise ValueError('no ' + str(event))\n"
PICKY = "def handler(event, context):\n    print('saw', event)\n    if event.get('bad'): raise ValueError('bad')\n"


def packed(code):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


@pytest.fixture
def client(aws):
    return aws("lambda")


@pytest.fixture
def create(client):
    def make(code, name="f", **settings):
        settings = {"Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", "Timeout": 20, **settings}
        return client.create_function(FunctionName=name, Code={"ZipFile": packed(code)}, **settings)

    return make


@pytest.fixture
def queue(aws):
    """Makes a queue: (its ARN, a function that takes its messages)."""

    def make(name):
        sqs = aws("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

        def take():
            found = []
            while True:
                got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"],
                                          AttributeNames=["All"]).get("Messages", [])  # fmt: skip
                if not got:
                    return found
                found += got
                for message in got:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        return arn, take

    return make


@pytest.fixture
def messages(aws):
    """The log messages of a function, oldest first."""

    def read(name="f"):
        logs = aws("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            return [event["message"].strip() for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    return read


@pytest.fixture
def send(client):
    """Queues an event; returns its request id."""

    def invoke(payload, name="f", **more):
        body = payload if isinstance(payload, bytes) else json.dumps(payload)
        answer = client.invoke(FunctionName=name, Payload=body, InvocationType="Event", **more)
        assert answer["StatusCode"] == 202
        return answer["ResponseMetadata"]["RequestId"]

    return invoke


@pytest.fixture
def gate():
    """A door outside: a function tells that it has begun, and goes on when it is let go."""
    begun, go, most, inside, lock = threading.Semaphore(0), threading.Event(), [0], [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            begun.release()
            go.wait(20)
            with lock:
                inside[0] -= 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    class Gate:
        code = (f"import urllib.request\ndef handler(event, context):\n"
                f"    urllib.request.urlopen('http://127.0.0.1:{server.server_port}/').close()\n"
                f"    print('passed', event)\n    return 'passed'\n")  # fmt: skip

        def await_one(self):
            assert begun.acquire(timeout=20)

        def let_go(self):
            go.set()

        def most_at_once(self):
            return most[0]

    yield Gate()
    go.set()
    server.shutdown()
    server.server_close()


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"]


def spans_of(cloud, trace_id):
    return cloud.cloud.pipeline.tracer.spans(trace_id)


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


def metric(aws, clock, name, statistic="Sum", advance=60, **dimensions):
    """One figure of the hour before now, all minutes together."""
    clock.advance(advance)
    dimensions = dimensions or {"FunctionName": "f"}
    got = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName=name, StartTime=clock.now() - 3600, EndTime=clock.now() + 60, Period=60,
        Statistics=[statistic], Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
    )["Datapoints"]  # fmt: skip
    figures = [point[statistic] for point in got]
    return sum(figures) if statistic in ("Sum", "SampleCount") else max(figures, default=None)


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
