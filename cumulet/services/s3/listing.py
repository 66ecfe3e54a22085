"""Operations that list objects and versions, with prefix, delimiter and pages.

A common prefix is answered once and then jumped over: the scan goes on behind the last key that could begin with it.
Source: S3 API_ListObjectsV2, API_ListObjects, API_ListObjectVersions; user guide, "Listing object keys" (read 2026-11).
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cumulet.kernel.context import Context
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument
from cumulet.services.s3.model import Bucket, Version
from cumulet.services.s3.model import owner as _owner

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_MOST_KEYS = 1000


@dataclass
class _Listed:
    """One page: entries, common prefixes, and the last key or prefix when there is more."""

    entries: list[Any] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False


def _behind(text: str) -> str | None:
    """The first string behind all that begin with `text`; None when there is none."""
    while text:
        point = ord(text[-1]) + 1
        if point <= 0x10FFFF:
            return text[:-1] + chr(0xE000 if 0xD800 <= point <= 0xDFFF else point)
        text = text[:-1]
    return None


def _keys(ctx: Context, bucket: Bucket, start: str, prefix: str) -> Iterator[Version]:
    """Newest versions from key `start` on while they have the prefix, delete markers left out."""
    base = ("s3", "current", bucket.name)
    for at, version in ctx.tx.scan(base, Version, start=(*base, max(start, prefix, key=_order))):
        if not str(at[3]).startswith(prefix):
            return
        if not version.marker:
            yield version


def _order(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _listed(ctx: Context, bucket: Bucket, req: Mapping[str, Any], after: str) -> _Listed:
    """A page of the keys behind `after`, which may be a common prefix: then behind all it stands for."""
    prefix, delimiter, most = req.get("Prefix", ""), req.get("Delimiter", ""), _most(req)
    page = _Listed()
    if most == 0:
        return page
    start: str | None = after
    if delimiter and after.startswith(prefix) and delimiter in after[len(prefix) :]:
        cut = after.index(delimiter, len(prefix)) + len(delimiter)
        if cut == len(after):
            start = _behind(after)
    while start is not None:
        restart: str | None = None
        for version in _keys(ctx, bucket, start, prefix):
            if version.key == after and start == after:
                continue
            if len(page.entries) + len(page.prefixes) == most:
                page.truncated = True
                return page
            at = version.key.find(delimiter, len(prefix)) if delimiter else -1
            if at < 0:
                page.entries.append(version)
                page.last = version.key
                continue
            page.last = version.key[: at + len(delimiter)]
            page.prefixes.append(page.last)
            restart = _behind(page.last)
            break
        start = restart
    return page


def _most(req: Mapping[str, Any]) -> int:
    most = req.get("MaxKeys", _MOST_KEYS)
    if most < 0:
        raise InvalidArgument("Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", most)
    return int(min(most, _MOST_KEYS))


def _coder(req: Mapping[str, Any]) -> Callable[[str], str]:
    """How keys are written: as they are, or percent-encoded (EncodingType=url)."""
    kind = req.get("EncodingType")
    if kind is None:
        return lambda text: text
    if kind != "url":
        raise InvalidArgument("Invalid Encoding Method specified in Request", "encoding-type", kind)
    return lambda text: quote(text, safe="/-_.~*", errors="surrogatepass")


def _shown(version: Version, code: Callable[[str], str], owner: dict[str, str] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Key": code(version.key),
        "LastModified": version.modified,
        "ETag": f'"{version.etag}"',
        "Size": version.size,
        "StorageClass": version.storage_class,
    }
    if version.checksums:
        shown["ChecksumAlgorithm"] = [name.removeprefix("Checksum") for name in version.checksums]
        shown["ChecksumType"] = version.checksum_type
    if owner is not None:
        shown["Owner"] = owner
    return shown


def _answer(
    bucket: Bucket, req: Mapping[str, Any], page: _Listed, code: Callable[[str], str], member: str, shown: list[Any]
) -> Any:
    """The members that all listings share."""
    result: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": code(req.get("Prefix", "")),
        "MaxKeys": _most(req),
        "IsTruncated": page.truncated,
    }
    if "Delimiter" in req:
        result["Delimiter"] = code(req["Delimiter"])
    if "EncodingType" in req:
        result["EncodingType"] = req["EncodingType"]
    if shown:
        result[member] = shown
    if page.prefixes:
        result["CommonPrefixes"] = [{"Prefix": code(prefix)} for prefix in page.prefixes]
    return result


def list_objects_v2(ctx: Context, req: api.ListObjectsV2Request) -> api.ListObjectsV2Result:
    """Up to 1000 keys and common prefixes in the order of their UTF-8 bytes. Raises: NoSuchBucket, InvalidArgument."""
    bucket, code = _open_bucket(ctx, req), _coder(req)
    after = req.get("StartAfter", "")
    if "ContinuationToken" in req:
        try:
            after = urlsafe_b64decode(req["ContinuationToken"]).decode("utf-8", "surrogatepass")
        except (binascii.Error, ValueError) as error:
            raise InvalidArgument(
                "The continuation token provided is incorrect", "continuation-token", req["ContinuationToken"]
            ) from error
    page = _listed(ctx, bucket, req, after)
    owner = _owner(bucket.account) if req.get("FetchOwner") else None
    result = _answer(bucket, req, page, code, "Contents", [_shown(each, code, owner) for each in page.entries])
    result["KeyCount"] = len(page.entries) + len(page.prefixes)
    if "StartAfter" in req:
        result["StartAfter"] = code(req["StartAfter"])
    if "ContinuationToken" in req:
        result["ContinuationToken"] = req["ContinuationToken"]
    if page.truncated:
        result["NextContinuationToken"] = urlsafe_b64encode(_order(page.last)).decode()
    return result  # type: ignore[no-any-return]


def list_objects(ctx: Context, req: api.ListObjectsRequest) -> api.ListObjectsResult:
    """As ListObjectsV2, with Marker; NextMarker only with a delimiter. Raises: NoSuchBucket, InvalidArgument."""
    bucket, code = _open_bucket(ctx, req), _coder(req)
    page = _listed(ctx, bucket, req, req.get("Marker", ""))
    owner = _owner(bucket.account)
    result = _answer(bucket, req, page, code, "Contents", [_shown(each, code, owner) for each in page.entries])
    result["Marker"] = code(req.get("Marker", ""))
    if page.truncated and "Delimiter" in req:
        result["NextMarker"] = code(page.last)
    return result  # type: ignore[no-any-return]


def list_object_versions(ctx: Context, req: api.ListObjectVersionsRequest) -> api.ListObjectVersionsResult:
    """All versions and delete markers, by key, newest first, in pages of up to 1000.

    Raises: NoSuchBucket, InvalidArgument.
    """
    bucket, code = _open_bucket(ctx, req), _coder(req)
    if "VersionIdMarker" in req and "KeyMarker" not in req:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.", "version-id-marker", req["VersionIdMarker"]
        )
    page = _listed_versions(ctx, bucket, req)
    owner = _owner(bucket.account)
    result = _answer(bucket, req, page, code, "Versions", [])
    versions: list[Any] = []
    markers: list[Any] = []
    for latest, version in page.entries:
        shown = {**_shown(version, code, owner), "VersionId": version.version, "IsLatest": latest}
        if version.marker:
            kept = ("Key", "LastModified", "Owner", "VersionId", "IsLatest")
            markers.append({name: shown[name] for name in kept})
        else:
            versions.append(shown)
    if versions:
        result["Versions"] = versions
    if markers:
        result["DeleteMarkers"] = markers
    result["KeyMarker"] = code(req.get("KeyMarker", ""))
    result["VersionIdMarker"] = req.get("VersionIdMarker", "")
    if page.truncated:
        result["NextKeyMarker"] = code(page.last)
        if page.entries and page.entries[-1][1].key == page.last:
            result["NextVersionIdMarker"] = page.entries[-1][1].version
    return result  # type: ignore[no-any-return]


def _listed_versions(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> _Listed:
    prefix, delimiter, most = req.get("Prefix", ""), req.get("Delimiter", ""), _most(req)
    page = _Listed()
    passed = "KeyMarker" not in req
    after, after_version = req.get("KeyMarker", ""), req.get("VersionIdMarker", "")
    start: str | None = after
    if most == 0:
        return page
    if (
        delimiter
        and after.endswith(delimiter)
        and after.startswith(prefix)
        and after.find(delimiter, len(prefix)) == len(after) - len(delimiter)
    ):
        start, passed = _behind(after), True
    while start is not None:
        restart: str | None = None
        for latest, version in _all_versions(ctx, bucket, start, prefix):
            if not passed and version.key == after:
                passed = bool(after_version) and version.version == after_version
                continue
            passed = True
            if len(page.entries) + len(page.prefixes) == most:
                page.truncated = True
                return page
            at = version.key.find(delimiter, len(prefix)) if delimiter else -1
            if at < 0:
                page.entries.append((latest, version))
                page.last = version.key
                continue
            page.last = version.key[: at + len(delimiter)]
            page.prefixes.append(page.last)
            restart = _behind(page.last)
            break
        start = restart
    return page


def _all_versions(ctx: Context, bucket: Bucket, start: str, prefix: str) -> Iterator[tuple[bool, Version]]:
    base = ("s3", "current", bucket.name)
    for at, newest in ctx.tx.scan(base, Version, start=(*base, max(start, prefix, key=_order))):
        key = str(at[3])
        if not key.startswith(prefix):
            return
        yield True, newest
        for _, older in ctx.tx.scan(("s3", "older", bucket.name, key), Version):
            yield False, older
