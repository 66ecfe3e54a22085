"""S3's CORS rules over real sockets: kept as given, and held against what browsers ask."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

RULE = {
    "ID": "app",
    "AllowedOrigins": ["https://*.example", "http://exact"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedHeaders": ["Content-*", "authorization"],
    "ExposeHeaders": ["ETag", "x-amz-request-id"],
    "MaxAgeSeconds": 3000,
}
ANYONE = {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}


@pytest.fixture
def s3(aws: Any) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket="shop")
    client.put_object(Bucket="shop", Key="a", Body=b"hello")
    return client


def put(s3: Any, *rules: Any) -> None:
    s3.put_bucket_cors(Bucket="shop", CORSConfiguration={"CORSRules": list(rules)})


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def ask(s3: Any, path: str, method: str = "OPTIONS", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body; names of headers are given with `_`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(s3.meta.endpoint_url + path, headers=named, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def preflight(
    s3: Any, origin: str, method: str, headers: str = "", path: str = "/shop/a"
) -> tuple[int, dict[str, str], bytes]:
    more = {"Access_Control_Request_Headers": headers} if headers else {}
    return ask(s3, path, Origin=origin, Access_Control_Request_Method=method, **more)


def test_rules_are_kept_and_removed(s3: Any) -> None:
    assert refused(lambda: s3.get_bucket_cors(Bucket="shop"))[0] == "NoSuchCORSConfiguration"
    put(s3, RULE, ANYONE)
    assert s3.get_bucket_cors(Bucket="shop")["CORSRules"] == [RULE, ANYONE]
    s3.delete_bucket_cors(Bucket="shop")
    assert refused(lambda: s3.get_bucket_cors(Bucket="shop"))[0] == "NoSuchCORSConfiguration"


def test_a_preflight_is_answered_by_the_first_rule_that_fits(s3: Any) -> None:
    put(s3, ANYONE, RULE)
    status, headers, _ = preflight(s3, "https://app.example", "PUT", "content-type, Content-MD5,AUTHORIZATION")
    assert status == 200
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "content-type, content-md5, authorization"
    assert headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
    assert headers["access-control-max-age"] == "3000"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    status, headers, _ = preflight(s3, "https://app.example", "HEAD")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("http://app.example", "GET", ""),
        ("https://example", "GET", ""),
        ("http://exact.more", "GET", ""),
        ("http://exact", "DELETE", ""),
        ("http://exact", "GET", "content-type, x-other"),
    ],
)
def test_what_no_rule_allows_is_forbidden(s3: Any, origin: str, method: str, headers: str) -> None:
    put(s3, RULE)
    assert preflight(s3, "http://exact", "GET")[0] == 200
    status, answered, body = preflight(s3, origin, method, headers)
    assert status == 403 and b"<Code>AccessForbidden</Code>" in body and b"not whitelisted" in body
    assert f"<Method>{method}</Method>".encode() in body and b"<ResourceType>OBJECT</ResourceType>" in body
    assert "access-control-allow-origin" not in answered


def test_a_bucket_without_rules_allows_nothing(s3: Any) -> None:
    status, _, body = preflight(s3, "http://exact", "GET", path="/shop")
    assert status == 403 and b"CORS is not enabled for this bucket." in body and b">BUCKET<" in body
    status, headers, body = ask(s3, "/shop/a", "GET", Origin="http://exact")
    assert (status, body) == (200, b"hello") and "access-control-allow-origin" not in headers


def test_answers_carry_the_rules_headers_errors_too(s3: Any) -> None:
    put(s3, RULE)
    for path, wanted in (("/shop/a", 200), ("/shop/none", 404)):
        status, headers, _ = ask(s3, path, "GET", Origin="http://exact")
        assert (status, headers["access-control-allow-origin"]) == (wanted, "http://exact")
    assert "access-control-allow-origin" not in ask(s3, "/shop/a", "GET", Origin="http://other")[1]
    assert "access-control-allow-origin" not in ask(s3, "/shop/a", "GET")[1]


def test_a_bucket_in_the_hosts_name_has_its_rules_too(s3: Any) -> None:
    put(s3, RULE)
    host = f"shop.s3.localhost:{s3.meta.endpoint_url.rpartition(':')[2]}"
    status, headers, _ = ask(s3, "/a", Host=host, Origin="http://exact", Access_Control_Request_Method="GET")
    assert (status, headers["access-control-allow-origin"]) == (200, "http://exact")


def test_a_path_that_is_no_buckets_is_answered_as_for_any_service(s3: Any) -> None:
    status, headers, _ = preflight(s3, "http://any", "POST", path="/none/a")
    assert (status, headers["access-control-allow-origin"]) == (200, "http://any")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AllowedMethods": ["PATCH"]}, "Unsupported method is PATCH"),
        ({"AllowedOrigins": ["http://*.*"]}, 'AllowedOrigin "http://*.*" can not have more than one wildcard.'),
        ({"AllowedHeaders": ["*-*"]}, 'AllowedHeader "*-*" can not have more than one wildcard.'),
        ({"ExposeHeaders": ["x-*"]}, 'ExposeHeader "x-*" contains wildcard.'),
        ({"ID": "i" * 256}, "255"),
    ],
)
def test_rules_are_checked(s3: Any, change: Any, message: str) -> None:
    code, said = refused(lambda: put(s3, {**RULE, **change}))
    assert code == "InvalidRequest" and message in said


def test_a_hundred_rules_and_no_more(s3: Any) -> None:
    put(s3, *[{**RULE, "ID": "i" * 255}] * 100)
    code, message = refused(lambda: put(s3, *[RULE] * 101))
    assert code == "InvalidRequest" and "100 rules" in message
    assert refused(lambda: put(s3))[0] == "MalformedXML"
