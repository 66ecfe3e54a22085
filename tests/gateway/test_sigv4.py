"""Our canonical requests and signatures against botocore's signers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws import sigv4
from cumulet.aws.http import HttpRequest

_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
_PATHS = st.lists(_TEXT, max_size=4).map(lambda parts: "/" + "/".join(parts))
_QUERIES = st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=4)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
_HEADERS = st.dictionaries(st.sampled_from(["X-Amz-Meta-A", "X-Amz-Target", "Content-Type", "X-Other"]), _VALUES)
_METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"])


def _received(signed: AWSRequest) -> HttpRequest:
    """What our server would have parsed of a request as botocore sends it."""
    prepared = signed.prepare()
    url = urlsplit(prepared.url)
    raw = [("host", url.netloc)]
    for name, value in prepared.headers.items():
        text = value.decode() if isinstance(value, bytes) else value
        raw.append((name, text.strip()))
    headers = {name.lower(): value for name, value in raw}
    body = prepared.body or b""
    path = quote(url.path, safe="/%~!$&'()*+,;=:@-._")
    return HttpRequest(signed.method, path or "/", url.query, headers, body, raw)


@settings(max_examples=150, deadline=None)
@given(
    _METHODS,
    _PATHS,
    _QUERIES,
    _HEADERS,
    st.binary(max_size=50),
    st.sampled_from(["s3", "sqs", "lambda"]),
    st.booleans(),
)
def test_header_signatures_are_botocores(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, service: str, token: bool
) -> None:
    credentials = Credentials("AKIDEXAMPLE", _SECRET, "token/+=" if token else None)
    pairs = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items())
    url = f"http://127.0.0.1:4566{quote(path, safe='/~')}" + (f"?{pairs}" if pairs else "")
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(credentials, service, "eu-west-1").add_auth(request)
    received = _received(request)
    claim = sigv4.header_claim(received)
    assert (claim.access_key, claim.region, claim.service) == ("AKIDEXAMPLE", "eu-west-1", service)
    assert claim.session_token == ("token/+=" if token else None)
    canonical = sigv4.canonical_request(received, claim, sigv4.payload_hash(received, claim))
    assert sigv4.sign(_SECRET, claim, sigv4.string_to_sign(claim, canonical)) == claim.signature
    assert sigv4.sign(_SECRET + "x", claim, sigv4.string_to_sign(claim, canonical)) != claim.signature


@settings(max_examples=100, deadline=None)
@given(_METHODS, _PATHS, _QUERIES, st.sampled_from(["s3", "execute-api"]), st.integers(1, 604800), st.booleans())
def test_presigned_urls_are_botocores(
    method: str, path: str, query: dict[str, str], service: str, expires: int, token: bool
) -> None:
    credentials = Credentials("AKIDEXAMPLE", _SECRET, "token/+=" if token else None)
    pairs = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items())
    url = f"http://127.0.0.1:4566{quote(path, safe='/~')}" + (f"?{pairs}" if pairs else "")
    request = AWSRequest(method, url)
    signer = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    signer(credentials, service, "us-east-1", expires=expires).add_auth(request)
    received = _received(request)
    claim = sigv4.presigned_claim(received)
    assert claim.expires_s == expires
    assert abs(claim.signed_at - time.time()) < 60
    canonical = sigv4.canonical_request(received, claim, sigv4.payload_hash(received, claim))
    assert sigv4.sign(_SECRET, claim, sigv4.string_to_sign(claim, canonical)) == claim.signature


@pytest.mark.parametrize(
    "query", ["", "?uploadId=a%2Bb&partNumber=1", "?acl", "?response-content-type=text%2Fplain&x=1"]
)
@pytest.mark.parametrize("token", [None, "token/+="])
def test_version_2_signatures_are_botocores(query: str, token: str | None) -> None:
    credentials = Credentials("AKIDEXAMPLE", _SECRET, token)
    url = f"http://127.0.0.1:4566/bucket/a%20b{query}"
    request = AWSRequest(
        "PUT", url, headers={"Content-Type": "text/plain", "x-amz-meta-b": " 1", "x-amz-acl": "private"}
    )
    HmacV1QueryAuth(credentials, expires=60).add_auth(request)
    for name in list(request.headers):
        del request.headers[name]
    received = _received(request)
    claim = sigv4.v2_claim(received)
    assert claim.access_key == "AKIDEXAMPLE"
    assert sigv4.v2_sign(_SECRET, sigv4.v2_string_to_sign(received, claim, received.path)) == claim.signature

    request = AWSRequest("GET", url, headers={"x-amz-meta-b": "1"})
    HmacV1Auth(credentials).add_auth(request)
    received = _received(request)
    claim = sigv4.v2_claim(received)
    assert sigv4.v2_sign(_SECRET, sigv4.v2_string_to_sign(received, claim, received.path)) == claim.signature


def _request(**headers: str) -> HttpRequest:
    return HttpRequest("GET", "/", "", headers)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("AWS4-HMAC-SHA256", "requires 'Credential' parameter. Authorization header requires 'Signature' parameter."),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=a", "requires 'SignedHeaders' parameter."),
        ("AWS4-HMAC-SHA256 Credential=a/b, Signature=a, SignedHeaders=host", "Credential must have exactly 5"),
    ],
)
def test_a_malformed_header_is_described(header: str, words: str) -> None:
    with pytest.raises(sigv4.Malformed, match=words):
        sigv4.header_claim(HttpRequest("GET", "/", "", {"authorization": header, "x-amz-date": "20260101T000000Z"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X-Amz-Expires": "604801"}, "must be less than a week"),
        ({"X-Amz-Expires": "-1"}, "must be non-negative"),
        ({"X-Amz-Expires": "ten"}, "should be a number"),
        ({"X-Amz-Date": "yesterday"}, "ISO-8601"),
        ({"X-Amz-Date": "20261301T000000Z"}, "ISO-8601"),
        ({"X-Amz-SignedHeaders": ""}, "requires the X-Amz-Algorithm, X-Amz-Credential"),
        ({"X-Amz-Algorithm": "AWS3"}, "X-Amz-Algorithm only supports"),
    ],
)
def test_a_malformed_presigned_url_is_described(changes: dict[str, str], words: str) -> None:
    values: dict[str, Any] = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "a/20260101/us-east-1/s3/aws4_request",
        "X-Amz-Date": "20260101T000000Z", "X-Amz-Expires": "60", "X-Amz-SignedHeaders": "host", "X-Amz-Signature": "0", **changes,
    }  # fmt: skip
    query = "&".join(f"{name}={quote(value)}" for name, value in values.items())
    with pytest.raises(sigv4.Malformed, match=words):
        sigv4.presigned_claim(HttpRequest("GET", "/b/k", query, {}))


def test_signing_keys_differ_by_every_part() -> None:
    parts = ["secret", "20260101", "us-east-1", "s3"]
    keys = {sigv4.signing_key(*[p + "x" if i == at else p for i, p in enumerate(parts)]) for at in range(5)}
    assert len(keys) == 5


def test_times_are_utc() -> None:
    assert sigv4.parse_timestamp("20260131T235959Z") == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert sigv4.iso(0) == "1970-01-01T00:00:00Z"


def test_a_date_header_serves_where_x_amz_date_is_missing() -> None:
    header = "AWS4-HMAC-SHA256 Credential=a/20260131/r/s/aws4_request, SignedHeaders=host, Signature=0"
    claim = sigv4.header_claim(_request(authorization=header, date="Sat, 31 Jan 2026 23:59:59 GMT"))
    assert claim.timestamp == "20260131T235959Z"
