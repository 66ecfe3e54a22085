"""The REST protocols' fine print: headers, payloads, status codes, roots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import FileBody, HttpRequest

MODELS = wire.Models()
S3 = MODELS.service("s3")


def parse(operation: str, body: Any = b"", query: str = "", **headers: str) -> dict[str, Any]:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return S3.operation(operation).parse(
        HttpRequest("PUT", "/b/k", query, named, body), None, {"Bucket": "b", "Key": "k"}
    )


def test_a_streaming_body_passes_unread() -> None:
    class OnDisk:
        path, size, md5, sha256 = Path("x"), 9, "", ""

        def read(self) -> bytes:
            raise AssertionError("nobody may read it")

    body = OnDisk()
    assert parse("PutObject", body)["Body"] is body
    assert parse("PutObject", b"")["Body"] == b""


def test_metadata_headers_and_dates_are_read() -> None:
    found = parse("PutObject", b"x", x_amz_meta_a="1", x_amz_meta_b_c="é", expires="Wed, 21 Oct 2015 07:28:00 GMT")
    assert found["Metadata"] == {"a": "1", "b-c": "é"}
    assert found["Expires"] in (1445412480.0, "Wed, 21 Oct 2015 07:28:00 GMT")
    found = parse("GetObject", x="", range="bytes=0-1", if_modified_since="Wed, 21 Oct 2015 07:28:00 GMT")
    assert (found["Range"], found["IfModifiedSince"]) == ("bytes=0-1", 1445412480.0)


@pytest.mark.parametrize("query", ["partNumber=x&uploadId=u", "partNumber=1_0&uploadId=u"])
def test_a_query_value_of_the_wrong_type_is_an_invalid_argument(query: str) -> None:
    with pytest.raises(AwsError) as caught:
        parse("UploadPart", b"", query)
    assert (caught.value.wire_code, caught.value.members["ArgumentName"]) == ("InvalidArgument", "partNumber")


def test_bad_xml_is_malformed() -> None:
    with pytest.raises(AwsError) as caught:
        parse("PutBucketTagging", b"<Tagging><TagSet>")
    assert caught.value.wire_code == "MalformedXML"


def test_namespaces_do_not_matter_on_the_way_in() -> None:
    text = "<Tagging{}><TagSet><Tag><Key>a</Key><Value>b&amp;c</Value></Tag></TagSet></Tagging>"
    for space in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', ' xmlns="urn:other"'):
        found = parse("PutBucketTagging", text.format(space).encode())
        assert found["Tagging"] == {"TagSet": [{"Key": "a", "Value": "b&c"}]}


def test_grantees_keep_their_type() -> None:
    grantee = {"Type": "CanonicalUser", "ID": "1"}
    result = {"Owner": {"ID": "1"}, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}
    body = S3.operation("GetBucketAcl").serialize(result, "r").body
    assert isinstance(body, bytes)
    assert b'xsi:type="CanonicalUser"' in body
    found = parse("PutBucketAcl", body)
    assert found["AccessControlPolicy"] == result


def test_the_location_of_a_bucket_is_the_root_itself() -> None:
    write = S3.operation("GetBucketLocation").serialize
    space = b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    assert write({"LocationConstraint": "eu-west-1"}, "r").body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + space + b"eu-west-1</LocationConstraint>"
    )
    assert write({}, "r").body.endswith(space + b"</LocationConstraint>")  # type: ignore[union-attr]


def test_bodies_of_files_and_streams_pass_through(tmp_path: Path) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"x"

    file = FileBody(tmp_path, 1, 2)
    for body in (file, stream, b"bytes"):
        response = S3.operation("GetObject").serialize({"Body": body, "ContentType": "a/b", "ETag": '"e"'}, "r")
        assert response.body is body
        types = [value for name, value in response.headers if name.lower() == "content-type"]
        assert types == ["a/b"]


def test_the_length_is_told_where_the_front_cannot_know_it() -> None:
    def lengths(operation: str, result: dict[str, Any]) -> list[str]:
        headers = S3.operation(operation).serialize(result, "r").headers
        return [value for name, value in headers if name.lower() == "content-length"]

    assert lengths("HeadObject", {"ContentLength": 7}) == ["7"]
    assert lengths("GetObject", {"ContentLength": 7, "Body": b"7 bytes"}) == []


def test_a_header_cannot_smuggle_lines() -> None:
    headers = (
        S3.operation("HeadObject").serialize({"Metadata": {"a": "x\r\nSet-Cookie: y"}, "ETag": "a\nb"}, "r").headers
    )
    assert all("\n" not in value and "\r" not in value for _, value in headers)


def test_control_characters_leave_as_references() -> None:
    body = S3.operation("ListObjectsV2").serialize({"Prefix": "a\x01\r<"}, "r").body
    assert b"<Prefix>a&#x1;&#xd;&lt;</Prefix>" in body  # type: ignore[operator]


def test_status_members_and_codes_are_heeded() -> None:
    invoke = MODELS.service("lambda").operation("Invoke").serialize
    response = invoke({"StatusCode": 202, "Payload": b"", "ExecutedVersion": "$LATEST"}, "r")
    assert (response.status, response.body) == (202, b"")
    assert ("X-Amz-Executed-Version", "$LATEST") in response.headers
    response = invoke({"StatusCode": 204, "Payload": b"no content may follow"}, "r")
    assert (response.status, response.body) == (204, b"")
    assert MODELS.service("lambda").operation("CreateFunction").serialize({}, "r").status == 201
    response = MODELS.service("lambda").operation("DeleteFunctionConcurrency").serialize({}, "r")
    assert (response.status, response.body) == (204, b"")


def test_renamed_members_and_iso_times_of_apigatewayv2() -> None:
    operation = MODELS.service("apigatewayv2").operation("CreateApi")
    response = operation.serialize({"ApiId": "a", "CreatedDate": 0.5, "CorsConfiguration": {"MaxAge": 1}}, "r")
    assert response.body == b'{"apiId":"a","createdDate":"1970-01-01T00:00:00.500Z","corsConfiguration":{"maxAge":1}}'
    request = HttpRequest("POST", "/v2/apis", "", {}, b'{"name":"n","protocolType":"HTTP","target":null}')
    assert operation.parse(request) == {"Name": "n", "ProtocolType": "HTTP"}


def test_the_body_cannot_set_what_belongs_into_the_path() -> None:
    operation = MODELS.service("lambda").operation("CreateAlias")
    request = HttpRequest("POST", "/", "", {}, b'{"FunctionName":"other","Name":"live","FunctionVersion":"1"}')
    found = operation.parse(request, None, {"FunctionName": "mine"})
    assert found == {"FunctionName": "mine", "Name": "live", "FunctionVersion": "1"}
    operation = MODELS.service("lambda").operation("AddPermission")
    request = HttpRequest("POST", "/", "", {}, b'{"Qualifier":"2","StatementId":"s"}')
    assert operation.parse(request, None, {"FunctionName": "mine"}) == {"FunctionName": "mine", "StatementId": "s"}
