"""S3 over real sockets with boto3: what applications do with it."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.parse
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1024 * 1024


@pytest.fixture
def s3(aws: Any) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket="shop")
    return client


def error_of(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def sent(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body; no header that a presigned URL does not cover."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(method, f"{parts.path}?{parts.query}", body)
    answer = connection.getresponse()
    found = (answer.status, answer.read())
    connection.close()
    return found


def keys(answer: dict[str, Any]) -> list[str]:
    return [each["Key"] for each in answer.get("Contents", [])]


def test_an_object_comes_back_with_its_headers_and_metadata(s3: Any) -> None:
    put = s3.put_object(Bucket="shop", Key="a.txt", Body=b"hello", ContentType="text/plain", CacheControl="no-cache",
                        Metadata={"owner": "anna"}, Tagging="stage=test&team=a%20b")  # fmt: skip
    got = s3.get_object(Bucket="shop", Key="a.txt")
    assert got["Body"].read() == b"hello"
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("text/plain", "no-cache", {"owner": "anna"})
    assert got["ContentLength"] == 5 and got["TagCount"] == 2 and got["ServerSideEncryption"] == "AES256"
    tags = s3.get_object_tagging(Bucket="shop", Key="a.txt")["TagSet"]
    assert tags == [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "a b"}]


@pytest.mark.parametrize(
    "key", ["ü/日本語 €.txt", "a//b", "/lead", "a%2Fb", "plus+and space", "q?x=1&y#z", ".", "a/../b", "é😀"]
)
def test_a_key_is_any_text(s3: Any, key: str) -> None:
    s3.put_object(Bucket="shop", Key=key, Body=key.encode())
    assert s3.get_object(Bucket="shop", Key=key)["Body"].read() == key.encode()
    assert s3.head_object(Bucket="shop", Key=key)["ContentLength"] == len(key.encode())
    assert keys(s3.list_objects_v2(Bucket="shop")) == [key]
    assert keys(s3.list_objects(Bucket="shop", Prefix=key)) == [key]
    s3.copy_object(Bucket="shop", Key="copy", CopySource={"Bucket": "shop", "Key": key})
    s3.delete_objects(Bucket="shop", Delete={"Objects": [{"Key": key}]})
    assert keys(s3.list_objects_v2(Bucket="shop")) == ["copy"]


def test_an_empty_object_is_an_object(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="empty", Body=b"")
    got = s3.get_object(Bucket="shop", Key="empty")
    assert (got["Body"].read(), got["ContentLength"], got["ETag"]) == (b"", 0, '"d41d8cd98f00b204e9800998ecf8427e"')


def test_what_is_not_there_is_said_as_aws_says_it(s3: Any) -> None:
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="shop", Key="none")
    error = caught.value.response["Error"]
    assert error == {
        "Code": "NoSuchKey",
        "Message": "The specified key does not exist.",
        "Key": "none",
        **{k: error[k] for k in error if k == "Resource"},
    }
    assert error_of(lambda: s3.head_object(Bucket="shop", Key="none")) == ("404", 404)
    assert error_of(lambda: s3.list_objects_v2(Bucket="no-such-bucket")) == ("NoSuchBucket", 404)
    assert error_of(lambda: s3.head_bucket(Bucket="no-such-bucket")) == ("404", 404)
    s3.delete_object(Bucket="shop", Key="none")


@pytest.mark.parametrize("name", ["ab", "Shop", "a..b", "192.168.1.1", "xn--a", "a-", "name_with_underscore"])
def test_a_bad_bucket_name_is_refused(aws: Any, name: str) -> None:
    from botocore.config import Config

    client = aws("s3", config=Config(s3={"addressing_style": "path"}))
    client.meta.events.unregister("before-parameter-build.s3", None)
    code, status = error_of(lambda: client.create_bucket(Bucket=name))
    assert (code, status) == ("InvalidBucketName", 400)


def test_a_bucket_is_made_once_found_and_deleted_when_empty(aws: Any, s3: Any) -> None:
    s3.create_bucket(Bucket="shop")  # us-east-1: again is fine
    assert error_of(
        lambda: s3.create_bucket(Bucket="shop", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ) == ("BucketAlreadyOwnedByYou", 409)
    eu = aws("s3", region_name="eu-west-1")
    assert error_of(lambda: eu.create_bucket(Bucket="other")) == ("IllegalLocationConstraintException", 400)
    eu.create_bucket(Bucket="other", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert eu.get_bucket_location(Bucket="other")["LocationConstraint"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket="shop")["LocationConstraint"] is None
    assert s3.head_bucket(Bucket="other")["BucketRegion"] == "eu-west-1"
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["other", "shop"]
    s3.put_object(Bucket="shop", Key="k", Body=b"x")
    assert error_of(lambda: s3.delete_bucket(Bucket="shop")) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="shop", Key="k")
    s3.delete_bucket(Bucket="shop")
    assert error_of(lambda: s3.head_bucket(Bucket="shop")) == ("404", 404)


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    for i in range(4):
        s3.create_bucket(Bucket=f"page-{i}")
    first = s3.list_buckets(MaxBuckets=3, Prefix="page-")
    assert [each["Name"] for each in first["Buckets"]] == ["page-0", "page-1", "page-2"]
    rest = s3.list_buckets(MaxBuckets=3, Prefix="page-", ContinuationToken=first["ContinuationToken"])
    assert [each["Name"] for each in rest["Buckets"]] == ["page-3"] and "ContinuationToken" not in rest


@pytest.mark.parametrize(("header", "expected", "content_range"), [
    ("bytes=0-3", b"0123", "bytes 0-3/10"), ("bytes=7-", b"789", "bytes 7-9/10"), ("bytes=-2", b"89", "bytes 8-9/10"),
    ("bytes=5-100", b"56789", "bytes 5-9/10"), ("bytes=9-9", b"9", "bytes 9-9/10"),
])  # fmt: skip
def test_a_range_is_answered_with_206(s3: Any, header: str, expected: bytes, content_range: str) -> None:
    s3.put_object(Bucket="shop", Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket="shop", Key="k", Range=header)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["Body"].read(), got["ContentRange"], got["ContentLength"]) == (expected, content_range, len(expected))
    assert s3.head_object(Bucket="shop", Key="k", Range=header)["ContentRange"] == content_range


def test_a_range_outside_is_416_and_a_strange_one_is_ignored(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="k", Body=b"0123456789")
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k", Range="bytes=10-")) == ("InvalidRange", 416)
    got = s3.get_object(Bucket="shop", Key="k", Range="lines=1-2")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200 and got["Body"].read() == b"0123456789"


def test_conditions_on_reads(s3: Any) -> None:
    etag = s3.put_object(Bucket="shop", Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket="shop", Key="k")["LastModified"]
    assert s3.get_object(Bucket="shop", Key="k", IfMatch=etag)["ETag"] == etag
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k", IfMatch='"other"')) == ("PreconditionFailed", 412)
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k", IfNoneMatch=etag)) == ("304", 304)
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k", IfModifiedSince=modified)) == ("304", 304)
    assert s3.get_object(Bucket="shop", Key="k", IfUnmodifiedSince=modified)["ETag"] == etag


def test_a_conditional_write_makes_a_key_only_once(s3: Any) -> None:
    etag = s3.put_object(Bucket="shop", Key="lock", Body=b"1", IfNoneMatch="*")["ETag"]
    assert error_of(lambda: s3.put_object(Bucket="shop", Key="lock", Body=b"2", IfNoneMatch="*")) == (
        "PreconditionFailed",
        412,
    )
    s3.put_object(Bucket="shop", Key="lock", Body=b"3", IfMatch=etag)
    assert error_of(lambda: s3.put_object(Bucket="shop", Key="lock", Body=b"4", IfMatch=etag)) == (
        "PreconditionFailed",
        412,
    )
    assert s3.get_object(Bucket="shop", Key="lock")["Body"].read() == b"3"


def test_the_response_headers_may_be_overridden(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="k", Body=b"x")
    got = s3.get_object(Bucket="shop", Key="k", ResponseContentType="text/csv", ResponseContentDisposition="attachment")
    assert (got["ContentType"], got["ContentDisposition"]) == ("text/csv", "attachment")


def test_keys_are_listed_in_byte_order_and_in_pages(s3: Any) -> None:
    names = ["a", "b", "B", "é", "z", "日", "😀", "﷿"]
    for name in names:
        s3.put_object(Bucket="shop", Key=name, Body=b"")
    expected = sorted(names, key=str.encode)
    assert keys(s3.list_objects_v2(Bucket="shop")) == expected
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="shop", PaginationConfig={"PageSize": 3})
    assert [keys(page) for page in pages] == [expected[:3], expected[3:6], expected[6:]]
    pages = s3.get_paginator("list_objects").paginate(Bucket="shop", PaginationConfig={"PageSize": 3})
    assert [keys(page) for page in pages] == [expected[:3], expected[3:6], expected[6:]]
    assert keys(s3.list_objects_v2(Bucket="shop", StartAfter="b")) == expected[expected.index("b") + 1 :]


def test_common_prefixes_stand_for_what_is_behind_them(s3: Any) -> None:
    for name in ["a", "d/1", "d/2", "d/e/3", "e", "f/4"]:
        s3.put_object(Bucket="shop", Key=name, Body=b"")
    got = s3.list_objects_v2(Bucket="shop", Delimiter="/")
    assert (keys(got), [each["Prefix"] for each in got["CommonPrefixes"]]) == (["a", "e"], ["d/", "f/"])
    assert got["KeyCount"] == 4
    got = s3.list_objects_v2(Bucket="shop", Delimiter="/", Prefix="d/")
    assert (keys(got), [each["Prefix"] for each in got["CommonPrefixes"]]) == (["d/1", "d/2"], ["d/e/"])
    found, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket="shop", Delimiter="/", MaxKeys=1, **token)
        found += keys(page) + [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == ["a", "d/", "e", "f/"]


def test_versions_are_kept_and_a_delete_is_a_marker(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="k", Body=b"0")
    s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket="shop", Key="k", Body=b"1")["VersionId"]
    two = s3.put_object(Bucket="shop", Key="k", Body=b"2")["VersionId"]
    gone = s3.delete_object(Bucket="shop", Key="k")
    assert gone["DeleteMarker"] is True
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k")) == ("NoSuchKey", 404)
    assert error_of(lambda: s3.get_object(Bucket="shop", Key="k", VersionId=gone["VersionId"])) == (
        "MethodNotAllowed",
        405,
    )
    assert [s3.get_object(Bucket="shop", Key="k", VersionId=v)["Body"].read() for v in ("null", one, two)] == [
        b"0",
        b"1",
        b"2",
    ]
    listed = s3.list_object_versions(Bucket="shop")
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [
        (two, False),
        (one, False),
        ("null", False),
    ]
    assert [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]] == [(gone["VersionId"], True)]
    s3.delete_object(Bucket="shop", Key="k", VersionId=gone["VersionId"])
    assert s3.get_object(Bucket="shop", Key="k")["Body"].read() == b"2"
    s3.delete_object(Bucket="shop", Key="k", VersionId=two)
    assert s3.get_object(Bucket="shop", Key="k")["Body"].read() == b"1"
    assert error_of(lambda: s3.delete_bucket(Bucket="shop")) == ("BucketNotEmpty", 409)


def test_a_large_file_goes_up_and_comes_down_in_parts(s3: Any) -> None:
    data = bytes(i * 7 % 251 for i in range(MIB)) * 20 + b"end"
    s3.upload_fileobj(io.BytesIO(data), "shop", "big", Config=TransferConfig(multipart_threshold=8 * MIB))
    head = s3.head_object(Bucket="shop", Key="big")
    assert head["ContentLength"] == len(data) and head["ETag"].endswith('-3"')
    out = io.BytesIO()
    s3.download_fileobj("shop", "big", out)
    assert out.getvalue() == data
    whole = s3.get_object(Bucket="shop", Key="big")
    assert whole["ContentLength"] == len(data) and whole["Body"].read() == data
    across = s3.get_object(Bucket="shop", Key="big", Range=f"bytes={8 * MIB - 5}-{8 * MIB + 4}")["Body"].read()
    assert across == data[8 * MIB - 5 : 8 * MIB + 5]
    part = s3.get_object(Bucket="shop", Key="big", PartNumber=3)
    assert (part["PartsCount"], part["Body"].read()) == (3, data[16 * MIB :])
    s3.copy({"Bucket": "shop", "Key": "big"}, "shop", "copied", Config=TransferConfig(multipart_threshold=8 * MIB))
    assert s3.get_object(Bucket="shop", Key="copied")["Body"].read() == data


def test_an_upload_is_completed_in_order_from_parts_that_exist(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="shop", Key="m", Metadata={"a": "b"})["UploadId"]
    name = {"Bucket": "shop", "Key": "m", "UploadId": upload}
    parts = []
    for number, size in ((1, 5 * MIB), (2, 5 * MIB), (3, 10)):
        answer = s3.upload_part(**name, PartNumber=number, Body=bytes(size))
        parts.append({"PartNumber": number, **{k: answer[k] for k in ("ETag", "ChecksumCRC32") if k in answer}})
    assert [(p["PartNumber"], p["Size"]) for p in s3.list_parts(**name)["Parts"]] == [
        (1, 5 * MIB),
        (2, 5 * MIB),
        (3, 10),
    ]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="shop")["Uploads"]] == [upload]
    for wrong, code in (
        ([parts[1], parts[0]], "InvalidPartOrder"),
        ([parts[2], {**parts[2], "PartNumber": 4}], "InvalidPart"),
        ([parts[0], {**parts[1], "ETag": "x"}], "InvalidPart"),
    ):
        assert error_of(lambda wrong=wrong: s3.complete_multipart_upload(**name, MultipartUpload={"Parts": wrong})) == (
            code,
            400,
        )
    done = s3.complete_multipart_upload(**name, MultipartUpload={"Parts": [parts[0], parts[2]]})
    digests = b"".join(bytes.fromhex(p["ETag"].strip('"')) for p in (parts[0], parts[2]))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    head = s3.head_object(Bucket="shop", Key="m")
    assert (head["ContentLength"], head["Metadata"]) == (5 * MIB + 10, {"a": "b"})
    assert error_of(lambda: s3.abort_multipart_upload(**name)) == ("NoSuchUpload", 404)


def test_a_small_part_is_too_small_unless_it_is_the_last(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="shop", Key="m")["UploadId"]
    name = {"Bucket": "shop", "Key": "m", "UploadId": upload}
    parts = []
    for n in (1, 2):
        answer = s3.upload_part(**name, PartNumber=n, Body=b"tiny")
        parts.append({"PartNumber": n, **{k: answer[k] for k in ("ETag", "ChecksumCRC32") if k in answer}})
    assert error_of(lambda: s3.complete_multipart_upload(**name, MultipartUpload={"Parts": parts})) == (
        "EntityTooSmall",
        400,
    )
    s3.abort_multipart_upload(**name)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="shop")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_kept_and_answered_on_demand(s3: Any, algorithm: str) -> None:
    put = s3.put_object(Bucket="shop", Key="k", Body=b"hello world", ChecksumAlgorithm=algorithm)
    got = s3.head_object(Bucket="shop", Key="k", ChecksumMode="ENABLED")
    assert put[f"Checksum{algorithm}"] == got[f"Checksum{algorithm}"] and got["ChecksumType"] == "FULL_OBJECT"
    attributes = s3.get_object_attributes(Bucket="shop", Key="k", ObjectAttributes=["Checksum", "ObjectSize", "ETag"])
    assert (
        attributes["Checksum"][f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"] and attributes["ObjectSize"] == 11
    )


def test_a_body_that_does_not_fit_its_digest_is_refused(s3: Any) -> None:
    assert error_of(
        lambda: s3.put_object(Bucket="shop", Key="k", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    ) == ("BadDigest", 400)
    assert error_of(lambda: s3.put_object(Bucket="shop", Key="k", Body=b"x", ContentMD5="nonsense")) == (
        "InvalidDigest",
        400,
    )
    assert error_of(
        lambda: s3.put_object(
            Bucket="shop", Key="k", Body=b"x", ChecksumSHA256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        )
    ) == ("BadDigest", 400)
    assert "Contents" not in s3.list_objects_v2(Bucket="shop")


def test_presigned_urls_read_and_write(s3: Any) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "shop", "Key": "p ü"}, ExpiresIn=60)
    assert sent(url, "PUT", b"direct") == (200, b"")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "shop", "Key": "p ü"}, ExpiresIn=60)
    assert sent(url) == (200, b"direct")
    assert sent(url.replace("p%20", "q%20"))[0] == 403


def test_a_copy_takes_metadata_along_or_gets_its_own(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="a", Body=bytes(200_000), Metadata={"x": "1"}, Tagging="t=1")
    s3.copy_object(Bucket="shop", Key="b", CopySource="shop/a")
    s3.copy_object(Bucket="shop", Key="c", CopySource="/shop/a", MetadataDirective="REPLACE", Metadata={"y": "2"})
    s3.delete_object(Bucket="shop", Key="a")
    assert s3.get_object(Bucket="shop", Key="b")["Body"].read() == bytes(200_000)
    assert s3.head_object(Bucket="shop", Key="b")["Metadata"] == {"x": "1"}
    assert s3.head_object(Bucket="shop", Key="c")["Metadata"] == {"y": "2"}
    assert error_of(lambda: s3.copy_object(Bucket="shop", Key="b", CopySource="shop/b")) == ("InvalidRequest", 400)
    s3.copy_object(Bucket="shop", Key="b", CopySource="shop/b", MetadataDirective="REPLACE", Metadata={"z": "3"})
    assert s3.head_object(Bucket="shop", Key="b")["Metadata"] == {"z": "3"}
    assert s3.get_object(Bucket="shop", Key="b")["Body"].read() == bytes(200_000)


def test_an_object_names_the_encryption_of_its_bucket_or_its_own(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="before")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="shop", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.put_object(Bucket="shop", Key="after", Body=b"x")["ServerSideEncryption"] == "aws:kms"
    s3.put_object(Bucket="shop", Key="own", ServerSideEncryption="AES256")
    upload = s3.create_multipart_upload(Bucket="shop", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="shop", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="shop", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket="shop", Key="copy", CopySource="shop/own")
    found = {
        key: s3.head_object(Bucket="shop", Key=key)["ServerSideEncryption"]
        for key in ("before", "after", "own", "parts", "copy")
    }
    assert found == {"before": "AES256", "after": "aws:kms", "own": "AES256", "parts": "aws:kms", "copy": "aws:kms"}


def test_settings_of_a_bucket_come_back(s3: Any) -> None:
    assert error_of(lambda: s3.get_bucket_tagging(Bucket="shop")) == ("NoSuchTagSet", 404)
    s3.put_bucket_tagging(Bucket="shop", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket="shop")["TagSet"] == [{"Key": "a", "Value": "b"}]
    rule = s3.get_bucket_encryption(Bucket="shop")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    twofold = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}]}
    assert error_of(lambda: s3.put_bucket_encryption(Bucket="shop", ServerSideEncryptionConfiguration=twofold)) == (
        "NotImplemented",
        501,
    )
    assert s3.get_public_access_block(Bucket="shop")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    public = (
        '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shop/*"}]}'
    )
    assert error_of(lambda: s3.put_bucket_policy(Bucket="shop", Policy=public)) == ("AccessDenied", 403)
    s3.delete_public_access_block(Bucket="shop")
    s3.put_bucket_policy(Bucket="shop", Policy=public)
    assert s3.get_bucket_policy(Bucket="shop")["Policy"] == public
    assert s3.get_bucket_policy_status(Bucket="shop")["PolicyStatus"]["IsPublic"] is True
    s3.delete_bucket_policy(Bucket="shop")
    assert error_of(lambda: s3.get_bucket_policy(Bucket="shop")) == ("NoSuchBucketPolicy", 404)
    assert s3.get_bucket_acl(Bucket="shop")["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert error_of(lambda: s3.put_bucket_acl(Bucket="shop", ACL="public-read")) == (
        "AccessControlListNotSupported",
        400,
    )


def test_another_account_may_not_look_in(aws: Any, s3: Any) -> None:
    other = aws("s3", aws_access_key_id="111122223333")
    assert error_of(lambda: other.list_objects_v2(Bucket="shop")) == ("AccessDenied", 403)
    assert error_of(lambda: other.create_bucket(Bucket="shop")) == ("BucketAlreadyExists", 409)
