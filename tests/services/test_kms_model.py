"""KMS's keys, aliases, states and rotation against a model in plain dicts."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services.kms import SERVICE
from cumulet.testing.inprocess import InProcess

DAY = 86_400
NAMES = ("alias/a", "alias/b")
KEY, NAME = st.integers(0, 3), st.sampled_from(NAMES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create")),
        st.tuples(st.sampled_from(["enable", "disable", "cancel", "turn"]), KEY),
        st.tuples(st.just("schedule"), KEY, st.sampled_from([7, 30])),
        st.tuples(st.sampled_from(["name", "rename"]), NAME, KEY),
        st.tuples(st.just("unname"), NAME),
        st.tuples(st.just("encrypt"), KEY),
        st.tuples(st.just("rotate"), KEY, st.sampled_from([90, 365])),
        st.tuples(st.just("later"), st.sampled_from([1, 8, 100])),
    ),
    max_size=40,
)


class Scene:
    """The cloud, and what it should be: keys by number, aliases, ciphertexts, rotations counted."""

    def __init__(self, cloud):
        self.cloud, self.now = cloud, 0
        self.ids, self.state, self.names, self.blobs, self.turns, self.gone_at, self.period, self.due = (
            [],
            {},
            {},
            [],
            {},
            {},
            {},
            {},
        )

    async def call(self, operation, **request):
        """The result, or the error's code."""
        try:
            return await self.cloud.call("kms", operation, request)
        except AwsError as error:
            return error.wire_code

    def id_of(self, key):
        return self.ids[key] if key < len(self.ids) else "00000000-0000-0000-0000-000000000000"

    def refusal(self, key, *, enabled=False):
        """Why an operation on a key is refused, or None."""
        state = self.state.get(key)
        if state is None:
            return "NotFoundException"
        if state == "PendingDeletion":
            return "KMSInvalidStateException"
        return "DisabledException" if enabled and state == "Disabled" else None

    async def create(self):
        if len(self.ids) < 4:
            key = len(self.ids)
            self.ids.append((await self.call("CreateKey"))["KeyMetadata"]["KeyId"])
            self.state[key], self.turns[key], self.period[key] = "Enabled", 0, 0

    async def set_state(self, key, operation, to):
        answer = await self.call(operation, KeyId=self.id_of(key))
        assert answer == (self.refusal(key) or {})
        if answer == {}:
            self.state[key] = to
            self.catch_up(key)

    def enable(self, key):
        return self.set_state(key, "EnableKey", "Enabled")

    def disable(self, key):
        return self.set_state(key, "DisableKey", "Disabled")

    async def schedule(self, key, days):
        answer = await self.call("ScheduleKeyDeletion", KeyId=self.id_of(key), PendingWindowInDays=days)
        if self.refusal(key):
            assert answer == self.refusal(key)
        else:
            self.state[key], self.gone_at[key] = "PendingDeletion", self.now + days

    async def cancel(self, key):
        answer = await self.call("CancelKeyDeletion", KeyId=self.id_of(key))
        if self.state.get(key) == "PendingDeletion":
            self.state[key] = "Disabled"
            del self.gone_at[key]
        else:
            assert answer == ("KMSInvalidStateException" if key in self.state else "NotFoundException")

    async def turn(self, key):
        answer = await self.call("RotateKeyOnDemand", KeyId=self.id_of(key))
        if self.refusal(key, enabled=True):
            assert answer == self.refusal(key, enabled=True)
        else:
            self.turns[key] += 1

    async def rotate(self, key, days):
        answer = await self.call("EnableKeyRotation", KeyId=self.id_of(key), RotationPeriodInDays=days)
        if self.refusal(key, enabled=True):
            assert answer == self.refusal(key, enabled=True)
        elif self.period[key] != days:
            self.period[key], self.due[key] = days, self.now + days

    def catch_up(self, key):
        while self.period[key] and self.state[key] == "Enabled" and self.due[key] <= self.now:
            self.turns[key] += 1
            self.due[key] = self.now + self.period[key]

    async def name(self, name, key):
        answer = await self.call("CreateAlias", AliasName=name, TargetKeyId=self.id_of(key))
        expected = self.refusal(key) or ("AlreadyExistsException" if name in self.names else {})
        assert answer == expected
        if answer == {}:
            self.names[name] = key

    async def rename(self, name, key):
        answer = await self.call("UpdateAlias", AliasName=name, TargetKeyId=self.id_of(key))
        assert answer == ("NotFoundException" if name not in self.names else self.refusal(key) or {})
        if answer == {}:
            self.names[name] = key

    async def unname(self, name):
        answer = await self.call("DeleteAlias", AliasName=name)
        assert answer == ({} if name in self.names else "NotFoundException")
        self.names.pop(name, None)

    async def encrypt(self, key):
        text = str(len(self.blobs)).encode()
        answer = await self.call("Encrypt", KeyId=self.id_of(key), Plaintext=text)
        if self.refusal(key, enabled=True):
            assert answer == self.refusal(key, enabled=True)
        else:
            self.blobs.append((key, answer["CiphertextBlob"], text))

    async def later(self, days):
        for _ in range(days):
            await self.cloud.advance(DAY)
            self.now += 1
            for key in list(self.state):
                if self.gone_at.get(key) == self.now:
                    del self.state[key], self.gone_at[key]
                    self.names = {name: to for name, to in self.names.items() if to != key}
                else:
                    self.catch_up(key)

    async def check(self):
        listed = {one["KeyId"] for one in (await self.call("ListKeys"))["Keys"]}
        assert listed == {self.ids[key] for key in self.state}
        aliases = {one["AliasName"]: one["TargetKeyId"] for one in (await self.call("ListAliases"))["Aliases"]}
        assert aliases == {name: self.ids[key] for name, key in self.names.items()}
        for key, state in self.state.items():
            shown = (await self.call("DescribeKey", KeyId=self.ids[key]))["KeyMetadata"]
            assert shown["KeyState"] == state
            rotations = await self.call("ListKeyRotations", KeyId=self.ids[key])
            assert len(rotations["Rotations"]) == self.turns[key]
        for key, blob, text in self.blobs:
            answer = await self.call("Decrypt", CiphertextBlob=blob)
            if key not in self.state:
                assert answer == "AccessDeniedException"
            else:
                assert answer == (self.refusal(key, enabled=True) or answer)
                assert isinstance(answer, str) or answer["Plaintext"] == text


async def drive(steps):
    async with InProcess([SERVICE], seed=1) as cloud:
        cloud.pipeline.volatile["kms.master"] = lambda: b"m" * 32
        scene = Scene(cloud)
        await scene.create()
        for step, *arguments in steps:
            await getattr(scene, step)(*arguments)
        await scene.check()


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_keys_do_what_the_model_says(steps):
    asyncio.run(drive(steps))
