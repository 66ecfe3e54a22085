"""What lifecycle rules say of an object: whether they concern it, when it expires, which storage class it goes to.

Days are counted from the object's creation, or from when it became noncurrent, and rounded up to the next midnight (UTC).
Source: S3 user guide, "Lifecycle configuration elements", "Expiring objects", "Transitioning objects" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cumulet.services.s3.model import Bucket, Upload, Version

Json = dict[str, Any]

DAY_S = 86_400
CLASSES = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR")  # each may become a later one
_LEAST_BYTES = 128 * 1024


def prefix(rule: Json) -> str:
    found = rule.get("Filter", {})
    return str(rule.get("Prefix") or found.get("Prefix") or found.get("And", {}).get("Prefix") or "")


def tags(rule: Json) -> dict[str, str]:
    found = rule.get("Filter", {})
    listed = [found["Tag"]] if "Tag" in found else found.get("And", {}).get("Tags", [])
    return {tag["Key"]: tag["Value"] for tag in listed}


def sizes(rule: Json) -> tuple[int | None, int | None]:
    """(greater than, less than) in bytes."""
    found = rule.get("Filter", {})
    found = found.get("And", found)
    return found.get("ObjectSizeGreaterThan"), found.get("ObjectSizeLessThan")


def midnight(at: float) -> float:
    """The next midnight, or this one."""
    return -(-at // DAY_S) * DAY_S


def concerns(rule: Json, version: Version) -> bool:
    """Whether a rule's filter takes in a version; a delete marker has neither tags nor a size."""
    if not version.key.startswith(prefix(rule)):
        return False
    wanted, (greater, less) = tags(rule), sizes(rule)
    if any(version.tags.get(key) != value for key, value in wanted.items()):
        return False
    if version.marker:
        return greater is None and less is None
    return (greater is None or version.size > greater) and (less is None or version.size < less)


def _enabled(bucket: Bucket, version: Version) -> Iterator[Json]:
    for rule in bucket.lifecycle or ():
        if rule["Status"] == "Enabled" and concerns(rule, version):
            yield rule


def expiry(bucket: Bucket, version: Version) -> tuple[float, str] | None:
    """(when a current version expires, the rule's ID), by the rule that is first to expire it."""
    found = []
    for rule in _enabled(bucket, version):
        expiration = rule.get("Expiration", {})
        if "Days" in expiration:
            found.append((midnight(version.modified + expiration["Days"] * DAY_S), rule["ID"]))
        elif "Date" in expiration:
            found.append((max(expiration["Date"], midnight(version.modified)), rule["ID"]))
    return min(found, default=None)


def cleans_marker(bucket: Bucket, marker: Version, now: float) -> bool:
    """Whether a delete marker with nothing beneath it is to go."""
    if any(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for rule in _enabled(bucket, marker)):
        return True
    due = expiry(bucket, marker)
    return due is not None and due[0] <= now


def noncurrent_expires(bucket: Bucket, version: Version, since: float, newer: int, now: float) -> bool:
    """Whether a version goes that is noncurrent `since` then and has `newer` noncurrent ones above it."""
    for rule in _enabled(bucket, version):
        action = rule.get("NoncurrentVersionExpiration")
        if action is None or newer < action.get("NewerNoncurrentVersions", 0):
            continue
        if midnight(since + action["NoncurrentDays"] * DAY_S) <= now:
            return True
    return False


def storage_class(bucket: Bucket, version: Version, since: float | None, newer: int, now: float) -> str:
    """The class a version should have by now; `since` is None for a current version."""
    chosen = version.storage_class
    for rule in _enabled(bucket, version):
        greater, less = sizes(rule)
        if greater is None and less is None and version.size < _LEAST_BYTES:
            continue  # small objects stay where they are unless the rule's filter speaks of sizes
        for each in rule.get("Transitions" if since is None else "NoncurrentVersionTransitions", ()):
            if since is None:
                due = each["Date"] if "Date" in each else midnight(version.modified + each["Days"] * DAY_S)
            elif newer < each.get("NewerNoncurrentVersions", 0):
                continue
            else:
                due = midnight(since + each["NoncurrentDays"] * DAY_S)
            if due <= now and _rank(each["StorageClass"]) > _rank(chosen):
                chosen = each["StorageClass"]
    return chosen


def _rank(name: str) -> int:
    return CLASSES.index(name) if name in CLASSES else 0


def aborts(bucket: Bucket, upload: Upload) -> tuple[float, str] | None:
    """(when an unfinished upload is aborted, the rule's ID)."""
    found = []
    for rule in bucket.lifecycle or ():
        action = rule.get("AbortIncompleteMultipartUpload")
        if action is not None and rule["Status"] == "Enabled" and upload.key.startswith(prefix(rule)):
            found.append((midnight(upload.started + action["DaysAfterInitiation"] * DAY_S), rule["ID"]))
    return min(found, default=None)


def expiration_header(bucket: Bucket, version: Version) -> Json:
    """{"Expiration": the x-amz-expiration header} of a current version that a rule will expire."""
    due = expiry(bucket, version) if bucket.lifecycle else None
    if due is None:
        return {}
    at = datetime.fromtimestamp(due[0], UTC)
    return {"Expiration": f'expiry-date="{at:%a, %d %b %Y %H:%M:%S} GMT", rule-id="{quote(due[1])}"'}


def abort_headers(bucket: Bucket, upload: Upload) -> Json:
    """{"AbortDate", "AbortRuleId"} of an upload that a rule will abort."""
    due = aborts(bucket, upload) if bucket.lifecycle else None
    return {} if due is None else {"AbortDate": due[0], "AbortRuleId": due[1]}
