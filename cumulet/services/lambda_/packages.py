"""Deployment packages: taken from a request or a bucket, checked, and kept as counted blobs."""

from __future__ import annotations

import hashlib
import hmac
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import FileBody
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import InvalidParameterValueException, RequestEntityTooLargeException
from cumulet.services.lambda_.model import Code, code_key

DIRECT_LIMIT_BYTES = 50 * 1024 * 1024
UNZIPPED_LIMIT_BYTES = 262_144_000
_REQUEST_LIMIT_BYTES = 69_905_067
_LINK_S = 600


@dataclass(slots=True, frozen=True)
class Package:
    """A checked zip: its SHA-256 (hexadecimal), its size and the sum of its files' sizes."""

    sha256: str
    size: int
    unzipped: int
    data: bytes


def package_of(ctx: Context, code: dict[str, Any], operation: str) -> Package:
    """The package that a Code or Content member names: ZipFile, or S3Bucket and S3Key.

    Raises: InvalidParameterValueException, RequestEntityTooLargeException.
    Source: Lambda API_FunctionCode; developer guide, "Lambda quotas" (read 2026-11).
    """
    for setting in ("ImageUri", "SourceKMSKeyArn"):
        if code.get(setting):
            raise NotImplementedOnCumulet(f"Lambda's setting Code.{setting} is not implemented by Cumulet.")
    if code.get("S3ObjectStorageMode", "COPY") != "COPY":
        raise NotImplementedOnCumulet("Lambda's setting S3ObjectStorageMode=REFERENCE is not implemented by Cumulet.")
    if "ZipFile" in code:
        if "S3Bucket" in code or "S3Key" in code:
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        data = code["ZipFile"]
        if len(data) > DIRECT_LIMIT_BYTES:
            raise RequestEntityTooLargeException(
                f"Request must be smaller than {_REQUEST_LIMIT_BYTES} bytes for the {operation} operation"
            )
    elif "S3Bucket" in code and "S3Key" in code:
        data = _from_bucket(ctx, code)
    else:
        raise InvalidParameterValueException("Please provide a source for function code.")
    return _checked(data)


def _from_bucket(ctx: Context, code: dict[str, Any]) -> bytes:
    request = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
    if "S3ObjectVersion" in code:
        request["VersionId"] = code["S3ObjectVersion"]
    try:
        body = ctx.call("s3", "GetObject", request)["Body"]
    except NotImplementedOnCumulet:
        raise
    except AwsError as error:
        raise InvalidParameterValueException(
            f"Error occurred while GetObject. S3 Error Code: {error.wire_code}. S3 Error Message: {error.message}"
        ) from error
    if isinstance(body, FileBody):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.size)
    return bytes(body)


def _checked(data: bytes) -> Package:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unzipped = sum(entry.file_size for entry in archive.infolist())
            empty = not archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again.", hint=str(error)
        ) from error
    if empty:
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
    if unzipped >= UNZIPPED_LIMIT_BYTES:
        raise InvalidParameterValueException(f"Unzipped size must be smaller than {UNZIPPED_LIMIT_BYTES} bytes")
    return Package(hashlib.sha256(data).hexdigest(), len(data), unzipped, data)


def keep(ctx: Context, package: Package) -> None:
    """Count one more user of a package; its bytes become a blob the first time."""
    key = code_key(ctx.account, package.sha256)
    known = ctx.tx.get(key, Code)
    if known is None:
        blob = ctx.tx.put_blob(package.data)
        known = Code(blob=blob, size=package.size, unzipped=package.unzipped, users=0)
    ctx.tx.put(key, replace(known, users=known.users + 1))


def use(ctx: Context, account: str, sha256: str) -> None:
    """Count one more user of a package that is here already."""
    key = code_key(account, sha256)
    known = ctx.tx.get(key, Code)
    assert known is not None, f"package {sha256} is in use and not there"
    ctx.tx.put(key, replace(known, users=known.users + 1))


def release(ctx: Context, account: str, sha256: str) -> None:
    """Count one user less; the last one takes the blob along."""
    key = code_key(account, sha256)
    known = ctx.tx.get(key, Code)
    assert known is not None, f"package {sha256} is in use and not there"
    if known.users > 1:
        ctx.tx.put(key, replace(known, users=known.users - 1))
    else:
        ctx.tx.delete(key)
        ctx.tx.delete_blob(known.blob)


def zip_path(ctx: Context, account: str, sha256: str) -> Path:
    """Where the package's bytes are once everything read so far is committed."""
    known = ctx.tx.get(code_key(account, sha256), Code)
    assert known is not None, f"package {sha256} is in use and not there"
    return ctx.tx.committed_blob_path(known.blob)


def link(ctx: Context, account: str, sha256: str) -> str:
    """A URL that gives the package's bytes for ten minutes, without further credentials."""
    known = ctx.tx.get(code_key(account, sha256), Code)
    assert known is not None, f"package {sha256} is in use and not there"
    expires = int(ctx.now) + _LINK_S
    return f"{ctx.endpoint}/_aws/lambda-code/{account}/{sha256}/{expires}/{_signature(known, sha256, expires)}"


def linked(ctx: Context, account: str, sha256: str, expires: str, signature: str) -> FileBody | None:
    """What a link made by `link` gives, or None for one that is wrong or too old."""
    known = ctx.tx.get(code_key(account, sha256), Code)
    if known is None or not expires.isdigit() or ctx.now > int(expires):
        return None
    if not hmac.compare_digest(signature, _signature(known, sha256, int(expires))):
        return None
    return FileBody(ctx.tx.committed_blob_path(known.blob), 0, known.size)


def _signature(code: Code, sha256: str, expires: int) -> str:
    """The blob's id is random and shown to nobody."""
    return hmac.new(code.blob.encode(), f"{sha256}:{expires}".encode(), hashlib.sha256).hexdigest()
