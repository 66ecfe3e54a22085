"""Carrying out lifecycle rules: once a day for each bucket that has some, in steps that leave room for requests.

    s3.lifecycle (bucket)   due at each midnight (UTC) while the bucket has rules; begins a sweep from the first key
    s3.sweep (bucket)       one step: some keys from where the last one stopped, then the next, then unfinished uploads

A step's deletions, its events and its place are one commit: a crash repeats no step and leaves out none.
Source: S3 user guide, "Managing the lifecycle of objects", "S3 Lifecycle event notifications" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.s3 import announcing, bodies, rules, versions
from cumulet.services.s3.model import Bucket, Part, Upload, Version, bucket_key, older_key

DAILY, STEP = "s3.lifecycle", "s3.sweep"
_STEP_ROWS = 200


class Sweep(Record):
    """Where a bucket's sweep is: the last key, or the last upload, that it has looked at."""

    after: str = ""
    uploads: bool = False
    upload: str = ""


def begin(ctx: Context, bucket: Bucket) -> None:
    """Rules were put: the first sweep is at the next midnight."""
    ctx.tx.wake(_next(ctx), DAILY, (bucket.name,), fresh=True)


def _next(ctx: Context) -> float:
    return (ctx.now // rules.DAY_S + 1) * rules.DAY_S


def daily(ctx: Context, key: Key) -> None:
    """Timer s3.lifecycle: begin a sweep, unless the bucket or its rules are gone."""
    bucket = _bucket(ctx, key)
    if bucket is None:
        return
    ctx.tx.put(_sweep_key(bucket.name), Sweep())
    ctx.tx.wake(ctx.now, STEP, (bucket.name,), fresh=True)
    ctx.tx.wake(_next(ctx), DAILY, (bucket.name,), fresh=True)


def step(ctx: Context, key: Key) -> None:
    """Timer s3.sweep: look at some keys, and set the next step."""
    at = _sweep_key(str(key[0]))
    sweep, bucket = ctx.tx.get(at, Sweep), _bucket(ctx, key)
    if sweep is None or bucket is None:
        ctx.tx.delete(at)
        return
    following = _uploads(ctx, bucket, sweep) if sweep.uploads else _keys(ctx, bucket, sweep)
    if following is None:
        ctx.tx.delete(at)
        return
    ctx.tx.put(at, following)
    ctx.tx.wake(ctx.now, STEP, (bucket.name,), fresh=True)


def _bucket(ctx: Context, key: Key) -> Bucket | None:
    found = ctx.tx.get(bucket_key(str(key[0])), Bucket)
    return found if found is not None and found.lifecycle else None


def _sweep_key(bucket: str) -> Key:
    return ("s3", "sweep", bucket)


def _keys(ctx: Context, bucket: Bucket, sweep: Sweep) -> Sweep:
    base = ("s3", "current", bucket.name)
    start = (*base, sweep.after) if sweep.after else None
    newest = [each for _, each in ctx.tx.scan(base, Version, start=start, limit=_STEP_ROWS)]
    for current in newest:
        if current.key != sweep.after:
            _sweep_key_versions(ctx, bucket, current)
    return replace(sweep, after=newest[-1].key) if len(newest) == _STEP_ROWS else Sweep(uploads=True)


def _sweep_key_versions(ctx: Context, bucket: Bucket, current: Version) -> None:
    older = [each for _, each in ctx.tx.scan(("s3", "older", bucket.name, current.key), Version)]
    since, left = current.modified, 0
    for newer, version in enumerate(older):
        if rules.noncurrent_expires(bucket, version, since, newer, ctx.now):
            bodies.drop(ctx, version.segments)
            ctx.tx.delete(older_key(bucket.name, version.key, version.sequence))
            announcing.removed(ctx, bucket, version, None, "LifecycleExpiration")
        else:
            left += 1
            _transition(ctx, bucket, version, since, newer)
        since = version.modified
    if current.marker:
        if not left and rules.cleans_marker(bucket, current, ctx.now):
            versions.remove(ctx, bucket, current.key, current.version)
            announcing.removed(ctx, bucket, current, None, "LifecycleExpiration")
        return
    due = rules.expiry(bucket, current)
    if due is not None and due[0] <= ctx.now:
        removed, marker = versions.remove(ctx, bucket, current.key, None)
        announcing.removed(ctx, bucket, removed, marker, "LifecycleExpiration")
    else:
        _transition(ctx, bucket, current, None, 0)


def _transition(ctx: Context, bucket: Bucket, version: Version, since: float | None, newer: int) -> None:
    if version.marker:
        return
    wanted = rules.storage_class(bucket, version, since, newer, ctx.now)
    if wanted != version.storage_class:
        moved = replace(version, storage_class=wanted)
        versions.replace_in_place(ctx, bucket, moved)
        announcing.transitioned(ctx, bucket, moved)


def _uploads(ctx: Context, bucket: Bucket, sweep: Sweep) -> Sweep | None:
    """Abort what is due of the uploads; None when the sweep has come to its end."""
    base = ("s3", "upload", bucket.name)
    start = (*base, sweep.after, sweep.upload) if sweep.upload else None
    rows = list(ctx.tx.scan(base, Upload, start=start, limit=_STEP_ROWS))
    for at, upload in rows:
        due = rules.aborts(bucket, upload)
        if due is not None and due[0] <= ctx.now:
            for part_at, part in list(ctx.tx.scan(("s3", "part", upload.id), Part)):
                bodies.drop(ctx, part.segments)
                ctx.tx.delete(part_at)
            ctx.tx.delete(at)
    return replace(sweep, after=rows[-1][1].key, upload=rows[-1][1].id) if len(rows) == _STEP_ROWS else None
