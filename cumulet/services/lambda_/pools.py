"""Environments that stand ready for a version or an alias, as this process knows them, and who runs in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cumulet.kernel.context import Context
from cumulet.kernel.store import Fate
from cumulet.runtimes.model import FunctionSpec
from cumulet.services.lambda_ import capacity, metering
from cumulet.services.lambda_.model import Function, Version
from cumulet.services.lambda_.names import Ref

Package = tuple[str, Path]
PoolName = tuple[str, str, str, str]  # account, region, function, qualifier


@dataclass(slots=True, frozen=True)
class Runnable:
    """A version as the performer gets it: the specification without folders, and the packages to extract."""

    spec: FunctionSpec
    code: Package
    layers: tuple[Package, ...]
    until: float  # when its credentials need renewal


@dataclass(slots=True)
class Pool:
    """Environments that stand ready. `revision` is the version's, `serial` the setting's."""

    runnable: Runnable
    revision: str
    serial: str
    count: int
    in_use: dict[str, Fate] = field(default_factory=dict)
    peak: int = 0  # the most in use at once in this minute


def pools(ctx: Context) -> dict[PoolName, Pool]:
    """What stands ready in this process."""
    found: dict[PoolName, Pool] | None = ctx.pipeline.volatile.get("lambda.pools")
    if found is None:
        found = ctx.pipeline.volatile["lambda.pools"] = {}
    return found


def beginnings(ctx: Context) -> dict[PoolName, Fate]:
    """Whose environments are being started or ended just now, and what became of the beginning."""
    found: dict[PoolName, Fate] | None = ctx.pipeline.volatile.get("lambda.provisioning")
    if found is None:
        found = ctx.pipeline.volatile["lambda.provisioning"] = {}
    return found


def pool_for(ctx: Context, function: Function, where: Ref, version: Version) -> Pool | None:
    """The environments for an invocation of `where` that runs `version`: the alias's own, or the version's."""
    if not function.provisioned:
        return None
    table = pools(ctx)
    for qualifier in (where.qualifier, version.label):
        pool = table.get((where.account, where.region, where.name, qualifier))
        if pool is not None and pool.revision == version.revision:
            return pool
    return None


def has_room(ctx: Context, where: Ref, pool: Pool) -> bool:
    """Whether one of them is free. Those whose beginning was never written count no more."""
    if len(pool.in_use) >= pool.count:
        for request_id in [each for each, begun in pool.in_use.items() if begun.failed]:
            give_back(ctx, (where.account, where.region, where.name), pool, request_id)
    return len(pool.in_use) < pool.count


def use(ctx: Context, where: Ref, pool: Pool, request_id: str | None) -> None:
    """An invocation runs in one of them; None: all were in use, and it runs on demand."""
    if request_id is None:
        metering.count(ctx, where, "ProvisionedConcurrencySpilloverInvocations", 1.0)
        return
    metering.count(ctx, where, "ProvisionedConcurrencyInvocations", 1.0)
    pool.in_use[request_id] = ctx.pipeline.store.fate
    pool.peak = max(pool.peak, len(pool.in_use))
    capacity.pooled_by_function(ctx)[where.account, where.region, where.name] += 1


def give_back(ctx: Context, slot: capacity.Slot, pool: Pool, request_id: str) -> None:
    """The invocation has ended."""
    if pool.in_use.pop(request_id, None) is not None:
        capacity.pooled_by_function(ctx)[slot] -= 1


def gauges(ctx: Context) -> bool:
    """The gauges of a minute: concurrency, and how much of what is provisioned is used. More while something runs."""
    table = capacity.running(ctx)
    for (account, region), most in table.account_peaks.items():
        here = ctx.at(account, region)
        here.meter(metering.NAMESPACE, "ConcurrentExecutions", float(most), "Count")
    unreserved: dict[tuple[str, str], int] = {}
    for slot, most in table.peaks.items():
        ctx.at(*slot[:2]).meter(metering.NAMESPACE, "ConcurrentExecutions", float(most), "Count", FunctionName=slot[2])
        function = ctx.tx.get(("lambda", "function", *slot), Function)
        if function is not None and function.reserved is None:
            unreserved[slot[:2]] = unreserved.get(slot[:2], 0) + most
    for (account, region), most in unreserved.items():
        peak = float(min(most, table.account_peaks[account, region]))
        ctx.at(account, region).meter(metering.NAMESPACE, "UnreservedConcurrentExecutions", peak, "Count")
    for (account, region, name, qualifier), pool in pools(ctx).items():
        if pool.peak:
            where = Ref(account, region, name, qualifier)
            metering.count(ctx, where, "ProvisionedConcurrentExecutions", float(pool.peak))
            metering.count(ctx, where, "ProvisionedConcurrencyUtilization", pool.peak / pool.count)
        pool.peak = len(pool.in_use)
    table.peaks.clear()
    table.account_peaks.clear()
    for slot, own in table.by_function.items():
        table.peaks[slot] = len(own)
        table.account_peaks[slot[:2]] += len(own)
    return bool(table.peaks)
