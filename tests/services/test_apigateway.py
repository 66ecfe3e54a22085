"""REST APIs in a cloud without HTTP: control plane, routing, Lambda proxy integration."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cumulet.aws.errors import AwsError, GenericAwsError
from tests.services.apigateway_cloud import ARN, URI, RestCloud, headers_of, run

Cloud = RestCloud


def test_a_proxy_function_gets_the_whole_event() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("POST", "/items/{id}"), variables={"table": "t1"})
        response = await cloud.get(
            api,
            "/prod/items/a%20b",
            "POST",
            "x=1&x=2&y=%C3%A9",
            b'{"n":1}',
            {"Content-Type": "application/json", "User-Agent": "test/1"},
        )
        assert (response.status, response.body) == (200, b"hi")
        event = cloud.events[0]
        assert event["resource"] == "/items/{id}"
        assert event["path"] == "/items/a%20b"
        assert event["httpMethod"] == "POST"
        assert event["pathParameters"] == {"id": "a%20b"}
        assert event["queryStringParameters"] == {"x": "2", "y": "é"}
        assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": ["é"]}
        assert event["headers"]["Content-Type"] == "application/json"
        assert event["multiValueHeaders"]["X-Forwarded-For"] == ["127.0.0.1"]
        assert event["stageVariables"] == {"table": "t1"}
        assert (event["body"], event["isBase64Encoded"]) == ('{"n":1}', False)
        context = event["requestContext"]
        assert context["stage"] == "prod" and context["apiId"] == api and context["resourcePath"] == "/items/{id}"
        assert context["path"] == "/prod/items/a%20b" and context["accountId"] == "000000000000"
        assert context["domainName"] == f"{api}.execute-api.us-east-1.amazonaws.com"
        assert (
            context["requestTimeEpoch"] == 1_700_000_000_000 and context["requestTime"] == "14/Nov/2023:22:13:20 +0000"
        )
        assert context["identity"]["sourceIp"] == "127.0.0.1" and context["identity"]["userAgent"] == "test/1"
        assert context["requestId"] == headers_of(response)["x-amzn-requestid"]
        assert context["extendedRequestId"] == headers_of(response)["x-amz-apigw-id"]
        assert cloud.invoked == [ARN]

    run(Cloud, body)


def test_what_a_request_lacks_is_null_in_the_event() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        for rest in ("/prod", "/prod/"):
            assert (await cloud.get(api, rest)).status == 200
            event = cloud.events.pop()
            for name in (
                "queryStringParameters",
                "multiValueQueryStringParameters",
                "pathParameters",
                "stageVariables",
                "body",
            ):
                assert event[name] is None

    run(Cloud, body)


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/pets/dog", "/pets/dog", None),
        ("/pets/cat", "/pets/{kind}", {"kind": "cat"}),
        ("/pets/cat/", "/pets/{kind}", {"kind": "cat"}),
        ("/pets/cat/1/2", "/{proxy+}", {"proxy": "pets/cat/1/2"}),
        ("/pets/dog/toys", "/pets/dog/toys", None),
        ("/pets", "/{proxy+}", {"proxy": "pets"}),
    ],
)
def test_literals_go_before_parameters_and_those_before_greedy_ones(path: str, resource: str, parameters: Any) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(
            ("GET", "/pets/dog"), ("GET", "/pets/{kind}"), ("ANY", "/{proxy+}"), ("GET", "/pets/dog/toys")
        )
        await cloud.get(api, f"/prod{path}")
        assert (cloud.events[0]["resource"], cloud.events[0]["pathParameters"]) == (resource, parameters)

    run(Cloud, body)


def test_unknown_paths_methods_stages_and_apis_are_forbidden() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/pets"))
        for method, rest, target, message in (
            ("GET", "/prod/none", api, "Missing Authentication Token"),
            ("POST", "/prod/pets", api, "Missing Authentication Token"),
            ("GET", "/prod/pets", "nosuchapi0", "Forbidden"),
            ("GET", "/none/pets", api, "Forbidden"),
        ):
            response = await cloud.get(target, rest, method)
            assert response.status == 403
            assert json.loads(response.body) == {"message": message}  # type: ignore[arg-type]
        assert headers_of(response)["x-amzn-errortype"] == "ForbiddenException"

    run(Cloud, body)


def test_a_function_sets_status_headers_and_body() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        cloud.answer = {
            "statusCode": "201",
            "headers": {"X-A": 1, "Content-Type": "text/csv"},
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
            "body": "é",
        }
        response = await cloud.get(api, "/prod")
        assert (response.status, response.body) == (201, "é".encode())
        assert [pair for pair in response.headers if pair[0] == "Set-Cookie"] == [
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ]
        assert headers_of(response)["x-a"] == "1" and headers_of(response)["content-type"] == "text/csv"

    run(Cloud, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"null",
        b'"text"',
        b"{}",
        b"[]",
        b'{"statusCode": 200, "body": {"a": 1}}',
        b'{"statusCode": "x"}',
        b'{"statusCode": 200, "headers": {"a": {}}}',
        b"not json",
    ],
)
def test_a_malformed_proxy_answer_is_a_502(answer: bytes) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        cloud.answer = answer
        response = await cloud.get(api, "/prod")
        assert (response.status, response.body) == (502, b'{"message":"Internal server error"}')

    run(Cloud, body)


@pytest.mark.parametrize(("given", "sent"), [(b"7", b"7"), (b"1.5", b"1.5"), (b"true", b"true"), (b"null", b"")])
def test_a_proxy_answers_scalar_body_is_sent_as_text(given: bytes, sent: bytes) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        cloud.answer = b'{"statusCode": 200, "body": ' + given + b"}"
        response = await cloud.get(api, "/prod")
        assert (response.status, response.body) == (200, sent)

    run(Cloud, body)


def test_errors_of_functions_and_of_lambda_have_their_statuses() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        cloud.error = "Unhandled"
        assert (await cloud.get(api, "/prod")).status == 502
        cloud.error, cloud.takes_s = None, 29.5
        response = await cloud.get(api, "/prod")
        assert (response.status, response.body) == (504, b'{"message":"Endpoint request timed out"}')
        cloud.refusal = GenericAwsError("ResourceNotFoundException", "Function not found", 404)
        response = await cloud.get(api, "/prod")
        assert (response.status, response.body) == (500, b'{"message":"Internal server error"}')

    run(Cloud, body)


def test_binary_media_types_decide_on_base64_both_ways() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("ANY", "/"), binaryMediaTypes=["image/png"])
        cloud.answer = {"statusCode": 200, "body": "AAEC", "isBase64Encoded": True}
        response = await cloud.get(
            api, "/prod", "POST", "", b"\xff\x00", {"Content-Type": "image/png", "Accept": "image/png"}
        )
        assert (cloud.events[0]["body"], cloud.events[0]["isBase64Encoded"]) == ("/wA=", True)
        assert response.body == b"\x00\x01\x02"
        response = await cloud.get(
            api, "/prod", "POST", "", b"x", {"Content-Type": "text/plain", "Accept": "text/html"}
        )
        assert (cloud.events[1]["body"], cloud.events[1]["isBase64Encoded"]) == ("x", False)
        assert response.body == b"AAEC"

    run(Cloud, body)


def test_a_deployment_is_a_snapshot() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/a"))
        resources = await cloud.api("GetResources", restApiId=api)
        one = next(item for item in resources["items"] if item["path"] == "/a")
        first = (await cloud.api("GetStages", restApiId=api))["item"][0]["deploymentId"]
        await cloud.api("DeleteResource", restApiId=api, resourceId=one["id"])
        assert (await cloud.get(api, "/prod/a")).status == 200
        with pytest.raises(AwsError, match="doesn't contain any methods"):
            await cloud.api("CreateDeployment", restApiId=api, stageName="prod")
        with pytest.raises(AwsError, match="Active stages"):
            await cloud.api("DeleteDeployment", restApiId=api, deploymentId=first)
        await cloud.api("DeleteStage", restApiId=api, stageName="prod")
        assert (await cloud.get(api, "/prod/a")).status == 403
        await cloud.api("DeleteDeployment", restApiId=api, deploymentId=first)

    run(Cloud, body)


def test_stage_variables_choose_the_function() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"), variables={"fn": "one"})
        resource = (await cloud.api("GetRestApi", restApiId=api))["rootResourceId"]
        where = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
        uri = URI.replace("hello", "${stageVariables.fn}")
        await cloud.api("UpdateIntegration", **where, patchOperations=[{"op": "replace", "path": "/uri", "value": uri}])
        await cloud.api("CreateDeployment", restApiId=api, stageName="prod")
        await cloud.get(api, "/prod")
        await cloud.api(
            "UpdateStage",
            restApiId=api,
            stageName="prod",
            patchOperations=[{"op": "replace", "path": "/variables/fn", "value": "two"}],
        )
        await cloud.get(api, "/prod")
        assert [arn.rpartition(":")[2] for arn in cloud.invoked] == ["one", "two"]

    run(Cloud, body)


def test_gateway_responses_are_customised_by_type_and_by_default() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        await cloud.api(
            "PutGatewayResponse",
            restApiId=api,
            responseType="DEFAULT_4XX",
            statusCode="419",
            responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
            responseTemplates={"application/json": '{"m":$context.error.messageString,"s":"$context.stage"}'},
        )
        assert (await cloud.get(api, "/prod/x")).status == 403  # not deployed yet
        await cloud.api("CreateDeployment", restApiId=api, stageName="prod")
        response = await cloud.get(api, "/prod/x")
        assert response.status == 419
        assert json.loads(response.body) == {"m": "Missing Authentication Token", "s": "prod"}  # type: ignore[arg-type]
        assert headers_of(response)["access-control-allow-origin"] == "*"

    run(Cloud, body)


def test_a_method_with_iam_authorization_wants_a_signature() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"))
        resource = (await cloud.api("GetRestApi", restApiId=api))["rootResourceId"]
        await cloud.api(
            "UpdateMethod",
            restApiId=api,
            resourceId=resource,
            httpMethod="GET",
            patchOperations=[{"op": "replace", "path": "/authorizationType", "value": "AWS_IAM"}],
        )
        await cloud.api("CreateDeployment", restApiId=api, stageName="prod")
        assert (await cloud.get(api, "/prod")).status == 403
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=AK/20231114/us-east-1/execute-api/aws4_request, ..."}
        assert (await cloud.get(api, "/prod", headers=signed)).status == 200
        assert cloud.events[0]["requestContext"]["identity"]["userArn"] == "arn:aws:iam::000000000000:root"

    run(Cloud, body)


@pytest.mark.parametrize(
    "settings",
    [
        {"cloneFrom": "x"},
        {"policy": "{}"},
        {"endpointConfiguration": {"types": ["PRIVATE"]}},
    ],
)
def test_settings_that_are_not_honoured_are_refused(settings: dict[str, Any]) -> None:
    async def body(cloud: Cloud) -> None:
        with pytest.raises(AwsError) as refused:
            await cloud.api("CreateRestApi", name="x", **settings)
        assert refused.value.http_status == 501

    run(Cloud, body)


def test_apis_of_other_accounts_and_regions_are_not_found() -> None:
    async def body(cloud: Cloud) -> None:
        api = (await cloud.api("CreateRestApi", name="x"))["id"]
        for other in ({"account": "111111111111"}, {"region": "eu-west-1"}):
            with pytest.raises(AwsError, match="Invalid API identifier"):
                await cloud.call("apigateway", "GetRestApi", {"restApiId": api}, **other)
            assert await cloud.call("apigateway", "GetRestApis", {}, **other) == {"items": []}

    run(Cloud, body)


@pytest.mark.parametrize(
    ("operation", "request_", "status"),
    [
        ("UpdateRestApi", {"patchOperations": [{"op": "replace", "path": "/nonsense", "value": "x"}]}, 400),
        (
            "UpdateRestApi",
            {"patchOperations": [{"op": "replace", "path": "/disableExecuteApiEndpoint", "value": "maybe"}]},
            400,
        ),
        ("UpdateRestApi", {"patchOperations": [{"op": "replace", "path": "/policy", "value": "{}"}]}, 501),
        (
            "UpdateStage",
            {"stageName": "prod", "patchOperations": [{"op": "replace", "path": "/deploymentId", "value": "no"}]},
            404,
        ),
        (
            "UpdateStage",
            {
                "stageName": "prod",
                "patchOperations": [{"op": "replace", "path": "/*/*/logging/loglevel", "value": "INFO"}],
            },
            400,
        ),
        (
            "UpdateStage",
            {
                "stageName": "prod",
                "patchOperations": [{"op": "replace", "path": "/accessLogSettings/format", "value": "x"}],
            },
            400,
        ),
        ("CreateStage", {"stageName": "prod", "deploymentId": "x"}, 409),
        ("CreateStage", {"stageName": "s", "deploymentId": "x"}, 404),
        ("CreateDeployment", {"canarySettings": {"percentTraffic": 1.0}}, 501),
        ("PutMethod", {"httpMethod": "POST", "authorizationType": "CUSTOM"}, 400),
        ("PutMethod", {"httpMethod": "post", "authorizationType": "NONE"}, 400),
        ("PutMethod", {"httpMethod": "GET", "authorizationType": "NONE"}, 409),
        (
            "PutIntegration",
            {"httpMethod": "GET", "type": "HTTP_PROXY", "uri": "a.example", "integrationHttpMethod": "GET"},
            400,
        ),
        (
            "PutIntegration",
            {"httpMethod": "GET", "type": "AWS_PROXY", "uri": "arn:nonsense", "integrationHttpMethod": "POST"},
            400,
        ),
        ("PutIntegration", {"httpMethod": "GET", "type": "MOCK", "timeoutInMillis": 30000}, 400),
        ("PutIntegration", {"httpMethod": "PUT", "type": "MOCK"}, 404),
        ("CreateResource", {"parentId": "none", "pathPart": "x"}, 404),
        ("CreateResource", {"pathPart": "a"}, 409),
        ("CreateResource", {"pathPart": "a b"}, 400),
        ("GetResources", {"limit": 501}, 400),
        ("GetModel", {"modelName": "none"}, 404),
        ("DeleteGatewayResponse", {"responseType": "THROTTLED"}, 404),
        ("TagResource", {"resourceArn": "arn:aws:apigateway:us-east-1::/vpclinks/x", "tags": {}}, 501),
    ],
)
def test_bad_or_unhonoured_requests_are_refused(operation: str, request_: dict[str, Any], status: int) -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/"), ("GET", "/a"))
        root = (await cloud.api("GetRestApi", restApiId=api))["rootResourceId"]
        given: dict[str, Any] = {"restApiId": api}
        if operation.startswith("Put"):
            given["resourceId"] = root
        if operation == "CreateResource":
            given["parentId"] = root
        with pytest.raises(AwsError) as refused:
            await cloud.api(operation, **{**given, **request_})
        assert refused.value.http_status == status

    run(Cloud, body)


def test_lists_have_pages() -> None:
    async def body(cloud: Cloud) -> None:
        made = sorted([(await cloud.api("CreateRestApi", name="x"))["id"] for _ in range(5)])
        first = await cloud.api("GetRestApis", limit=3)
        rest = await cloud.api("GetRestApis", limit=3, position=first["position"])
        assert [item["id"] for item in first["items"] + rest["items"]] == made and "position" not in rest

    run(Cloud, body)
