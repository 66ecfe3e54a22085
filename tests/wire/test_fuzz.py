"""Whatever arrives, the wire answers with an AwsError or a request, never with another exception."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest

FAST = settings(max_examples=120, deadline=None, derandomize=True, database=None)


@cache
def models() -> wire.Models:
    return wire.Models()


@cache
def router() -> wire.Router:
    return wire.Router(models())


def survive(
    service: str, operation: str, protocol: str, body: bytes, query: str = "", headers: dict[str, str] | None = None
) -> None:
    op = models().service(service).operation(operation)
    with contextlib.suppress(AwsError):
        params = {label: "x" for label in ("Bucket", "Key", "FunctionName", "Id")}
        request = op.parse(HttpRequest("POST", "/", query, headers or {}, body), protocol, params)
        assert type(request) is dict
        op.check(request)


JSON = [("dynamodb", "PutItem"), ("sqs", "SendMessageBatch"), ("kinesis", "PutRecords"), ("logs", "PutLogEvents")]
REST_JSON = [("lambda", "CreateFunction"), ("apigatewayv2", "CreateApi"), ("scheduler", "CreateSchedule")]
XML = [("s3", "PutBucketLifecycleConfiguration"), ("s3", "DeleteObjects"), ("s3", "PutBucketAcl"),
       ("cloudfront", "CreateDistribution"), ("route53", "ChangeResourceRecordSets")]  # fmt: skip
QUERY = [("sns", "Publish"), ("sqs", "SendMessageBatch"), ("iam", "CreateRole"), ("cloudwatch", "PutMetricData")]

keys = st.sampled_from(
    ["TableName", "Item", "Entries", "Records", "Data", "Code", "ZipFile", "Environment", "Variables", "Timeout",
     "logEvents", "timestamp", "message", "name", "Name", "StartDate", "Target", "Layers", "MessageAttributes",
     "QueueUrl"]
) | st.text(max_size=4)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["NaN", "===", "YQ=="])
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def _json(document: Any) -> bytes:
    try:
        return msgspec.json.encode(document)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return b"{}"


@FAST
@given(st.sampled_from(JSON + REST_JSON), st.binary(max_size=60) | documents.map(_json))
def test_json_bodies(operation: tuple[str, str], body: bytes) -> None:
    protocol = "json" if operation in JSON else "rest-json"
    survive(*operation, protocol, body)


@FAST
@given(st.binary(max_size=60) | documents.map(cbor2.dumps))
def test_cbor_bodies(body: bytes) -> None:
    survive("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor", body)


@pytest.mark.parametrize(
    "value",
    [{"MetricData": cbor2.CBORTag(tag, payload)}
     for tag in (0, 1, 2, 4, 5, 28, 29, 30, 35, 36, 37, 52, 258, 260, 1004, 55799)
     for payload in (b"\xff", "x(", [], {}, 1, 1e300, [1, 0])],
)  # fmt: skip
def test_cbor_tags(value: Any) -> None:
    survive("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor", cbor2.dumps(value))


@pytest.mark.parametrize("tag", [35, 37, 258, 4, 260])
def test_cbor_that_no_service_speaks_is_refused(tag: int) -> None:
    payload = {35: "a", 37: b"0" * 16, 258: ["a"], 4: [1, 2], 260: b"\x7f\x00\x00\x01"}[tag]
    body = cbor2.dumps({"Namespace": cbor2.CBORTag(tag, payload)})
    request = HttpRequest("POST", "/", "", {}, body)
    with pytest.raises(AwsError) as caught:
        models().service("cloudwatch").operation("PutMetricData").parse(request, "smithy-rpc-v2-cbor", {})
    assert caught.value.wire_code == "SerializationException"


def test_deep_documents() -> None:
    survive("dynamodb", "PutItem", "json", b'{"Item":' + b"[" * 100_000)
    survive("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor", b"\x81" * 100_000)
    survive("s3", "DeleteObjects", "rest-xml", b"<a>" * 100_000)
    survive("sns", "Publish", "query", b"A" + b".1" * 100_000 + b"=1")


@pytest.mark.parametrize("depth", [50, 200, 400, 900, 5000])
def test_deep_values_of_recursive_shapes(depth: int) -> None:
    value = b'{"arrayValues":[' * depth + b'{"longValues":[1]}' + b"]}" * depth
    for null in (b"", b',"schema":null'):
        body = b'{"resourceArn":"a","parameters":[{"value":{"arrayValue":' + value + b"}}]" + null + b"}"
        survive("rds-data", "ExecuteStatement", "rest-json", body)


names = st.sampled_from(
    ["Rule", "Object", "Key", "Filter", "And", "Tag", "Expiration", "Days", "Date", "Grant", "Grantee", "ID",
     "Quantity", "Items", "Enabled", "AccessControlList", "ResourceRecordSet", "TTL", "ChangeBatch"]
)  # fmt: skip
elements = st.recursive(
    st.sampled_from(["1", "x", "&lt;", "", "true", "2026-01-01T00:00:00Z", "1e999", "NaN"]),
    lambda inner: st.tuples(names, st.lists(inner, max_size=3)).map(lambda p: f"<{p[0]}>{''.join(p[1])}</{p[0]}>"),
    max_leaves=12,
)


@FAST
@given(st.sampled_from(XML), st.binary(max_size=60) | elements.map(lambda e: f"<R>{e}</R>".encode()))
def test_xml_bodies(operation: tuple[str, str], body: bytes) -> None:
    survive(*operation, "rest-xml", body)


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        b"\xff\xfe<\x00a\x00/\x00>\x00",
    ],
)
def test_odd_xml(body: bytes) -> None:
    survive("s3", "DeleteObjects", "rest-xml", body)


parts = st.sampled_from(
    ["Message", "MessageAttributes", "entry", "1", "2", "-1", "x", "Name", "Value", "SendMessageBatchRequestEntry",
     "Id", "MetricData", "member", "Timestamp", "Dimensions", "StatisticValues", "Tags", "DelaySeconds", "",
     "99999999999999"]
)  # fmt: skip
pairs = st.tuples(
    st.lists(parts, min_size=1, max_size=6).map(".".join), st.sampled_from(["", "1", "x", "%ff", "a%", "1e9", "+"])
)
forms = st.lists(pairs, max_size=8).map(lambda ps: "&".join(f"{k}={v}" for k, v in ps).encode())


@FAST
@given(st.sampled_from(QUERY), st.binary(max_size=60) | forms)
def test_query_bodies(operation: tuple[str, str], body: bytes) -> None:
    survive(*operation, "query", body)


header_names = st.sampled_from(
    ["x-amz-target", "authorization", "content-type", "smithy-protocol", "host", "range", "content-length",
     "if-modified-since", "x-amz-object-lock-retain-until-date", "x-amz-mfa", "x-amz-copy-source"]
)  # fmt: skip
values = st.sampled_from(
    ["", "a", "-1", "Fri, 99 Xyz 2026", "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request", "AWS x:y", "Credential=",
     "AWS4-HMAC-SHA256 Credential=a/b/c/lambda/aws4_request", "rpc-v2-cbor", "[::1]:1", "s3.localhost", "A.B", "1_000",
     "application/x-www-form-urlencoded", "9" * 5000, "2026-01-01T00:00:00+99:99", "0001-01-01T00:00:00+14:00"]
) | st.text(max_size=8)  # fmt: skip
paths = st.text("/%ab2F@.?", max_size=12).map(lambda p: "/" + p) | st.sampled_from(["/service/x/operation/y", "*", ""])
query_parts = st.sampled_from(
    ["Action=Publish", "Version=2010-03-31", "X-Amz-Credential=a%2Fb", "uploads", "partNumber=x",
     "max-keys=1", "=", "%", "X-Amz-Credential=a/b/c/d/e", "tagging"]
)  # fmt: skip
queries = st.lists(query_parts, max_size=3)


@FAST
@given(
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "BREW"]),
    paths,
    queries.map("&".join),
    st.dictionaries(header_names, values, max_size=5),
    st.binary(max_size=20),
)
def test_whole_requests(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
    request = HttpRequest(method, path, query, headers, body)
    with contextlib.suppress(AwsError):
        match = router().route(request)
        if match.operation != "PostObject":
            op = models().service(match.service).operation(match.operation)
            op.check(op.parse(request, match.protocol, match.uri_params))


@FAST
@given(st.dictionaries(header_names, values, max_size=6), queries.map("&".join))
def test_rest_headers_and_queries(headers: dict[str, str], query: str) -> None:
    for operation in ("PutObject", "UploadPart", "GetObject", "ListParts"):
        survive("s3", operation, "rest-xml", b"", query, headers)
