"""A key's versions: adding one, removing one, finding one; what versioning Enabled, Suspended and never-enabled mean.

Source: S3 user guide, "How S3 Versioning works", "Adding objects to versioning-suspended buckets" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3 import bodies
from cumulet.services.s3.errors import MethodNotAllowed, NoSuchKey, NoSuchVersion
from cumulet.services.s3.model import ENABLED, NULL, SUSPENDED, Bucket, Version, current_key, older_key


def current(ctx: Context, bucket: Bucket, key: str) -> Version | None:
    """The newest version, a delete marker included."""
    return ctx.tx.get(current_key(bucket.name, key), Version)


def find(ctx: Context, bucket: Bucket, key: str, version: str | None) -> Version | None:
    """The version asked for, a delete marker included."""
    newest = current(ctx, bucket, key)
    if version is None or (newest is not None and newest.version == version):
        return newest
    for _, older in ctx.tx.scan(("s3", "older", bucket.name, key), Version):
        if older.version == version:
            return older
    return None


def readable(ctx: Context, bucket: Bucket, key: str, version: str | None, method: str) -> Version:
    """Raises: NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker asked for by its id)."""
    found = find(ctx, bucket, key, version)
    if found is None:
        raise NoSuchKey(key) if version is None else NoSuchVersion(key, version)
    if found.marker:
        raise NoSuchKey(key) if version is None else MethodNotAllowed(method)
    return found


def next_version(ctx: Context, bucket: Bucket) -> str:
    """The id that a new version gets."""
    return f"{ctx.ids.lower(4)}.{ctx.ids.hex(26)}."[:32] if bucket.versioning == ENABLED else NULL


def add(ctx: Context, bucket: Bucket, version: Version) -> Version:
    """Make `version` (its id already set) the newest one; answers it with its place in the order."""
    newest = current(ctx, bucket, version.key)
    if newest is not None:
        version = replace(version, sequence=newest.sequence + 1)
        if bucket.versioning == ENABLED or (bucket.versioning == SUSPENDED and newest.version != NULL):
            ctx.tx.put(older_key(bucket.name, newest.key, newest.sequence), newest)
        else:
            bodies.drop(ctx, newest.segments)
        if bucket.versioning == SUSPENDED and newest.version != NULL:
            _remove_older_null(ctx, bucket, version.key)
    ctx.tx.put(current_key(bucket.name, version.key), version)
    return version


def _remove_older_null(ctx: Context, bucket: Bucket, key: str) -> None:
    for at, older in ctx.tx.scan(("s3", "older", bucket.name, key), Version):
        if older.version == NULL:
            bodies.drop(ctx, older.segments)
            ctx.tx.delete(at)
            return


def remove(ctx: Context, bucket: Bucket, key: str, version: str | None) -> tuple[Version | None, Version | None]:
    """Delete as DeleteObject does: (the version removed for good, the delete marker added)."""
    if version is not None:
        return _remove_version(ctx, bucket, key, version), None
    if not bucket.versioning:
        newest = current(ctx, bucket, key)
        if newest is not None:
            bodies.drop(ctx, newest.segments)
            ctx.tx.delete(current_key(bucket.name, key))
        return newest, None
    marker = Version(key=key, version=next_version(ctx, bucket), sequence=1, modified=ctx.now, marker=True)
    return None, add(ctx, bucket, marker)


def _remove_version(ctx: Context, bucket: Bucket, key: str, version: str) -> Version | None:
    found = find(ctx, bucket, key, version)
    if found is None:
        return None
    bodies.drop(ctx, found.segments)
    newest = current(ctx, bucket, key)
    assert newest is not None
    if found.version != newest.version:
        ctx.tx.delete(older_key(bucket.name, key, found.sequence))
        return found
    ctx.tx.delete(current_key(bucket.name, key))
    for at, older in ctx.tx.scan(("s3", "older", bucket.name, key), Version, limit=1):
        ctx.tx.delete(at)
        ctx.tx.put(current_key(bucket.name, key), older)
    return found


def replace_in_place(ctx: Context, bucket: Bucket, changed: Version) -> None:
    """Write a version back where it is (its tags changed)."""
    newest = current(ctx, bucket, changed.key)
    if newest is not None and newest.version == changed.version:
        ctx.tx.put(current_key(bucket.name, changed.key), changed)
    else:
        ctx.tx.put(older_key(bucket.name, changed.key, changed.sequence), changed)
