"""Browser uploads: the multipart/form-data of a presigned POST. Source: S3 API reference, "POST Object" (read 2026-11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cumulet.aws.errors import AwsError, GenericAwsError

MOST_BEFORE_FILE = 20 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;,\s]+))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_MALFORMED = "The body of your POST request is not well-formed multipart/form-data."
FILENAME = "${filename}"


def malformed() -> AwsError:
    return GenericAwsError("MalformedPOSTRequest", _MALFORMED)


@dataclass(slots=True, frozen=True)
class Form:
    """A form's head: its fields, and that its file lies between `start` and the next `delimiter`."""

    fields: dict[str, str]
    start: int
    delimiter: bytes


def _headers(raw: bytes) -> dict[str, str]:
    out = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            out[name.strip().lower()] = value.strip()
    return out


def read_form(head: bytes, content_type: str, complete: bool = True) -> Form:
    """The form whose body begins with `head`; `complete` says that nothing follows.

    Fields' names are in lower case. Fields behind the file are ignored, as S3 does. The file's own name is a field under
    the key "${filename}". Raises: MalformedPOSTRequest; InvalidArgument without a file;
    MaxPostPreDataLengthExceededError when more than 20 KiB precede the file.
    """
    found = _BOUNDARY.search(content_type)
    if found is None or "multipart/form-data" not in content_type.lower():
        raise malformed()
    delimiter = b"\r\n--" + (found[1] or found[2]).encode()
    data = b"\r\n" + head
    fields: dict[str, str] = {}
    at = data.find(delimiter)
    while at >= 0:
        at += len(delimiter)
        if data[at : at + 2] == b"--":
            raise _without_file()
        start = data.find(b"\r\n\r\n", at)
        end = data.find(delimiter, at)
        if start < 0 or 0 <= end < start:
            break
        name, filename = _disposition(_headers(data[at:start]))
        start += 4
        if name == "file":
            if start - 2 > MOST_BEFORE_FILE:
                raise _too_long()
            fields[FILENAME] = filename
            return Form(fields, start - 2, delimiter)
        if end < 0:
            break
        try:
            fields[name] = data[start:end].decode() if end >= start else ""
        except UnicodeDecodeError as e:
            raise malformed() from e
        at = end
    if not complete or len(head) > MOST_BEFORE_FILE:
        raise _too_long()
    raise malformed()


def _disposition(headers: dict[str, str]) -> tuple[str, str]:
    """(name in lower case, file's name without folders). Raises: MalformedPOSTRequest."""
    found = dict((m[0].lower(), m[1] or m[2]) for m in _PARAMETER.findall(headers.get("content-disposition", "")))
    name = found.get("name", "").lower()
    if not name:
        raise malformed()
    return name, found.get("filename", "").rpartition("/")[2].rpartition("\\")[2]


def _too_long() -> AwsError:
    message = "Your POST request fields preceding the upload file were too large."
    return GenericAwsError(
        "MaxPostPreDataLengthExceededError", message, members={"MaxPostPreDataLengthBytes": MOST_BEFORE_FILE}
    )


def _without_file() -> AwsError:
    return GenericAwsError("InvalidArgument", "POST requires exactly one file upload per request.",
                           members={"ArgumentName": "file", "ArgumentValue": "0"})  # fmt: skip


def parse_form(body: bytes, content_type: str) -> tuple[dict[str, str], bytes]:
    """The fields and the file of a form in memory. Raises: as `read_form`."""
    form = read_form(body, content_type)
    end = body.find(form.delimiter, form.start)
    if end < 0:
        raise malformed()
    return form.fields, body[form.start : end]
