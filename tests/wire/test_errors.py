"""Errors in every protocol, as botocore reads them, and the shapes that AWS documents."""

from __future__ import annotations

from typing import Any

import botocore.parsers
import cbor2
import pytest
from botocore.awsrequest import HeadersDict

from cumulet import wire
from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.http import HttpRequest, HttpResponse

MODELS = wire.Models()


def read(protocol: str, response: HttpResponse) -> dict[str, Any]:
    raw = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    parsed: dict[str, Any] = botocore.parsers.create_parser(protocol).parse({**raw, "context": {}}, None)
    return parsed


@pytest.mark.parametrize(
    ("service", "operation", "protocol"),
    [
        ("dynamodb", "PutItem", "json"),
        ("sqs", "SendMessage", "json"),
        ("sqs", "SendMessage", "query"),
        ("sns", "Publish", "query"),
        ("ec2", "DescribeInstances", "ec2"),
        ("lambda", "Invoke", "rest-json"),
        ("s3", "GetObject", "rest-xml"),
        ("cloudfront", "GetDistribution", "rest-xml"),
        ("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor"),
        ("cloudwatch", "PutMetricData", "json"),
    ],
)
def test_botocore_reads_code_message_and_request_id(service: str, operation: str, protocol: str) -> None:
    err = GenericAwsError("SomethingFailed", 'a <b> & "é"', 409)
    response = MODELS.service(service).operation(operation).error(err, "request-7", protocol)
    parsed = read(protocol, response)
    assert parsed["Error"]["Code"] == "SomethingFailed"
    assert parsed["Error"]["Message"] == 'a <b> & "é"'
    assert parsed["ResponseMetadata"]["RequestId"] == "request-7"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 409


class TransactionCanceledException(AwsError):
    pass


class ResourceNotFoundException(AwsError):
    status = 404


class TooManyRequestsException(AwsError):
    status = 429


class QueueDoesNotExist(AwsError):
    pass


def test_dynamodb_names_its_codes_in_full_and_writes_the_members() -> None:
    err = TransactionCanceledException("cancelled", members={"CancellationReasons": [{"Code": "None"}]})
    response = MODELS.service("dynamodb").operation("TransactWriteItems").error(err, "r")
    assert response.body == (
        b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"cancelled",'
        b'"CancellationReasons":[{"Code":"None"}]}'
    )


def test_lambda_says_whose_fault_it_is_and_writes_header_members() -> None:
    err = TooManyRequestsException("slow", members={"retryAfterSeconds": "2", "Reason": "CallerRateLimitExceeded"})
    response = MODELS.service("lambda").operation("Invoke").error(err, "r")
    assert response.status == 429
    assert dict(response.headers)["x-amzn-errortype"] == "TooManyRequestsException"
    assert dict(response.headers)["Retry-After"] == "2"
    assert response.body == b'{"Type":"User","message":"slow","Reason":"CallerRateLimitExceeded"}'


def test_the_message_member_is_spelt_as_the_shape_has_it() -> None:
    response = MODELS.service("lambda").operation("GetFunction").error(ResourceNotFoundException("gone"), "r")
    assert response.body == b'{"Type":"User","Message":"gone"}'


def test_sqs_tells_its_old_codes_to_clients_that_ask() -> None:
    operation = MODELS.service("sqs").operation("GetQueueUrl")
    asking = HttpRequest("POST", "/", "", {"x-amzn-query-mode": "true"})
    response = operation.error(QueueDoesNotExist("no"), "r", "json", asking)
    assert dict(response.headers)["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert read("json", response)["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert b"com.amazonaws.sqs#QueueDoesNotExist" in response.body  # type: ignore[operator]
    plain = operation.error(QueueDoesNotExist("no"), "r", "json", HttpRequest("POST", "/", "", {}))
    assert "x-amzn-query-error" not in dict(plain.headers)
    query = operation.error(QueueDoesNotExist("no"), "r", "query")
    assert read("query", query)["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_query_error_carries_the_code_of_its_shape() -> None:
    class NotFoundException(AwsError):
        status = 404

    response = MODELS.service("sns").operation("Publish").error(NotFoundException("no topic"), "r")
    assert read("query", response)["Error"] == {"Type": "Sender", "Code": "NotFound", "Message": "no topic"}


def test_s3_names_the_resource_and_adds_members() -> None:
    class NoSuchKey(AwsError):
        status = 404

    request = HttpRequest("GET", "/bucket/a&b", "", {})
    err = NoSuchKey("The specified key does not exist.", members={"Key": "a&b"})
    response = MODELS.service("s3").operation("GetObject").error(err, "r", None, request)
    parsed = read("rest-xml", response)["Error"]
    assert (parsed["Code"], parsed["Key"], parsed["Resource"]) == ("NoSuchKey", "a&b", "/bucket/a&b")
    assert dict(response.headers)["x-amz-request-id"] == "r"
    assert response.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>')  # type: ignore[union-attr]


def test_head_and_not_modified_have_no_body() -> None:
    operation = MODELS.service("s3").operation("HeadObject")
    assert operation.error(GenericAwsError("404", "", 404), "r", None, HttpRequest("HEAD", "/b/k", "", {})).body == b""
    assert (
        operation.error(GenericAwsError("NotModified", "", 304), "r", None, HttpRequest("GET", "/b/k", "", {})).body
        == b""
    )


def test_an_unknown_operation_is_named() -> None:
    err = wire.unknown_operation("PutFoo", "sqs")
    assert err.http_status == 501
    for headers, protocol in (
        ({"x-amz-target": "AmazonSQS.PutFoo"}, "json"),
        ({"content-type": "application/x-www-form-urlencoded"}, "query"),
        ({"smithy-protocol": "rpc-v2-cbor"}, "smithy-rpc-v2-cbor"),
        ({}, "rest-xml"),
    ):
        response = wire.error(err, HttpRequest("POST", "/x", "", headers), "r")
        assert response.status == 501
        assert "PutFoo of sqs" in read(protocol, response)["Error"]["Message"], protocol


def test_cbor_spells_the_message_member_as_the_shape_has_it() -> None:
    operation = MODELS.service("cloudwatch").operation("PutMetricAlarm")
    body = operation.error(GenericAwsError("KmsKeyNotFoundException", "m"), "r").body
    assert cbor2.loads(body) == {"__type": "com.amazonaws.cloudwatch#KmsKeyNotFoundException", "Message": "m"}
    asking = HttpRequest("POST", "/", "", {"x-amzn-query-mode": "true"})
    response = operation.error(GenericAwsError("LimitExceededFault", "m"), "r", None, asking)
    assert dict(response.headers)["x-amzn-query-error"] == "LimitExceeded;Sender"
