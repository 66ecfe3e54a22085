"""HTTP APIs before services, HTTP endpoints and access logs, over real sockets."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest
from botocore.exceptions import ClientError

from cumulet.services.sqs import SERVICE as SQS
from tests.services.apigateway_cloud import URI, HttpCloud, headers_of, run
from tests.services.http_backend import Backend

ROLE = "arn:aws:iam::000000000000:role/api"
XML = "{http://queue.amazonaws.com/doc/2012-11-05/}"


@pytest.fixture
def backend():
    made = Backend()
    yield made
    made.close()


@pytest.fixture
def http(aws, cloud):
    return Api(aws("apigatewayv2"), cloud.endpoint)


class Api:
    """One HTTP API on its default stage."""

    def __init__(self, client, endpoint):
        self.client = client
        self.id = client.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
        self.url = f"{endpoint}/_aws/execute-api/{self.id}"
        client.create_stage(ApiId=self.id, StageName="$default", AutoDeploy=True)

    def integrate(self, key, **settings):
        made = self.client.create_integration(ApiId=self.id, **settings)["IntegrationId"]
        self.client.create_route(ApiId=self.id, RouteKey=key, Target=f"integrations/{made}")
        return made

    def service(self, key, subtype, parameters, **settings):
        return self.integrate(key, IntegrationType="AWS_PROXY", IntegrationSubtype=subtype, CredentialsArn=ROLE,
                              PayloadFormatVersion="1.0", RequestParameters=parameters, **settings)  # fmt: skip

    def proxy(self, key, uri, method="ANY", **settings):
        return self.integrate(key, IntegrationType="HTTP_PROXY", IntegrationUri=uri, IntegrationMethod=method,
                              PayloadFormatVersion="1.0", **settings)  # fmt: skip

    def fetch(self, path, method="GET", body=None, headers=None):
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


def header(said, name):
    return [value for key, value in said["headers"] if key.lower() == name]


# services


def test_a_message_is_sent_and_the_answer_is_sqs_xml(aws, http):
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    attributes = '{"who": {"DataType": "String", "StringValue": "${request.header.who}"}, "n": {"DataType": "Number", "StringValue": "7"}}'
    parameters = {"QueueUrl": queue, "MessageBody": "$request.body", "MessageAttributes": attributes}
    http.service("POST /send", "SQS-SendMessage", parameters)
    status, headers, body = http.fetch("/send", "POST", b'{"a": 1}', {"Who": "ann"})
    found = ElementTree.fromstring(body)
    assert (status, headers["content-type"], found.tag) == (200, "text/xml", f"{XML}SendMessageResponse")
    message = aws("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"][0]
    assert found.find(f"{XML}SendMessageResult/{XML}MessageId").text == message["MessageId"]
    assert message["Body"] == '{"a": 1}'
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {
        "who": "ann",
        "n": "7",
    }


def test_parameters_come_from_everywhere(aws, http):
    queue = aws("sqs").create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    http.client.update_stage(ApiId=http.id, StageName="$default", StageVariables={"prefix": "p"})
    body = "${request.path.id}-${request.querystring.q}-${context.httpMethod}-${stageVariables.prefix}-${request.body.list[1].x}"
    parameters = {"QueueUrl": queue, "MessageBody": body, "MessageGroupId": "$request.body.group",
                  "MessageDeduplicationId": "$context.requestId"}  # fmt: skip
    http.service("POST /orders/{id}", "SQS-SendMessage", parameters)
    assert http.fetch("/orders/17?q=a&q=b", "POST", b'{"group": 5, "list": [0, {"x": true}]}')[0] == 200
    got = aws("sqs").receive_message(QueueUrl=queue, AttributeNames=["MessageGroupId"])["Messages"][0]
    assert (got["Body"], got["Attributes"]["MessageGroupId"]) == ("17-a,b-POST-p-true", "5")


def test_what_cannot_be_resolved_is_a_bad_request_and_sends_nothing(aws, http):
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    http.service("POST /send", "SQS-SendMessage", {"QueueUrl": queue, "MessageBody": "$request.body.text"})
    assert http.fetch("/send", "POST", b"{}")[::2] == (400, b'{"message":"Bad Request"}')
    assert http.fetch("/send", "POST", b"no json")[0] == 400
    long = b'{"text": "hi", "rest": "%s"}'
    fits = 100 * 1024 - len(long) + 2
    assert http.fetch("/send", "POST", long % (b"x" * fits))[0] == 200
    assert http.fetch("/send", "POST", long % (b"x" * (fits + 1)))[0] == 400
    assert len(aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]) == 1


def test_messages_are_received_deleted_and_purged(aws, http):
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    http.service("GET /one", "SQS-ReceiveMessage", {"QueueUrl": queue, "MaxNumberOfMessages": "$request.querystring.n",
                                                    "AttributeNames": '["SentTimestamp"]', "VisibilityTimeout": "600"})  # fmt: skip
    http.service("DELETE /one", "SQS-DeleteMessage", {"QueueUrl": queue, "ReceiptHandle": "$request.header.handle"})
    http.service("DELETE /all", "SQS-PurgeQueue", {"QueueUrl": queue})
    for body in ("a", "b", "c"):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    found = ElementTree.fromstring(http.fetch("/one?n=2")[2])
    messages = found.findall(f"{XML}ReceiveMessageResult/{XML}Message")
    assert len(messages) == 2 and messages[0].find(f"{XML}Attribute/{XML}Name").text == "SentTimestamp"
    handle = messages[0].find(f"{XML}ReceiptHandle").text
    assert http.fetch("/one", "DELETE", None, {"Handle": handle})[0] == 200
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (attributes["ApproximateNumberOfMessages"], attributes["ApproximateNumberOfMessagesNotVisible"]) == (
        "1",
        "1",
    )
    assert http.fetch("/all", "DELETE")[0] == 200
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0"


def test_long_polling_waits_for_a_message_no_longer_than_the_integrations_timeout():
    async def body(cloud):
        queue = (await cloud.call("sqs", "CreateQueue", {"QueueName": "q"}))["QueueUrl"]
        api = (await cloud.api("CreateApi", Name="a", ProtocolType="HTTP"))["ApiId"]
        for path, timeout_ms in (("/long", 30000), ("/short", 5000)):
            made = await cloud.api(
                "CreateIntegration", ApiId=api, IntegrationType="AWS_PROXY", IntegrationSubtype="SQS-ReceiveMessage",
                CredentialsArn=ROLE, PayloadFormatVersion="1.0", TimeoutInMillis=timeout_ms,
                RequestParameters={"QueueUrl": queue, "WaitTimeSeconds": "20"},
            )  # fmt: skip
            await cloud.api(
                "CreateRoute", ApiId=api, RouteKey=f"GET {path}", Target=f"integrations/{made['IntegrationId']}"
            )
        limits = {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.0}
        await cloud.api("CreateStage", ApiId=api, StageName="$default", AutoDeploy=True, DefaultRouteSettings=limits)
        asked = await started(cloud.get(api, "/long"))
        await cloud.advance(19.9)
        assert not asked.done()
        await cloud.call("sqs", "SendMessage", {"QueueUrl": queue, "MessageBody": "late"})
        assert b"<Body>late</Body>" in (await asked).body
        asked = await started(cloud.get(api, "/long"))
        await cloud.advance(20.1)
        assert ((await asked).status, b"<Message>" in (await asked).body) == (200, False)
        asked = await started(cloud.get(api, "/short"))
        await cloud.advance(5.1)
        assert (await asked).status == 503

    run(QueueCloud, body)


async def started(request):
    """A request's task after its first step."""
    task = asyncio.ensure_future(request)
    await asyncio.sleep(0)
    return task


class QueueCloud(HttpCloud):
    others = (SQS,)


def test_the_services_refusal_is_the_answer(aws, http):
    gone = f"{http.url.split('/_aws')[0]}/000000000000/gone"
    http.service("POST /send", "SQS-SendMessage", {"QueueUrl": gone, "MessageBody": "x"})
    status, headers, body = http.fetch("/send", "POST", b"")
    assert (status, headers["content-type"]) == (400, "text/xml")
    assert b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in body


def test_an_event_is_put_on_a_bus(aws, cloud, http):
    sqs, events = aws("sqs"), aws("events")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["web"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}])
    http.service("POST /event", "EventBridge-PutEvents", {"Detail": "$request.body.detail", "DetailType": "t", "Source": "web",
                                                          "Time": "2026-01-01T00:00:00Z",
                                                          "Resources": '["arn:a"]'})  # fmt: skip
    status, _, body = http.fetch("/event", "POST", b'{"detail": {"x": [1, "\xc3\xa9"]}}')
    answer = json.loads(body)
    assert status == 200 and answer["FailedEntryCount"] == 0
    cloud.quiet()
    event = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert event["id"] == answer["Entries"][0]["EventId"] and event["time"] == "2026-01-01T00:00:00Z"
    assert (event["detail"], event["detail-type"], event["resources"]) == ({"x": [1, "é"]}, "t", ["arn:a"])


def test_the_region_parameter_chooses_the_region(aws, http):
    queue = aws("sqs", region_name="eu-west-1").create_queue(QueueName="q")["QueueUrl"]
    http.service("POST /send", "SQS-SendMessage", {"QueueUrl": queue, "MessageBody": "x", "Region": "eu-west-1"})
    assert http.fetch("/send", "POST", b"")[0] == 200
    assert aws("sqs", region_name="eu-west-1").receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "x"


def test_a_service_that_is_not_there_is_a_501(http):
    parameters = {"Application": "a", "Environment": "e", "Configuration": "c", "ClientId": "i"}
    http.service("GET /config", "AppConfig-GetConfiguration", parameters)
    status, _, body = http.fetch("/config")
    assert status == 501 and b"appconfig.GetConfiguration" in body


def refused(error):
    return error.value.response["Error"]["Message"]


def test_every_required_parameter_must_be_there(http):
    with pytest.raises(ClientError) as error:
        http.service("POST /x", "EventBridge-PutEvents", {"Detail": "$request.body", "Source": "s"})
    assert refused(error) == ("Operation: EventBridge-PutEvents requires enabling passthrough, or defining all of the following "
                              "parameters: [Detail, DetailType, Source]")  # fmt: skip
    for subtype, parameters in {
        "SQS-SendMessage": {"QueueUrl": "u"},
        "SQS-ReceiveMessage": {},
        "SQS-DeleteMessage": {"QueueUrl": "u"},
        "SQS-PurgeQueue": {},
        "Kinesis-PutRecord": {"StreamName": "s", "Data": "$request.body"},
        "StepFunctions-StartExecution": {"Input": "$request.body"},
        "StepFunctions-StopExecution": {"Cause": "c"},
        "AppConfig-GetConfiguration": {"Application": "a"},
    }.items():
        with pytest.raises(ClientError) as error:
            http.service("POST /x", subtype, parameters)
        assert refused(error).startswith(f"Operation: {subtype} requires enabling passthrough, or defining all of")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"IntegrationSubtype": "SNS-Publish"}, "Operation: SNS-Publish is not supported"),
        ({"CredentialsArn": None}, "Credentials are required for AWS service integrations"),
        ({"CredentialsArn": "arn:aws:iam::*:user/*"}, "not implemented by Cumulet"),
        ({"PayloadFormatVersion": "2.0"}, "one of 1.0"),
        (
            {"RequestParameters": {"QueueUrl": "u", "MessageBody": "$request.nothing.x"}},
            "Invalid source: $request.nothing.x",
        ),
        (
            {"RequestParameters": {"QueueUrl": "u", "MessageBody": "${response.body}"}},
            "Invalid source: ${response.body}",
        ),
        (
            {"RequestParameters": {"QueueUrl": "u", "MessageBody": "$request.body..a"}},
            "Invalid source: $request.body..a",
        ),
        ({"RequestParameters": {"QueueUrl": "u", "MessageBody": "x", "Nope": "y"}}, "Invalid destination: Nope"),
        ({"TimeoutInMillis": 30001}, "less than or equal to 30000"),
    ],
)
def test_a_service_integration_is_checked(http, changes, message):
    request = {"IntegrationType": "AWS_PROXY", "IntegrationSubtype": "SQS-SendMessage", "CredentialsArn": ROLE,
               "PayloadFormatVersion": "1.0", "RequestParameters": {"QueueUrl": "u", "MessageBody": "x"}, **changes}  # fmt: skip
    request = {name: value for name, value in request.items() if value is not None}
    with pytest.raises(ClientError) as error:
        http.client.create_integration(ApiId=http.id, **request)
    assert message in refused(error)


# HTTP endpoints


def test_a_url_gets_the_request_and_its_answer_comes_back(backend, http):
    http.proxy("ANY /api/{proxy+}", f"{backend.url}/legacy/{{proxy}}?k=v")
    sent = {"X-A": "1", "Connection": "close", "Authorization": "Bearer t"}
    status, headers, body = http.fetch("/api/a%20b/c?x=1&y=%2F", "PUT", b"data", sent)
    said = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (said["method"], said["path"], said["body"]) == ("PUT", "/legacy/a%20b/c?k=v&x=1&y=%2F", "data")
    assert header(said, "x-a") == ["1"] and header(said, "authorization") == ["Bearer t"]
    assert header(said, "host") == [backend.url.removeprefix("http://")]
    assert header(said, "via") == ["HTTP/1.1 AmazonAPIGateway"] and header(said, "x-amzn-trace-id")
    assert header(said, "forwarded")[0].startswith("by=127.0.0.1;for=127.0.0.1;host=")
    assert header(said, "connection") != ["close"]


def test_a_backends_error_its_cookies_and_redirects_come_back_unchanged(backend, http):
    http.proxy("GET /{proxy+}", f"{backend.url}/{{proxy}}")
    cookies = [("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"), ("Set-Cookie", "b=2")]
    backend.answers["/bad"] = (418, [*cookies, ("X-B", "y"), ("Connection", "close")], b"no")
    status, headers, body = http.fetch("/bad")
    assert (status, body, headers["x-b"]) == (418, b"no", "y")
    assert headers.get_all("set-cookie") == [value for _, value in cookies] and headers["apigw-requestid"]
    backend.answers["/moved"] = (304, [("ETag", "e")], b"")
    assert http.fetch("/moved")[0] == 304


def test_a_method_of_its_own_and_stage_variables_in_the_url(backend, http):
    variables = {"host": backend.url.removeprefix("http://")}
    http.client.update_stage(ApiId=http.id, StageName="$default", StageVariables=variables)
    http.proxy("GET /x", "http://${stageVariables.host}/y", "POST")
    said = json.loads(http.fetch("/x")[2])
    assert (said["method"], said["path"]) == ("POST", "/y")


def test_quick_create_with_a_url_serves_everything(aws, cloud, backend):
    api = aws("apigatewayv2").create_api(Name="q", ProtocolType="HTTP", Target=f"{backend.url}/all")["ApiId"]
    with urllib.request.urlopen(f"{cloud.endpoint}/_aws/execute-api/{api}/any?a=b") as answer:
        assert json.loads(answer.read())["path"] == "/all?a=b"


def test_nobody_there_is_a_503(http):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        http.proxy("GET /x", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert http.fetch("/x")[::2] == (503, b'{"message":"Service Unavailable"}')


def test_too_slow_is_a_503_at_the_integrations_timeout(backend, http):
    integration = http.proxy("GET /x", f"{backend.url}/", TimeoutInMillis=60)
    backend.hang.clear()
    assert http.fetch("/x")[::2] == (503, b'{"message":"Service Unavailable"}')
    backend.hang.set()
    http.client.update_integration(ApiId=http.id, IntegrationId=integration, TimeoutInMillis=30_000)
    assert http.fetch("/x")[0] == 200


def test_a_specific_route_wins_over_the_legacy_catch_all(aws, backend, http):
    """B10.3: all goes to the legacy API; one route is moved away from it and back."""
    queue = aws("sqs").create_queue(QueueName="new")["QueueUrl"]
    http.proxy("$default", f"{backend.url}/legacy")
    http.proxy("ANY /{proxy+}", f"{backend.url}/legacy/{{proxy}}")
    assert json.loads(http.fetch("/orders", "POST", b"1")[2])["path"] == "/legacy/orders"
    http.service("POST /orders", "SQS-SendMessage", {"QueueUrl": queue, "MessageBody": "$request.body"})
    assert b"SendMessageResponse" in http.fetch("/orders", "POST", b"2")[2]
    assert json.loads(http.fetch("/orders")[2])["path"] == "/legacy/orders"
    [route] = [one for one in http.client.get_routes(ApiId=http.id)["Items"] if one["RouteKey"] == "POST /orders"]
    http.client.delete_route(ApiId=http.id, RouteId=route["RouteId"])
    assert json.loads(http.fetch("/orders", "POST", b"3")[2])["path"] == "/legacy/orders"


# parameter mapping


def test_headers_query_and_path_are_mapped(backend, http):
    mapping = {
        "overwrite:path": "/new/${request.path.id}",
        "append:header.x-a": "$request.header.x-b",
        "overwrite:header.x-c": "static",
        "remove:header.x-b": "''",
        "append:querystring.q": "$request.body.n",
        "overwrite:querystring.r": "$context.stage",
        "remove:querystring.gone": "''",
        "append:header.x-none": "$request.header.none",
    }
    http.proxy("POST /old/{id}", f"{backend.url}/ignored", RequestParameters=mapping)
    sent = {"X-A": "1", "X-B": "2", "X-C": "3"}
    said = json.loads(http.fetch("/old/a%20b?q=0&gone=1&r=x", "POST", b'{"n": {"z": 1}}', sent)[2])
    assert said["path"] == "/new/a%20b?q=0&q=%7B%22z%22%3A1%7D&r=%24default"
    assert (header(said, "x-a"), header(said, "x-b"), header(said, "x-c")) == (["1,2"], [], ["static"])
    assert header(said, "x-none") == []


def test_answers_are_mapped_by_status(backend, http):
    mapping = {
        "500": {"append:header.id": "$context.requestId", "overwrite:statuscode": "403"},
        "404": {"append:header.why": "${response.body.error} ${response.header.x-code}", "remove:header.x-code": "''"},
    }
    integration = http.proxy("GET /{proxy+}", f"{backend.url}/{{proxy}}", ResponseParameters=mapping)
    backend.answers["/broken"] = (500, [], b"")
    backend.answers["/missing"] = (404, [("X-Code", "17")], b'{"error": "no"}')
    status, headers, _ = http.fetch("/broken")
    assert (status, headers["id"]) == (403, headers["apigw-requestid"])
    status, headers, _ = http.fetch("/missing")
    assert (status, headers["why"], headers["x-code"]) == (404, "no 17", None)
    http.client.update_integration(ApiId=http.id, IntegrationId=integration, ResponseParameters={"500": {}})
    assert http.fetch("/broken")[0] == 500 and http.fetch("/missing")[1]["why"] == "no 17"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"append:path": "/x"}, "Invalid destination: append:path"),
        ({"append:header.Via": "x"}, "Operations on header Via are restricted"),
        ({"overwrite:header.x-amzn-y": "x"}, "Operations on header x-amzn-y are restricted"),
        ({"append:header.a": "$response.body.a"}, "Invalid source"),
        ({"append:header.a": "$request.body[?(@.a)]"}, "Invalid source"),
    ],
)
def test_a_mapping_is_checked(http, mapping, message):
    with pytest.raises(ClientError) as error:
        http.proxy("GET /x", "http://a.example/", RequestParameters=mapping)
    assert message in refused(error)


@pytest.mark.parametrize("mapping", [{"600": {}}, {"199": {}}, {"200": {"overwrite:path": "/"}},
                                     {"200": {"append:header.access-control-x": "y"}}])  # fmt: skip
def test_a_response_mapping_is_checked(http, mapping):
    with pytest.raises(ClientError):
        http.proxy("GET /x", "http://a.example/", ResponseParameters=mapping)


# access logs


def test_each_request_is_a_line_in_the_access_log(aws, cloud, backend, http):
    logs = aws("logs")
    logs.create_log_group(logGroupName="access")
    arn = logs.describe_log_groups()["logGroups"][0]["arn"]
    pattern = ("$context.routeKey $context.status $context.integrationStatus $context.identity.sourceIp $context.responseLength "
               "$context.error.message $context.integrationErrorMessage $context.nothing")  # fmt: skip
    http.client.update_stage(
        ApiId=http.id, StageName="$default", AccessLogSettings={"DestinationArn": arn, "Format": pattern}
    )
    http.proxy("GET /ok", f"{backend.url}/ok")
    http.service("POST /send", "SQS-SendMessage", {"QueueUrl": "u", "MessageBody": "$request.body.a"})
    backend.answers["/ok"] = (200, [], b"12345")
    assert [http.fetch("/ok")[0], http.fetch("/none")[0], http.fetch("/send", "POST", b"{}")[0]] == [200, 404, 400]
    cloud.quiet()
    lines = [event["message"] for event in logs.filter_log_events(logGroupName="access")["events"]]
    assert lines == [
        "GET /ok 200 200 127.0.0.1 5 - - -",
        "- 404 - 127.0.0.1 23 Not Found - -",
        "POST /send 400 - 127.0.0.1 25 - Unable to resolve property MessageBody from source $request.body.a. "
        "Please make sure that the value exists. -",
    ]
    http.client.delete_access_log_settings(ApiId=http.id, StageName="$default")
    http.fetch("/ok")
    assert len(logs.filter_log_events(logGroupName="access")["events"]) == 3


# documents, templates, functions


DOCUMENT = """
openapi: 3.0.1
info: {title: T}
paths:
  /send:
    post:
      x-amazon-apigateway-integration:
        type: aws_proxy
        integrationSubtype: SQS-SendMessage
        credentials: arn:aws:iam::000000000000:role/api
        connectionType: INTERNET
        payloadFormatVersion: "1.0"
        requestParameters: {QueueUrl: QUEUE, MessageBody: $request.body, DelaySeconds: 0}
  /{proxy+}:
    x-amazon-apigateway-any-method:
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: BACKEND/{proxy}
        payloadFormatVersion: 1.0
        requestParameters: {"append:header.x-n": 5}
        responseParameters: {200: {"overwrite:statuscode": 202}}
"""


def test_a_document_brings_service_and_http_integrations(aws, cloud, backend, http):
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    document = DOCUMENT.replace("QUEUE", queue).replace("BACKEND", backend.url)
    http.client.reimport_api(ApiId=http.id, Body=document)
    assert http.fetch("/send", "POST", b"hi")[0] == 200
    assert aws("sqs").receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "hi"
    status, _, body = http.fetch("/a/b")
    said = json.loads(body)
    assert (status, said["path"], header(said, "x-n")) == (202, "/a/b", ["5"])


TEMPLATE = """
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: a, ProtocolType: HTTP}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Api, StageName: $default, AutoDeploy: true}
  Proxy:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: HTTP_PROXY
      IntegrationMethod: GET
      IntegrationUri: BACKEND/x
      PayloadFormatVersion: "1.0"
      RequestParameters: {"append:header.x-a": "1", "append:header.x-b": "2"}
      ResponseParameters: {"200": {ResponseParameters: [{Destination: "append:header.x-c", Source: "3"}]}}
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Api, RouteKey: GET /x, Target: !Sub "integrations/${Proxy}"}
Outputs:
  Api: {Value: !Ref Api}
"""


def test_a_template_brings_mappings_and_takes_them_away(aws, cloud, backend):
    formation = aws("cloudformation")
    template = TEMPLATE.replace("BACKEND", backend.url)
    formation.create_stack(StackName="s", TemplateBody=template)
    cloud.quiet()
    stack = formation.describe_stacks(StackName="s")["Stacks"][0]
    url = f"{cloud.endpoint}/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/x"
    with urllib.request.urlopen(url) as answer:
        said, headers = json.loads(answer.read()), answer.headers
    assert (header(said, "x-a"), header(said, "x-b"), headers["x-c"]) == (["1"], ["2"], "3")
    changed = template.replace(', "append:header.x-b": "2"', "").replace("x-c", "x-d")
    changed = changed.replace('ResponseParameters: {"200"', 'ResponseParameters: {"201"')
    formation.update_stack(StackName="s", TemplateBody=changed)
    cloud.quiet()
    assert formation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    with urllib.request.urlopen(url) as answer:
        said, headers = json.loads(answer.read()), answer.headers
    assert (header(said, "x-a"), header(said, "x-b"), headers["x-c"], headers["x-d"]) == (["1"], [], None, None)


def test_a_function_gets_and_gives_what_mapping_makes():
    async def body(cloud):
        mapping = {"append:header.x-a": "$context.stage", "remove:header.gone": "''", "overwrite:querystring.q": "2",
                   "overwrite:path": "/other"}  # fmt: skip
        api = (await cloud.api("CreateApi", Name="a", ProtocolType="HTTP"))["ApiId"]
        made = await cloud.api("CreateIntegration", ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=URI,
                               PayloadFormatVersion="2.0", RequestParameters=mapping,
                               ResponseParameters={"200": {"append:header.x-r": "$response.body.hello"}})  # fmt: skip
        await cloud.api("CreateRoute", ApiId=api, RouteKey="GET /x", Target=f"integrations/{made['IntegrationId']}")
        await cloud.api("CreateStage", ApiId=api, StageName="$default", AutoDeploy=True)
        response = await cloud.get(api, "/x", query="q=1&r=3", headers={"Gone": "1"})
        event = cloud.events[0]
        assert (event["headers"]["x-a"], "gone" in event["headers"], event["rawPath"]) == ("$default", False, "/other")
        assert event["queryStringParameters"] == {"q": "2", "r": "3"}
        assert headers_of(response)["x-r"] == "world"

    run(HttpCloud, body)
