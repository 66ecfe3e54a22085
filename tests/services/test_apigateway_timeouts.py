"""An integration that takes too long is answered at its timeout; the function goes on to its end."""

import io
import urllib.error
import urllib.request
import zipfile

import pytest

from .http_backend import Backend

CODE = """
import urllib.request
def handler(event, context):
    urllib.request.urlopen("URL").close()
    return {"statusCode": 200, "body": "late"}
"""


@pytest.fixture
def backend():
    """What the function waits for: it answers when it is told to."""
    started = Backend()
    started.hang.clear()
    yield started
    started.close()


@pytest.fixture
def function(aws, backend):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE.replace("URL", backend.url))
    return aws("lambda").create_function(
        FunctionName="slow",
        Runtime="python3.12",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/r",
        Timeout=60,
        Code={"ZipFile": buffer.getvalue()},
    )["FunctionArn"]


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def reports(aws):
    groups = aws("logs").describe_log_groups()["logGroups"]
    return [
        event["message"]
        for group in groups
        for event in aws("logs").filter_log_events(logGroupName=group["logGroupName"], filterPattern="REPORT")["events"]
    ]


def test_an_http_api_answers_503_at_the_timeout_and_the_function_still_ends(cloud, aws, clock, backend, function):
    apis = aws("apigatewayv2")
    api = apis.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    integration = apis.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0", TimeoutInMillis=100
    )["IntegrationId"]
    apis.create_route(ApiId=api, RouteKey="GET /x", Target=f"integrations/{integration}")
    apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    assert status(f"{cloud.endpoint}/_aws/execute-api/{api}/x") == (503, b'{"message":"Service Unavailable"}')
    assert reports(aws) == []
    backend.hang.set()
    clock.quiet()
    assert len(reports(aws)) == 1


def test_a_rest_api_answers_504_at_the_timeout(cloud, aws, function):
    apis = aws("apigateway")
    api = apis.create_rest_api(name="a")["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    apis.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    apis.put_integration(
        restApiId=api,
        resourceId=root,
        httpMethod="GET",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        timeoutInMillis=100,
        uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    apis.create_deployment(restApiId=api, stageName="s")
    assert status(f"{cloud.endpoint}/_aws/execute-api/{api}/s/") == (504, b'{"message":"Endpoint request timed out"}')
