"""Operations on archives."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.archiving import DAY_S, SWEEP, watch
from cumulet.services.events.checks import check_pattern, parsed
from cumulet.services.events.errors import (
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.events.model import (
    ROOT,
    Archive,
    Bus,
    Rule,
    archive_key,
    find_bus,
    rule_key,
    touch,
)
from cumulet.services.events.paging import page_of

Json = dict[str, Any]
_MANAGED_BY = "prod.vhs.events.aws.internal"


def create_archive(ctx: Context, req: Json) -> Json:
    """Keep a bus's events, or those that match a pattern, for ever or for some days; replayed ones are not kept again.

    A managed rule on the bus feeds the archive.
    Raises: ResourceAlreadyExistsException, ResourceNotFoundException, InvalidEventPatternException, LimitExceededException,
    NotImplementedOnCumulet (KmsKeyIdentifier).
    Source: EventBridge API_CreateArchive; user guide, "Archiving and replaying events" (read 2026-11).
    """
    _refuse(req)
    name = req["ArchiveName"]
    if ctx.tx.get(archive_key(ctx.account, ctx.region, name), Archive) is not None:
        raise ResourceAlreadyExistsException(f"Archive {name} already exists.")
    bus = _source(ctx, req["EventSourceArn"])
    if "EventPattern" in req:
        check_pattern(req["EventPattern"])
    archive = Archive(
        account=ctx.account, region=ctx.region, name=name, id=ctx.ids.hex(16), source_arn=req["EventSourceArn"],
        bus=bus.name, created=ctx.now, description=req.get("Description"), pattern=req.get("EventPattern"),
        retention_days=req.get("RetentionDays", 0),
    )  # fmt: skip
    ctx.tx.put(archive.key, archive)
    _feed(ctx, bus, archive)
    return {"ArchiveArn": archive.arn, "State": "ENABLED", "CreationTime": archive.created}


def update_archive(ctx: Context, req: Json) -> Json:
    """Change an archive's description, pattern or retention; what was kept under the old pattern stays. An empty pattern: all.

    Raises: ResourceNotFoundException, InvalidEventPatternException, LimitExceededException, NotImplementedOnCumulet.
    Source: EventBridge API_UpdateArchive (read 2026-11).
    """
    _refuse(req)
    archive = _found(ctx, req["ArchiveName"])
    if req.get("EventPattern"):
        check_pattern(req["EventPattern"])
    archive = replace(
        archive,
        description=req.get("Description", archive.description),
        pattern=req.get("EventPattern", archive.pattern) or None,
        retention_days=req.get("RetentionDays", archive.retention_days),
    )
    ctx.tx.put(archive.key, archive)
    bus = find_bus(ctx, archive.bus)
    if bus is not None:
        _feed(ctx, bus, archive)
    first = next(ctx.tx.scan_keys(archive.arrivals, limit=1), None)
    if archive.retention_days and first is not None:
        watch(ctx, archive, max(ctx.now, float(first[3] or 0) + archive.retention_days * DAY_S))
    return {"ArchiveArn": archive.arn, "State": "ENABLED", "CreationTime": archive.created}


def delete_archive(ctx: Context, req: Json) -> Json:
    """Delete an archive with its events.

    Raises: ResourceNotFoundException. Source: EventBridge API_DeleteArchive (read 2026-11).
    """
    archive = _found(ctx, req["ArchiveName"])
    ctx.tx.delete(archive.key)
    ctx.tx.wake(ctx.now, SWEEP, (archive.id,))
    bus = find_bus(ctx, archive.bus)
    if bus is not None:
        ctx.tx.delete(_rule_key(bus, archive))
        touch(ctx, bus)
    return {}


def describe_archive(ctx: Context, req: Json) -> Json:
    """An archive, with the number of its events and their bytes.

    Raises: ResourceNotFoundException. Source: EventBridge API_DescribeArchive (read 2026-11).
    """
    archive = _found(ctx, req["ArchiveName"])
    described = {**_shown(ctx, archive), "ArchiveArn": archive.arn}
    if archive.description is not None:
        described["Description"] = archive.description
    if archive.pattern is not None:
        described["EventPattern"] = archive.pattern
    return described


def list_archives(ctx: Context, req: Json) -> Json:
    """The archives by name, 100 at a time: all, or those of a prefix, a source or a state.

    Raises: ValidationException, InvalidToken. Source: EventBridge API_ListArchives (read 2026-11).
    """
    if len(req.keys() & {"NamePrefix", "EventSourceArn", "State"}) > 1:
        raise ValidationException(
            "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix."
        )
    found = (
        (archive.name, _shown(ctx, archive))
        for _, archive in ctx.tx.scan((ROOT, "archive", ctx.account, ctx.region), Archive)
        if archive.name.startswith(req.get("NamePrefix", ""))
        and req.get("EventSourceArn", archive.source_arn) == archive.source_arn
        and req.get("State", "ENABLED") == "ENABLED"
    )
    return page_of(req, found, "Archives")


def _refuse(req: Json) -> None:
    if "KmsKeyIdentifier" in req:
        raise NotImplementedOnCumulet(
            "EventBridge's setting KmsKeyIdentifier of archives is not implemented by Cumulet."
        )


def _found(ctx: Context, name: str) -> Archive:
    archive = ctx.tx.get(archive_key(ctx.account, ctx.region, name), Archive)
    if archive is None:
        raise ResourceNotFoundException(f"Archive {name} does not exist.")
    return archive


def _source(ctx: Context, text: str) -> Bus:
    arn = parsed(text)
    name = arn.resource.removeprefix("event-bus/")
    bus = find_bus(ctx, name)
    if bus is None or bus.arn != text:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    return bus


def _rule_key(bus: Bus, archive: Archive) -> Any:
    return rule_key(bus.account, bus.region, bus.name, f"Events-Archive-{archive.name}")


def _feed(ctx: Context, bus: Bus, archive: Archive) -> None:
    """Write the managed rule that feeds an archive."""
    pattern = msgspec.json.decode(archive.pattern) if archive.pattern is not None else {}
    rule = Rule(
        account=bus.account, region=bus.region, bus=bus.name, name=f"Events-Archive-{archive.name}",
        version=ctx.ids.hex(16), created=archive.created, managed_by=_MANAGED_BY, archive=archive.name,
        pattern=msgspec.json.encode({**pattern, "replay-name": [{"exists": False}]}).decode(),
    )  # fmt: skip
    ctx.tx.put(rule.key, rule)
    touch(ctx, bus)


def _shown(ctx: Context, archive: Archive) -> Json:
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": archive.source_arn,
        "State": "ENABLED",
        "RetentionDays": archive.retention_days,
        "SizeBytes": ctx.tx.counter(archive.counter("bytes")),
        "EventCount": ctx.tx.counter(archive.counter("events")),
        "CreationTime": archive.created,
    }
