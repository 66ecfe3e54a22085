"""Lambda: invoking, at once and queued; throttling; logs; what functions see."""

import base64
import io
import json
import threading
import urllib.request
import uuid
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


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
def messages(aws):
    """The log messages of a function, oldest first."""

    def read(name="f"):
        logs = aws("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            return [event["message"] for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    return read


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


ECHO = "def handler(event, context):\n    print('got', event)\n    return event\n"


def test_an_invocation_answers_what_the_handler_returns(client, create):
    create(ECHO)
    answer = client.invoke(FunctionName="f", Payload=json.dumps({"a": [1, "ü"]}))
    assert json.load(answer["Payload"]) == {"a": [1, "ü"]}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert json.load(client.invoke(FunctionName="f")["Payload"]) == {}


def test_an_error_of_the_function_is_an_answer(client, create):
    create("def handler(event, context):\n    raise KeyError('nope')\n")
    answer = client.invoke(FunctionName="f")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.load(answer["Payload"])
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'nope'")


def test_the_log_tail_comes_along_and_is_at_most_4_kb(client, create):
    create("def handler(event, context):\n    print(event['text'])\n")
    answer = client.invoke(FunctionName="f", Payload=b'{"text": "hello"}', LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert (
        tail.index("START RequestId")
        < tail.index("hello")
        < tail.index("END RequestId")
        < tail.index("REPORT RequestId")
    )
    answer = client.invoke(FunctionName="f", Payload=json.dumps({"text": "x" * 9000}), LogType="Tail")
    assert len(base64.b64decode(answer["LogResult"])) == 4096
    assert "LogResult" not in client.invoke(FunctionName="f", Payload=b'{"text": 1}')


def test_log_lines_are_in_the_functions_group(client, create, messages):
    create(ECHO)
    request_id = client.invoke(FunctionName="f", Payload=b'{"n": 1}')["ResponseMetadata"]["RequestId"]
    lines = messages()
    assert f"START RequestId: {request_id} Version: $LATEST" in [line.strip() for line in lines]
    assert any("got {'n': 1}" in line for line in lines)
    assert any(line.startswith(f"REPORT RequestId: {request_id}") and "Init Duration" in line for line in lines)


def test_a_log_group_of_ones_own_is_used(client, create, aws):
    create(ECHO, LoggingConfig={"LogGroup": "/mine"})
    client.invoke(FunctionName="f")
    groups = [group["logGroupName"] for group in aws("logs").describe_log_groups()["logGroups"]]
    assert groups == ["/mine"]


def test_json_logs_carry_the_level_and_the_request(client, create, messages):
    create("import logging\ndef handler(event, context):\n    logging.getLogger().warning('careful')\n",
           LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"})  # fmt: skip
    request_id = client.invoke(FunctionName="f")["ResponseMetadata"]["RequestId"]
    entries = [json.loads(line) for line in messages()]
    mine = next(entry for entry in entries if entry.get("message") == "careful")
    assert (mine["level"], mine["requestId"]) == ("WARNING", request_id)


def test_a_dry_run_checks_and_runs_nothing(client, create, messages):
    create(ECHO)
    assert client.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    assert messages() == []
    assert refused(client.invoke, FunctionName="nope", InvocationType="DryRun")[2] == 404


def test_an_answer_can_come_as_a_stream(client, create):
    create("def handler(event, context):\n    print('said')\n    return {'got': 1 / event['n']}\n")
    answer = client.invoke_with_response_stream(FunctionName="f", Payload=b'{"n": 2}', LogType="Tail")
    first, last = answer["EventStream"]
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(first["PayloadChunk"]["Payload"]) == {"got": 0.5}
    assert b"said" in base64.b64decode(last["InvokeComplete"]["LogResult"])
    (failed,) = client.invoke_with_response_stream(FunctionName="f", Payload=b'{"n": 0}')["EventStream"]
    assert failed["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert "ZeroDivisionError" in failed["InvokeComplete"]["ErrorDetails"]
    assert refused(client.invoke_with_response_stream, FunctionName="nope")[2] == 404


def test_a_payload_that_is_no_json_is_refused(client, create):
    create(ECHO)
    for kind in ("RequestResponse", "Event"):
        code, message, status = refused(client.invoke, FunctionName="f", Payload=b"{no", InvocationType=kind)
        assert (code, status) == ("InvalidRequestContentException", 400)
        assert message.startswith("Could not parse request body into json")


def test_payloads_over_the_limits_are_refused(client, create):
    create("def handler(event, context):\n    return len(event)\n")
    six, one = json.dumps("x" * (6_291_456 - 2)), json.dumps("x" * (1_048_576 - 2))
    assert json.load(client.invoke(FunctionName="f", Payload=six)["Payload"]) == 6_291_454
    assert client.invoke(FunctionName="f", Payload=one, InvocationType="Event")["StatusCode"] == 202
    code, message, status = refused(client.invoke, FunctionName="f", Payload=six + " ")
    assert (code, status) == ("RequestTooLargeException", 413)
    assert message == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    code, message, _ = refused(client.invoke, FunctionName="f", Payload=one + " ", InvocationType="Event")
    assert "1048576" in message


def test_the_client_context_reaches_the_function(client, create):
    create("def handler(event, context):\n    return context.client_context.custom['a']\n")
    context = base64.b64encode(b'{"custom": {"a": "b"}}').decode()
    assert json.load(client.invoke(FunctionName="f", ClientContext=context)["Payload"]) == "b"
    assert refused(client.invoke, FunctionName="f", ClientContext="%")[0] == "InvalidRequestContentException"


def test_a_function_calls_another_one_with_the_credentials_of_its_role(client, create):
    create("import json, boto3\ndef handler(event, context):\n"
           "    me = boto3.client('sts').get_caller_identity()['Arn']\n"
           "    answer = boto3.client('lambda').invoke(FunctionName='g', Payload=json.dumps(me))\n"
           "    return json.load(answer['Payload'])\n")  # fmt: skip
    create("def handler(event, context):\n    return ['g', event]\n", "g")
    answer = json.load(client.invoke(FunctionName="f")["Payload"])
    assert answer == ["g", "arn:aws:sts::000000000000:assumed-role/functions/f"]


def test_a_handler_past_its_timeout_is_killed_and_reported(client, create, messages):
    create("import threading\ndef handler(event, context):\n    threading.Event().wait()\n", Timeout=1)
    answer = client.invoke(FunctionName="f")
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 1.00 seconds" in json.load(answer["Payload"])["errorMessage"]
    assert any("Status: timeout" in line for line in messages())


# queued events


def test_a_queued_event_is_run_and_its_request_id_kept(client, create, clock, messages):
    create(ECHO)
    answer = client.invoke(FunctionName="f", Payload=b'{"n": 1}', InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    clock.quiet()
    assert f"START RequestId: {answer['ResponseMetadata']['RequestId']}" in "".join(messages())


def test_invoke_async_queues_an_event(client, create, clock, messages):
    create(ECHO)
    assert client.invoke_async(FunctionName="f", InvokeArgs=b'{"n": 2}')["Status"] == 202
    clock.quiet()
    assert any("got {'n': 2}" in line for line in messages())


def test_a_failing_event_is_tried_again_after_one_and_two_minutes(client, create, clock, messages):
    create("def handler(event, context):\n    raise ValueError\n")
    client.invoke(FunctionName="f", InvocationType="Event")
    clock.quiet()

    def starts():
        return [line for line in messages() if line.startswith("START")]

    assert len(starts()) == 1
    clock.advance(59)
    assert len(starts()) == 1
    clock.advance(1)
    assert len(starts()) == 2
    clock.advance(119)
    assert len(starts()) == 2
    clock.advance(1)
    assert len(starts()) == 3
    clock.advance(7 * 3600)
    assert len(starts()) == 3
    assert len(set(starts())) == 1  # one request id


def test_a_large_event_is_kept_until_it_is_done(client, create, clock, messages, cloud):
    create("def handler(event, context):\n    print(len(event))\n")
    client.invoke(FunctionName="f", Payload=json.dumps("x" * 500_000), InvocationType="Event")
    clock.quiet()
    assert any(line.strip() == "500000" for line in messages())
    client.delete_function(FunctionName="f")
    clock.quiet()
    blobs = cloud.cloud.store.blobs.folder
    assert [path for path in blobs.rglob("*") if path.is_file()] == []


def test_an_event_for_an_alias_runs_its_version(client, create, clock, messages):
    create("def handler(event, context):\n    print('version', context.function_version)\n", Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.invoke(FunctionName="f", Qualifier="live", InvocationType="Event")
    clock.quiet()
    assert any("version 1" in line for line in messages())


# throttling

BLOCKED = """
import os, time
def handler(event, context):
    open(event['mine'], 'w').close()
    while not os.path.exists(event['go']):
        time.monotonic()
    return event['mine']
"""


@pytest.fixture
def gate(client, create, cloud):
    """A function that runs until it is let go, and a thread that invokes it."""
    import http.server

    started, go = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/started":
                started.set()
            else:
                go.wait(60)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    create(f"import urllib.request\ndef handler(event, context):\n    for path in ('started', 'go'):\n"
           f"        urllib.request.urlopen('{base}/' + path).close()\n    return 'done'\n")  # fmt: skip
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.invoke(FunctionName="f")["Payload"].read()))

    class Gate:
        def hold(self):
            thread.start()
            assert started.wait(60)

        def release(self):
            go.set()
            thread.join(60)
            return answers

    yield Gate()
    go.set()
    if thread.ident is not None:
        thread.join(60)
    server.shutdown()
    server.server_close()


def test_a_function_runs_no_more_often_at_once_than_reserved(client, gate):
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    gate.hold()
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(FunctionName="f")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert answer["Error"]["Message"] == "Rate Exceeded."
    assert gate.release() == [b'"done"']
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"done"'


def test_a_throttled_event_runs_as_soon_as_a_slot_is_free(client, gate, clock, messages):
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    gate.hold()
    for _ in range(3):
        client.invoke(FunctionName="f", InvocationType="Event")
    assert gate.release() == [b'"done"']
    clock.quiet()
    assert sum(line.startswith("START") for line in messages()) == 4


def test_a_function_with_no_concurrency_never_runs(client, create, clock, messages):
    create(ECHO)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert refused(client.invoke, FunctionName="f")[2] == 429
    client.invoke(FunctionName="f", InvocationType="Event")
    clock.advance(3600)
    client.delete_function_concurrency(FunctionName="f")
    client.invoke(FunctionName="f", InvocationType="Event", Payload=b'"second"')
    clock.advance(7 * 3600)
    assert [line.strip() for line in messages() if line.startswith("got")] == ["got second"]


# function URLs


def fetch(url, data=None, method=None, **headers):
    request = urllib.request.Request(url, data, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_a_function_url_serves_http_requests(client, create):
    create("def handler(event, context):\n    return event\n")
    url = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    status, headers, body = fetch(
        f"{url}a%20b/c?x=1&x=2&y=", b"text", Cookie="a=1; b=2", X_Mine="z", content_type="text/plain"
    )
    event = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/a b/c", "x=1&x=2&y=")
    assert event["queryStringParameters"] == {"x": "1,2", "y": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-mine"] == "z"
    assert (event["body"], event["isBase64Encoded"]) == ("text", False)
    assert event["requestContext"]["http"]["method"] == "POST"
    binary = json.loads(fetch(url, b"\xff\x00", content_type="application/octet-stream")[2])
    assert (binary["isBase64Encoded"], base64.b64decode(binary["body"])) == (True, b"\xff\x00")


def test_a_function_url_answers_what_the_function_says(client, create):
    create("import base64\ndef handler(event, context):\n"
           "    return {'statusCode': 201, 'headers': {'X-A': 'b'}, 'cookies': ['c=d'], 'isBase64Encoded': True,\n"
           "            'body': base64.b64encode(b'\\xff').decode()}\n")  # fmt: skip
    url = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    status, headers, body = fetch(url)
    assert (status, headers["X-A"], headers["Set-Cookie"], body) == (201, "b", "c=d", b"\xff")


def test_a_function_that_breaks_is_a_bad_gateway_at_its_url(client, create):
    create("def handler(event, context):\n    raise ValueError('secret')\n")
    url = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    status, _, body = fetch(url)
    assert status == 502
    assert b"secret" not in body


def test_a_url_with_iam_needs_a_signature(client, create):
    create("def handler(event, context):\n    return event['requestContext']['authorizer']['iam']['accessKey']\n")
    url = client.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    assert fetch(url)[0] == 403
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signed = AWSRequest("GET", url)
    SigV4Auth(Credentials("test", "test"), "lambda", "us-east-1").add_auth(signed)
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(signed.headers))) as answer:
        assert answer.read() == b"test"


def test_a_url_answers_cross_origin_requests_itself(client, create):
    create("def handler(event, context):\n    return 'x'\n")
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "AllowHeaders": ["x-mine"], "MaxAge": 60}
    url = client.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=cors)["FunctionUrl"]
    _, headers, body = fetch(url, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET")
    assert (headers["Access-Control-Allow-Origin"], headers["Access-Control-Allow-Methods"]) == (
        "https://a.example",
        "GET",
    )
    assert (headers["Access-Control-Max-Age"], body) == ("60", b"")
    assert fetch(url, Origin="https://a.example")[1]["Access-Control-Allow-Origin"] == "https://a.example"


def test_url_configurations_are_kept(client, create):
    create(ECHO, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    plain = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    live = client.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")
    assert live["FunctionArn"] == f"{ARN}f:live"
    assert (
        refused(client.create_function_url_config, FunctionName="f", AuthType="NONE")[0] == "ResourceConflictException"
    )
    client.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    assert client.get_function_url_config(FunctionName="f")["AuthType"] == "AWS_IAM"
    assert len(client.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]) == 2
    _, message, status = refused(client.create_function_url_config, FunctionName="f", AuthType="NONE",
                                    InvokeMode="RESPONSE_STREAM")  # fmt: skip
    assert (status, "RESPONSE_STREAM" in message) == (501, True)
    client.delete_function_url_config(FunctionName="f")
    assert refused(client.get_function_url_config, FunctionName="f")[0] == "ResourceNotFoundException"
    assert fetch(plain)[0] == 403
    assert fetch(live["FunctionUrl"])[0] == 200


def test_each_function_that_a_message_reaches_has_a_request_id_of_its_own(aws, cloud):
    """On AWS an invocation's id is Lambda's own, a UUID, whatever caused it; a client's Invoke gets it as its request's id."""
    client, s3, sns = aws("lambda"), aws("s3"), aws("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    for name in ("one", "two"):
        made = client.create_function(
            FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=ROLE,
            Code={"ZipFile": packed("def handler(event, context): print('ID', context.aws_request_id)")},
        )  # fmt: skip
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=made["FunctionArn"])
    s3.create_bucket(Bucket="bucket")
    target = {"LambdaFunctionArn": made["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
    )
    sns.publish(TopicArn=topic, Message="m")
    s3.put_object(Bucket="bucket", Key="k", Body=b"")
    invoked = client.invoke(FunctionName="one")["ResponseMetadata"]["RequestId"]
    cloud.quiet()
    found = {
        name: [
            event["message"].split()[1]
            for event in aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern='"ID "')[
                "events"
            ]
            if event["message"].startswith("ID ")
        ]
        for name in ("one", "two")
    }
    ids = found["one"] + found["two"]
    assert (len(ids), len(set(ids))) == (4, 4)
    assert invoked in found["one"]
    assert all(str(uuid.UUID(each)) == each for each in ids)
