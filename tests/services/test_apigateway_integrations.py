"""REST APIs in a cloud without HTTP: MOCK and AWS integrations, validation, throttling, compression, trials."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.kernel.service import Service
from tests.services.apigateway_cloud import URI, RestCloud, headers_of, run

Cloud = RestCloud


async def _one_method(
    cloud: Cloud,
    method: dict[str, Any],
    integration: dict[str, Any],
    *responses: dict[str, Any],
    path: str = "",
    stage: dict[str, Any] | None = None,
    **settings: Any,
) -> str:
    """An API with one POST method, on stage `prod`."""
    made = await cloud.api("CreateRestApi", name="x", **settings)
    resource = made["rootResourceId"]
    if path:
        resource = (await cloud.api("CreateResource", restApiId=made["id"], parentId=resource, pathPart=path))["id"]
    where = {"restApiId": made["id"], "resourceId": resource, "httpMethod": "POST"}
    await cloud.api("PutMethod", **where, **{"authorizationType": "NONE", **method})
    await cloud.api("PutIntegration", **where, integrationHttpMethod="POST", **integration)
    for response in responses:
        names = dict.fromkeys(response.get("responseParameters", {}), False)
        await cloud.api("PutMethodResponse", **where, statusCode=response["statusCode"], responseParameters=names)
        await cloud.api("PutIntegrationResponse", **where, **response)
    await cloud.api("CreateDeployment", restApiId=made["id"], stageName="prod", **(stage or {}))
    return str(made["id"])


def test_a_mock_chooses_its_answer_by_status() -> None:
    async def body(cloud: Cloud) -> None:
        template = '#if($input.params("bad") == "1"){"statusCode": 400}#{else}{"statusCode": 200}#end'
        api = await _one_method(
            cloud,
            {},
            {"type": "MOCK", "requestTemplates": {"application/json": template}},
            {
                "statusCode": "200",
                "responseTemplates": {"application/json": '{"v":"$stageVariables.v"}', "text/plain": "t"},
                "responseParameters": {
                    "method.response.header.X-P": "method.request.header.none",
                    "method.response.header.X-S": "stageVariables.v",
                },
            },
            {
                "statusCode": "422",
                "selectionPattern": "4\\d{2}",
                "responseTemplates": {
                    "application/json": '#set($context.responseOverride.status = 418)#set($context.responseOverride.header.X-O = "o")x'
                },
            },
            stage={"variables": {"v": "w"}},
        )
        response = await cloud.get(api, "/prod", "POST")
        assert (response.status, response.body, headers_of(response)["x-s"]) == (200, b'{"v":"w"}', "w")
        assert "x-p" not in headers_of(response)
        response = await cloud.get(api, "/prod", "POST", headers={"Accept": "text/plain"})
        assert (response.body, headers_of(response)["content-type"]) == (b"t", "text/plain")
        response = await cloud.get(api, "/prod", "POST", query="bad=1")
        assert (response.status, response.body, headers_of(response)["x-o"]) == (418, b"x", "o")

    run(Cloud, body)


def test_a_mock_without_a_status_or_a_matching_answer_is_a_500() -> None:
    async def body(cloud: Cloud) -> None:
        for template, response in (
            ("{}", {"statusCode": "200"}),
            ('{"statusCode": 200}', {"statusCode": "404", "selectionPattern": "404"}),
            ('#if(true){"statusCode": 200}', {"statusCode": "200"}),
        ):
            api = await _one_method(
                cloud, {}, {"type": "MOCK", "requestTemplates": {"application/json": template}}, response
            )
            assert (await cloud.get(api, "/prod", "POST")).status == 500

    run(Cloud, body)


def test_an_aws_integration_calls_another_services_operation() -> None:
    seen: list[tuple[str, Any, str]] = []

    def put_item(ctx: Any, req: Any) -> dict[str, Any]:
        seen.append(("PutItem", req, ctx.principal))
        if "Item" not in req:
            raise GenericAwsError("ValidationException", "no item", 400)
        return {"Attributes": {"a": {"S": "1"}}}

    def put_record(ctx: Any, req: Any) -> dict[str, Any]:
        seen.append(("PutRecord", req, ctx.principal))
        return {"SequenceNumber": "7", "ShardId": "s"}

    def send_message(ctx: Any, req: Any) -> dict[str, Any]:
        seen.append(("SendMessage", req, ctx.principal))
        return {"MessageId": "m"}

    class More(Cloud):
        def __init__(self) -> None:
            super().__init__()
            self._services = [
                *self._services,
                Service("dynamodb", internals={"PutItem": put_item}),
                Service("kinesis", internals={"PutRecord": put_record}),
                Service("sqs", internals={"SendMessage": send_message}),
            ]

    async def body(cloud: Cloud) -> None:
        role = "arn:aws:iam::000000000000:role/api"
        ok = {
            "statusCode": "200",
            "responseTemplates": {"application/json": '{"a": "$input.path("$.Attributes.a.S")"}'},
        }
        bad = {
            "statusCode": "400",
            "selectionPattern": "4\\d\\d",
            "responseTemplates": {"application/json": '{"m": $input.json("$.message")}'},
        }
        uri = "arn:aws:apigateway:us-east-1:dynamodb:action/PutItem"
        template = '{"TableName": "t"#if($input.path("$.v")), "Item": {"v": {"S": "$input.path("$.v")"}}#end}'
        api = await _one_method(
            cloud,
            {},
            {"type": "AWS", "uri": uri, "credentials": role, "requestTemplates": {"application/json": template}},
            ok,
            bad,
        )
        response = await cloud.get(api, "/prod", "POST", body=b'{"v": "x"}')
        assert (response.status, response.body) == (200, b'{"a": "1"}')
        assert seen.pop() == ("PutItem", {"TableName": "t", "Item": {"v": {"S": "x"}}}, role)
        response = await cloud.get(api, "/prod", "POST", body=b"{}")
        assert (response.status, response.body) == (400, b'{"m": "no item"}')
        template = '{"StreamName": "s", "Data": "$util.base64Encode($input.json(\'$\'))", "PartitionKey": "p"}'
        api = await _one_method(
            cloud,
            {},
            {
                "type": "AWS",
                "uri": "arn:aws:apigateway:us-east-1:kinesis:action/PutRecord",
                "requestTemplates": {"application/json": template},
            },
            {"statusCode": "200"},
        )
        response = await cloud.get(api, "/prod", "POST", body=b'{"n": 1}')
        assert json.loads(response.body) == {"SequenceNumber": "7", "ShardId": "s"}  # type: ignore[arg-type]
        assert seen[-1][1] == {"StreamName": "s", "Data": b'{"n":1}', "PartitionKey": "p"}
        form = "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"
        api = await _one_method(
            cloud,
            {},
            {
                "type": "AWS",
                "uri": "arn:aws:apigateway:us-east-1:sqs:path/000000000000/q",
                "requestParameters": {"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"},
                "requestTemplates": {"application/json": form},
            },
            {"statusCode": "200"},
        )
        response = await cloud.get(api, "/prod", "POST", body=b"a & b")
        assert json.loads(response.body)["SendMessageResponse"]["SendMessageResult"] == {"MessageId": "m"}  # type: ignore[arg-type]
        assert seen[-1][1] == {"MessageBody": "a & b", "QueueUrl": "http://127.0.0.1:4566/000000000000/q"}

    async def main() -> None:
        async with More() as cloud:
            await body(cloud)

    asyncio.run(main())


def test_a_function_behind_an_aws_integration_may_be_invoked_asynchronously() -> None:
    async def body(cloud: Cloud) -> None:
        api = await _one_method(
            cloud,
            {"requestParameters": {"method.request.header.X-How": False}},
            {
                "type": "AWS",
                "uri": URI,
                "requestParameters": {
                    "integration.request.header.X-Amz-Invocation-Type": "method.request.header.X-How"
                },
            },
            {"statusCode": "202"},
        )
        await cloud.get(api, "/prod", "POST", body=b'{"a": 1}', headers={"X-How": "Event"})
        assert cloud.events == [{"a": 1}] and cloud.kinds == ["Event"]

    run(Cloud, body)


def test_validators_refuse_what_a_method_requires() -> None:
    async def body(cloud: Cloud) -> None:
        made = await cloud.api("CreateRestApi", name="x")
        one = made["id"]
        await cloud.api(
            "CreateModel",
            restApiId=one,
            name="Name",
            contentType="application/json",
            schema='{"type": "string", "minLength": 2}',
        )
        await cloud.api(
            "CreateModel",
            restApiId=one,
            name="Pet",
            contentType="application/json",
            schema=json.dumps(
                {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"$ref": f"https://apigateway.amazonaws.com/restapis/{one}/models/Name"}},
                }
            ),
        )
        validator = await cloud.api(
            "CreateRequestValidator", restApiId=one, name="v", validateRequestBody=True, validateRequestParameters=True
        )
        where = {"restApiId": one, "resourceId": made["rootResourceId"], "httpMethod": "POST"}
        await cloud.api(
            "PutMethod",
            **where,
            authorizationType="NONE",
            requestValidatorId=validator["id"],
            requestModels={"application/json": "Pet"},
            requestParameters={
                "method.request.querystring.q": True,
                "method.request.header.X-H": True,
                "method.request.querystring.o": False,
            },
        )
        await cloud.api("PutIntegration", **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        await cloud.api(
            "PutGatewayResponse",
            restApiId=one,
            responseType="BAD_REQUEST_BODY",
            responseTemplates={"application/json": '{"e": "$context.error.validationErrorString"}'},
        )
        await cloud.api("CreateDeployment", restApiId=one, stageName="prod")
        response = await cloud.get(one, "/prod", "POST", body=b'{"name": "ab"}')
        assert (response.status, response.body) == (400, b'{"message":"Missing required request parameters: [q, X-H]"}')
        sent = {"X-H": "1", "Content-Type": "application/json"}
        assert (await cloud.get(one, "/prod", "POST", "q=1", b'{"name": "ab"}', sent)).status == 200
        for bad in (b'{"name": "a"}', b"{}", b"", b"nonsense"):
            response = await cloud.get(one, "/prod", "POST", "q=1", bad, sent)
            assert response.status == 400 and json.loads(response.body)["e"]  # type: ignore[arg-type]
        assert len(cloud.events) == 1

    run(Cloud, body)


def test_a_stage_throttles_and_refills_with_time() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/a"), ("GET", "/b"))
        await cloud.api(
            "UpdateStage",
            restApiId=api,
            stageName="prod",
            patchOperations=[
                {"op": "replace", "path": "/~1a/GET/throttling/rateLimit", "value": "0.5"},
                {"op": "replace", "path": "/~1a/GET/throttling/burstLimit", "value": "2"},
            ],
        )
        assert [(await cloud.get(api, "/prod/a")).status for _ in range(3)] == [200, 200, 429]
        assert (await cloud.get(api, "/prod/b")).status == 200
        await cloud.advance(2)
        assert [(await cloud.get(api, "/prod/a")).status for _ in range(2)] == [200, 429]

    run(Cloud, body)


def test_an_api_compresses_and_unpacks() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("POST", "/"), minimumCompressionSize=10)
        cloud.answer = {"statusCode": 200, "body": "x" * 100}
        response = await cloud.get(
            api,
            "/prod",
            "POST",
            body=gzip.compress(b"hello"),
            headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"},
        )
        assert cloud.events[0]["body"] == "hello"
        assert headers_of(response)["content-encoding"] == "gzip"
        assert gzip.decompress(response.body) == b"x" * 100  # type: ignore[arg-type]
        response = await cloud.get(api, "/prod", "POST", headers={})
        assert response.body == b"x" * 100
        cloud.answer = {"statusCode": 200, "body": "x"}
        assert (await cloud.get(api, "/prod", "POST", headers={"Accept-Encoding": "gzip"})).body == b"x"
        assert (
            await cloud.get(api, "/prod", "POST", body=b"no gzip", headers={"Content-Encoding": "gzip"})
        ).status == 400

    run(Cloud, body)


def test_a_method_can_be_tried_without_a_deployment() -> None:
    async def body(cloud: Cloud) -> None:
        made = await cloud.api("CreateRestApi", name="x")
        child = await cloud.api(
            "CreateResource", restApiId=made["id"], parentId=made["rootResourceId"], pathPart="{id}"
        )
        where = {"restApiId": made["id"], "resourceId": child["id"], "httpMethod": "GET"}
        await cloud.api("PutMethod", **where, authorizationType="AWS_IAM")
        with pytest.raises(AwsError, match="No integration defined"):
            await cloud.api("TestInvokeMethod", **where)
        await cloud.api("PutIntegration", **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        cloud.answer = {"statusCode": 201, "multiValueHeaders": {"X-A": ["1", "2"]}, "body": "b"}
        tried = await cloud.api(
            "TestInvokeMethod", **where, pathWithQueryString="/7?a=b", headers={"X": "y"}, stageVariables={"s": "t"}
        )
        assert (tried["status"], tried["body"], tried["multiValueHeaders"]["X-A"]) == (201, "b", ["1", "2"])
        event = cloud.events[0]
        assert event["pathParameters"] == {"id": "7"} and event["queryStringParameters"] == {"a": "b"}
        assert event["headers"]["X"] == "y" and event["stageVariables"] == {"s": "t"}
        assert event["requestContext"]["stage"] == "test-invoke-stage"

    run(Cloud, body)


def test_what_a_service_integration_cannot_do_is_an_error_of_the_backend() -> None:
    async def body(cloud: Cloud) -> None:
        answers = (
            {"statusCode": "200"},
            {"statusCode": "500", "selectionPattern": "5\\d\\d"},
            {"statusCode": "400", "selectionPattern": "4.."},
        )
        for name, sent, status, text in (
            ("dynamodb:action/Nonsense", b"{}", 500, b"NotImplemented"),
            ("nonsense:action/Nonsense", b"{}", 500, b"NotImplemented"),
            ("sqs:path/000000000000/q", b"Action=SendMessage&MessageAttribute.x.Name=x", 400, b"index is no number"),
            ("sqs:path/000000000000/q", b"Action=SendMessage&MessageBody=x", 500, b"not implemented by Cumulet"),
            ("sqs:path/000000000000/q", b"MessageBody=x", 400, b"names no action"),
        ):
            api = await _one_method(cloud, {}, {"type": "AWS", "uri": f"arn:aws:apigateway:us-east-1:{name}"}, *answers)
            response = await cloud.get(api, "/prod", "POST", body=sent)
            assert response.status == status and text in response.body  # type: ignore[operator]

    run(Cloud, body)
