"""Operations on event source mappings."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import (
    ResourceConflictException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from cumulet.services.lambda_.model import ROOT
from cumulet.services.lambda_.names import ref
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.sources import settings, shards, states
from cumulet.services.lambda_.sources.model import SETTLED, Mapping, Pair, mapping_key, pair_key, shown
from cumulet.services.lambda_.tagging import check_tags

_PAGE = 100

Json = dict[str, Any]


def create_event_source_mapping(ctx: Context, req: Json) -> Json:
    """Have a function invoked with what a queue or a stream holds: Creating, then Enabled or Disabled.

    Limits: BatchSize 1-10, for standard queues 10,000 with a window of 1-300 s, for streams 10,000; MaximumConcurrency 2-1000;
    5 filters; of streams ParallelizationFactor 1-10, TumblingWindowInSeconds 0-900, MaximumRecordAgeInSeconds 60-604,800,
    MaximumRetryAttempts 0-10,000 (both -1: until records expire).
    Raises: InvalidParameterValueException, ResourceConflictException (the pair is mapped already), NotImplementedOnCumulet.
    Source: Lambda API_CreateEventSourceMapping (read 2026-11).
    """
    kind, source = settings.source_of(ctx, req)
    settings.refuse_what_is_not_here(req, kind)
    function = settings.function_of(ctx, req["FunctionName"])
    mapping = Mapping(
        account=ctx.account, region=ctx.region, uuid=ctx.ids.uuid(), kind=kind, source_arn=source, function=function,
        state="Creating", modified=ctx.now, tags=check_tags({}, req.get("Tags", {})),
        **{"batch_size": settings.default_batch(kind), "enabled": True, **settings.changes(req, kind)},
    )  # fmt: skip
    settings.check(ctx, mapping)
    _claim(ctx, mapping)
    if mapping.stream and mapping.enabled:
        shards.start(ctx, mapping)
    states.begin(ctx, mapping)
    return shown(mapping)


def get_event_source_mapping(ctx: Context, req: Json) -> Json:
    """One mapping. Raises: ResourceNotFoundException. Source: Lambda API_GetEventSourceMapping (read 2026-11)."""
    return shown(_mapping(ctx, req["UUID"]))


def list_event_source_mappings(ctx: Context, req: Json) -> Json:
    """The mappings, of one source or function where one is given; at most 100 a page.

    Raises: InvalidParameterValueException (the marker). Source: Lambda API_ListEventSourceMappings (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).arn if "FunctionName" in req else None
    source = req.get("EventSourceArn")
    rows = ctx.tx.scan((ROOT, "source", ctx.account, ctx.region), Mapping, start=start_of(req))
    wanted = (
        (key, mapping)
        for key, mapping in rows
        if function in (None, mapping.function.arn) and source in (None, mapping.source_arn)
    )
    mappings, more = page(wanted, req, shown, _PAGE)
    return {"EventSourceMappings": mappings, **more}


def update_event_source_mapping(ctx: Context, req: Json) -> Json:
    """Change settings, the function, or whether it runs; batches that run already end as they began.

    An empty ScalingConfig, FilterCriteria, FunctionResponseTypes, MetricsConfig or DestinationConfig takes the setting away.
    Raises: ResourceNotFoundException, ResourceInUseException (an earlier change goes on), InvalidParameterValueException,
    ResourceConflictException, NotImplementedOnCumulet.
    Source: Lambda API_UpdateEventSourceMapping (read 2026-11).
    """
    before = _settled(ctx, req["UUID"], "update")
    settings.refuse_what_is_not_here(req, before.kind)
    changes = settings.changes(req, before.kind)
    if "FunctionName" in req:
        changes["function"] = settings.function_of(ctx, req["FunctionName"])
    mapping = replace(before, **changes)
    settings.check(ctx, mapping)
    if mapping.pair_key != before.pair_key:
        ctx.tx.delete(before.pair_key)
        _claim(ctx, mapping)
    if mapping.enabled == before.enabled:
        state = "Updating"
    else:
        state = "Enabling" if mapping.enabled else "Disabling"
    mapping = mapping.moved(ctx, state)
    states.begin(ctx, mapping)
    return shown(mapping)


def delete_event_source_mapping(ctx: Context, req: Json) -> Json:
    """Take a mapping away; batches that run already end as they began.

    Raises: ResourceNotFoundException, ResourceInUseException. Source: Lambda API_DeleteEventSourceMapping (read 2026-11).
    """
    mapping = _settled(ctx, req["UUID"], "delete").moved(ctx, "Deleting")
    ctx.tx.delete(mapping.pair_key)
    states.begin(ctx, mapping)
    return shown(mapping)


def _mapping(ctx: Context, uuid: str) -> Mapping:
    found = ctx.tx.get(mapping_key(ctx.account, ctx.region, uuid), Mapping)
    if found is None:
        raise ResourceNotFoundException(
            "The resource you requested does not exist.", hint="See aws lambda list-event-source-mappings."
        )
    return found


def _settled(ctx: Context, uuid: str, verb: str) -> Mapping:
    mapping = _mapping(ctx, uuid)
    if mapping.state not in SETTLED:
        raise ResourceInUseException(f"Cannot {verb} the event source mapping because it is in use.")
    return mapping


def _claim(ctx: Context, mapping: Mapping) -> None:
    """A source and a function have one mapping. Raises: ResourceConflictException."""
    other = ctx.tx.get(pair_key(mapping.source_arn, mapping.function), Pair)
    if other is not None:
        if mapping.stream:
            raise ResourceConflictException(
                f'The event source arn (" {mapping.source_arn} ") and function (" {mapping.function.name} ") '
                f"provided mapping already exists. Please update or delete the existing mapping with UUID {other.uuid}"
            )
        raise ResourceConflictException(
            f'An event source mapping with SQS arn (" {mapping.source_arn} ") and function (" {mapping.function.name} ") '
            f"already exists. Please update or delete the existing mapping with UUID {other.uuid}"
        )
    ctx.tx.put(mapping.pair_key, Pair(uuid=mapping.uuid))
