"""The Internal API deployed, called from inside and outside, and broken once. Checklist: A1, B4.1, B4.2, B4.3."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

from cumulet.testing.deployment import FunctionFailed


def test_it_is_called_through_the_sdk_from_outside_and_from_another_function(pattern, cloud):
    """B4.1: boto3 lambda.invoke from inside a Lambda and from outside, same endpoint; A1: the caller gets the handler's result."""
    service = pattern.deploy(cloud.endpoint)
    pattern.drive(service)
    assert service.invoke("Pricing", {"operation": "get", "sku": "bread"}) == {"sku": "bread", "cents": 350}


def test_the_caller_waits_and_the_trace_shows_both_functions(pattern, cloud):
    """B4.2: RequestResponse: the calling function waits for the response; one trace holds both."""
    service = pattern.deploy(cloud.endpoint)
    service.invoke("Pricing", {"operation": "set", "sku": "a", "cents": 7})
    root = "1-65000000-0123456789abcdef01234567"
    with service.traced("lambda", root):
        assert service.invoke("Checkout", {"lines": [{"sku": "a", "count": 2}]})["total_cents"] == 14
    spans = {span["name"]: span for span in service.trace(root)}
    checkout = spans[f"invoke {service.outputs['Checkout']}"]
    pricing = spans[f"invoke {service.outputs['Pricing']}"]
    assert checkout["started"] < pricing["started"]
    assert checkout["duration_ms"] > pricing["duration_ms"]
    assert "dynamodb.GetItem" in spans


def test_the_functions_error_is_the_callers_to_handle(pattern, cloud):
    """B4.2: FunctionError surfaced to the caller, with its type and message."""
    service = pattern.deploy(cloud.endpoint)
    with pytest.raises(FunctionFailed) as failure:
        service.invoke("Pricing", {"operation": "get", "sku": "nothing"})
    assert json.loads(str(failure.value))["errorType"] == "UnknownArticle"
    with pytest.raises(FunctionFailed) as failure:
        service.invoke("Checkout", {"lines": [{"sku": "nothing", "count": 1}]})
    error = json.loads(str(failure.value))
    assert (error["errorType"], error["errorMessage"]) == ("PricingFailed", "UnknownArticle: nothing")


def test_iam_denies_a_caller_without_the_permission(pattern, iam_enforced):
    """B4.3: IAM denies a caller lacking lambda:InvokeFunction when enforcement is on; the functions' own roles suffice."""
    service = pattern.deploy(iam_enforced.endpoint)
    pattern.drive(service)
    iam, name = service.client("iam"), service.outputs["Pricing"]
    arn = iam.create_user(UserName="stranger")["User"]["Arn"]
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    stranger = boto3.client(
        "lambda", endpoint_url=service.endpoint, region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
    )  # fmt: skip
    with pytest.raises(ClientError) as denied:
        stranger.invoke(FunctionName=name, Payload=b'{"operation": "get", "sku": "bread"}')
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"
    assert (
        f"User: {arn} is not authorized to perform: lambda:InvokeFunction" in denied.value.response["Error"]["Message"]
    )
    resource = service.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    policy = {"Statement": {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource}}
    iam.put_user_policy(UserName="stranger", PolicyName="calls", PolicyDocument=json.dumps(policy))
    answer = stranger.invoke(FunctionName=name, Payload=b'{"operation": "get", "sku": "bread"}')
    assert json.load(answer["Payload"]) == {"sku": "bread", "cents": 350}
    with pytest.raises(ClientError, match="AccessDenied"):
        stranger.invoke(FunctionName=service.outputs["Checkout"])


def test_it_cannot_be_reached_over_plain_http(pattern, cloud):
    """B4.3: a function without a public URL is unreachable over plain HTTP."""
    service = pattern.deploy(cloud.endpoint)
    client, name = service.client("lambda"), service.outputs["Pricing"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function_url_config(FunctionName=name)
    for path in (f"/{name}", f"/_aws/execute-api/{name}/prod/", f"/_aws/lambda-url/{name}/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(service.endpoint + path, timeout=60)
        assert refused.value.code in (403, 404), path


def test_prices_survive_sigkill(pattern, server_process):
    """F1: what the internal service acknowledged is there after a crash, and its callers go on."""
    server = server_process().start()
    service = pattern.deploy(server.endpoint)
    for number in range(20):
        service.invoke("Pricing", {"operation": "set", "sku": f"s{number}", "cents": number})
    server.kill()
    server.start()
    order = {"lines": [{"sku": f"s{number}", "count": 1} for number in range(20)]}
    assert service.invoke("Checkout", order)["total_cents"] == sum(range(20))
