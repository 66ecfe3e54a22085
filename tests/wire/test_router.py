"""Routing: which request goes where."""

from __future__ import annotations

import pytest

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest

ROUTER = wire.Router(wire.Models())


def scope(name: str) -> dict[str, str]:
    credential = f"Credential=AKID/20260101/us-east-1/{name}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host;x-amz-date, Signature=abc"}


def route(
    method: str,
    path: str,
    signing: str | None = None,
    *,
    host: str = "localhost:4566",
    body: bytes = b"",
    **headers: str,
) -> wire.Match:
    raw, _, query = path.partition("?")
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return ROUTER.route(
        HttpRequest(method, raw, query, {**(scope(signing) if signing else {}), "host": host, **named}, body)
    )


S3_CASES = [
    ("GET", "/", "ListBuckets", {}),
    ("GET", "/b", "ListObjects", {"Bucket": "b"}),
    ("GET", "/b/", "ListObjects", {"Bucket": "b"}),
    ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2", {"Bucket": "b"}),
    ("GET", "/b?list-type=1", "ListObjects", {"Bucket": "b"}),
    ("GET", "/b?versions", "ListObjectVersions", {"Bucket": "b"}),
    ("GET", "/b?uploads=", "ListMultipartUploads", {"Bucket": "b"}),
    ("GET", "/b?location", "GetBucketLocation", {"Bucket": "b"}),
    ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration", {"Bucket": "b"}),
    ("GET", "/b?analytics", "ListBucketAnalyticsConfigurations", {"Bucket": "b"}),
    ("GET", "/b?analytics&id=1", "GetBucketAnalyticsConfiguration", {"Bucket": "b"}),
    ("PUT", "/b?notification", "PutBucketNotificationConfiguration", {"Bucket": "b"}),
    ("HEAD", "/b", "HeadBucket", {"Bucket": "b"}),
    ("POST", "/b?delete", "DeleteObjects", {"Bucket": "b"}),
    ("GET", "/b/k", "GetObject", {"Bucket": "b", "Key": "k"}),
    ("GET", "/b/k?versionId=1&response-content-type=a", "GetObject", {"Bucket": "b", "Key": "k"}),
    ("GET", "/b/k?x-id=GetObject", "GetObject", {"Bucket": "b", "Key": "k"}),
    ("GET", "/b/a%2Fb%20c+d//e", "GetObject", {"Bucket": "b", "Key": "a/b c+d//e"}),
    ("GET", "/b//k", "GetObject", {"Bucket": "b", "Key": "/k"}),
    ("GET", "/b/k/", "GetObject", {"Bucket": "b", "Key": "k/"}),
    ("GET", "/b/%2541", "GetObject", {"Bucket": "b", "Key": "%41"}),
    ("GET", "/b/k?tagging", "GetObjectTagging", {"Bucket": "b", "Key": "k"}),
    ("GET", "/b/k?uploadId=u", "ListParts", {"Bucket": "b", "Key": "k"}),
    ("PUT", "/b/k", "PutObject", {"Bucket": "b", "Key": "k"}),
    ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart", {"Bucket": "b", "Key": "k"}),
    ("POST", "/b/k?uploads", "CreateMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("POST", "/b/k?select&select-type=2", "SelectObjectContent", {"Bucket": "b", "Key": "k"}),
    ("DELETE", "/b/k", "DeleteObject", {"Bucket": "b", "Key": "k"}),
    ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload", {"Bucket": "b", "Key": "k"}),
]


@pytest.mark.parametrize(("method", "path", "operation", "params"), S3_CASES)
def test_s3_is_told_by_method_path_and_query(method: str, path: str, operation: str, params: dict[str, str]) -> None:
    for signing in ("s3", None):
        match = route(method, path, signing)
        assert (match.service, match.operation, match.protocol, match.uri_params) == (
            "s3",
            operation,
            "rest-xml",
            params,
        )


def test_a_copy_is_told_by_its_source_header() -> None:
    assert route("PUT", "/b/k", "s3", x_amz_copy_source="/a/b").operation == "CopyObject"
    part = route("PUT", "/b/k?partNumber=1&uploadId=u", "s3", x_amz_copy_source="/a/b")
    assert part.operation == "UploadPartCopy"


@pytest.mark.parametrize(
    "host",
    [
        "my.bucket.s3.localhost:4566",
        "my.bucket.s3.amazonaws.com",
        "my.bucket.s3.us-east-1.amazonaws.com",
        "my.bucket.s3-eu-central-1.amazonaws.com",
        "my.bucket.s3.dualstack.us-east-1.amazonaws.com",
        "my.bucket.s3.localhost.localstack.cloud:4566",
        "my.bucket.localhost:4566",
    ],
)
def test_the_bucket_may_be_in_the_hosts_name(host: str) -> None:
    match = route("GET", "/a%2Fb//c", "s3", host=host)
    assert (match.operation, match.uri_params) == ("GetObject", {"Bucket": "my.bucket", "Key": "a/b//c"})
    assert route("GET", "/", "s3", host=host).uri_params == {"Bucket": "my.bucket"}


@pytest.mark.parametrize(
    "host", ["s3.localhost:4566", "s3.amazonaws.com", "s3.us-west-2.amazonaws.com", "127.0.0.1:4566"]
)
def test_a_plain_s3_host_leaves_the_bucket_in_the_path(host: str) -> None:
    assert route("GET", "/b/k", None, host=host).uri_params == {"Bucket": "b", "Key": "k"}


def test_presigned_urls_are_routed_by_their_query() -> None:
    match = route(
        "PUT", "/b/k?X-Amz-Algorithm=A&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=1"
    )
    assert match.operation == "PutObject"
    match = route(
        "GET",
        "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fsts%2Faws4_request",
    )
    assert (match.service, match.operation, match.protocol) == ("sts", "GetCallerIdentity", "query")


def test_a_browsers_upload_goes_to_s3() -> None:
    match = route("POST", "/b", None, content_type="multipart/form-data; boundary=x")
    assert (match.service, match.operation, match.uri_params) == ("s3", "PostObject", {"Bucket": "b"})


@pytest.mark.parametrize(
    ("target", "service", "operation"),
    [
        ("DynamoDB_20120810.GetItem", "dynamodb", "GetItem"),
        ("DynamoDBStreams_20120810.GetRecords", "dynamodbstreams", "GetRecords"),
        ("AWSStepFunctions.StartExecution", "stepfunctions", "StartExecution"),
        ("AWSCognitoIdentityProviderService.SignUp", "cognito-idp", "SignUp"),
        ("TrentService.Encrypt", "kms", "Encrypt"),
    ],
)
def test_targets_need_no_signature(target: str, service: str, operation: str) -> None:
    match = route("POST", "/", x_amz_target=target)
    assert (match.service, match.operation, match.protocol) == (service, operation, "json")


@pytest.mark.parametrize(
    ("signing", "version", "action", "service", "protocol"),
    [
        ("sns", "2010-03-31", "Publish", "sns", "query"),
        ("sqs", "2012-11-05", "SendMessage", "sqs", "query"),
        ("monitoring", "2010-08-01", "PutMetricData", "cloudwatch", "query"),
        ("elasticloadbalancing", "2015-12-01", "DescribeTargetGroups", "elbv2", "query"),
        ("ec2", "2016-11-15", "DescribeInstances", "ec2", "ec2"),
        (None, "2011-06-15", "AssumeRoleWithWebIdentity", "sts", "query"),
        (None, "2010-05-15", "ListStacks", "cloudformation", "query"),
    ],
)
def test_actions_go_by_scope_and_version(
    signing: str | None, version: str, action: str, service: str, protocol: str
) -> None:
    form = f"Action={action}&Version={version}".encode()
    match = route("POST", "/", signing, body=form, content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert (match.service, match.operation, match.protocol) == (service, action, protocol)


@pytest.mark.parametrize(
    ("method", "path", "signing", "service", "operation", "params"),
    [
        ("GET", "/2015-03-31/functions/", "lambda", "lambda", "ListFunctions", {}),
        ("GET", "/2015-03-31/functions", "lambda", "lambda", "ListFunctions", {}),
        ("GET", "/2015-03-31/functions/f%3A1", "lambda", "lambda", "GetFunction", {"FunctionName": "f:1"}),
        ("POST", "/2015-03-31/functions/f/invocations", None, "lambda", "Invoke", {"FunctionName": "f"}),
        ("GET", "/restapis/a/resources", "apigateway", "apigateway", "GetResources", {"restapi_id": "a"}),
        ("GET", "/v2/apis/a", "apigateway", "apigatewayv2", "GetApi", {"ApiId": "a"}),
        ("GET", "/tags/arn%3Aaws%3Ax%2Fy", "apigateway", "apigateway", "GetTags", {"resource_arn": "arn:aws:x/y"}),
        ("POST", "/prod/@connections/c%3D", "execute-api", "apigatewaymanagementapi", "PostToConnection",
         {"ConnectionId": "c="}),
        ("GET", "/schedules/x", "scheduler", "scheduler", "GetSchedule", {"Name": "x"}),
    ],
)  # fmt: skip
def test_rest_paths_go_by_scope(
    method: str, path: str, signing: str | None, service: str, operation: str, params: dict[str, str]
) -> None:
    match = route(method, path, signing)
    assert (match.service, match.operation) == (service, operation)
    assert {
        k.replace("connectionId", "ConnectionId").replace("apiId", "ApiId"): v for k, v in match.uri_params.items()
    } == params


def test_rpc_v2_goes_by_its_path() -> None:
    path = "/service/GraniteServiceVersion20100801/operation/GetMetricData"
    match = route("POST", path, "monitoring", smithy_protocol="rpc-v2-cbor")
    assert (match.service, match.operation, match.protocol) == ("cloudwatch", "GetMetricData", "smithy-rpc-v2-cbor")


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (HttpRequest("POST", "/", "", {"x-amz-target": "AmazonSQS.Fly"}), "Fly of sqs"),
        (HttpRequest("POST", "/", "", {"x-amz-target": "Nobody.Fly"}), "Nobody.Fly"),
        (HttpRequest("POST", "/", "Action=Fly&Version=2010-03-31", scope("sns")), "Fly of sns"),
        (
            HttpRequest("POST", "/", "Action=DescribeLoadBalancers&Version=2012-06-01", scope("elasticloadbalancing")),
            "DescribeLoadBalancers (version 2012-06-01)",
        ),
        (HttpRequest("GET", "/nowhere", "", scope("lambda")), "GET /nowhere of lambda"),
        (HttpRequest("POST", "/", "", scope("unheard-of")), "unheard-of"),
        (HttpRequest("PATCH", "/b", "", scope("s3")), "PATCH /b of s3"),
    ],
)
def test_what_nobody_claims_is_refused_by_name(request_: HttpRequest, named: str) -> None:
    with pytest.raises(AwsError) as caught:
        ROUTER.route(request_)
    assert caught.value.http_status == 501
    assert named in caught.value.message
