"""Secrets Manager's versions and labels against a model in plain dicts."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services import kms, secretsmanager
from cumulet.testing.inprocess import InProcess

DAY = 86_400
TOKENS = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
TOKEN, LABEL = st.sampled_from(TOKENS), st.sampled_from(["AWSCURRENT", "AWSPENDING", "mine"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"), TOKEN, st.sampled_from(["x", "y"]), st.none() | st.lists(LABEL, min_size=1, unique=True)
        ),
        st.tuples(st.just("put"), TOKEN, st.just("x"), st.none()),
        st.tuples(st.just("move"), LABEL, st.none() | TOKEN, st.none() | TOKEN),
        st.tuples(st.just("delete"), st.sampled_from([7, 30])),
        st.tuples(st.just("restore")),
        st.tuples(st.just("create")),
        st.tuples(st.just("later"), st.sampled_from([1, 8, 31])),
    ),
    max_size=30,
)


class Scene:
    """The cloud, and what it should be: values by version, versions by label, when the secret goes."""

    def __init__(self, cloud):
        self.cloud, self.day = cloud, 0
        self.values, self.labels, self.there, self.gone_on = {}, {}, True, None

    async def call(self, operation, **request):
        """The result, or the error's code."""
        try:
            return await self.cloud.call("secretsmanager", operation, {"SecretId": "s", **request})
        except AwsError as error:
            return error.wire_code

    def refusal(self):
        if not self.there:
            return "ResourceNotFoundException"
        return "InvalidRequestException" if self.gone_on is not None else None

    def attach(self, label, token):
        before = self.labels.get(label)
        if before == token:
            return
        if token is None:
            self.labels.pop(label, None)
        else:
            self.labels[label] = token
        if label == "AWSCURRENT" and before is not None:
            self.labels["AWSPREVIOUS"] = before

    async def create(self):
        answer = await self.call("CreateSecret", Name="s")
        if not self.there:
            assert answer["Name"] == "s"
            self.values, self.labels, self.there = {}, {}, True
        else:
            assert answer == ("InvalidRequestException" if self.gone_on is not None else "ResourceExistsException")

    async def put(self, token, value, labels):
        stages = {} if labels is None else {"VersionStages": labels}
        answer = await self.call("PutSecretValue", ClientRequestToken=token, SecretString=value, **stages)
        if self.refusal():
            assert answer == self.refusal()
        elif token in self.values:
            assert answer == "ResourceExistsException" if self.values[token] != value else answer["VersionId"] == token
        else:
            self.values[token] = value
            wanted = list(labels or ["AWSCURRENT"])
            if "AWSCURRENT" not in self.labels and "AWSCURRENT" not in wanted:
                wanted.append("AWSCURRENT")
            for label in wanted:
                self.attach(label, token)

    async def move(self, label, source, target):
        request = {
            name: value for name, value in (("RemoveFromVersionId", source), ("MoveToVersionId", target)) if value
        }
        answer = await self.call("UpdateSecretVersionStage", VersionStage=label, **request)
        holder = self.labels.get(label)
        if self.refusal():
            assert answer == self.refusal()
        elif any(value not in self.values for value in request.values()):
            assert answer == "ResourceNotFoundException"
        elif (
            not request
            or (target is None and label == "AWSCURRENT")
            or (source is None and holder not in (None, target))
            or (source is not None and holder != source)
        ):
            assert answer == "InvalidParameterException"
        else:
            assert answer["Name"] == "s"
            self.attach(label, target)

    async def delete(self, days):
        answer = await self.call("DeleteSecret", RecoveryWindowInDays=days)
        if self.refusal():
            assert answer == self.refusal()
        else:
            self.gone_on = self.day + days

    async def restore(self):
        answer = await self.call("RestoreSecret")
        assert (answer == "ResourceNotFoundException") != self.there
        self.gone_on = None

    async def later(self, days):
        await self.cloud.advance(days * DAY)
        self.day += days
        if self.gone_on is not None and self.gone_on <= self.day:
            self.there, self.gone_on = False, None

    async def check(self):
        shown = await self.call("DescribeSecret")
        if not self.there:
            assert shown == "ResourceNotFoundException"
            return
        found = {label: token for token, labels in shown.get("VersionIdsToStages", {}).items() for label in labels}
        assert found == self.labels
        for token, value in self.values.items():
            answer = await self.call("GetSecretValue", VersionId=token)
            assert answer == self.refusal() or answer["SecretString"] == value
        for label, token in self.labels.items():
            answer = await self.call("GetSecretValue", VersionStage=label)
            assert answer == self.refusal() or answer["VersionId"] == token


async def drive(steps):
    async with InProcess([kms.SERVICE, secretsmanager.SERVICE], seed=1) as cloud:
        cloud.pipeline.volatile["kms.master"] = lambda: b"m" * 32
        scene = Scene(cloud)
        await scene.call("CreateSecret", Name="s")
        for step, *arguments in steps:
            await getattr(scene, step)(*arguments)
            await scene.check()


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_versions_and_labels_are_as_the_model_says(steps):
    asyncio.run(drive(steps))
