"""REST and HTTP APIs through boto3 and real HTTP, before real functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.apigateway_http import fetch, function


def uri(arn: str) -> str:
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"


def test_a_rest_api_of_every_operation_serves(aws: Any, cloud: Any) -> None:
    arn, api = function(aws, "f"), aws("apigateway")
    made = api.create_rest_api(name="shop", description="d", binaryMediaTypes=["image/png"], tags={"a": "b"})
    one, root = made["id"], made["rootResourceId"]
    assert api.get_rest_api(restApiId=one)["name"] == "shop"
    assert [item["id"] for item in api.get_rest_apis()["items"]] == [one]
    api.update_rest_api(
        restApiId=one,
        patchOperations=[
            {"op": "replace", "path": "/name", "value": "shop2"},
            {"op": "add", "path": "/binaryMediaTypes/image~1gif"},
            {"op": "replace", "path": "/endpointConfiguration/types/EDGE", "value": "REGIONAL"},
        ],
    )
    changed = api.get_rest_api(restApiId=one)
    assert changed["name"] == "shop2" and changed["binaryMediaTypes"] == ["image/png", "image/gif"]
    assert changed["endpointConfiguration"]["types"] == ["REGIONAL"]
    resource = api.create_resource(restApiId=one, parentId=root, pathPart="items")["id"]
    child = api.create_resource(restApiId=one, parentId=resource, pathPart="{id}")["id"]
    assert api.get_resource(restApiId=one, resourceId=child)["path"] == "/items/{id}"
    api.update_resource(
        restApiId=one, resourceId=resource, patchOperations=[{"op": "replace", "path": "/pathPart", "value": "pets"}]
    )
    assert sorted(item["path"] for item in api.get_resources(restApiId=one)["items"]) == ["/", "/pets", "/pets/{id}"]
    where = {"restApiId": one, "resourceId": child, "httpMethod": "GET"}
    api.put_method(**where, authorizationType="NONE", requestParameters={"method.request.path.id": True})
    api.update_method(**where, patchOperations=[{"op": "replace", "path": "/operationName", "value": "getPet"}])
    api.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(arn))
    api.update_integration(**where, patchOperations=[{"op": "replace", "path": "/timeoutInMillis", "value": "5000"}])
    api.put_method_response(**where, statusCode="200", responseParameters={"method.response.header.X": False})
    api.update_method_response(
        **where,
        statusCode="200",
        patchOperations=[{"op": "add", "path": "/responseParameters/method.response.header.Y", "value": "true"}],
    )
    api.put_integration_response(**where, statusCode="200", selectionPattern="")
    api.update_integration_response(
        **where,
        statusCode="200",
        patchOperations=[{"op": "add", "path": "/responseParameters/method.response.header.X", "value": "'1'"}],
    )
    method = api.get_method(**where)
    assert method["operationName"] == "getPet" and method["methodIntegration"]["timeoutInMillis"] == 5000
    assert api.get_integration(**where)["integrationResponses"]["200"]["responseParameters"] == {
        "method.response.header.X": "'1'"
    }
    assert api.get_method_response(**where, statusCode="200")["responseParameters"] == {
        "method.response.header.X": False,
        "method.response.header.Y": True,
    }
    assert api.get_integration_response(**where, statusCode="200")["statusCode"] == "200"
    deployment = api.create_deployment(restApiId=one, description="first")["id"]
    api.create_stage(restApiId=one, stageName="dev", deploymentId=deployment, variables={"k": "v"}, tags={"s": "t"})
    api.update_stage(
        restApiId=one,
        stageName="dev",
        patchOperations=[
            {"op": "replace", "path": "/description", "value": "x"},
            {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "10"},
        ],
    )
    stage = api.get_stage(restApiId=one, stageName="dev")
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 10 and stage["description"] == "x"
    assert api.get_stages(restApiId=one)["item"][0]["stageName"] == "dev"
    assert api.get_deployment(restApiId=one, deploymentId=deployment, embed=["apisummary"])["apiSummary"]["/pets/{id}"][
        "GET"
    ]
    assert api.get_deployments(restApiId=one)["items"][0]["description"] == "first"
    api.update_deployment(
        restApiId=one,
        deploymentId=deployment,
        patchOperations=[{"op": "replace", "path": "/description", "value": "second"}],
    )
    status, headers, body = fetch(f"{cloud.endpoint}/_aws/execute-api/{one}/dev/pets/7?q=1")
    event = json.loads(body)
    assert status == 200 and event["pathParameters"] == {"id": "7"} and event["stageVariables"] == {"k": "v"}
    assert headers["x-amzn-requestid"] == event["requestContext"]["requestId"]
    host = {"Host": f"{one}.execute-api.localhost:4566"}
    status, _, body = fetch(f"{cloud.endpoint}/dev/pets/8", headers=host)
    assert status == 200 and json.loads(body)["requestContext"]["domainName"] == f"{one}.execute-api.localhost"
    assert fetch(f"{cloud.endpoint}/_aws/execute-api/{one}/dev/pets/7?fail=1")[0] == 502
    stage_arn = f"arn:aws:apigateway:us-east-1::/restapis/{one}/stages/dev"
    api.tag_resource(resourceArn=stage_arn, tags={"n": "m"})
    api.untag_resource(resourceArn=stage_arn, tagKeys=["s"])
    assert api.get_tags(resourceArn=stage_arn)["tags"] == {"n": "m"}
    api.delete_integration_response(**where, statusCode="200")
    api.delete_method_response(**where, statusCode="200")
    api.delete_integration(**where)
    api.delete_method(**where)
    api.delete_resource(restApiId=one, resourceId=resource)
    api.delete_stage(restApiId=one, stageName="dev")
    api.delete_deployment(restApiId=one, deploymentId=deployment)
    api.delete_rest_api(restApiId=one)
    with pytest.raises(api.exceptions.NotFoundException, match="Invalid API identifier specified 000000000000:"):
        api.get_rest_api(restApiId=one)


def test_models_validators_gateway_responses_and_the_account(aws: Any) -> None:
    api = aws("apigateway")
    one = api.create_rest_api(name="x")["id"]
    api.create_model(restApiId=one, name="Pet", contentType="application/json", schema='{"type": "object"}')
    api.update_model(
        restApiId=one, modelName="Pet", patchOperations=[{"op": "replace", "path": "/schema", "value": "{}"}]
    )
    assert api.get_model(restApiId=one, modelName="Pet")["schema"] == "{}"
    assert [item["name"] for item in api.get_models(restApiId=one)["items"]] == ["Pet"]
    with pytest.raises(api.exceptions.ConflictException):
        api.create_model(restApiId=one, name="Pet", contentType="application/json")
    api.delete_model(restApiId=one, modelName="Pet")
    validator = api.create_request_validator(restApiId=one, name="v", validateRequestBody=True)["id"]
    api.update_request_validator(
        restApiId=one,
        requestValidatorId=validator,
        patchOperations=[{"op": "replace", "path": "/validateRequestParameters", "value": "true"}],
    )
    assert api.get_request_validator(restApiId=one, requestValidatorId=validator)["validateRequestParameters"] is True
    assert len(api.get_request_validators(restApiId=one)["items"]) == 1
    api.delete_request_validator(restApiId=one, requestValidatorId=validator)
    api.put_gateway_response(restApiId=one, responseType="THROTTLED", statusCode="418")
    api.update_gateway_response(
        restApiId=one,
        responseType="THROTTLED",
        patchOperations=[{"op": "replace", "path": "/statusCode", "value": "420"}],
    )
    assert api.get_gateway_response(restApiId=one, responseType="THROTTLED")["statusCode"] == "420"
    kinds = {
        item["responseType"]: item["defaultResponse"] for item in api.get_gateway_responses(restApiId=one)["items"]
    }
    assert kinds["THROTTLED"] is False and kinds["UNAUTHORIZED"] is True and len(kinds) == 21
    api.delete_gateway_response(restApiId=one, responseType="THROTTLED")
    role = "arn:aws:iam::000000000000:role/logs"
    api.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}])
    assert api.get_account()["cloudwatchRoleArn"] == role


SWAGGER = """
swagger: "2.0"
info: {title: imported, version: "3"}
basePath: /v1
x-amazon-apigateway-binary-media-types: [image/png]
x-amazon-apigateway-gateway-responses:
  DEFAULT_4XX: {statusCode: 418, responseParameters: {gatewayresponse.header.X-G: "'g'"}}
definitions:
  Pet: {type: object, required: [name], properties: {name: {type: string}}}
paths:
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, type: string}]
      responses: {"200": {description: ok}}
      x-amazon-apigateway-integration: {type: aws_proxy, httpMethod: POST, uri: "URI"}
    x-amazon-apigateway-any-method:
      responses: {}
      x-amazon-apigateway-integration: {type: aws_proxy, httpMethod: POST, uri: "URI"}
    options:
      responses: {"200": {description: cors, headers: {Access-Control-Allow-Origin: {type: string}}}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode" : 200}'}
        responses:
          default:
            statusCode: "200"
            responseParameters: {method.response.header.Access-Control-Allow-Origin: "'*'"}
            responseTemplates: {application/json: '{"for": "$input.params("id")"}'}
"""


def test_an_imported_api_serves_and_is_overwritten(aws: Any, cloud: Any) -> None:
    arn, api = function(aws, "f"), aws("apigateway")
    made = api.import_rest_api(
        body=SWAGGER.replace("URI", uri(arn)).encode(), parameters={"endpointConfigurationTypes": "REGIONAL"}
    )
    one = made["id"]
    assert (
        made["name"] == "imported" and made["version"] == "3" and made["endpointConfiguration"]["types"] == ["REGIONAL"]
    )
    api.create_deployment(restApiId=one, stageName="dev")
    base = f"{cloud.endpoint}/_aws/execute-api/{one}/dev"
    assert json.loads(fetch(f"{base}/pets/1")[2])["resource"] == "/pets/{id}"
    assert json.loads(fetch(f"{base}/pets/1", "PUT", b"x")[2])["httpMethod"] == "PUT"
    status, headers, body = fetch(f"{base}/pets/1", "OPTIONS")
    assert (status, headers["access-control-allow-origin"], json.loads(body)) == (200, "*", {"for": "1"})
    status, headers, _ = fetch(f"{base}/none")
    assert (status, headers["x-g"]) == (418, "g")
    merged = json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "t", "version": "1"},
            "paths": {
                "/more": {
                    "get": {
                        "x-amazon-apigateway-integration": {"type": "AWS_PROXY", "httpMethod": "POST", "uri": uri(arn)}
                    }
                }
            },
        }
    )
    api.put_rest_api(restApiId=one, mode="merge", body=merged.encode())
    assert {item["path"] for item in api.get_resources(restApiId=one)["items"]} == {"/", "/pets", "/pets/{id}", "/more"}
    api.put_rest_api(restApiId=one, mode="overwrite", body=merged.encode())
    assert {item["path"] for item in api.get_resources(restApiId=one)["items"]} == {"/", "/more"}
    with pytest.raises(api.exceptions.BadRequestException):
        api.import_rest_api(body=b"{not json")


def test_lambda_and_service_integrations_map_requests_and_answers(aws: Any, cloud: Any) -> None:
    arn, api = function(aws, "plain", "plain"), aws("apigateway")
    one = api.create_rest_api(name="x")
    where = {"restApiId": one["id"], "resourceId": one["rootResourceId"], "httpMethod": "POST"}
    api.put_method(**where, authorizationType="NONE")
    api.put_integration(
        **where,
        type="AWS",
        integrationHttpMethod="POST",
        uri=uri(arn),
        passthroughBehavior="NEVER",
        requestTemplates={
            "application/json": '#set($in = $input.path("$"))\n{"name": "$in.name", "q": "$input.params(\'q\')", '
            '"stage": "$context.stage", "raw": $input.json("$.list"), "fail": $in.fail}'
        },
    )
    for status in ("200", "404"):
        api.put_method_response(**where, statusCode=status, responseParameters={"method.response.header.X-Name": False})
    api.put_integration_response(
        **where,
        statusCode="200",
        responseParameters={"method.response.header.X-Name": "integration.response.body.got.name"},
        responseTemplates={"application/json": '{"wrapped": $input.json("$.got")}'},
    )
    api.put_integration_response(
        **where,
        statusCode="404",
        selectionPattern="not found.*",
        responseTemplates={"application/json": '{"error": "$input.path("$.errorMessage")"}'},
    )
    api.create_deployment(restApiId=one["id"], stageName="dev")
    url, sent = f"{cloud.endpoint}/_aws/execute-api/{one['id']}/dev?q=1", {"Content-Type": "application/json"}
    status, headers, body = fetch(url, "POST", b'{"name": "a", "list": [1, {"b": 2}], "fail": false}', sent)
    assert status == 200 and headers["x-name"] == "a"
    assert json.loads(body) == {"wrapped": {"name": "a", "q": "1", "stage": "dev", "raw": [1, {"b": 2}], "fail": False}}
    status, _, body = fetch(url, "POST", b'{"name": "a", "list": [], "fail": true}', sent)
    assert (status, json.loads(body)) == (404, {"error": "not found: 17"})
    assert fetch(url, "POST", b"<x/>", {"Content-Type": "text/xml"})[0] == 415


def test_an_http_api_of_every_operation_serves(aws: Any, cloud: Any) -> None:
    arn, api = function(aws, "f"), aws("apigatewayv2")
    one = api.create_api(Name="h", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]}, Tags={"a": "b"})[
        "ApiId"
    ]
    integration = api.create_integration(
        ApiId=one, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )
    integration_id = integration["IntegrationId"]
    api.update_integration(ApiId=one, IntegrationId=integration_id, TimeoutInMillis=2000)
    assert api.get_integration(ApiId=one, IntegrationId=integration_id)["TimeoutInMillis"] == 2000
    route = api.create_route(ApiId=one, RouteKey="GET /pets", Target=f"integrations/{integration_id}")["RouteId"]
    api.update_route(ApiId=one, RouteId=route, RouteKey="GET /pets/{id}")
    assert api.get_route(ApiId=one, RouteId=route)["RouteKey"] == "GET /pets/{id}"
    assert len(api.get_routes(ApiId=one)["Items"]) == len(api.get_integrations(ApiId=one)["Items"]) == 1
    api.create_stage(ApiId=one, StageName="$default", AutoDeploy=True)
    api.update_stage(ApiId=one, StageName="$default", StageVariables={"k": "v"}, Description="d")
    assert api.get_stage(ApiId=one, StageName="$default")["StageVariables"] == {"k": "v"}
    assert len(api.get_stages(ApiId=one)["Items"]) == 1
    manual = api.create_deployment(ApiId=one, Description="m")["DeploymentId"]
    api.update_deployment(ApiId=one, DeploymentId=manual, Description="n")
    assert api.get_deployment(ApiId=one, DeploymentId=manual)["Description"] == "n"
    assert len(api.get_deployments(ApiId=one)["Items"]) == 2
    for url, headers in (
        (f"{cloud.endpoint}/_aws/execute-api/{one}/pets/1?a=b", {}),
        (f"{cloud.endpoint}/_aws/execute-api/{one}/$default/pets/1?a=b", {}),
        (f"{cloud.endpoint}/pets/1?a=b", {"Host": f"{one}.execute-api.us-east-1.localhost:4566"}),
    ):
        status, got, body = fetch(url, headers={"Origin": "http://o", **headers})
        event = json.loads(body)
        assert status == 200 and event["rawPath"] == "/pets/1" and event["pathParameters"] == {"id": "1"}
        assert (
            got["access-control-allow-origin"] == "*" and got["apigw-requestid"] == event["requestContext"]["requestId"]
        )
    assert fetch(f"{cloud.endpoint}/_aws/execute-api/{one}/pets/1?fail=1")[0] == 500
    api.update_api(ApiId=one, Name="i")
    api.delete_cors_configuration(ApiId=one)
    assert api.get_api(ApiId=one)["Name"] == "i" and "CorsConfiguration" not in api.get_api(ApiId=one)
    assert [item["ApiId"] for item in api.get_apis()["Items"]] == [one]
    tagged = f"arn:aws:apigateway:us-east-1::/apis/{one}"
    api.tag_resource(ResourceArn=tagged, Tags={"c": "d"})
    api.untag_resource(ResourceArn=tagged, TagKeys=["a"])
    assert api.get_tags(ResourceArn=tagged)["Tags"] == {"c": "d"}
    with pytest.raises(api.exceptions.ConflictException):
        api.delete_integration(ApiId=one, IntegrationId=integration_id)
    api.delete_route(ApiId=one, RouteId=route)
    api.delete_integration(ApiId=one, IntegrationId=integration_id)
    api.delete_stage(ApiId=one, StageName="$default")
    api.delete_deployment(ApiId=one, DeploymentId=manual)
    api.delete_api(ApiId=one)
    with pytest.raises(api.exceptions.NotFoundException):
        api.get_api(ApiId=one)


def test_an_imported_http_api_serves(aws: Any, cloud: Any) -> None:
    arn, api = function(aws, "f"), aws("apigatewayv2")
    document = {
        "openapi": "3.0.1",
        "info": {"title": "h", "version": "1"},
        "x-amazon-apigateway-cors": {"allowOrigins": ["https://a.example"]},
        "tags": [{"name": "t", "x-amazon-apigateway-tag-value": "u"}],
        "paths": {
            "/a/{b}": {
                "get": {"x-amazon-apigateway-integration": {"$ref": "#/components/x-amazon-apigateway-integrations/f"}}
            },
            "$default": {
                "x-amazon-apigateway-any-method": {
                    "x-amazon-apigateway-integration": {"$ref": "#/components/x-amazon-apigateway-integrations/f"}
                }
            },
        },
        "components": {
            "x-amazon-apigateway-integrations": {
                "f": {"type": "AWS_PROXY", "httpMethod": "POST", "uri": uri(arn), "payloadFormatVersion": "2.0"}
            }
        },
    }
    made = api.import_api(Body=json.dumps(document))
    one = made["ApiId"]
    assert made["Tags"] == {"t": "u"} and len(api.get_integrations(ApiId=one)["Items"]) == 1
    api.create_stage(ApiId=one, StageName="dev", AutoDeploy=True)
    base = f"{cloud.endpoint}/_aws/execute-api/{one}/dev"
    assert json.loads(fetch(f"{base}/a/1")[2])["routeKey"] == "GET /a/{b}"
    assert json.loads(fetch(f"{base}/z")[2])["routeKey"] == "$default"
    del document["paths"]["$default"]  # type: ignore[attr-defined]
    api.reimport_api(ApiId=one, Body=json.dumps(document))
    assert fetch(f"{base}/z")[0] == 404


def test_a_rest_api_puts_and_gets_items_without_a_function(aws: Any, cloud: Any) -> None:
    table = aws("dynamodb")
    table.create_table(
        TableName="items",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    cloud.quiet()
    role = "arn:aws:iam::000000000000:role/api"

    def integration(operation: str, request: str, answer: str) -> dict[str, Any]:
        return {
            "responses": {"200": {"description": ""}, "400": {"description": ""}},
            "x-amazon-apigateway-integration": {
                "type": "aws",
                "httpMethod": "POST",
                "uri": f"arn:aws:apigateway:us-east-1:dynamodb:action/{operation}",
                "credentials": role,
                "requestTemplates": {"application/json": request},
                "responses": {
                    "default": {"statusCode": "200", "responseTemplates": {"application/json": answer}},
                    "4\\d{2}": {
                        "statusCode": "400",
                        "responseTemplates": {"application/json": '{"type": "$input.path("$.__type")"}'},
                    },
                },
            },
        }

    document = {"openapi": "3.0.1", "info": {"title": "items", "version": "1"}, "paths": {
        "/{id}": {
            "put": integration("PutItem", '{"TableName": "items", "Item": {"id": {"S": "$input.params("id")"}, '
                                          '"v": {"S": "$util.escapeJavaScript($input.body)"}}}', "{}"),
            "get": integration("GetItem", '{"TableName": "items", "Key": {"id": {"S": "$input.params("id")"}}}',
                               '{"v": $input.json("$.Item.v.S")}'),
            "delete": integration("DeleteItem", '{"TableName": "none", "Key": {"id": {"S": "x"}}}', "{}"),
        }}}  # fmt: skip
    api = aws("apigateway")
    one = api.import_rest_api(body=json.dumps(document).encode())["id"]
    api.create_deployment(restApiId=one, stageName="dev")
    url = f"{cloud.endpoint}/_aws/execute-api/{one}/dev/k1"
    assert fetch(url, "PUT", b'say "hi"', {"Content-Type": "application/json"})[0] == 200
    assert json.loads(fetch(url)[2]) == {"v": 'say "hi"'}
    assert table.get_item(TableName="items", Key={"id": {"S": "k1"}})["Item"]["v"] == {"S": 'say "hi"'}
    status, _, body = fetch(url, "DELETE")
    assert status == 400 and "ResourceNotFoundException" in json.loads(body)["type"]
