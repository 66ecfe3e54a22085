"""Bad input gets AWS's error and loses nothing; the server goes on."""

import http.client
import io
import json
import socket
import sqlite3
import zipfile
from urllib.parse import urlsplit

import botocore.exceptions
import pytest

ROLE = "arn:aws:iam::000000000000:role/r"


def ask(cloud, method, path, body=b"", **headers):
    parts = urlsplit(cloud.endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, raw


def scope(service):
    return (
        f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"TableName": NaN}', b""])
def test_malformed_json_is_a_serialization_exception(cloud, body):
    status, raw = ask(
        cloud, "POST", "/", body, x_amz_target="DynamoDB_20120810.DescribeTable", authorization=scope("dynamodb")
    )
    assert status == 400
    assert json.loads(raw)["__type"].rpartition("#")[2] in {"SerializationException", "ValidationException"}


def test_malformed_xml_is_malformed_xml(cloud, aws):
    aws("s3").create_bucket(Bucket="bucket")
    status, raw = ask(cloud, "POST", "/bucket?delete", b"<Delete><Object>", authorization=scope("s3"))
    assert (status, b"<Code>MalformedXML</Code>" in raw) == (400, True)


def test_a_wrong_type_is_refused_and_the_table_is_untouched(cloud):
    status, raw = ask(
        cloud,
        "POST",
        "/",
        b'{"TableName": 5}',
        x_amz_target="DynamoDB_20120810.DescribeTable",
        authorization=scope("dynamodb"),
    )
    assert status == 400
    assert b"SerializationException" in raw


def test_an_unknown_target_is_501_with_its_name(cloud):
    status, raw = ask(cloud, "POST", "/", b"{}", x_amz_target="DynamoDB_20120810.FlyTable")
    assert status == 501
    assert b"FlyTable" in raw


def test_a_known_operation_that_is_not_there_is_501_with_its_name(aws):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        aws("ecr").describe_repositories()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "DescribeRepositories" in error.value.response["Error"]["Message"]


def test_a_malformed_authorization_header_is_an_incomplete_signature(cloud):
    status, raw = ask(
        cloud,
        "POST",
        "/",
        b"{}",
        x_amz_target="DynamoDB_20120810.ListTables",
        authorization="AWS4-HMAC-SHA256 nonsense",
    )
    assert status in {400, 403}
    assert b"IncompleteSignature" in raw


def test_no_authorization_is_the_default_account_on_loopback(cloud):
    status, raw = ask(
        cloud,
        "POST",
        "/",
        b"Action=GetCallerIdentity&Version=2011-06-15",
        content_type="application/x-www-form-urlencoded",
    )
    assert status == 200
    assert b"<Account>000000000000</Account>" in raw


def test_a_half_closed_connection_still_gets_its_answer(cloud):
    parts = urlsplit(cloud.endpoint)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as client:
        client.sendall(b"GET /_cumulet/health HTTP/1.1\r\nhost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert b"200 OK" in received
    assert b'"running"' in received


def test_a_zip_that_is_not_one_is_refused_in_lambdas_words(aws):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        aws("lambda").create_function(
            FunctionName="f", Runtime="python3.12", Handler="a.b", Role=ROLE, Code={"ZipFile": b"no zip"}
        )
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert "Could not unzip uploaded file" in error.value.response["Error"]["Message"]


def test_a_handler_that_does_not_import_is_a_function_error(aws):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "import nothing_like_this\n")
    aws("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": buffer.getvalue()}
    )
    answer = aws("lambda").invoke(FunctionName="f")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ImportModuleError"


def test_a_full_disk_is_answered_loses_nothing_and_ends_when_there_is_space(aws, faults):
    def full():
        raise sqlite3.OperationalError("database or disk is full")

    s3 = aws("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="before", Body=b"1")
    faults.arm("store.commit", full)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket="bucket", Key="lost", Body=b"2")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    faults.disarm()
    s3.put_object(Bucket="bucket", Key="after", Body=b"3")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["after", "before"]
