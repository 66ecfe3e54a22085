"""Microseconds of parse and check, and of serialize, for six typical operations: `python bench/wire.py`."""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import cbor2
import msgspec

from cumulet import wire
from cumulet.aws.http import HttpRequest

ROUNDS = 7


def microseconds(work: Callable[[], object]) -> float:
    """Median of several rounds, each of about 30 ms."""
    work()
    start = time.perf_counter()
    work()
    count = max(5, min(20000, int(0.03 / max(time.perf_counter() - start, 1e-7))))
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            work()
        rounds.append((time.perf_counter() - start) / count * 1e6)
    return statistics.median(rounds)


def scope(name: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{name}/aws4_request, SignedHeaders=host, Signature=0"


def json_request(target: str, body: Any) -> HttpRequest:
    return HttpRequest("POST", "/", "", {"x-amz-target": target}, msgspec.json.encode(body))


def cases() -> list[tuple[str, HttpRequest, dict[str, Any]]]:
    item = {
        "pk": {"S": "user#12345"},
        "sk": {"S": "order#2026-01-01"},
        "amount": {"N": "12.5"},
        "tags": {"L": [{"S": "a"}, {"S": "b"}]},
        "blob": {"B": base64.b64encode(b"x" * 60).decode()},
        "meta": {"M": {"a": {"S": "1"}, "b": {"BOOL": True}, "c": {"NULL": True}}},
    }
    attributes = {
        "trace": {"DataType": "String", "StringValue": "abc"},
        "n": {"DataType": "Number", "StringValue": "1"},
    }
    function = {
        "FunctionName": "orders",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:orders",
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "CodeSize": 1234,
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2026-01-01T00:00:00.000+0000",
        "CodeSha256": "x" * 44,
        "Version": "$LATEST",
        "Environment": {"Variables": {"TABLE": "orders"}},
        "TracingConfig": {"Mode": "PassThrough"},
        "Architectures": ["x86_64"],
    }
    contents = [
        {
            "Key": f"a/b/{i}.json",
            "LastModified": 1.7e9 + i,
            "ETag": f'"{i:032x}"',
            "Size": i,
            "StorageClass": "STANDARD",
        }
        for i in range(100)
    ]
    datum = {
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Function", "Value": "orders"}],
        "Timestamp": cbor2.CBORTag(1, 1.7e9),
        "Value": 12.5,
        "Unit": "Milliseconds",
    }
    cbor_headers = {"smithy-protocol": "rpc-v2-cbor", "authorization": scope("monitoring")}
    send = {
        "QueueUrl": "http://localhost:4566/000000000000/q",
        "MessageBody": "x" * 200,
        "MessageAttributes": attributes,
    }
    query = {
        "TableName": "orders",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "user#12345"}},
    }
    publish = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t"}
    publish |= {"Message": "hello world", "MessageAttributes.entry.1.Name": "a"}
    publish |= {f"MessageAttributes.entry.1.Value.{k}": v for k, v in attributes["trace"].items()}
    form = {"content-type": "application/x-www-form-urlencoded", "authorization": scope("sns")}
    return [
        (
            "sqs.SendMessage",
            json_request("AmazonSQS.SendMessage", send),
            {"MessageId": "m", "MD5OfMessageBody": "0" * 32},
        ),
        ("dynamodb.PutItem", json_request("DynamoDB_20120810.PutItem", {"TableName": "orders", "Item": item}), {}),
        (
            "dynamodb.Query of 50",
            json_request("DynamoDB_20120810.Query", query),
            {"Items": [item] * 50, "Count": 50, "ScannedCount": 50},
        ),
        ("sns.Publish (query)", HttpRequest("POST", "/", "", form, urlencode(publish).encode()), {"MessageId": "m"}),
        (
            "lambda.ListFunctions of 20",
            HttpRequest("GET", "/2015-03-31/functions/", "MaxItems=50", {"authorization": scope("lambda")}),
            {"Functions": [function] * 20},
        ),
        (
            "s3.PutObject",
            HttpRequest(
                "PUT",
                "/bucket/a/b.json",
                "",
                {"authorization": scope("s3"), "content-type": "a/b", "x-amz-meta-a": "1"},
                b"x",
            ),
            {"ETag": '"0"', "ServerSideEncryption": "AES256"},
        ),
        (
            "s3.ListObjectsV2 of 100",
            HttpRequest("GET", "/bucket", "list-type=2&prefix=a%2F", {"authorization": scope("s3")}),
            {
                "Name": "bucket",
                "Prefix": "a/",
                "KeyCount": 100,
                "MaxKeys": 1000,
                "IsTruncated": False,
                "Contents": contents,
            },
        ),
        (
            "cloudwatch.PutMetricData of 5",
            HttpRequest(
                "POST",
                "/service/GraniteServiceVersion20100801/operation/PutMetricData",
                "",
                cbor_headers,
                cbor2.dumps({"Namespace": "App", "MetricData": [datum] * 5}),
            ),
            {},
        ),
    ]


def main() -> None:
    start = time.perf_counter()
    models = wire.Models()
    router = wire.Router(models)
    print(f"index and router: {(time.perf_counter() - start) * 1e3:.1f} ms")
    print(f"{'operation':<32}{'route':>8}{'parse':>8}{'check':>8}{'serialize':>11}{'compile':>10}  (µs)")
    for label, request, result in cases():
        start = time.perf_counter()
        match = router.route(request)
        op = models.service(match.service).operation(match.operation)
        parsed = op.parse(request, match.protocol, match.uri_params)
        op.check(parsed)
        op.serialize(result, "request-1", match.protocol)
        first = (time.perf_counter() - start) * 1e6
        route = microseconds(lambda: router.route(request))  # noqa: B023
        parse = microseconds(lambda: op.parse(request, match.protocol, match.uri_params))  # noqa: B023
        check = microseconds(lambda: op.check(parsed))  # noqa: B023
        write = microseconds(lambda: op.serialize(result, "request-1", match.protocol))  # noqa: B023
        print(f"{label:<32}{route:>8.1f}{parse:>8.1f}{check:>8.1f}{write:>11.1f}{first:>10.0f}")


if __name__ == "__main__":
    main()
