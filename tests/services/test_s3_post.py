"""Browser uploads to S3: presigned POST forms with boto3, sent as a browser sends them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config
from urllib3 import encode_multipart_formdata

from cumulet.aws import sigv4

KIB, MIB = 1024, 1024 * 1024


class Answer:
    """What came back: status, headers in lower case, body, and the code and message of an error."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.body = response.status, response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.error: dict[str, str] = {}
        if self.status >= 400:
            self.error = {each.tag: each.text or "" for each in ElementTree.fromstring(self.body)}

    def refusal(self) -> tuple[int, str, str]:
        return self.status, self.error["Code"], self.error["Message"]


def send(url: str, body: Any, content_type: str, **headers: str) -> Answer:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("POST", parts.path or "/", body, {"Content-Type": content_type, **headers})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def post(url: str, fields: dict[str, str], data: bytes = b"hello", name: str = "a.txt", **headers: str) -> Answer:
    body, content_type = encode_multipart_formdata([*fields.items(), ("file", (name, data, "text/plain"))])
    return send(url, body, content_type, **headers)


@pytest.fixture
def s3(aws: Any) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket="shop")
    return client


@pytest.fixture
def url(s3: Any) -> str:
    return f"{s3.meta.endpoint_url}/shop"


def presigned(s3: Any, key: str = "up/${filename}", **fields: str) -> dict[str, Any]:
    """A form that a back end gives to a browser: every field exactly as given."""
    conditions = [{name: value} for name, value in fields.items()]
    form: dict[str, Any] = s3.generate_presigned_post("shop", key, Fields=dict(fields), Conditions=conditions)
    return form


def signed(policy: Any, secret: str = "test", key: str = "test") -> dict[str, str]:
    """The fields that sign a policy of our own making (version 4); a dict gets the conditions that they need."""
    stamp = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{key}/20260101/us-east-1/s3/aws4_request",
        "x-amz-date": "20260101T000000Z",
    }
    if isinstance(policy, dict) and isinstance(policy.get("conditions"), list):
        policy = {**policy, "conditions": [*policy["conditions"], *({name: value} for name, value in stamp.items())]}
    text = policy if isinstance(policy, bytes) else json.dumps(policy).encode()
    encoded = base64.b64encode(text).decode()
    claim = sigv4.Claim(key, "20260101", "us-east-1", "s3", (), "", "20260101T000000Z")
    return {**stamp, "policy": encoded, "x-amz-signature": sigv4.sign(secret, claim, encoded)}


FOREVER = "2999-01-01T00:00:00Z"


def policy(*conditions: Any, expiration: str = FOREVER) -> dict[str, Any]:
    return {"expiration": expiration, "conditions": [{"bucket": "shop"}, *conditions]}


# what is stored and answered


def test_a_presigned_form_stores_the_file_under_its_name(s3: Any) -> None:
    form = presigned(s3)
    answer = post(form["url"], form["fields"], b"hello", "C:\\pictures\\a b.txt")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["etag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert answer.headers["location"] == f"{s3.meta.endpoint_url}/shop/up%2Fa%20b.txt"
    got = s3.get_object(Bucket="shop", Key="up/a b.txt")
    assert got["Body"].read() == b"hello" and got["ContentType"] == "binary/octet-stream"


def test_headers_metadata_tags_and_storage_class_are_kept(s3: Any) -> None:
    tags = "<Tagging><TagSet><Tag><Key>stage</Key><Value>a &amp; b</Value></Tag></TagSet></Tagging>"
    fields = {"Content-Type": "image/png", "Cache-Control": "no-cache", "Content-Disposition": "inline",
              "x-amz-meta-owner": "änna", "tagging": tags, "x-amz-storage-class": "STANDARD_IA", "acl": "private",
              "Content-MD5": base64.b64encode(hashlib.md5(b"hello").digest()).decode()}  # fmt: skip
    form = presigned(s3, "k", **fields)
    assert post(form["url"], form["fields"]).status == 204
    got = s3.head_object(Bucket="shop", Key="k")
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"]) == ("image/png", "no-cache", "inline")
    assert got["StorageClass"] == "STANDARD_IA"
    assert got["Metadata"]["owner"].encode("latin-1").decode() == "änna"
    assert s3.get_object_tagging(Bucket="shop", Key="k")["TagSet"] == [{"Key": "stage", "Value": "a & b"}]


def test_the_form_says_how_success_is_answered(s3: Any) -> None:
    for status, expected in (("200", 200), ("204", 204), ("418", 204), ("", 204)):
        form = presigned(s3, "k", success_action_status=status)
        answer = post(form["url"], form["fields"])
        assert (answer.status, answer.body) == (expected, b"")
    form = presigned(s3, "k&1", success_action_status="201")
    answer = post(form["url"], form["fields"])
    assert answer.status == 201 and answer.headers["content-type"] == "application/xml"
    found = {each.tag: each.text for each in ElementTree.fromstring(answer.body)}
    assert found == {
        "Location": f"{s3.meta.endpoint_url}/shop/k%261", "Bucket": "shop", "Key": "k&1",
        "ETag": f'"{hashlib.md5(b"hello").hexdigest()}"',
    }  # fmt: skip


@pytest.mark.parametrize("field", ["success_action_redirect", "redirect"])
def test_a_redirect_names_the_object(s3: Any, field: str) -> None:
    form = presigned(s3, "k ü", **{field: "https://app.example/done?x=1#part", "success_action_status": "201"})
    answer = post(form["url"], form["fields"])
    etag = hashlib.md5(b"hello").hexdigest()
    assert answer.status == 303
    expected = f"https://app.example/done?x=1&bucket=shop&key=k%20%C3%BC&etag=%22{etag}%22"
    assert answer.headers["location"] == expected


def test_a_redirect_to_no_url_is_as_none(s3: Any) -> None:
    form = presigned(s3, "k", success_action_redirect="not a url")
    assert post(form["url"], form["fields"]).status == 204


def test_a_versioned_bucket_says_the_version(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    form = presigned(s3, "k")
    versions = [post(form["url"], form["fields"], data).headers["x-amz-version-id"] for data in (b"1", b"2")]
    assert s3.get_object(Bucket="shop", Key="k", VersionId=versions[0])["Body"].read() == b"1"


@pytest.mark.parametrize("size", [0, 1, 64 * KIB, 65 * KIB, MIB - 3, 3 * MIB + 17])
def test_a_file_of_any_size_comes_back_byte_for_byte(s3: Any, size: int) -> None:
    data = (b"0123456789\r\n--almost" * (size // 20 + 1))[:size]
    form = presigned(s3, "k", success_action_status="200")
    answer = post(form["url"], form["fields"], data)
    assert answer.status == 200 and answer.headers["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket="shop", Key="k")
    assert got["Body"].read() == data and got["ContentLength"] == size
    part = s3.get_object(Bucket="shop", Key="k", Range="bytes=1-5")["Body"].read() if size > 1 else b""
    assert part == data[1:6]
    s3.copy_object(Bucket="shop", Key="copy", CopySource="shop/k")
    s3.delete_object(Bucket="shop", Key="k")
    assert s3.get_object(Bucket="shop", Key="copy")["Body"].read() == data


def test_a_delimiter_across_two_reads_of_a_large_file_is_found(s3: Any, url: str) -> None:
    """The file is read a MiB at a time; its end lies at every place around such a border."""
    for short in range(0, 48, 5):
        data = b"x" * (MIB - short)
        assert post(url, {"key": "k"}, data).status == 204
        assert s3.head_object(Bucket="shop", Key="k")["ContentLength"] == len(data)


def test_a_large_form_leaves_memory_flat(server_process: Any) -> None:
    server = server_process().start()
    client = boto3.client("s3", endpoint_url=server.endpoint, config=Config(s3={"addressing_style": "path"}))
    client.create_bucket(Bucket="shop")

    def peak_mib() -> float:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / KIB

    def upload(mib: int) -> Answer:
        marker = b"MARKER"
        body, content_type = encode_multipart_formdata([("key", "large"), ("file", ("f", marker, "a/b"))])
        before, _, after = body.partition(marker)
        pieces = [before, *[b"\x01" * MIB] * mib, after]
        length = str(sum(map(len, pieces)))
        return send(f"{server.endpoint}/shop", iter(pieces), content_type, **{"Content-Length": length})

    assert upload(1).status == 204
    settled = peak_mib()
    assert upload(192).status == 204
    assert peak_mib() - settled < 32
    assert client.head_object(Bucket="shop", Key="large")["ContentLength"] == 192 * MIB


def test_a_bucket_in_the_hosts_name_works_too(s3: Any) -> None:
    parts = urllib.parse.urlsplit(s3.meta.endpoint_url)
    answer = post(s3.meta.endpoint_url, {"key": "k"}, Host=f"shop.s3.localhost:{parts.port}")
    assert answer.status == 204
    assert answer.headers["location"] == f"http://shop.s3.localhost:{parts.port}/k"
    assert s3.get_object(Bucket="shop", Key="k")["Body"].read() == b"hello"


def test_a_page_of_another_origin_reads_the_answer_where_the_buckets_rules_allow_it(s3: Any) -> None:
    form = presigned(s3)
    answer = post(form["url"], form["fields"], Origin="https://app.example")
    assert answer.status == 204 and "access-control-allow-origin" not in answer.headers
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["https://*.example"], "ExposeHeaders": ["ETag"]}
    s3.put_bucket_cors(Bucket="shop", CORSConfiguration={"CORSRules": [rule]})
    answer = post(form["url"], form["fields"], Origin="https://app.example")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-expose-headers"] == "ETag"


# who may


def test_a_changed_policy_or_a_wrong_key_does_not_match_the_signature(s3: Any, url: str) -> None:
    form = presigned(s3)
    fields = {**form["fields"], "policy": base64.b64encode(b'{"expiration": "2999-01-01T00:00:00Z"}').decode()}
    answer = post(form["url"], fields)
    assert answer.refusal()[:2] == (403, "SignatureDoesNotMatch")
    assert answer.error["StringToSign"] == fields["policy"]
    fields = signed(policy({"key": "k"}), secret="wrong")
    assert post(url, {"key": "k", **fields}).refusal()[:2] == (403, "SignatureDoesNotMatch")
    assert post(url, {"key": "k", **signed(policy({"key": "k"}))}).status == 204


def test_a_form_signed_by_an_iam_users_key_is_verified_with_its_secret(s3: Any, aws: Any) -> None:
    aws("iam").create_user(UserName="anna")
    key = aws("iam").create_access_key(UserName="anna")["AccessKey"]
    for secret, status in ((key["SecretAccessKey"], 204), ("another", 403)):
        client = aws("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=secret)
        form = presigned(client)
        assert post(form["url"], form["fields"]).status == status


def test_signatures_of_version_2_are_verified(s3: Any, aws: Any) -> None:
    client = aws("s3", config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    form = presigned(client)
    assert "AWSAccessKeyId" in form["fields"]
    assert post(form["url"], form["fields"]).status == 204
    answer = post(form["url"], {**form["fields"], "signature": "bm9wZQ=="})
    assert answer.refusal()[:2] == (403, "SignatureDoesNotMatch")


def test_a_form_without_a_policy_is_as_an_unsigned_request(s3: Any, url: str) -> None:
    assert post(url, {"key": "k"}).status == 204
    other = post(f"{s3.meta.endpoint_url}/nothing", {"key": "k"})
    assert other.refusal() == (404, "NoSuchBucket", "The specified bucket does not exist")


def test_a_bucket_of_another_account_is_denied(s3: Any, aws: Any) -> None:
    form = presigned(aws("s3", aws_access_key_id="111111111111"))
    assert post(form["url"], form["fields"]).refusal() == (403, "AccessDenied", "Access Denied")


@pytest.mark.parametrize("missing", ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature", "Policy"])
def test_half_a_signature_is_refused_by_the_missing_fields_name(url: str, missing: str) -> None:
    fields = signed(policy({"key": "k"}))
    del fields[missing.lower()]
    status, code, message = post(url, {"key": "k", **fields}).refusal()
    assert (status, code) == (400, "InvalidArgument")
    assert message.startswith(f"Bucket POST must contain a field named '{missing}'.")


def test_an_expired_policy_is_denied(s3: Any, clock: Any) -> None:
    form = s3.generate_presigned_post("shop", "k", ExpiresIn=60)
    assert post(form["url"], form["fields"]).status == 204
    clock.advance(600)  # the form is signed in real time, which the virtual clock is behind
    assert post(form["url"], form["fields"]).refusal() == (
        403, "AccessDenied", "Invalid according to Policy: Policy expired.",
    )  # fmt: skip


def test_a_policy_holds_until_its_expiration_and_no_longer(url: str, clock: Any) -> None:
    from datetime import UTC, datetime

    at = clock.now() + 100
    text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    fields = {"key": "k", **signed(policy({"key": "k"}, expiration=text))}
    clock.advance(99.9)
    assert post(url, fields).status == 204
    clock.advance(0.1)
    assert post(url, fields).status == 403


# what a policy allows


@pytest.mark.parametrize(
    ("condition", "fields", "holds"),
    [
        ({"key": "up/a.txt"}, {"key": "up/${filename}"}, True),
        ({"KEY": "up/a.txt"}, {"Key": "up/a.txt"}, True),
        (["eq", "$key", "up/a.txt"], {"key": "up/b.txt"}, False),
        (["starts-with", "$key", "up/"], {"key": "up/a.txt"}, True),
        (["starts-with", "$key", "up/"], {"key": "down/a.txt"}, False),
        (["starts-with", "$key", ""], {"key": "anything"}, True),
    ],
)
def test_a_condition_on_the_key(url: str, condition: Any, fields: dict[str, str], holds: bool) -> None:
    answer = post(url, {**fields, **signed(policy(condition))})
    if holds:
        assert answer.status == 204
    else:
        shown = json.dumps(condition)
        assert answer.refusal() == (
            403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {shown}",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "holds"), [("image/png", True), ("image/png, image/jpeg", True), ("image/png,text/plain", False)]
)
def test_a_list_of_content_types_must_all_begin_as_the_policy_says(url: str, value: str, holds: bool) -> None:
    fields = signed(policy({"key": "k"}, ["starts-with", "$Content-Type", "image/"]))
    assert post(url, {"key": "k", "Content-Type": value, **fields}).status == (204 if holds else 403)


def test_a_field_that_a_condition_asks_for_must_be_there(url: str) -> None:
    fields = signed(policy({"key": "k"}, ["starts-with", "$x-amz-meta-owner", ""]))
    assert post(url, {"key": "k", **fields}).status == 403
    assert post(url, {"key": "k", "x-amz-meta-owner": "", **fields}).status == 204


def test_a_field_that_no_condition_names_is_refused_but_for_ignored_ones(url: str) -> None:
    fields = {"key": "k", "x-ignore-note": "1", **signed(policy({"key": "k"}))}
    assert post(url, fields).status == 204
    answer = post(url, {"x-amz-meta-a": "1", **fields})
    assert answer.refusal() == (
        403, "AccessDenied", "Invalid according to Policy: Extra input fields: x-amz-meta-a",
    )  # fmt: skip


def test_the_bucket_must_be_in_the_policy_and_be_this_one(s3: Any, url: str) -> None:
    answer = post(url, {"key": "k", **signed({"expiration": FOREVER, "conditions": [{"key": "k"}]})})
    assert answer.refusal()[2] == "Invalid according to Policy: Extra input fields: bucket"
    s3.create_bucket(Bucket="other")
    answer = post(f"{s3.meta.endpoint_url}/other", {"key": "k", "bucket": "shop", **signed(policy({"key": "k"}))})
    assert answer.refusal()[2] == 'Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "shop"]'


@pytest.mark.parametrize(("size", "code"), [(9, "EntityTooSmall"), (10, ""), (20, ""), (21, "EntityTooLarge")])
def test_the_files_size_must_be_in_range(s3: Any, size: int, code: str) -> None:
    form = s3.generate_presigned_post("shop", "k", Conditions=[["content-length-range", 10, 20]])
    answer = post(form["url"], form["fields"], b"x" * size)
    assert answer.error.get("Code", "") == code
    if code:
        assert answer.status == 400 and answer.error["ProposedSize"] == str(size)
        assert answer.error.get("MaxSizeAllowed", answer.error.get("MinSizeAllowed")) in ("10", "20")


def test_a_refused_file_is_not_kept(s3: Any, cloud: Any) -> None:
    form = s3.generate_presigned_post("shop", "k", Conditions=[["content-length-range", 0, MIB]])
    assert post(form["url"], form["fields"], b"x" * (MIB + 1)).error["Code"] == "EntityTooLarge"
    assert "Contents" not in s3.list_objects_v2(Bucket="shop")
    assert [path for path in cloud.cloud.store.blobs.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"{", "Invalid Policy: Invalid JSON."),
        (b"[]", "Invalid Policy: Invalid JSON."),
        ({"conditions": []}, "Invalid Policy: Policy missing expiration."),
        ({"expiration": FOREVER}, "Invalid Policy: Policy missing conditions."),
        ({"expiration": 1, "conditions": []}, "Invalid Policy: Invalid 'expiration' value."),
        (policy(expiration="tomorrow"), "Invalid Policy: Invalid 'expiration' value: 'tomorrow'"),
        (policy(expiration="2999-01-01T00:00:00"), "Invalid Policy: Invalid 'expiration' value: '2999-01-01T00:00:00'"),
        (policy({"key": "k", "acl": "private"}),
         "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
        (policy(["ends-with", "$key", "k"]), 'Invalid Policy: Invalid Condition: ["ends-with", "$key", "k"]'),
        (policy(["eq", "key", "k"]), 'Invalid Policy: Invalid Condition: ["eq", "key", "k"]'),
        (policy(["content-length-range", "a", 2]),
         "Invalid Policy: Invalid content-length-range: numbers are expected."),
    ],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(url: str, document: Any, message: str) -> None:
    assert post(url, {"key": "k", **signed(document)}).refusal() == (400, "InvalidPolicyDocument", message)


# forms that are none


def test_a_form_without_a_key_or_with_an_empty_one_is_refused(url: str) -> None:
    status, code, message = post(url, {"acl": "private"}).refusal()
    assert (status, code) == (400, "InvalidArgument") and "a field named 'key'" in message
    assert post(url, {"key": "${filename}"}, name="").refusal()[2] == "User key must have a length greater than 0."


def test_a_key_longer_than_1024_bytes_is_refused(url: str) -> None:
    assert post(url, {"key": "k" * 1024}).status == 204
    assert post(url, {"key": "k" * 1025}).refusal()[1] == "KeyTooLongError"


def test_a_form_without_a_file_is_refused(url: str) -> None:
    body, content_type = encode_multipart_formdata({"key": "k"})
    assert send(url, body, content_type).refusal() == (
        400, "InvalidArgument", "POST requires exactly one file upload per request.",
    )  # fmt: skip


def test_a_key_behind_the_file_is_not_seen(url: str) -> None:
    body, content_type = encode_multipart_formdata([("file", ("f", b"1", "a/b")), ("key", "k")])
    assert "please check the order of the fields" in send(url, body, content_type).refusal()[2]


@pytest.mark.parametrize("size", [5, 200 * KIB])
def test_a_form_that_ends_early_is_malformed(s3: Any, url: str, size: int) -> None:
    body, content_type = encode_multipart_formdata([("key", "k"), ("file", ("f", b"x" * size, "a/b"))])
    assert send(url, body[:-60], content_type).refusal()[:2] == (400, "MalformedPOSTRequest")
    assert "Contents" not in s3.list_objects_v2(Bucket="shop")


@pytest.mark.parametrize("size", [5, 200 * KIB])
def test_twenty_kib_may_precede_the_file(url: str, size: int) -> None:
    """Source: S3 user guide, "HTML form fields": form data without the file's content up to 20 KB."""

    def form(filler: int) -> tuple[bytes, str]:
        fields = [("key", "k"), ("x-ignore-a", "y" * filler), ("file", ("f", b"x" * size, "a/b"))]
        return encode_multipart_formdata(fields, boundary="b" * 32)

    spare = 20 * KIB - form(0)[0].index(b"x" * 5)
    assert send(url, *form(spare)).status == 204
    for filler in (spare + 1, 100 * KIB):
        assert send(url, *form(filler)).refusal() == (
            400, "MaxPostPreDataLengthExceededError",
            "Your POST request fields preceding the upload file were too large.",
        )  # fmt: skip


def test_a_post_to_a_key_is_not_allowed(url: str) -> None:
    assert post(f"{url}/key", {"key": "k"}).refusal()[:2] == (405, "MethodNotAllowed")


def test_what_put_object_refuses_a_form_is_refused(url: str) -> None:
    assert post(url, {"key": "k", "acl": "public-read"}).refusal()[1] == "AccessControlListNotSupported"
    assert post(url, {"key": "k", "x-amz-website-redirect-location": "x"}).refusal()[1] == "InvalidRedirectLocation"
    assert post(url, {"key": "k", "x-amz-object-lock-mode": "GOVERNANCE"}).status == 501
    assert post(url, {"key": "k", "Content-MD5": base64.b64encode(b"0" * 16).decode()}).refusal()[1] == "BadDigest"
    assert post(url, {"key": "k", "tagging": "<Tagging"}).refusal()[:2] == (400, "MalformedXML")
