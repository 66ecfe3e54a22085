"""The keeper: one durable timer for each DB instance that has its engine follow what the record says.

It looks at the record, has something done with the engine (an effect, which may be repeated), and looks again when that is
settled. With nothing to do it waits, parked. What a crash leaves:
- between a change of the record and the keeper's turn: the timer is a row; it fires at the next start;
- while an effect runs, or while the keeper is parked: its row is due at the next start. An engine that should run does not
  run then (no engine outlives the server), so it is started; until it accepts connections the instance is `starting`.
An outcome that comes after the record went on (its `epoch` says so) changes nothing: the next turn of the keeper is due.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cumulet.engines.model import PostgresSpec, Started
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed, Wait
from cumulet.kernel.record import replace
from cumulet.services.rds import parameters
from cumulet.services.rds.model import (
    NEXT,
    ROOT,
    Instance,
    Snapshot,
    instance_key,
    save,
    snapshot_key,
)
from cumulet.services.rds.shapes import RESTART_AFTER_S, running

FIRST_PORT, PORTS = 5432, 1000
_RETRY_MAX_S = 60.0
_PORT_TRIES = 5
_RUNNING = ("starting", "available", "rebooting", "modifying", "resetting-master-credentials", "backing-up")
Turn = Callable[[Context, Instance], Any]


def keep(ctx: Context, key: Key) -> Effect | Wait | None:
    """Timer: one turn for one DB instance."""
    instance = ctx.tx.get(instance_key(str(key[0]), str(key[1]), str(key[2])), Instance)
    if instance is None:
        return None
    work = _WORK.get(instance.status)
    return work(ctx, instance) if work is not None else None


def _idle(instance: Instance, until: float) -> Wait:
    return Wait(on=(ROOT, "idle", instance.resource_id), until=until)  # a key nobody writes: it is woken as a timer


def _spec(ctx: Context, instance: Instance, settings: dict[str, str]) -> PostgresSpec:
    names = dict.fromkeys(["postgres", *([instance.database] if instance.database is not None else [])])
    return PostgresSpec(
        ident=instance.resource_id,
        owner=(instance.account, instance.region, instance.id, instance.resource_id),
        port=instance.port,
        master=instance.master,
        verifier=instance.verifier,
        databases=tuple(names),
        settings=tuple(sorted(settings.items())),
    )


def _still(ctx: Context, instance: Instance) -> Instance | None:
    """The record, if nothing has happened to it since."""
    now = ctx.tx.get(instance.key, Instance)
    same = now is not None and now.resource_id == instance.resource_id and now.epoch == instance.epoch
    return now if same else None


# what is done in each status


def _create(ctx: Context, instance: Instance) -> Effect:
    if instance.port == 0:
        taken = frozenset(one.port for _, one in ctx.tx.scan((ROOT, "instance"), Instance))
        return Effect("postgres.port", (FIRST_PORT, PORTS, taken), lambda c, port: _port_chosen(c, instance, port))
    if instance.source is not None:
        arguments = (instance.source, instance.resource_id)
        return Effect("postgres.restore", arguments, lambda c, out: _restored(c, instance, out))
    return _start(ctx, instance)


def _port_chosen(ctx: Context, instance: Instance, port: Any) -> Effect | None:
    now = _still(ctx, instance)
    if now is None:
        return None
    if isinstance(port, EffectFailed):
        _failed(ctx, now, port)
        return None
    chosen = replace(now, port=port)
    ctx.tx.put(chosen.key, chosen)
    return _create(ctx, chosen)


def _restored(ctx: Context, instance: Instance, outcome: Any) -> Effect | None:
    now = _still(ctx, instance)
    if now is None:
        return None
    if isinstance(outcome, EffectFailed):
        _failed(ctx, now, outcome)
        return None
    return _start(ctx, now)


def _start(ctx: Context, instance: Instance) -> Effect:
    settings = parameters.settings(ctx, instance)
    again = instance.status == "rebooting" or (instance.status == "modifying" and settings != instance.applied)
    arguments = (_spec(ctx, instance, settings), again)
    return Effect("postgres.start", arguments, lambda c, out: _started(c, instance, settings, out))


def _started(ctx: Context, instance: Instance, settings: dict[str, str], outcome: Any) -> None:
    now = _still(ctx, instance)
    if now is None:
        return
    if isinstance(outcome, Started):
        event = "done" if now.status == "modifying" else "started"
        save(ctx, now.after(event, applied=settings, version=outcome.version, failures=0, message=""))
        _meter(ctx, now, "DatabaseConnections", 0.0, "Count")  # and from now on each minute
    else:
        _failed(ctx, now, outcome)


def _failed(ctx: Context, instance: Instance, failure: EffectFailed) -> None:
    """The engine does not start: give up a new instance, have an old one tried again and again."""
    if failure.code == "EnginesClosed":  # the server stops: the next one goes on
        save(ctx, instance)
        return
    if instance.status == "modifying":
        instance = instance.after("ended")
    failed = replace(instance, failures=instance.failures + 1, message=failure.message)
    if instance.status == "creating":
        if failure.code == "PortInUse" and not instance.port_given and failed.failures < _PORT_TRIES:
            save(ctx, replace(failed, port=0))
        else:
            save(ctx, failed.after("failed"))
    elif failure.code == "EngineFailed" and parameters.group_values(ctx, instance):
        save(ctx, failed.after("misconfigured"))
    else:
        later = failed.after("failed")
        ctx.tx.put(later.key, later)
        delay_s = min(2.0 ** min(later.failures - 1, 10), _RETRY_MAX_S)
        ctx.tx.wake(ctx.now + delay_s, "rds.keep", (later.account, later.region, later.id))


def _watch(ctx: Context, instance: Instance) -> Effect | Wait:
    """Available: the engine runs; nothing to do until a parameter, the maintenance window or a person says so."""
    if not running(ctx, instance):
        started = instance.after("ended")
        ctx.tx.put(started.key, started)
        return _start(ctx, started)
    if instance.pending_at is not None and ctx.now >= instance.pending_at:
        modified = apply_pending(instance)
        ctx.tx.put(modified.key, modified)
        return _start(ctx, modified)
    settings = parameters.live_settings(ctx, instance)
    if settings != instance.applied:
        arguments = (_spec(ctx, instance, settings), False)
        return Effect("postgres.change", arguments, lambda c, out: _changed(c, instance, settings, out))
    return _idle(instance, instance.pending_at if instance.pending_at is not None else math.inf)


def apply_pending(instance: Instance) -> Instance:
    """The instance with what waited for its maintenance window. A new class restarts the engine."""
    return instance.after(
        "modify",
        instance_class=instance.pending.get("DBInstanceClass", instance.instance_class),
        storage_gb=instance.pending.get("AllocatedStorage", instance.storage_gb),
        storage_type=instance.pending.get("StorageType", instance.storage_type),
        pending={},
        pending_at=None,
    )


def _changed(ctx: Context, instance: Instance, settings: dict[str, str], outcome: Any) -> None:
    now = _still(ctx, instance)
    if now is None:
        return
    if isinstance(outcome, EffectFailed):
        # it died meanwhile, and the next turn starts it; or it lives and refuses: then it is tried again in a while
        ctx.tx.wake(ctx.now + (1.0 if running(ctx, now) else 0.0), "rds.keep", (now.account, now.region, now.id))
        return
    save(ctx, replace(now, applied=settings))


def _reset_password(ctx: Context, instance: Instance) -> Effect:
    if not running(ctx, instance):
        arguments = (_spec(ctx, instance, parameters.settings(ctx, instance)), False)
        return Effect("postgres.start", arguments, lambda c, out: _ready_for_password(c, instance, out))
    arguments = (_spec(ctx, instance, instance.applied), True)
    return Effect("postgres.change", arguments, lambda c, out: _password_set(c, instance, out))


def _ready_for_password(ctx: Context, instance: Instance, outcome: Any) -> None:
    now = _still(ctx, instance)
    if now is not None:
        delay_s = 1.0 if isinstance(outcome, EffectFailed) else 0.0
        ctx.tx.wake(ctx.now + delay_s, "rds.keep", (now.account, now.region, now.id))


def _password_set(ctx: Context, instance: Instance, outcome: Any) -> None:
    now = _still(ctx, instance)
    if now is None:
        return
    if isinstance(outcome, EffectFailed):
        _ready_for_password(ctx, instance, outcome)
        return
    save(ctx, now.after("done", new_password=False))


def _stop(ctx: Context, instance: Instance) -> Effect:
    return Effect("postgres.stop", (instance.resource_id,), lambda c, out: _stopped(c, instance))


def _stopped(ctx: Context, instance: Instance) -> None:
    now = _still(ctx, instance)
    if now is not None:
        save(ctx, now.after("done", stopped_at=ctx.now))


def _rest(ctx: Context, instance: Instance) -> Effect | Wait:
    """Stopped: RDS starts it again after seven days."""
    assert instance.stopped_at is not None
    if ctx.now < instance.stopped_at + RESTART_AFTER_S:
        return _idle(instance, instance.stopped_at + RESTART_AFTER_S)
    started = instance.after("start", stopped_at=None)
    ctx.tx.put(started.key, started)
    return _start(ctx, started)


def _back_up(ctx: Context, instance: Instance) -> Effect:
    name = instance.making or instance.final_snapshot
    assert name is not None
    snapshot = ctx.tx.get(snapshot_key(instance.account, instance.region, name), Snapshot)
    assert snapshot is not None
    arguments = (instance.resource_id, snapshot.resource_id)
    return Effect("postgres.backup", arguments, lambda c, out: _backed_up(c, instance, snapshot, out))


def _backed_up(ctx: Context, instance: Instance, snapshot: Snapshot, outcome: Any) -> None:
    now = _still(ctx, instance)
    if now is None:
        return
    failed = isinstance(outcome, EffectFailed)
    if failed and (
        now.status == "deleting" or outcome.code == "EnginesClosed"
    ):  # nothing is deleted without its snapshot
        later = ctx.now + (0.0 if outcome.code == "EnginesClosed" else _RETRY_MAX_S)
        ctx.tx.put(now.key, replace(now, message=outcome.message))
        ctx.tx.wake(later, "rds.keep", (now.account, now.region, now.id))
        return
    ctx.tx.put(snapshot.key, replace(snapshot, status="failed" if failed else "available", created=ctx.now))
    save(ctx, now.after("done", making=None) if now.status == "backing-up" else replace(now, final_snapshot=None))


def _delete(ctx: Context, instance: Instance) -> Effect:
    if instance.final_snapshot is not None:
        return _back_up(ctx, instance)
    return Effect("postgres.remove", (instance.resource_id,), lambda c, out: _deleted(c, instance))


def _deleted(ctx: Context, instance: Instance) -> None:
    now = _still(ctx, instance)
    if now is not None:
        ctx.tx.delete(now.key)


_WORK: dict[str, Turn] = {
    "creating": _create,
    "starting": _start,
    "rebooting": _start,
    "available": _watch,
    "modifying": _start,
    "resetting-master-credentials": _reset_password,
    "backing-up": _back_up,
    "stopping": _stop,
    "stopped": _rest,
    "deleting": _delete,
}


def engine_ended(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal: an engine ended that nobody stopped; have it started again."""
    instance = ctx.tx.get(instance_key(ctx.account, ctx.region, req["DBInstanceIdentifier"]), Instance)
    if (
        instance is not None
        and instance.resource_id == req["DbiResourceId"]
        and (instance.status, "ended") in NEXT
        and instance.status == "available"
    ):
        save(ctx, instance.after("ended", message=f"The engine ended with status {req['Status']}."))
    return {}


def wanted(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal: the engines of all accounts that ran, or were about to, when the server ended; the keeper starts them again."""
    found = [one for _, one in ctx.tx.scan((ROOT, "instance"), Instance)]
    return {"DbiResourceIds": [one.resource_id for one in found if one.status in _RUNNING]}


# metrics


def gauges(ctx: Context) -> bool:
    """Have the running engines asked how they do; they are while there are any."""
    some = False
    for _, instance in ctx.tx.scan((ROOT, "instance"), Instance):
        if instance.status == "available" and running(ctx, instance):
            here = ctx.at(instance.account, instance.region)
            here.tx.wake(ctx.now, "rds.measure", (instance.account, instance.region, instance.id), fresh=True)
            some = True
    return some


def measure(ctx: Context, key: Key) -> Effect | None:
    """Timer: ask one engine for its metrics."""
    instance = ctx.tx.get(instance_key(str(key[0]), str(key[1]), str(key[2])), Instance)
    if instance is None or not running(ctx, instance):
        return None
    return Effect("postgres.measure", (instance.resource_id,), lambda c, out: _measured(c, instance, out))


def _measured(ctx: Context, instance: Instance, outcome: Any) -> None:
    if isinstance(outcome, EffectFailed):  # it went down meanwhile: this minute has no measurement, as on AWS
        return
    _meter(ctx, instance, "DatabaseConnections", outcome.connections, "Count")
    _meter(ctx, instance, "FreeStorageSpace", outcome.free_bytes, "Bytes")


def _meter(ctx: Context, instance: Instance, name: str, value: float, unit: str) -> None:
    ctx.at(instance.account, instance.region).meter("AWS/RDS", name, value, unit, DBInstanceIdentifier=instance.id)


def discard(ctx: Context, key: Key) -> Effect:
    """Timer: delete the files of a snapshot that is no more."""
    return Effect("postgres.remove", (str(key[0]),), lambda c, out: None)
