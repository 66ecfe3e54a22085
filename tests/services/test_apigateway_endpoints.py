"""REST APIs before HTTP endpoints and before services that speak the query protocol, over real sockets."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest
from botocore.exceptions import ClientError

from cumulet.services.sqs import SERVICE as SQS
from tests.services.apigateway_cloud import RestCloud, run
from tests.services.http_backend import Backend

ROLE = "arn:aws:iam::000000000000:role/api"


@pytest.fixture
def backend():
    made = Backend()
    yield made
    made.close()


@pytest.fixture
def rest(aws, cloud):
    return Api(aws("apigateway"), cloud.endpoint)


class Api:
    """One REST API."""

    def __init__(self, client, endpoint):
        self.client = client
        made = client.create_rest_api(name="a")
        self.id, self.ids = made["id"], {"": made["rootResourceId"]}
        self.url = f"{endpoint}/_aws/execute-api/{self.id}/s"

    def method(self, method, path, responses=(), parameters=None, headers=(), **integration):
        parent = ""
        for part in path.split("/")[1:]:
            below = f"{parent}/{part}"
            if below not in self.ids:
                made = self.client.create_resource(restApiId=self.id, parentId=self.ids[parent], pathPart=part)
                self.ids[below] = made["id"]
            parent = below
        where = {"restApiId": self.id, "resourceId": self.ids[parent], "httpMethod": method}
        self.client.put_method(**where, authorizationType="NONE", requestParameters=parameters or {})
        self.client.put_integration(**where, **{"integrationHttpMethod": method, **integration})
        for response in responses:
            declared = {f"method.response.header.{name}": False for name in headers}
            self.client.put_method_response(**where, statusCode=response["statusCode"], responseParameters=declared)
            self.client.put_integration_response(**where, **response)

    def deploy(self, **variables):
        self.client.create_deployment(restApiId=self.id, stageName="s", variables=variables)

    def fetch(self, path, method="GET", body=None, headers=None):
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


def header(said, name):
    return [value for key, value in said["headers"] if key.lower() == name]


def test_a_proxied_legacy_service_gets_headers_query_path_and_body(backend, rest):
    """B10.2: an existing API is routed through."""
    mapping = {
        "integration.request.path.proxy": "method.request.path.proxy",
        "integration.request.header.X-Stage": "context.stage",
        "integration.request.querystring.q": "'mapped'",
    }
    rest.method("ANY", "/{proxy+}", type="HTTP_PROXY", uri="http://${stageVariables.host}/old/{proxy}?k=v",
                parameters={"method.request.path.proxy": True}, requestParameters=mapping)  # fmt: skip
    rest.deploy(host=backend.url.removeprefix("http://"))
    sent = {"X-A": "1", "Authorization": "t", "Cookie": "c=1"}
    status, headers, body = rest.fetch("/a%20b/c?x=1&x=2&q=mine", "PATCH", b"data", sent)
    said = json.loads(body)
    assert (status, said["method"], said["body"]) == (200, "PATCH", "data")
    assert said["path"] == "/old/a%20b/c?k=v&x=1&x=2&q=mapped"
    assert [header(said, name) for name in ("x-a", "authorization", "cookie", "x-stage")] == [
        ["1"],
        ["t"],
        ["c=1"],
        ["s"],
    ]
    assert header(said, "x-amzn-apigateway-api-id") == [rest.id] and header(said, "x-forwarded-for") == ["127.0.0.1"]
    assert header(said, "host") == [backend.url.removeprefix("http://")]
    assert (
        headers["x-amzn-remapped-server"] and headers["x-amzn-remapped-content-length"] and headers["x-amzn-requestid"]
    )


def test_a_proxied_services_error_and_cookies_come_back(backend, rest):
    rest.method("GET", "", type="HTTP_PROXY", uri=f"{backend.url}/")
    rest.deploy()
    cookies = [("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"), ("Set-Cookie", "b=2")]
    backend.answers["/"] = (503, [*cookies, ("WWW-Authenticate", "Basic")], b"down")
    status, headers, body = rest.fetch("")
    assert (status, body, headers["x-amzn-remapped-www-authenticate"]) == (503, b"down", "Basic")
    assert headers.get_all("set-cookie") == [value for _, value in cookies]


def test_an_http_integration_maps_both_ways(backend, rest):
    """B10.1: templates, parameters, and answers chosen by their status."""
    rest.method(
        "POST", "/pets/{id}", type="HTTP", uri=f"{backend.url}/v1/{{kind}}/x", integrationHttpMethod="PUT",
        requestParameters={
            "integration.request.path.kind": "method.request.path.id",
            "integration.request.querystring.who": "method.request.header.Who",
            "integration.request.header.Accept": "'text/plain'",
        },
        requestTemplates={"application/json": '{"n": $input.json("$.name")}'},
        responses=[
            {"statusCode": "200", "responseTemplates": {"application/json": '{"was": "$input.path("$.method")"}'},
             "responseParameters": {"method.response.header.X-Kind": "integration.response.header.Content-Type"}},
            {"statusCode": "404", "selectionPattern": "4\\d\\d", "responseTemplates": {"application/json": '{"gone": true}'}},
        ],
        headers=["X-Kind"],
    )  # fmt: skip
    rest.deploy()
    status, headers, body = rest.fetch(
        "/pets/7", "POST", b'{"name": "rex"}', {"Content-Type": "application/json", "Who": "a b"}
    )
    said = backend.got.get(timeout=60)
    assert (status, json.loads(body), headers["x-kind"]) == (200, {"was": "PUT"}, "application/json")
    assert (said["path"], json.loads(said["body"])) == ("/v1/7/x?who=a+b", {"n": "rex"})
    assert header(said, "accept") == ["text/plain"] and header(said, "who") == []
    assert header(said, "user-agent") == [f"AmazonAPIGateway_{rest.id}"]
    backend.answers["/v1/8/x"] = (410, [], b"")
    assert rest.fetch("/pets/8", "POST", b"{}", {"Content-Type": "application/json"})[::2] == (404, b'{"gone": true}')


def test_nobody_there_and_too_slow_are_504(backend, rest):
    """B6.2: a third party's failure is visible and survivable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        rest.method("GET", "/gone", type="HTTP_PROXY", uri=f"http://127.0.0.1:{taken.getsockname()[1]}/")
        rest.method(
            "GET", "/slow", type="HTTP", uri=f"{backend.url}/", timeoutInMillis=60, responses=[{"statusCode": "200"}]
        )
        rest.deploy()
        assert rest.fetch("/gone")[::2] == (504, b'{"message":"Network error communicating with endpoint"}')
        backend.hang.clear()
        assert rest.fetch("/slow")[::2] == (504, b'{"message":"Endpoint request timed out"}')
        backend.hang.set()
        rest.client.update_integration(
            restApiId=rest.id, resourceId=rest.ids["/slow"], httpMethod="GET",
            patchOperations=[{"op": "replace", "path": "/timeoutInMillis", "value": "29000"}],
        )  # fmt: skip
        rest.deploy()
        assert rest.fetch("/slow")[0] == 200


def test_an_endpoint_that_is_none_is_a_configuration_error(rest):
    rest.method("GET", "", type="HTTP_PROXY", uri="http://${stageVariables.host}/")
    rest.deploy()
    assert rest.fetch("")[::2] == (500, b'{"message":"Internal server error"}')


@pytest.mark.parametrize(
    "settings", [{"type": "HTTP", "uri": "nothing"}, {"type": "HTTP_PROXY", "uri": "ftp://a/"}, {"type": "HTTP_PROXY"}]
)
def test_a_uri_must_be_a_url(rest, settings):
    with pytest.raises(ClientError, match="Invalid HTTP endpoint specified for URI"):
        rest.method("GET", "", **settings)


# services by form

FORM = {"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"}
SEND = (
    "Action=SendMessage&MessageBody=$util.urlEncode($input.body)&MessageAttribute.1.Name=who&MessageAttribute.1.Value.StringValue="
    "$util.urlEncode($input.params('who'))&MessageAttribute.1.Value.DataType=String&Version=2012-11-05"
)


def queue_api(aws, rest, template, **settings):
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    rest.method("POST", "", type="AWS", uri="arn:aws:apigateway:us-east-1:sqs:path/000000000000/q", credentials=ROLE,
                requestParameters={**FORM, **settings}, requestTemplates={"application/json": template},
                responses=[{"statusCode": "200"}, {"statusCode": "400", "selectionPattern": "4.."}])  # fmt: skip
    rest.deploy()
    return queue


def test_a_form_with_message_attributes_sends_a_message(aws, rest):
    queue = queue_api(aws, rest, SEND)
    status, headers, body = rest.fetch(
        "", "POST", b'{"a": "b&c"}', {"Content-Type": "application/json", "who": "ann & bob"}
    )
    message = aws("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"][0]
    assert (status, headers["content-type"]) == (200, "application/json")
    answer = json.loads(body)["SendMessageResponse"]
    assert answer["SendMessageResult"]["MessageId"] == message["MessageId"] and answer["ResponseMetadata"]["RequestId"]
    assert (message["Body"], message["MessageAttributes"]["who"]["StringValue"]) == ('{"a": "b&c"}', "ann & bob")


def test_who_accepts_xml_gets_the_query_protocols_xml(aws, rest):
    queue_api(aws, rest, SEND, **{"integration.request.header.Accept": "'application/xml'"})
    body = rest.fetch("", "POST", b"{}", {"Content-Type": "application/json", "who": "x"})[2]
    assert ElementTree.fromstring(body).tag == "{http://queue.amazonaws.com/doc/2012-11-05/}SendMessageResponse"


def test_a_refused_form_is_the_query_protocols_error(aws, rest):
    queue_api(aws, rest, SEND.replace("DataType=String", "DataType=Nonsense"))
    status, _, body = rest.fetch("", "POST", b"{}", {"Content-Type": "application/json", "who": "x"})
    error = json.loads(body)["Error"]
    assert (status, error["Code"], error["Type"]) == (400, "InvalidParameterValue", "Sender")


def test_a_form_publishes_to_a_topic_with_attributes(aws, cloud, rest):
    topic = aws("sns").create_topic(Name="t")["TopicArn"]
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    policy = {"FilterPolicy": json.dumps({"kind": ["a"]}), "RawMessageDelivery": "true"}
    aws("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:q", Attributes=policy
    )
    template = (f"Action=Publish&TopicArn=$util.urlEncode('{topic}')&Message=$input.json('$.m')"
                "&MessageAttributes.entry.1.Name=kind&MessageAttributes.entry.1.Value.DataType=String"
                "&MessageAttributes.entry.1.Value.StringValue=$input.path('$.kind')")  # fmt: skip
    rest.method("POST", "", type="AWS", uri="arn:aws:apigateway:us-east-1:sns:action/Publish", credentials=ROLE,
                requestParameters=FORM, requestTemplates={"application/json": template}, responses=[{"statusCode": "200"}])  # fmt: skip
    rest.deploy()
    for kind in ("a", "b"):
        body = rest.fetch(
            "", "POST", json.dumps({"m": kind, "kind": kind}).encode(), {"Content-Type": "application/json"}
        )[2]
        assert json.loads(body)["PublishResponse"]["PublishResult"]["MessageId"]
    cloud.quiet()
    assert [one["Body"] for one in aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]] == [
        '"a"'
    ]


def test_query_string_members_may_be_nested_too(aws, rest):
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    rest.method("POST", "", type="AWS", uri="arn:aws:apigateway:us-east-1:sqs:action/SendMessage", credentials=ROLE,
                requestParameters={
                    "integration.request.querystring.QueueUrl": f"'{queue}'",
                    "integration.request.querystring.MessageBody": "method.request.body",
                    "integration.request.querystring.MessageAttribute.1.Name": "'n'",
                    "integration.request.querystring.MessageAttribute.1.Value.DataType": "'Number'",
                    "integration.request.querystring.MessageAttribute.1.Value.StringValue": "'5'",
                }, requestTemplates={"application/json": "{}"}, responses=[{"statusCode": "200"}])  # fmt: skip
    rest.deploy()
    assert rest.fetch("", "POST", b'{"a": 1}', {"Content-Type": "application/json"})[0] == 200
    message = aws("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"][0]
    assert message["MessageAttributes"]["n"] == {"StringValue": "5", "DataType": "Number"}


def test_long_polling_waits_for_a_message_no_longer_than_the_integrations_timeout():
    async def body(cloud):
        await cloud.call("sqs", "CreateQueue", {"QueueName": "q"})
        made = await cloud.api("CreateRestApi", name="a")
        where = {"restApiId": made["id"], "resourceId": made["rootResourceId"], "httpMethod": "GET"}
        await cloud.api("PutMethod", **where, authorizationType="NONE")
        await cloud.api("PutIntegration", **where, type="AWS", integrationHttpMethod="POST", timeoutInMillis=5000,
                        uri="arn:aws:apigateway:us-east-1:sqs:path/000000000000/q",
                        requestTemplates={"application/json": "Action=ReceiveMessage&WaitTimeSeconds=20"})  # fmt: skip
        await cloud.api("PutMethodResponse", **where, statusCode="200")
        await cloud.api("PutIntegrationResponse", **where, statusCode="200")
        await cloud.api("CreateDeployment", restApiId=made["id"], stageName="s")
        asked = await started(cloud.get(made["id"], "/s"))
        await cloud.advance(4)
        assert not asked.done()
        queue = "http://127.0.0.1:4566/000000000000/q"
        await cloud.call("sqs", "SendMessage", {"QueueUrl": queue, "MessageBody": "late"})
        assert b'"Body":"late"' in (await asked).body
        asked = await started(cloud.get(made["id"], "/s"))
        await cloud.advance(5.1)
        assert (await asked).status == 504

    run(QueueCloud, body)


class QueueCloud(RestCloud):
    others = (SQS,)


async def started(request):
    """A request's task after its first step."""
    task = asyncio.ensure_future(request)
    await asyncio.sleep(0)
    return task
