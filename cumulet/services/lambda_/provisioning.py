"""Keeping environments initialised: from a version's or an alias's setting to processes that stand ready.

The setting is a row; what stands ready is memory. The timer lambda.provision of a setting has them started when it changes (an effect,
then READY or FAILED in its settlement), and is parked otherwise. After a restart the parked timer runs again, finds
nothing in memory, and starts them anew; until then invocations run on demand. A setting that is gone ends them.
One effect at a time is under way for a setting: what it began for a setting that changed meanwhile ends when it settles, and the timer
looks again.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed, Wait
from cumulet.kernel.record import Record, replace
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_.errors import ResourceNotFoundException
from cumulet.services.lambda_.model import ROOT, Function, Version, function_key, provisioned_key
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.pools import Pool, PoolName, Runnable, beginnings, pools
from cumulet.services.lambda_.running import runnable_of, write_log

TIMER_NAME = "lambda.provision"


class Provisioned(Record):
    """The setting of one version or alias, and how far it is."""

    account: str
    region: str
    function: str
    qualifier: str
    requested: int
    serial: str
    modified: float
    status: str = "IN_PROGRESS"
    reason: str = ""
    allocated: int = 0

    @property
    def pool(self) -> PoolName:
        return (self.account, self.region, self.function, self.qualifier)


def row_key(pool: PoolName) -> Key:
    """Where the setting is stored."""
    return (ROOT, "provisioned", *pool)


def keep(ctx: Context, key: Key) -> Effect | Wait | None:
    """Timer lambda.provision: see that what is set stands ready."""
    where = (str(key[0]), str(key[1]), str(key[2]), str(key[3]))
    begun = beginnings(ctx).get(where)
    if begun is not None and not begun.failed:
        return None  # its settlement finds that the setting has changed
    config = ctx.tx.get(row_key(where), Provisioned)
    pool = pools(ctx).get(where)
    version = None
    if config is not None:
        try:
            version = Ref(*where).version(ctx)
        except ResourceNotFoundException:
            version = None
    if config is None or version is None:
        return _release(ctx, pool.runnable, where) if pool is not None else None
    fresh = pool is not None and pool.revision == version.revision and pool.serial == config.serial
    if pool is not None and fresh and config.status == "READY" and ctx.now < pool.runnable.until:
        return Wait(on=row_key(where), until=pool.runnable.until)
    if config.status == "FAILED":
        return None
    if pool is not None and pool.revision == version.revision and ctx.now < pool.runnable.until:
        runnable = pool.runnable
    else:
        runnable = runnable_of(ctx, version, where[3])
    return _provision(ctx, runnable, config, version)


def _provision(ctx: Context, runnable: Runnable, config: Provisioned, version: Version) -> Effect:
    def settle(after: Context, outcome: list[InvocationResult] | EffectFailed) -> Effect | None:
        beginnings(after).pop(config.pool, None)
        now = after.tx.get(row_key(config.pool), Provisioned)
        table = pools(after)
        before = table.get(config.pool)
        ours = before is not None and before.runnable is runnable
        if isinstance(outcome, list):
            for result in outcome:
                if result.log:
                    write_log(after, version, result)
        if now is None or now.serial != config.serial:  # it was changed meanwhile
            if not ours:
                return _release(after, runnable, config.pool)
            after.tx.wake(after.now, TIMER_NAME, config.pool)
            return None
        if isinstance(outcome, EffectFailed) or any(result.function_error for result in outcome):
            after.tx.put(row_key(config.pool), replace(now, status="FAILED", reason="FUNCTION_ERROR_INIT_FAILURE"))
            return _keep(after, runnable, before.count if before is not None and ours else 0, config.pool)
        table[config.pool] = Pool(runnable, version.revision, config.serial, config.requested)
        after.tx.put(row_key(config.pool), replace(now, status="READY", reason="", allocated=config.requested))
        if before is not None and not ours:
            return _release(after, before.runnable, config.pool)
        after.tx.wake(after.now, TIMER_NAME, config.pool)
        return None

    return _effect(ctx, runnable, config.requested, config.pool, settle)


def _release(ctx: Context, runnable: Runnable, pool: PoolName) -> Effect:
    """Nothing is kept of this any more; then the timer looks again."""
    return _keep(ctx, runnable, 0, pool)


def _keep(ctx: Context, runnable: Runnable, count: int, pool: PoolName) -> Effect:
    def settle(after: Context, outcome: object) -> None:
        beginnings(after).pop(pool, None)
        known = pools(after).get(pool)
        if known is not None and known.runnable is runnable and count == 0:
            del pools(after)[pool]
        after.tx.wake(after.now, TIMER_NAME, pool)

    return _effect(ctx, runnable, count, pool, settle)


def _effect(ctx: Context, runnable: Runnable, count: int, pool: PoolName, settle: object) -> Effect:
    now = ctx.now if ctx.pipeline.clock.virtual else None
    beginnings(ctx)[pool] = ctx.pipeline.store.fate
    return Effect("provision", (runnable.spec, runnable.code, runnable.layers, count, now), settle)  # type: ignore[arg-type]


def follow_alias(ctx: Context, where: Ref) -> None:
    """An alias points elsewhere now: its environments follow."""
    pool = (where.account, where.region, where.name, where.qualifier)
    config = ctx.tx.get(row_key(pool), Provisioned)
    if config is not None:
        ctx.tx.put(row_key(pool), replace(config, status="IN_PROGRESS", allocated=0, serial=ctx.ids.uuid()))
        ctx.tx.wake(ctx.now, TIMER_NAME, pool)


def forget(ctx: Context, where: Ref) -> None:
    """The version or alias is deleted, or its setting: end what stands ready."""
    pool = (where.account, where.region, where.name, where.qualifier)
    config = ctx.tx.get(row_key(pool), Provisioned)
    if config is None:
        return
    ctx.tx.delete(row_key(pool))
    ctx.tx.wake(ctx.now, TIMER_NAME, pool)
    function = ctx.tx.get(function_key(where.account, where.region, where.name), Function)
    if function is not None:
        ctx.tx.put(function.key, replace(function, provisioned=function.provisioned - config.requested))
        if function.reserved is None:
            ctx.tx.add(provisioned_key(where.account, where.region), -config.requested)
