"""HTTP APIs in a cloud without HTTP: control plane, routing, payload formats, CORS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cumulet.aws.errors import AwsError, GenericAwsError
from tests.services.apigateway_cloud import ARN, HttpCloud, headers_of, run

Cloud = HttpCloud


def test_a_function_gets_the_whole_event_in_format_2() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("POST /items/{id}", variables={"table": "t"})
        response = await cloud.get(
            api,
            "/items/a%20b",
            "POST",
            "x=1&x=2&y=%C3%A9",
            b'{"n":1}',
            {"Content-Type": "application/json", "Cookie": "a=1; b=2", "User-Agent": "test/1", "X-Two": "1"},
        )
        assert response.status == 200
        assert cloud.invoked == [ARN]
        event = cloud.events[0]
        headers = event.pop("headers")
        assert headers.pop("x-amzn-trace-id").startswith("Root=1-")
        assert headers == {
            "host": "127.0.0.1:4566",
            "content-type": "application/json",
            "user-agent": "test/1",
            "x-two": "1",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        }
        assert event.pop("requestContext") == {
            "accountId": "000000000000",
            "apiId": api,
            "domainName": f"{api}.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": api,
            "requestId": headers_of(response)["apigw-requestid"],
            "routeKey": "POST /items/{id}",
            "stage": "$default",
            "time": "14/Nov/2023:22:13:20 +0000",
            "timeEpoch": 1_700_000_000_000,
            "http": {
                "method": "POST",
                "path": "/items/a b",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test/1",
            },
        }
        assert event == {
            "version": "2.0",
            "routeKey": "POST /items/{id}",
            "rawPath": "/items/a b",
            "rawQueryString": "x=1&x=2&y=%C3%A9",
            "cookies": ["a=1", "b=2"],
            "queryStringParameters": {"x": "1,2", "y": "é"},
            "pathParameters": {"id": "a b"},
            "stageVariables": {"table": "t"},
            "body": '{"n":1}',
            "isBase64Encoded": False,
        }

    run(Cloud, body)


def test_what_a_request_lacks_is_absent_in_format_2() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /")
        for rest in ("", "/", "/$default", "/$default/", "/%24default/"):
            assert (await cloud.get(api, rest)).status == 200
            assert set(cloud.events.pop()) == {
                "version",
                "routeKey",
                "rawPath",
                "rawQueryString",
                "headers",
                "requestContext",
                "isBase64Encoded",
            }

    run(Cloud, body)


def test_format_1_has_nulls_and_multi_values() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /a/{b}", version="1.0", stage="dev")
        cloud.answer = {
            "statusCode": 200,
            "multiValueHeaders": {"X-A": ["1", "2"]},
            "headers": {"X-A": "0"},
            "body": "b",
        }
        response = await cloud.get(api, "/dev/a/1", query="x=1&x=2")
        assert [value for name, value in response.headers if name == "X-A"] == ["1", "2"]
        event = cloud.events[0]
        assert (event["version"], event["resource"], event["path"], event["body"]) == (
            "1.0",
            "/a/{b}",
            "/dev/a/1",
            None,
        )
        assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]} and event["queryStringParameters"] == {
            "x": "2"
        }
        assert event["pathParameters"] == {"b": "1"} and event["stageVariables"] is None
        assert event["requestContext"]["resourceId"] == "GET /a/{b}"
        cloud.answer = {"no": "status"}
        assert (await cloud.get(api, "/dev/a/1")).status == 500

    run(Cloud, body)


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1"),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}"),
        ("GET", "/pets/cat/2", "GET /pets/{proxy+}"),
        ("POST", "/pets/cat/2", "ANY /{proxy+}"),
        ("POST", "/pets/dog/1", "ANY /pets/dog/1"),
        ("GET", "/", "$default"),
        ("PUT", "/else", "ANY /{proxy+}"),
    ],
)
def test_the_most_specific_route_answers(method: str, path: str, key: str) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{proxy+}",
            "ANY /pets/dog/1",
            "$default",
        )
        await cloud.get(api, path, method)
        assert cloud.events[0]["routeKey"] == key

    run(Cloud, body)


def test_what_is_not_there_is_not_found() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /pets", stage="dev")
        for target, rest, method, status in (
            (api, "/dev/none", "GET", 404),
            (api, "/dev/pets", "PUT", 404),
            (api, "/pets", "GET", 404),
            ("nosuchapi0", "/pets", "GET", 403),
        ):
            assert (await cloud.get(target, rest, method)).status == status
        response = await cloud.get(api, "/dev/none")
        assert response.body == b'{"message":"Not Found"}'
        await cloud.get(api, "/dev/pets")
        assert cloud.events[0]["rawPath"] == "/dev/pets"

    run(Cloud, body)


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "sent"),
    [
        (b'{"a": 1}', 200, "application/json", b'{"a": 1}'),
        (b'"text"', 200, "application/json", b'"text"'),
        (b'{"statusCode": 201}', 201, None, b""),
        (b'{"statusCode": 200, "body": "x"}', 200, "text/plain; charset=utf-8", b"x"),
        (
            b'{"statusCode": 200, "body": "AAE=", "isBase64Encoded": true, "headers": {"content-type": "image/png"}}',
            200,
            "image/png",
            b"\x00\x01",
        ),
        (b'{"statusCode": 200, "body": {"a": 1}}', 500, "application/json", b'{"message":"Internal Server Error"}'),
        (b'{"statusCode": "abc"}', 500, "application/json", b'{"message":"Internal Server Error"}'),
    ],
)
def test_answers_in_format_2_are_inferred(answer: bytes, status: int, content_type: str | None, sent: bytes) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /")
        cloud.answer = answer
        response = await cloud.get(api, "/")
        assert (response.status, headers_of(response).get("content-type"), response.body) == (
            status,
            content_type,
            sent,
        )

    run(Cloud, body)


def test_cookies_of_an_answer_are_set() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /")
        cloud.answer = {"statusCode": 302, "headers": {"Location": "/x"}, "cookies": ["a=1; Path=/", "b=2"]}
        response = await cloud.get(api, "/")
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2"]
        assert headers_of(response)["location"] == "/x"

    run(Cloud, body)


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        ("application/json", False),
        ("text/csv; charset=utf-8", False),
        ("application/vnd.api+json", False),
        ("image/png", True),
        ("application/x-www-form-urlencoded", True),
    ],
)
def test_the_content_type_decides_on_base64(kind: str, encoded: bool) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("POST /")
        await cloud.get(api, "/", "POST", body=b"ab", headers={"Content-Type": kind})
        assert (cloud.events[0]["body"], cloud.events[0]["isBase64Encoded"]) == ("YWI=" if encoded else "ab", encoded)

    run(Cloud, body)


def test_errors_of_functions_and_of_lambda_have_their_statuses() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /")
        cloud.error = "Unhandled"
        response = await cloud.get(api, "/")
        assert (response.status, response.body) == (500, b'{"message":"Internal Server Error"}')
        cloud.error, cloud.takes_s = None, 30.5
        assert (await cloud.get(api, "/")).status == 503
        cloud.refusal = GenericAwsError("TooManyRequestsException", "Rate Exceeded.", 429)
        assert (await cloud.get(api, "/")).status == 503
        cloud.refusal = GenericAwsError("ResourceNotFoundException", "Function not found", 404)
        assert (await cloud.get(api, "/")).status == 500

    run(Cloud, body)


def test_cors_is_answered_by_the_api() -> None:
    async def body(cloud: Cloud) -> None:
        cors = {
            "AllowOrigins": ["https://a.example"],
            "AllowMethods": ["GET", "POST"],
            "AllowHeaders": ["X-One"],
            "MaxAge": 10,
            "ExposeHeaders": ["x-out"],
            "AllowCredentials": True,
        }
        api = await cloud.deployed("GET /", CorsConfiguration=cors)
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        response = await cloud.get(api, "/anything", "OPTIONS", headers=asked)
        assert response.status == 204 and not cloud.events
        found = headers_of(response)
        assert found["access-control-allow-origin"] == "https://a.example"
        assert found["access-control-allow-methods"] == "GET,POST"
        assert found["access-control-allow-headers"] == "x-one"
        assert (found["access-control-max-age"], found["access-control-allow-credentials"]) == ("10", "true")
        asked["Origin"] = "https://b.example"
        assert "access-control-allow-origin" not in headers_of(await cloud.get(api, "/", "OPTIONS", headers=asked))
        cloud.answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "evil"}, "body": ""}
        found = headers_of(await cloud.get(api, "/", headers={"Origin": "https://a.example"}))
        assert (found["access-control-allow-origin"], found["access-control-expose-headers"]) == (
            "https://a.example",
            "x-out",
        )
        assert "access-control-allow-origin" not in headers_of(await cloud.get(api, "/"))

    run(Cloud, body)


def test_quick_create_is_reachable_at_once() -> None:
    async def body(cloud: Cloud) -> None:
        api = (await cloud.api("CreateApi", Name="q", ProtocolType="HTTP", Target=ARN))["ApiId"]
        assert (await cloud.get(api, "/any/path", "PATCH")).status == 200
        assert cloud.events[0]["routeKey"] == "$default"

    run(Cloud, body)


def test_a_stage_without_auto_deploy_keeps_its_deployment() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /a", stage="auto")
        await cloud.api("CreateStage", ApiId=api, StageName="manual")
        assert (await cloud.get(api, "/manual/a")).status == 404
        one = await cloud.api("CreateDeployment", ApiId=api, StageName="manual")
        await cloud.api(
            "CreateRoute",
            ApiId=api,
            RouteKey="GET /b",
            Target=(await cloud.api("GetRoutes", ApiId=api))["Items"][0]["Target"],
        )
        statuses = [(await cloud.get(api, path)).status for path in ("/manual/a", "/manual/b", "/auto/a", "/auto/b")]
        assert statuses == [200, 404, 200, 200]
        with pytest.raises(AwsError, match="Active stages"):
            await cloud.api("DeleteDeployment", ApiId=api, DeploymentId=one["DeploymentId"])
        kept = (await cloud.api("GetDeployments", ApiId=api))["Items"]
        assert sorted(item["AutoDeployed"] for item in kept) == [False, True]

    run(Cloud, body)


def test_stage_variables_choose_the_function() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /", variables={"fn": "one"}, uri=ARN.replace("hello", "${stageVariables.fn}"))
        await cloud.get(api, "/")
        await cloud.api("UpdateStage", ApiId=api, StageName="$default", StageVariables={"fn": "two"})
        await cloud.get(api, "/")
        assert [arn.rpartition(":")[2] for arn in cloud.invoked] == ["one", "two"]

    run(Cloud, body)


@pytest.mark.parametrize(
    ("operation", "request_", "status"),
    [
        ("CreateApi", {"Name": "x", "ProtocolType": "WEBSOCKET"}, 501),
        ("CreateApi", {"Name": "x", "ProtocolType": "HTTP", "Target": "ftp://a.example"}, 400),
        ("CreateApi", {"Name": "x", "ProtocolType": "HTTP", "RouteSelectionExpression": "$request.body.action"}, 400),
        ("CreateRoute", {"RouteKey": "GET /x", "AuthorizationType": "JWT"}, 501),
        ("CreateRoute", {"RouteKey": "/x"}, 400),
        ("CreateRoute", {"RouteKey": "GET /{a+}/b"}, 400),
        ("CreateRoute", {"RouteKey": "GET /", "Target": "integrations/none"}, 404),
        ("CreateRoute", {"RouteKey": "GET /there"}, 409),
        ("CreateIntegration", {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "a.example"}, 400),
        (
            "CreateIntegration",
            {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://a.example", "ConnectionType": "VPC_LINK"},
            501,
        ),
        ("CreateIntegration", {"IntegrationType": "MOCK"}, 400),
        ("CreateIntegration", {"IntegrationType": "AWS_PROXY", "IntegrationUri": ARN}, 400),
        ("CreateStage", {"StageName": "a b"}, 400),
        ("CreateStage", {"StageName": "$default"}, 409),
        ("CreateStage", {"StageName": "s", "DeploymentId": "none"}, 404),
        (
            "CreateStage",
            {"StageName": "s", "AccessLogSettings": {"Format": "x", "DestinationArn": "arn:aws:s3:::b"}},
            400,
        ),
        (
            "CreateStage",
            {
                "StageName": "s",
                "AccessLogSettings": {"DestinationArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/d"},
            },
            501,
        ),
    ],
)
def test_bad_or_unhonoured_requests_are_refused(operation: str, request_: dict[str, Any], status: int) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /there")
        with pytest.raises(AwsError) as refused:
            await cloud.api(operation, **({} if operation == "CreateApi" else {"ApiId": api}), **request_)
        assert refused.value.http_status == status

    run(Cloud, body)


def test_a_stage_throttles_by_route() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed("GET /a", "GET /b")
        await cloud.api(
            "UpdateStage",
            ApiId=api,
            StageName="$default",
            RouteSettings={"GET /a": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}},
        )
        statuses = [(await cloud.get(api, path)).status for path in ("/a", "/a", "/b", "/b")]
        assert statuses == [200, 429, 200, 200]
        await cloud.advance(1)
        assert (await cloud.get(api, "/a")).status == 200
        await cloud.api("DeleteRouteSettings", ApiId=api, StageName="$default", RouteKey="GET /a")
        assert [(await cloud.get(api, "/a")).status for _ in range(3)] == [200, 200, 200]

    run(Cloud, body)


def test_apis_are_served_again_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with Cloud(tmp_path) as cloud:
            api = await cloud.deployed("GET /a/{b}", variables={"k": "v"}, CorsConfiguration={"AllowOrigins": ["*"]})
            rest = await cloud.call("apigateway", "CreateRestApi", {"name": "r", "binaryMediaTypes": ["a/b"]})
            where = {"restApiId": rest["id"], "resourceId": rest["rootResourceId"], "httpMethod": "GET"}
            await cloud.call("apigateway", "PutMethod", {**where, "authorizationType": "NONE"})
            mock = {"type": "MOCK", "requestTemplates": {"application/json": '{"statusCode": 204}'}}
            await cloud.call("apigateway", "PutIntegration", {**where, **mock})
            await cloud.call("apigateway", "PutMethodResponse", {**where, "statusCode": "204"})
            await cloud.call("apigateway", "PutIntegrationResponse", {**where, "statusCode": "204"})
            await cloud.call("apigateway", "CreateDeployment", {"restApiId": rest["id"], "stageName": "dev"})
        async with Cloud(tmp_path) as cloud:
            response = await cloud.get(api, "/a/1", headers={"Origin": "http://o"})
            assert response.status == 200 and headers_of(response)["access-control-allow-origin"] == "*"
            assert cloud.events[0]["stageVariables"] == {"k": "v"}
            assert (await cloud.get(rest["id"], "/dev")).status == 204
            again = await cloud.call("apigateway", "GetRestApi", {"restApiId": rest["id"]})
            assert again == rest

    asyncio.run(main())
