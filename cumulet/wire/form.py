"""Browser uploads: the multipart/form-data of a presigned POST. Source: S3 API reference, "POST Object"."""

from __future__ import annotations

import re

from cumulet.aws.errors import AwsError, GenericAwsError

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;,\s]+))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_MALFORMED = "The body of your POST request is not well-formed multipart/form-data."


def _malformed() -> AwsError:
    return GenericAwsError("MalformedPOSTRequest", _MALFORMED)


def _headers(raw: bytes) -> dict[str, str]:
    out = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            out[name.strip().lower()] = value.strip()
    return out


def parse_form(body: bytes, content_type: str) -> tuple[dict[str, str], bytes]:
    """The form's fields (names in lower case but for what follows `x-amz-meta-`, which is lower case too) and its file.

    Fields behind the file are ignored, as S3 does. The file's own name is the field `filename` of the result under
    the key "${filename}", its content type under "content-type" only if the form has such a field.
    Raises: MalformedPOSTRequest; InvalidArgument without a file.
    """
    found = _BOUNDARY.search(content_type)
    if found is None or "multipart/form-data" not in content_type.lower():
        raise _malformed()
    delimiter = b"\r\n--" + (found[1] or found[2]).encode()
    data = b"\r\n" + body
    fields: dict[str, str] = {}
    at = data.find(delimiter)
    if at < 0:
        raise _malformed()
    while True:
        at += len(delimiter)
        if data[at : at + 2] == b"--":
            break
        start = data.find(b"\r\n\r\n", at)
        end = data.find(delimiter, at)
        if start < 0 or end < start:
            raise _malformed()
        headers = _headers(data[at:start])
        content = data[start + 4 : end] if end >= start + 4 else b""
        disposition = dict(
            (m[0].lower(), m[1] or m[2]) for m in _PARAMETER.findall(headers.get("content-disposition", ""))
        )
        name = disposition.get("name", "").lower()
        if not name:
            raise _malformed()
        if name == "file":
            fields["${filename}"] = disposition.get("filename", "").rpartition("/")[2].rpartition("\\")[2]
            return fields, content
        try:
            fields[name] = content.decode()
        except UnicodeDecodeError as e:
            raise _malformed() from e
        at = end
    raise GenericAwsError("InvalidArgument", "POST requires exactly one file upload per request.",
                          members={"ArgumentName": "file", "ArgumentValue": "0"})  # fmt: skip
