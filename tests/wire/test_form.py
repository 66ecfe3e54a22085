"""Forms that browsers post to S3."""

from __future__ import annotations

import pytest
from urllib3 import encode_multipart_formdata

from cumulet.aws.errors import AwsError
from cumulet.wire import parse_form


def test_fields_and_file_are_read() -> None:
    data = b"\x00\r\n--almost\r\n\xff"
    body, content_type = encode_multipart_formdata(
        [
            ("key", "uploads/${filename}"),
            ("X-Amz-Meta-Né", "wert"),
            ("policy", "eyJ9"),
            ("file", ("C:\\dir\\a b.bin", data, "image/png")),
            ("submit", "ignored"),
        ]
    )
    fields, file = parse_form(body, content_type)
    assert file == data
    assert fields == {
        "key": "uploads/${filename}",
        "x-amz-meta-né": "wert",
        "policy": "eyJ9",
        "${filename}": "a b.bin",
    }


def test_an_empty_file_is_a_file() -> None:
    body, content_type = encode_multipart_formdata([("key", "k"), ("file", ("f", b"", "a/b"))])
    assert parse_form(body, content_type)[1] == b""


def test_a_form_without_a_file_is_refused() -> None:
    body, content_type = encode_multipart_formdata([("key", "k")])
    with pytest.raises(AwsError, match="exactly one file") as caught:
        parse_form(body, content_type)
    assert caught.value.wire_code == "InvalidArgument"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\nnothing", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nnameless\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x--", "multipart/form-data"),
        (b"--x--", "application/json; boundary=x"),
    ],
)
def test_a_malformed_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(AwsError) as caught:
        parse_form(body, content_type)
    assert caught.value.wire_code == "MalformedPOSTRequest"
