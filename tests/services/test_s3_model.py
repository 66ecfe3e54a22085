"""S3's objects and versions against a model in plain dicts."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services import s3
from cumulet.testing.inprocess import InProcess

KEYS = ["a", "a/b", "a/b/c", "a/é", "b", "a\x00", "a/\U0010ffff", "a0"]


def steps_on(keys: list[str]) -> st.SearchStrategy[list[tuple[str, str, int]]]:
    """Writes to few keys, so that they meet."""
    key = st.sampled_from(keys)
    return st.lists(
        st.one_of(
            st.tuples(st.just("put"), key, st.integers(0, 3)),
            st.tuples(st.just("put"), key, st.integers(0, 3)),
            st.tuples(st.just("delete"), key, st.just(0)),
            st.tuples(st.just("purge"), key, st.integers(0, 4)),
            st.tuples(st.just("versioning"), st.sampled_from(["Enabled", "Suspended"]), st.just(0)),
        ),
        max_size=40,
    )


STEPS = st.one_of(st.sampled_from(KEYS).flatmap(lambda key: steps_on([key])), steps_on(KEYS))
NULL_BENEATH = [
    ("put", "a", 1),
    ("versioning", "Enabled", 0),
    ("put", "a", 2),
    ("versioning", "Suspended", 0),
    ("put", "a", 3),
]


class Model:
    """Key -> [(version, body or None for a marker)], newest first."""

    def __init__(self) -> None:
        self.keys: dict[str, list[tuple[str, bytes | None]]] = {}
        self.versioning = ""

    def add(self, key: str, version: str, body: bytes | None) -> None:
        kept = [each for each in self.keys.get(key, []) if each[0] != version]
        self.keys[key] = [(version, body), *kept]

    def purge(self, key: str, version: str) -> None:
        self.keys[key] = [each for each in self.keys.get(key, []) if each[0] != version]

    def live(self) -> list[str]:
        found = [key for key, versions in self.keys.items() if versions and versions[0][1] is not None]
        return sorted(found, key=str.encode)


async def _step(cloud: InProcess, model: Model, step: tuple[str, str, int]) -> None:
    kind, key, number = step
    name = {"Bucket": "model", "Key": key}
    if kind == "versioning":
        await cloud.call("s3", "PutBucketVersioning", {"Bucket": "model", "VersioningConfiguration": {"Status": key}})
        model.versioning = key
    elif kind == "put":
        body = bytes([number]) * number
        answer = await cloud.call("s3", "PutObject", {**name, "Body": body})
        assert ("VersionId" in answer) == bool(model.versioning)
        model.add(key, answer.get("VersionId", "null"), body)
    elif kind == "delete":
        answer = await cloud.call("s3", "DeleteObject", name)
        if model.versioning:
            model.add(key, answer["VersionId"], None)
        else:
            model.purge(key, "null")
    else:
        versions = model.keys.get(key, [])
        version = versions[number][0] if number < len(versions) else "null"
        await cloud.call("s3", "DeleteObject", {**name, "VersionId": version})
        model.purge(key, version)


async def _listed(cloud: InProcess, operation: str, member: str, **request: Any) -> list[str]:
    """All keys and common prefixes, one a page."""
    found: list[str] = []
    while True:
        page = await cloud.call("s3", operation, {"Bucket": "model", "MaxKeys": 1, **request})
        both = [each["Key"] for each in page.get(member, [])] + [
            each["Prefix"] for each in page.get("CommonPrefixes", [])
        ]
        found += sorted(both, key=str.encode)
        if not page["IsTruncated"]:
            return found
        request["ContinuationToken"] = page["NextContinuationToken"]


def _grouped(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    found: dict[str, None] = {}
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix))
            found[key if at < 0 else key[: at + 1]] = None
    return sorted(found, key=str.encode)


async def _check(cloud: InProcess, model: Model) -> None:
    assert await _listed(cloud, "ListObjectsV2", "Contents") == model.live()
    for prefix in ("", "a", "a/", "a/b"):
        assert await _listed(cloud, "ListObjectsV2", "Contents", Prefix=prefix, Delimiter="/") == _grouped(
            model.live(), prefix, "/"
        )
    for key, versions in model.keys.items():
        for version, body in versions:
            if body is not None:
                got = await cloud.call("s3", "GetObject", {"Bucket": "model", "Key": key, "VersionId": version})
                assert got["Body"] == body
        try:
            got = await cloud.call("s3", "GetObject", {"Bucket": "model", "Key": key})
            assert got["Body"] == versions[0][1]
        except AwsError as error:
            assert error.wire_code == "NoSuchKey" and key not in model.live()
    expected = [
        (key, version, i == 0)
        for key in sorted(model.keys, key=str.encode)
        for i, (version, _) in enumerate(model.keys[key])
    ]
    assert await _versions(cloud) == expected


async def _versions(cloud: InProcess) -> list[tuple[str, str, bool]]:
    found: list[tuple[str, str, bool]] = []
    request: dict[str, Any] = {"Bucket": "model", "MaxKeys": 1}
    while True:
        page = await cloud.call("s3", "ListObjectVersions", dict(request))
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            found.append((each["Key"], each["VersionId"], each["IsLatest"]))
        if not page["IsTruncated"]:
            return found
        request["KeyMarker"] = page["NextKeyMarker"]
        if "NextVersionIdMarker" in page:
            request["VersionIdMarker"] = page["NextVersionIdMarker"]


@settings(max_examples=80, deadline=None)
@given(STEPS)
@example(NULL_BENEATH)
def test_objects_and_versions_behave_as_the_model(steps: list[tuple[str, str, int]]) -> None:
    async def run() -> None:
        async with InProcess([s3.SERVICE]) as cloud:
            await cloud.call("s3", "CreateBucket", {"Bucket": "model"})
            model = Model()
            for step in steps:
                await _step(cloud, model, step)
            await _check(cloud, model)
            for key, versions in model.keys.items():
                for version, _ in versions:
                    await cloud.call("s3", "DeleteObject", {"Bucket": "model", "Key": key, "VersionId": version})
            left = [
                key
                for key, _ in cloud.store.rows.between(b"", b"\xff", None, False)
                if b"bytes" in key or b"current" in key
            ]
            assert left == []
            await cloud.call("s3", "DeleteBucket", {"Bucket": "model"})

    asyncio.run(run())
