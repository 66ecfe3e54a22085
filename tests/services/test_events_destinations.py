"""Connections and API destinations: events as HTTP requests to a server of the test's own."""

import asyncio
import base64
import http.server
import json
import threading

import pytest
from botocore.exceptions import ClientError

from cumulet.aws.http import HttpReply
from cumulet.kernel.outcome import EffectFailed
from cumulet.services import events
from cumulet.services.events.errors import LimitExceededException
from cumulet.testing.inprocess import InProcess

ACCOUNT = "arn:aws:events:us-east-1:000000000000"
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "secret"}}
BASIC = {"BasicAuthParameters": {"Username": "me", "Password": "secret"}}


class Endpoint:
    """A server that answers with the statuses of `answers` in turn, then 200."""

    def __init__(self):
        self.requests, self.answers = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers.items()), body))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in {**headers, "content-length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_POST = do_PUT = do_GET = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def bodies(self):
        return [json.loads(body) for _, _, _, body in self.requests]


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def client(aws):
    return aws("events")


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def connect(client, name="c", kind="API_KEY", auth=None):
    return client.create_connection(Name=name, AuthorizationType=kind, AuthParameters=auth or API_KEY)["ConnectionArn"]


@pytest.fixture
def to_endpoint(client, endpoint):
    """Makes a rule whose target is the endpoint."""

    def make(auth=None, kind="API_KEY", path="/hook", method="POST", target=None, **more):
        arn = client.create_api_destination(
            Name="d", ConnectionArn=connect(client, kind=kind, auth=auth), InvocationEndpoint=endpoint.url + path,
            HttpMethod=method, **more,
        )["ApiDestinationArn"]  # fmt: skip
        client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
        client.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, **(target or {})}])
        return arn

    return make


def put(client, *details):
    entries = [{"Source": "app", "DetailType": "t", "Detail": json.dumps(detail)} for detail in details]
    return [entry["EventId"] for entry in client.put_events(Entries=entries)["Entries"]]


# requests


def test_an_event_is_posted_with_the_connections_key(client, to_endpoint, endpoint, clock):
    to_endpoint()
    (number,) = put(client, {"n": 1})
    clock.quiet()
    ((method, path, headers, body),) = endpoint.requests
    assert (method, path) == ("POST", "/hook")
    sent = {name.lower(): value for name, value in headers.items()}
    assert sent["x-key"] == "secret"
    assert sent["user-agent"] == "Amazon/EventBridge/ApiDestinations"
    assert sent["content-type"] == "application/json; charset=utf-8"
    assert sent["range"] == "bytes=0-1048575"
    assert json.loads(body)["id"] == number


def test_user_name_and_password_are_sent(client, to_endpoint, endpoint, clock):
    to_endpoint(auth=BASIC, kind="BASIC", method="PUT")
    put(client, {})
    clock.quiet()
    ((method, _, headers, _),) = endpoint.requests
    sent = {name.lower(): value for name, value in headers.items()}
    assert (method, base64.b64decode(sent["authorization"].removeprefix("Basic "))) == ("PUT", b"me:secret")


def test_parameters_of_connection_and_target_are_sent(client, to_endpoint, endpoint, clock):
    invocation = {
        "HeaderParameters": [{"Key": "X-From", "Value": "connection"}],
        "QueryStringParameters": [{"Key": "c", "Value": "1 2", "IsValueSecret": True}],
        "BodyParameters": [{"Key": "extra", "Value": "b"}],
    }
    http_parameters = {
        "PathParameterValues": ["$.detail.user", "fixed"],
        "HeaderParameters": {"X-Type": "$.detail-type", "X-From": "target"},
        "QueryStringParameters": {"n": "$.detail.n"},
    }
    to_endpoint(
        auth={**API_KEY, "InvocationHttpParameters": invocation}, path="/users/*/of/*?v=1",
        target={"HttpParameters": http_parameters, "InputPath": "$.detail"},
    )  # fmt: skip
    put(client, {"user": "a/b", "n": 5})
    clock.quiet()
    ((_, path, headers, body),) = endpoint.requests
    assert path == "/users/a%2Fb/of/fixed?v=1&n=5&c=1+2"
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["x-type"], sent["x-from"]) == ("t", "connection")
    assert json.loads(body) == {"user": "a/b", "n": 5, "extra": "b"}


def test_an_endpoint_has_five_seconds_and_is_tried_again_then():
    calls = []

    async def perform(span, call):
        calls.append(call)
        if len(calls) == 1:
            raise EffectFailed("Timeout", "late")
        return HttpReply(200, {}, b"")

    async def main():
        async with InProcess([events.SERVICE], performers={"http": perform}) as cloud:
            asked = {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": API_KEY}
            arn = (await cloud.call("events", "CreateConnection", asked))["ConnectionArn"]
            asked = {"Name": "d", "ConnectionArn": arn, "InvocationEndpoint": "https://x", "HttpMethod": "POST"}
            arn = (await cloud.call("events", "CreateApiDestination", asked))["ApiDestinationArn"]
            await cloud.call("events", "PutRule", {"Name": "r", "EventPattern": '{"source": ["app"]}'})
            await cloud.call("events", "PutTargets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": arn}]})
            await cloud.call("events", "PutEvents", {"Entries": [{"Source": "app", "DetailType": "t", "Detail": "{}"}]})
            await cloud.advance(60)

    asyncio.run(main())
    assert [call.timeout_s for call in calls] == [5.0, 5.0]


@pytest.mark.parametrize("status", [429, 500, 501, 503])
def test_a_busy_endpoint_is_tried_again(client, to_endpoint, endpoint, clock, status):
    to_endpoint()
    endpoint.answers = [(status, {}), (status, {"retry-after": "60"})]
    put(client, {"n": 1})
    clock.advance(1)
    assert len(endpoint.requests) == 1
    clock.advance(1)
    assert len(endpoint.requests) == 2
    clock.advance(59)
    assert len(endpoint.requests) == 2
    clock.advance(1)
    assert [body["detail"]["n"] for body in endpoint.bodies()] == [1, 1, 1]
    clock.advance(3600)
    assert len(endpoint.requests) == 3


@pytest.fixture
def dead(aws):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]

    def buried():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        return [{name: value["StringValue"] for name, value in m["MessageAttributes"].items()} for m in found]

    buried.target = {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"}}
    return buried


@pytest.mark.parametrize(
    ("status", "headers"), [(400, {}), (404, {}), (302, {"location": "/x"}), (503, {"retry-after": "-1"})]
)
def test_an_endpoint_that_refuses_is_not_tried_again(client, to_endpoint, endpoint, clock, dead, status, headers):
    to_endpoint(target=dead.target)
    endpoint.answers = [(status, headers)]
    put(client, {})
    clock.advance(3600)
    assert len(endpoint.requests) == 1
    (buried,) = dead()
    assert buried["ERROR_CODE"] == "ERROR_FROM_TARGET"
    assert "EXHAUSTED_RETRY_CONDITION" not in buried


def test_an_endpoint_that_is_down_is_tried_until_the_event_is_buried(client, to_endpoint, endpoint, clock, dead):
    to_endpoint(target={**dead.target, "RetryPolicy": {"MaximumRetryAttempts": 2}})
    endpoint.server.shutdown()
    endpoint.server.server_close()
    put(client, {})
    clock.advance(60)
    (buried,) = dead()
    assert (buried["ERROR_CODE"], buried["RETRY_ATTEMPTS"]) == ("CONNECTION_FAILURE", "2")
    assert buried["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"


def test_the_request_and_its_retry_belong_to_the_events_trace(client, to_endpoint, endpoint, clock, cloud):
    to_endpoint()
    endpoint.answers = [(503, {})]
    put(client, {})
    clock.advance(5)
    tracer = cloud.cloud.pipeline.tracer
    (top,) = [span for span in tracer.traces(100) if span["name"] == "events.PutEvents"]
    names = [span["name"] for span in tracer.spans(top["trace_id"])]
    assert names.count("timer events.deliver") == 2
    assert len([name for name in names if name.startswith("http POST")]) == 2


def test_what_comes_of_an_event_belongs_to_the_trace_that_it_names(client, to_endpoint, endpoint, clock, cloud):
    to_endpoint()
    root = "1-5759e988-bd862e3fe1be46a994272793"
    request = {
        "Source": "app",
        "DetailType": "t",
        "Detail": "{}",
        "TraceHeader": f"Root={root};Parent=53995c3f42cd8ad8",
    }
    assert client.put_events(Entries=[request])["FailedEntryCount"] == 0
    clock.quiet()
    names = [span["name"] for span in cloud.cloud.pipeline.tracer.spans(root)]
    assert names[0] == "events.PutEvents"
    assert any(name.startswith("http POST") for name in names)


def test_a_rate_is_kept(client, to_endpoint, endpoint, clock):
    to_endpoint(InvocationRateLimitPerSecond=1)
    put(client, *({"n": n} for n in range(3)))
    clock.quiet()
    assert len(endpoint.requests) == 1
    clock.advance(0.9)
    assert len(endpoint.requests) == 1
    clock.advance(0.2)
    assert len(endpoint.requests) == 2
    clock.advance(1)
    assert sorted(body["detail"]["n"] for body in endpoint.bodies()) == [0, 1, 2]


def test_a_rate_does_not_hold_events_back_when_the_clock_goes_back():
    """From virtual time, which may be days ahead, to real time."""
    sent = []

    async def perform(span, call):
        sent.append(cloud.clock.now())
        return HttpReply(200, {}, b"")

    async def main():
        nonlocal cloud
        async with InProcess([events.SERVICE], performers={"http": perform}) as cloud:
            begin = cloud.clock.now()
            asked = {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": API_KEY}
            arn = (await cloud.call("events", "CreateConnection", asked))["ConnectionArn"]
            asked = {"Name": "d", "ConnectionArn": arn, "InvocationEndpoint": "https://x", "HttpMethod": "POST"}
            arn = (await cloud.call("events", "CreateApiDestination", asked))["ApiDestinationArn"]
            await cloud.call("events", "PutRule", {"Name": "r", "EventPattern": '{"source": ["app"]}'})
            await cloud.call("events", "PutTargets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": arn}]})
            event = {"Entries": [{"Source": "app", "DetailType": "t", "Detail": "{}"}]}
            await cloud.advance(86_400)
            await cloud.call("events", "PutEvents", event)
            await cloud.quiet()
            cloud.clock.restart()
            await cloud.call("events", "PutEvents", event)
            await cloud.quiet()
            assert sent == [begin + 86_400, begin]

    cloud = None
    asyncio.run(main())


def test_without_authorization_nothing_is_sent(client, to_endpoint, endpoint, clock, dead):
    to_endpoint(target=dead.target)
    assert client.deauthorize_connection(Name="c")["ConnectionState"] == "DEAUTHORIZED"
    assert client.describe_api_destination(Name="d")["ApiDestinationState"] == "INACTIVE"
    put(client, {})
    clock.quiet()
    assert [buried["ERROR_CODE"] for buried in dead()] == ["NO_PERMISSIONS"]
    client.update_connection(Name="c", AuthParameters=API_KEY)
    assert client.describe_api_destination(Name="d")["ApiDestinationState"] == "ACTIVE"
    put(client, {})
    clock.quiet()
    assert len(endpoint.requests) == 1
    client.delete_api_destination(Name="d")
    put(client, {})
    clock.quiet()
    assert [buried["ERROR_CODE"] for buried in dead()] == ["NO_RESOURCE"]


def test_an_api_of_api_gateway_is_a_target(aws, client, clock, dead):
    gateway = aws("apigateway")
    api = gateway.create_rest_api(name="api")["id"]
    parent = gateway.get_resources(restApiId=api)["items"][0]["id"]
    resource = gateway.create_resource(restApiId=api, parentId=parent, pathPart="{name}")["id"]
    where = {"restApiId": api, "resourceId": resource, "httpMethod": "POST"}
    gateway.put_method(**where, authorizationType="NONE")
    templates = {"application/json": '{"statusCode": $input.json("$.detail.status")}'}
    gateway.put_integration(**where, type="MOCK", requestTemplates=templates)
    for status in ("200", "400"):
        gateway.put_method_response(**where, statusCode=status)
        gateway.put_integration_response(**where, statusCode=status, selectionPattern=status if status != "200" else "")
    gateway.create_deployment(restApiId=api, stageName="prod")
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{api}/prod/POST/*"
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    path = {"HttpParameters": {"PathParameterValues": ["$.detail.name"]}}
    client.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, **path, **dead.target}])
    put(client, {"status": 200, "name": "a"})
    clock.quiet()
    assert dead() == []
    put(client, {"status": 400, "name": "a"})
    put(client, {"status": 200, "name": "a/b/c"})  # one part of the path
    clock.quiet()
    assert [buried["ERROR_MESSAGE"] for buried in dead()] == ["The endpoint answered with status 400."]


# connections


def test_a_connection_is_described_without_its_secrets(client, clock):
    parameters = {
        "HeaderParameters": [
            {"Key": "a", "Value": "open", "IsValueSecret": False}, {"Key": "b", "Value": "hidden", "IsValueSecret": True},
        ]
    }  # fmt: skip
    arn = connect(client, auth={**API_KEY, "InvocationHttpParameters": parameters})
    assert arn.startswith(f"{ACCOUNT}:connection/c/")
    described = client.describe_connection(Name="c")
    assert (described["ConnectionState"], described["AuthorizationType"]) == ("AUTHORIZED", "API_KEY")
    assert described["AuthParameters"] == {
        "ApiKeyAuthParameters": {"ApiKeyName": "X-Key"},
        "InvocationHttpParameters": {
            "HeaderParameters": [
                {"Key": "a", "Value": "open", "IsValueSecret": False}, {"Key": "b", "IsValueSecret": True},
            ]
        },
    }  # fmt: skip
    clock.advance(10)
    changed = client.update_connection(Name="c", AuthorizationType="BASIC", AuthParameters=BASIC, Description="d")
    assert changed["LastModifiedTime"] > changed["CreationTime"]
    described = client.describe_connection(Name="c")
    assert described["AuthParameters"]["BasicAuthParameters"] == {"Username": "me"}
    assert "ApiKeyAuthParameters" not in described["AuthParameters"]
    assert described["Description"] == "d"


def test_connections_are_listed_and_deleted(client):
    connect(client, "c1")
    connect(client, "c2")
    connect(client, "x", "BASIC", BASIC)
    client.deauthorize_connection(Name="c2")

    def names(**asked):
        return [connection["Name"] for connection in client.list_connections(**asked)["Connections"]]

    assert names() == ["c1", "c2", "x"]
    assert names(NamePrefix="c") == ["c1", "c2"]
    assert names(ConnectionState="DEAUTHORIZED") == ["c2"]
    assert names(NextToken=client.list_connections(Limit=1)["NextToken"]) == ["c2", "x"]
    assert refused(connect, client=client, name="c1") == (
        "ResourceAlreadyExistsException", "Connection c1 already exists.",
    )  # fmt: skip
    assert client.delete_connection(Name="x")["ConnectionState"] == "DELETING"
    for action in (client.delete_connection, client.describe_connection, client.deauthorize_connection):
        assert refused(action, Name="x")[0] == "ResourceNotFoundException"
    assert refused(client.update_connection, Name="x", AuthParameters=API_KEY)[0] == "ResourceNotFoundException"


def test_what_connections_do_not_honour_is_refused(client):
    oauth = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "i", "ClientSecret": "s"}, "AuthorizationEndpoint": "https://x", "HttpMethod": "POST",
        }
    }  # fmt: skip
    code, message = refused(connect, client=client, kind="OAUTH_CLIENT_CREDENTIALS", auth=oauth)
    assert (code, "OAUTH_CLIENT_CREDENTIALS" in message) == ("NotImplemented", True)
    request = {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": API_KEY}
    resource = "arn:aws:vpc-lattice:us-east-1:000000000000:resourceconfiguration/rcfg-0123456789abcdef0"
    private = {"ResourceParameters": {"ResourceConfigurationArn": resource}}
    for member, value in (("KmsKeyIdentifier", "k"), ("InvocationConnectivityParameters", private)):
        code, message = refused(client.create_connection, **request, **{member: value})
        assert (code, member in message) == ("NotImplemented", True)
    assert refused(connect, client=client, kind="BASIC", auth=API_KEY)[0] == "ValidationException"
    assert refused(connect, client=client, auth={**API_KEY, **BASIC})[0] == "ValidationException"


def test_there_are_3000_connections_and_api_destinations_and_no_more():
    async def main():
        async with InProcess([events.SERVICE]) as cloud:

            async def fill(operation, request):
                for number in range(3000):
                    made = await cloud.call("events", operation, {"Name": f"x{number}", **request})
                with pytest.raises(LimitExceededException):
                    await cloud.call("events", operation, {"Name": "one-more", **request})
                return made

            connection = await fill("CreateConnection", {"AuthorizationType": "API_KEY", "AuthParameters": API_KEY})
            aim = {"InvocationEndpoint": "https://example.com", "HttpMethod": "POST"}
            await fill("CreateApiDestination", {"ConnectionArn": connection["ConnectionArn"], **aim})
            await cloud.call("events", "DeleteConnection", {"Name": "x0"})
            await cloud.call(
                "events",
                "CreateConnection",
                {"Name": "again", "AuthorizationType": "API_KEY", "AuthParameters": API_KEY},
            )
            await cloud.call("events", "DeleteApiDestination", {"Name": "x0"})
            await cloud.call(
                "events", "CreateApiDestination", {"Name": "again", "ConnectionArn": connection["ConnectionArn"], **aim}
            )

    asyncio.run(main())


# API destinations


def test_api_destinations_are_made_changed_listed_and_deleted(client, clock):
    one, two = connect(client, "c1"), connect(client, "c2")
    given = {"ConnectionArn": one, "InvocationEndpoint": "https://example.com/x", "HttpMethod": "POST"}
    made = client.create_api_destination(Name="d1", **given)
    assert made["ApiDestinationArn"].startswith(f"{ACCOUNT}:api-destination/d1/")
    assert made["ApiDestinationState"] == "ACTIVE"
    client.create_api_destination(Name="d2", **{**given, "ConnectionArn": two}, Description="d")
    described = client.describe_api_destination(Name="d1")
    assert {name: described[name] for name in given} == given
    assert described["InvocationRateLimitPerSecond"] == 300
    client.update_api_destination(
        Name="d1", ConnectionArn=two, InvocationEndpoint="http://localhost/y", HttpMethod="PUT",
        InvocationRateLimitPerSecond=5, Description="e",
    )  # fmt: skip
    described = client.describe_api_destination(Name="d1")
    assert (described["ConnectionArn"], described["HttpMethod"]) == (two, "PUT")
    assert (described["InvocationEndpoint"], described["InvocationRateLimitPerSecond"]) == ("http://localhost/y", 5)
    assert described["Description"] == "e"

    def names(**asked):
        return [destination["Name"] for destination in client.list_api_destinations(**asked)["ApiDestinations"]]

    assert names() == names(ConnectionArn=two) == ["d1", "d2"]
    assert names(ConnectionArn=one) == []
    assert names(NamePrefix="d2") == ["d2"]
    assert names(NextToken=client.list_api_destinations(Limit=1)["NextToken"]) == ["d2"]
    assert refused(client.create_api_destination, Name="d1", **given)[0] == "ResourceAlreadyExistsException"
    assert refused(client.create_api_destination, Name="d3", **{**given, "ConnectionArn": one[:-1] + "x"})[0] == (
        "ResourceNotFoundException"
    )
    assert refused(client.create_api_destination, Name="d3", **{**given, "InvocationEndpoint": "ftp://x"})[0] == (
        "ValidationException"
    )
    client.delete_api_destination(Name="d1")
    assert refused(client.delete_api_destination, Name="d1")[0] == "ResourceNotFoundException"
    assert refused(client.describe_api_destination, Name="d1")[0] == "ResourceNotFoundException"
    assert refused(client.update_api_destination, Name="d1")[0] == "ResourceNotFoundException"
