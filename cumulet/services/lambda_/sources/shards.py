"""A mapping's shards, by the timer `lambda.shards`: which of its stream's shards are read, and when their children begin.

It is parked until the stream's shards change, or one of them was read to its end. A shard begins when its parent was read to its end
(or is unknown, because it expired), so that records of a key stay in order when shards split or roll over. With LATEST
reading begins behind the newest record of every open shard, at the moment in which the mapping is created (or first enabled);
shards that come later are read from their beginning. A shard whose mapping changes its ParallelizationFactor gets new
readers once all of its old ones have ended their batches; `Layout` remembers which records those had read.

What a crash leaves, and who repairs it: shards and readers begin in one commit with the timers that run them; before it the timer of
this module runs again at the start, and finds what is missing.
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Wait
from cumulet.services.lambda_.model import ROOT
from cumulet.services.lambda_.sources import feeds, gathering, readers, turns
from cumulet.services.lambda_.sources.model import Mapping, mapping_key
from cumulet.services.lambda_.sources.progress import (
    Layout,
    Reader,
    Shard,
    reader_key,
    shard_key,
    started_key,
    wake_reader,
    wake_shards,
)

Json = dict[str, Any]


def start(ctx: Context, mapping: Mapping) -> None:
    """Find the starting position, once. Raises: the stream's AwsErrors."""
    if ctx.tx.get_bytes(started_key(mapping.place)) is not None:
        return
    ctx.tx.put(started_key(mapping.place), b"")
    if mapping.position != "LATEST":
        return
    for shard in feeds.ask(ctx, mapping, "cumulet:Shards")["Shards"]:
        name = shard["ShardId"]
        if shard["Closed"]:
            ctx.tx.put(shard_key(mapping.place, name), Shard(factor=mapping.factor, done=True))
        else:
            newest = feeds.ask(ctx, mapping, "cumulet:Latest", ShardId=name)["SequenceNumber"]
            _begin(ctx, mapping, name, newest)


def listen(ctx: Context, mapping: Mapping) -> None:
    """Have the shards read from now on; who reads already looks at the mapping again."""
    try:
        start(ctx, mapping)
    except AwsError as error:
        if error.wire_code != feeds.GONE:
            raise
        return
    wake_shards(ctx, mapping.place)
    for key in _readers(ctx, mapping.place):
        wake_reader(ctx, key)


def forget(ctx: Context, mapping: Mapping) -> None:
    """The mapping is gone: its readers end, those whose function runs with their batch."""
    for key in _readers(ctx, mapping.place):
        gathering.forget(ctx, key)
        turns.wait_no_more(ctx, key)
        wake_reader(ctx, key)  # one that is parked ends
    ctx.tx.delete_all((ROOT, "source-reader", *mapping.place))
    ctx.tx.delete_all((ROOT, "source-shard", *mapping.place))
    ctx.tx.delete(started_key(mapping.place))
    wake_shards(ctx, mapping.place)


def follow(ctx: Context, place: Key) -> Wait | None:
    """Timer lambda.shards: begin what is to be read, forget what is gone, or wait for a change."""
    mapping = ctx.tx.get(mapping_key(*(str(part) for part in place)), Mapping)
    if mapping is None or not mapping.reads:
        return None
    try:
        listing = feeds.ask(ctx, mapping, "cumulet:Shards")
    except AwsError as error:
        if error.wire_code != feeds.GONE:
            raise
        return None  # the stream's ARN never comes back
    known = {str(key[-1]): shard for key, shard in ctx.tx.scan((ROOT, "source-shard", *place), Shard)}
    listed: dict[str, Json] = {shard["ShardId"]: shard for shard in listing["Shards"]}
    changed = False
    for name, shard in known.items():
        if not shard.done:
            known[name] = _looked_at(ctx, mapping, name, shard)
            changed = changed or known[name] != shard
        elif name not in listed:
            ctx.tx.delete(shard_key(place, name))
            changed = True
    for name, entry in listed.items():
        if name not in known and _parent_is_done(entry, listed, known):
            _begin(ctx, mapping, name, "")
            changed = True
    if changed:
        wake_shards(ctx, place)
        return None
    wait: Wait = listing["Wait"]
    return wait


def _parent_is_done(entry: Json, listed: dict[str, Json], known: dict[str, Shard]) -> bool:
    parent = entry.get("ParentShardId")
    if parent in known:
        return known[parent].done
    return parent not in listed


def _begin(ctx: Context, mapping: Mapping, name: str, checkpoint: str) -> None:
    ctx.tx.put(shard_key(mapping.place, name), Shard(factor=mapping.factor))
    for number in range(mapping.factor):
        key = (*mapping.place, name, number)
        ctx.tx.put(reader_key(key), Reader(checkpoint=checkpoint))
        wake_reader(ctx, key)


def _looked_at(ctx: Context, mapping: Mapping, name: str, shard: Shard) -> Shard:
    """Finish a shard whose readers are all done; give it as many readers as the mapping wants when none of them is busy."""
    keys = [(*mapping.place, name, number) for number in range(shard.factor)]
    found = [ctx.tx.get(reader_key(key), Reader) or Reader() for key in keys]
    if all(reader.done for reader in found):
        shard = Shard(factor=shard.factor, done=True)
        for key in keys:
            ctx.tx.delete(reader_key(key))
    elif shard.factor != mapping.factor and not any(
        reader.window is not None or readers.is_running(ctx, key) for key, reader in zip(keys, found, strict=True)
    ):
        checkpoints = tuple(reader.checkpoint for reader in found)
        lowest = min(checkpoints, key=lambda checkpoint: int(checkpoint or 0))
        read = Layout(factor=shard.factor, checkpoints=checkpoints)
        for key in keys:
            gathering.forget(ctx, key)
            ctx.tx.delete(reader_key(key))
        _begin(ctx, mapping, name, lowest)
        shard = Shard(factor=mapping.factor, earlier=(*_needed(shard.earlier, lowest), read))
    else:
        return shard
    ctx.tx.put(shard_key(mapping.place, name), shard)
    return shard


def _needed(earlier: tuple[Layout, ...], lowest: str) -> tuple[Layout, ...]:
    """The layouts that had read more than what all readers have read by now."""
    return tuple(layout for layout in earlier if any(int(each or 0) > int(lowest or 0) for each in layout.checkpoints))


def _readers(ctx: Context, place: Key) -> list[Key]:
    return [key[2:] for key in ctx.tx.scan_keys((ROOT, "source-reader", *place))]
