"""Restoring: a new table filled with what another one held at a moment, some thousand rows a step.

The job's record carries the cursor and is written with the rows of a step, so a crash repeats nothing. A step begins when
at most one earlier one is not on disk yet, so memory does not grow with the table.
"""

from __future__ import annotations

import math
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Wait
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.errors import TableAlreadyExistsException, ValidationException
from cumulet.services.dynamodb.layout import Layout, item_of, item_size
from cumulet.services.dynamodb.model import COUNTER, Index, Restored, Table, table_key
from cumulet.services.dynamodb.past import Moment, hold, release, rows_at, sweep
from cumulet.services.dynamodb.quotas import begin_job, end_job, keep
from cumulet.services.dynamodb.rows import put_item_row
from cumulet.services.dynamodb.schema import check_name, on_demand, throughput

Json = dict[str, Any]


class Restore(Record):
    """A restore under way; `source` is the record of the table it reads."""

    source: Table
    moment: Moment
    target: tuple[str, str, str]
    number: int
    cursor: bytes = b""


def _job_key(number: int) -> Key:
    return ("dynamodb", "restore", number)


def begin_restore(ctx: Context, req: Json, source: Table, moment: Moment, at: float, backup: str) -> Table:
    """The new table, whose items come by a timer. Raises: TableAlreadyExistsException, LimitExceededException,
    ValidationException.
    """
    name = req["TargetTableName"]
    check_name(name)
    if ctx.tx.get(table_key(ctx.account, ctx.region, name), Table) is not None:
        raise TableAlreadyExistsException(f"Table already exists: {name}")
    if req.get("SSESpecificationOverride", {}).get("Enabled") or req.get("VectorIndexOverride"):
        raise NotImplementedOnCumulet("dynamodb: SSESpecificationOverride is not implemented by Cumulet.")
    mode = req.get("BillingModeOverride", source.billing_mode)
    read, write = source.read_units, source.write_units
    if "ProvisionedThroughputOverride" in req or mode != source.billing_mode:
        read, write = throughput({"ProvisionedThroughput": req.get("ProvisionedThroughputOverride")}, mode)
    indexes = tuple(_index(ctx, index, mode) for index in _wanted(source, req))
    used = {source.pk, source.sk, *(each for index in indexes for each in (index.pk, index.sk))}
    most_read, most_write = source.max_read_units, source.max_write_units
    if "OnDemandThroughputOverride" in req:
        most_read, most_write = on_demand(req["OnDemandThroughputOverride"], mode)
    target = Table(
        name=name,
        account=ctx.account,
        region=ctx.region,
        table_id=ctx.ids.uuid(),
        number=ctx.tx.add(COUNTER),
        attributes={attribute: kind for attribute, kind in source.attributes.items() if attribute in used},
        pk=source.pk,
        sk=source.sk,
        created_at=ctx.now,
        billing_mode=mode,
        billed_since=ctx.now if mode == "PAY_PER_REQUEST" else 0.0,
        read_units=read,
        write_units=write,
        max_read_units=most_read if mode == "PAY_PER_REQUEST" else 0,
        max_write_units=most_write if mode == "PAY_PER_REQUEST" else 0,
        indexes=indexes,
        table_class=source.table_class,
        restored=Restored(
            table=source.arn, backup=f"{source.arn}/backup/{backup}" if backup else "", at=at, going_on=True
        ),
    )
    begin_job(ctx, "restore", ctx.account, ctx.region)
    keep(ctx, None, target)
    hold(ctx, source, "restore", target.number, moment, backup)
    job = Restore(source=source, moment=moment, target=(target.account, target.region, name), number=target.number)
    ctx.tx.put(_job_key(target.number), job)
    ctx.tx.wake(ctx.now, "dynamodb.restore", (target.number,))
    return target


def _wanted(source: Table, req: Json) -> list[Index]:
    """The source's indexes, or those of them that the overrides name. Raises: ValidationException."""
    out: list[Index] = []
    for local, member in ((True, "LocalSecondaryIndexOverride"), (False, "GlobalSecondaryIndexOverride")):
        there = {index.name: index for index in source.indexes if index.local == local and index.status != "DELETING"}
        names = [spec["IndexName"] for spec in req[member]] if member in req else list(there)
        missing = [name for name in names if name not in there]
        if missing:
            raise ValidationException(
                f"The indexes provided in {member} must match existing secondary indexes: {missing[0]}"
            )
        out += [there[name] for name in names]
    return out


def _index(ctx: Context, index: Index, mode: str) -> Index:
    provisioned = mode == "PROVISIONED" and not index.local
    return replace(
        index,
        number=ctx.tx.add(COUNTER),
        status="ACTIVE",
        backfilling=False,
        cursor=b"",
        read_units=(index.read_units or 1) if provisioned else 0,
        write_units=(index.write_units or 1) if provisioned else 0,
    )


def restore_step(ctx: Context, key: Key) -> Wait | None:
    """Timer: copy some rows; the key is (number of the new table,)."""
    number = key[0]
    assert isinstance(number, int)
    job = ctx.tx.get(_job_key(number), Restore)
    if job is None:
        return None
    if ctx.tx.depends == 2:  # the step before is not even being written
        return Wait(on=_job_key(number), until=math.inf)
    target = ctx.tx.get(table_key(*job.target), Table)
    if target is None or target.number != number:
        ctx.tx.delete(_job_key(number))
        release(ctx, job.source, "restore", number)
        end_job(ctx, "restore", *job.target[:2])
        return None
    rows, cursor = rows_at(ctx, job.source.number, job.moment, job.cursor)
    layout = Layout(target)
    plain = not layout.indexes and not layout.tracked
    for suffix, row in rows:
        if plain:
            ctx.tx.put(layout.prefix + suffix, row)
        else:
            put_item_row(ctx, layout, layout.prefix + suffix, item_of(row), item_size(row), None, None)
    if cursor is not None:
        ctx.tx.put(_job_key(number), replace(job, cursor=cursor))
        ctx.tx.wake(ctx.now, "dynamodb.restore", key)
        return None
    ctx.tx.delete(_job_key(number))
    assert target.restored is not None
    done = replace(target, status="ACTIVE", restored=replace(target.restored, going_on=False))
    keep(ctx, target, done)
    end_job(ctx, "restore", target.account, target.region)
    release(ctx, job.source, "restore", number)
    return None


def sweep_step(ctx: Context, key: Key) -> None:
    """Timer: remove some of what nobody needs; daily while point-in-time recovery is on."""
    account, region, name, number = key
    assert isinstance(number, int)
    table = ctx.tx.get(table_key(str(account), str(region), str(name)), Table)
    if table is not None and table.number != number:
        table = None
    if sweep(ctx, table, number) is not None:
        ctx.tx.wake(ctx.now, "dynamodb.sweep", key)
    elif table is not None and table.pitr_since > 0:
        ctx.tx.wake((ctx.now // 86400 + 1) * 86400, "dynamodb.sweep", key)
