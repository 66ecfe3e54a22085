"""Imports under way: objects of a bucket read line by line into a new table, a thousand lines a step.

The job's record counts the lines of the object that were taken and is written with their items. The open object lives in
memory only: after a crash it is read again from its beginning, and the lines that were taken are skipped.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Iterator
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Wait
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.errors import SerializationException, ValidationException
from cumulet.services.dynamodb.layout import Layout
from cumulet.services.dynamodb.model import Item, Table, table_key
from cumulet.services.dynamodb.quotas import end_job, keep
from cumulet.services.dynamodb.rows import put_item_row
from cumulet.services.dynamodb.values import MAX_ITEM_BYTES, measured

_PRINCIPAL = ""  # what the caller may do in the bucket was asked when he asked for this
_PLACE = "dynamodb.import"
_LINES_A_STEP = 1000
_BYTES_A_STEP = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
MAX_OBJECTS = 50_000
_MAX_LINE_BYTES = 1024 * 1024


class Import(Record):
    """An import; `object`, `length`, `lines` tell where it is."""

    id: str
    table_arn: str
    table_id: str
    table: tuple[str, str, str]
    number: int
    asked: dict[str, Any]
    token: str
    started_at: float
    status: str = "IN_PROGRESS"
    ended_at: float = 0.0
    object: str = ""
    length: int = -1  # of the object that is read; -1: none is
    lines: int = 0
    header: tuple[str, ...] = ()
    objects: int = 0
    size: int = 0
    processed: int = 0
    imported: int = 0
    errors: int = 0
    failure_code: str = ""
    failure: str = ""

    @property
    def arn(self) -> str:
        return f"{self.table_arn}/import/{self.id}"

    @property
    def key(self) -> Key:
        return import_key(self.table[0], self.table[1], self.id)


def import_key(account: str, region: str, name: str) -> Key:
    return ("dynamodb", "import", account, region, name)


class _Lines:
    """The lines of an object, fetched in pieces."""

    def __init__(self, job: Import) -> None:
        self.key, self.length = job.object, job.length
        self.taken = self.offset = 0
        self.gzip = job.asked.get("InputCompressionType") == "GZIP"
        self.inflate = zlib.decompressobj(31)
        self.text = b""

    def read(self, ctx: Context, job: Import) -> Iterator[str]:
        """The lines that are left; `taken` counts them. Raises: AwsError, ValidationException."""
        while True:
            cut = self.text.find(b"\n")
            if cut < 0 and self.offset < self.length:
                if len(self.text) > _MAX_LINE_BYTES:
                    raise ValidationException("A line of the input is longer than 1 MB")
                self.text += self._fetch(ctx, job)
                continue
            if cut < 0 and not self.text:
                return
            line, self.text = (self.text, b"") if cut < 0 else (self.text[:cut], self.text[cut + 1 :])
            self.taken += 1
            yield line.decode("utf-8", "replace").removesuffix("\r")

    def _fetch(self, ctx: Context, job: Import) -> bytes:
        last = min(self.offset + _CHUNK, self.length) - 1
        request = {**_bucket(job), "Key": self.key, "Range": f"bytes={self.offset}-{last}"}
        data: bytes = ctx.call("s3", "GetObject", request, principal=_PRINCIPAL)["Body"]
        self.offset = last + 1
        if not self.gzip:
            return data
        out = b""
        try:
            while data:
                out += self.inflate.decompress(data)
                data = self.inflate.unused_data
                if self.inflate.eof:
                    self.inflate = zlib.decompressobj(31)
        except zlib.error as error:
            raise ValidationException(f"{self.key} is not in GZIP format") from error
        return out


def _bucket(job: Import) -> dict[str, Any]:
    source = job.asked["S3BucketSource"]
    out = {"Bucket": source["S3Bucket"]}
    if "S3BucketOwner" in source:
        out["ExpectedBucketOwner"] = source["S3BucketOwner"]
    return out


def import_step(ctx: Context, key: Key) -> Wait | None:
    """Timer: take some lines; the key is (account, region, id)."""
    account, region, name = (str(part) for part in key)
    job = ctx.tx.get(import_key(account, region, name), Import)
    if job is None or job.status != "IN_PROGRESS":
        return None
    if ctx.tx.depends == 2:  # the step before is not even being written
        return Wait(on=job.key, until=math.inf)
    table = ctx.tx.get(table_key(*job.table), Table)
    assert table is not None and table.number == job.number, "a table that is imported cannot be deleted"
    try:
        moved = _object(ctx, job) if job.length < 0 else _take(ctx, job, table)
    except AwsError as error:
        moved = replace(job, status="FAILED", failure_code=error.wire_code, failure=error.message)
    if moved.status == "IN_PROGRESS":
        ctx.tx.wake(ctx.now, "dynamodb.import", key)
    else:
        ctx.pipeline.volatile.get(_PLACE, {}).pop(job.id, None)
        moved = replace(moved, ended_at=ctx.now)
        done = moved.status == "COMPLETED"
        keep(ctx, table, replace(table, importing="", status="ACTIVE" if done else "DELETING"))
        end_job(ctx, "import", table.account, table.region)
        if not done:
            ctx.tx.wake(ctx.now, "dynamodb.table", (*job.table, table.number))
    ctx.tx.put(moved.key, moved)
    return None


def _object(ctx: Context, job: Import) -> Import:
    """Turn to the next object; COMPLETED when there is none. Raises: AwsError, ValidationException."""
    request = {**_bucket(job), "Prefix": job.asked["S3BucketSource"].get("S3KeyPrefix", ""), "MaxKeys": 1}
    if job.object:
        request["StartAfter"] = job.object
    found = ctx.call("s3", "ListObjectsV2", request, principal=_PRINCIPAL).get("Contents", [])
    if not found:
        return replace(job, status="COMPLETED")
    if job.objects == MAX_OBJECTS:
        raise ValidationException(f"The import has more than {MAX_OBJECTS} objects")
    header = tuple(job.asked.get("InputFormatOptions", {}).get("Csv", {}).get("HeaderList", ()))
    return replace(
        job, object=found[0]["Key"], length=found[0]["Size"], lines=0, header=header, objects=job.objects + 1
    )


def _opened(ctx: Context, job: Import) -> _Lines:
    known: dict[str, _Lines] = ctx.pipeline.volatile.setdefault(_PLACE, {})
    lines = known.get(job.id)
    if lines is None or lines.key != job.object or lines.taken != job.lines:
        lines = known[job.id] = _Lines(job)
        if job.lines:
            for _ in lines.read(ctx, job):
                if lines.taken == job.lines:
                    break
    return lines


def _take(ctx: Context, job: Import, table: Table) -> Import:
    lines = _opened(ctx, job)
    layout = Layout(table)
    header, size, taken, good = job.header, 0, 0, 0
    ended = True
    if job.asked["InputFormat"] == "CSV":
        delimiter = job.asked.get("InputFormatOptions", {}).get("Csv", {}).get("Delimiter", ",")
        records: Iterator[Any] = _records(
            csv.reader((line + "\n" for line in lines.read(ctx, job)), delimiter=delimiter)
        )
        if not header:
            header = tuple(next(records, ()))
    else:
        records = (line for line in lines.read(ctx, job) if line.strip())
    for record in records:
        taken += 1
        try:
            grown, item = measured(_csv(header, record, table) if isinstance(record, list) else _json(record))
            size += grown
            if grown > MAX_ITEM_BYTES:
                raise ValidationException("Item size has exceeded the maximum allowed size")
            at = layout.item_key(item)
            for index in layout.indexes:
                index.check(item)
        except (ValidationException, SerializationException):
            size += 1
        else:
            put_item_row(ctx, layout, at, item, grown, ctx.tx.get_bytes(at), None)
            good += 1
        if taken >= _LINES_A_STEP or size >= _BYTES_A_STEP:
            ended = False
            break
    return replace(
        job,
        lines=lines.taken,
        header=header,
        length=-1 if ended else job.length,
        size=job.size + size,
        processed=job.processed + taken,
        imported=job.imported + good,
        errors=job.errors + taken - good,
    )


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """CSV records without empty lines; one that is not CSV has no values."""
    while True:
        try:
            record = next(reader, None)
        except csv.Error:
            yield []
            continue
        if record is None:
            return
        if record:
            yield record


def _json(line: str) -> Item:
    try:
        item = read_json(line)["Item"]
    except (NotJson, KeyError, TypeError) as error:
        raise ValidationException("A line is not an object with an Item") from error
    if not isinstance(item, dict):
        raise ValidationException("An Item is not an object")
    return item


def _csv(header: tuple[str, ...], record: list[str], table: Table) -> Item:
    """Key attributes have the types of the table's definitions, all others are strings."""
    if len(record) != len(header):
        raise ValidationException("A line has another number of values than the header")
    return {name: {table.attributes.get(name, "S"): value} for name, value in zip(header, record, strict=True)}
