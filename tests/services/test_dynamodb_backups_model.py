"""Backups and recovery against a model that copies the whole table whenever something is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.kernel.keys import after_prefix, pack
from cumulet.kernel.tx import TimerScope
from cumulet.services.dynamodb import SERVICE
from cumulet.testing.inprocess import InProcess

KEYS = st.sampled_from(["a", "b", "c\x00", "d"])
ACTIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 9)),
    st.tuples(st.just("put"), KEYS, st.integers(0, 9)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("backup")),
    st.tuples(st.just("drop"), st.integers(0, 3)),
    st.tuples(st.just("recovery"), st.booleans()),
    st.tuples(st.just("advance"), st.sampled_from([0.25, 1.0, 3600.0, 90000.0])),
    st.tuples(st.just("restore"), st.integers(0, 3)),
    st.tuples(st.just("rewind"), st.integers(0, 5)),
)


class Checked:
    def __init__(self, cloud: InProcess) -> None:
        self.cloud = cloud
        self.items: dict[str, int] = {}
        self.backups: list[tuple[str, dict[str, int]]] = []
        self.history: list[tuple[float, dict[str, int]]] = []
        self.recovering = False
        self.made = 0

    async def call(self, operation: str, **req: Any) -> Any:
        return msgspec.json.decode(
            msgspec.json.encode(await self.cloud.call("dynamodb", operation, {"TableName": "mod", **req}))
        )

    def note(self) -> None:
        now = self.cloud.clock.now()
        if self.recovering:
            self.history = [entry for entry in self.history if entry[0] != now] + [(now, dict(self.items))]

    async def put(self, k: str, n: int) -> None:
        await self.call("PutItem", Item={"k": {"S": k}, "n": {"N": str(n)}})
        self.items[k] = n
        self.note()

    async def delete(self, k: str) -> None:
        await self.call("DeleteItem", Key={"k": {"S": k}})
        self.items.pop(k, None)
        self.note()

    async def backup(self) -> None:
        answer = await self.call("CreateBackup", BackupName="abc")
        self.backups.append((answer["BackupDetails"]["BackupArn"], dict(self.items)))
        await self.cloud.quiet()

    async def drop(self, at: int) -> None:
        if at < len(self.backups):
            await self.call("DeleteBackup", BackupArn=self.backups.pop(at)[0])

    async def recovery(self, on: bool) -> None:
        spec = {"PointInTimeRecoveryEnabled": on, **({"RecoveryPeriodInDays": 1} if on else {})}
        await self.call("UpdateContinuousBackups", PointInTimeRecoverySpecification=spec)
        if on and not self.recovering:
            self.history = []
        self.recovering = on
        self.note()

    async def advance(self, seconds: float) -> None:
        await self.cloud.advance(seconds)
        self.note()

    async def compare(self, expected: dict[str, int], operation: str, **req: Any) -> None:
        self.made += 1
        name = f"again{self.made}"
        await self.call(operation, TargetTableName=name, **req)
        await self.put("a", 5)  # while it is restored
        await self.cloud.quiet()
        items = (await self.call("Scan", TableName=name))["Items"]
        assert {item["k"]["S"]: int(item["n"]["N"]) for item in items} == expected

    async def restore(self, at: int) -> None:
        if at < len(self.backups):
            arn, items = self.backups[at]
            await self.compare(items, "RestoreTableFromBackup", BackupArn=arn)

    async def rewind(self, back: int) -> None:
        known = [entry for entry in self.history if entry[0] >= self.cloud.clock.now() - 86400]
        if self.recovering and back < len(known):
            at, items = known[-1 - back]
            await self.compare(items, "RestoreTableToPointInTime", SourceTableName="mod", RestoreDateTime=at)

    async def end(self) -> None:
        """Without backups and recovery nothing is kept but the items."""
        for arn, _ in self.backups:
            await self.call("DeleteBackup", BackupArn=arn)
        await self.recovery(False)
        await self.cloud.quiet()
        tx = self.cloud.store.begin(TimerScope(account="", region=""))
        for kind in ("past", "holder", "sweep", "restore"):
            low = pack(("dynamodb", kind))
            assert list(tx.scan_bytes(low, after_prefix(low))) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_every_kept_moment_is_what_a_copy_would_hold(actions: list[Any]) -> None:
    async def run() -> None:
        async with InProcess([SERVICE], seed=1) as cloud:
            checked = Checked(cloud)
            await checked.call(
                "CreateTable",
                TableName="mod",
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            )
            await cloud.quiet()
            for name, *args in actions:
                await getattr(checked, name)(*args)
            await checked.end()

    asyncio.run(run())
