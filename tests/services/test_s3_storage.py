"""What S3 keeps on disk, and the arithmetic of its checksums."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.services import s3
from cumulet.services.s3 import checksums, conditions
from cumulet.testing.inprocess import InProcess

LARGE = os.urandom(100_000)


def blobs(folder: Path) -> int:
    return sum(1 for path in (folder / "blobs").rglob("*") if path.is_file())


def test_large_bodies_are_files_that_go_with_their_objects(tmp_path: Path) -> None:
    async def run() -> None:
        async with InProcess([s3.SERVICE], folder=tmp_path) as cloud:
            await cloud.call("s3", "CreateBucket", {"Bucket": "box"})
            put: dict[str, Any] = {"Bucket": "box", "Key": "k", "Body": LARGE}
            await cloud.call("s3", "PutObject", put)
            await cloud.call("s3", "PutObject", put)
            assert blobs(tmp_path) == 1
            await cloud.call("s3", "CopyObject", {"Bucket": "box", "Key": "copy", "CopySource": "box/k"})
            await cloud.call("s3", "DeleteObject", {"Bucket": "box", "Key": "k"})
            assert blobs(tmp_path) == 1
            body = (await cloud.call("s3", "GetObject", {"Bucket": "box", "Key": "copy"}))["Body"]
            assert body.path.read_bytes() == LARGE
            await cloud.call("s3", "DeleteObject", {"Bucket": "box", "Key": "copy"})
            assert blobs(tmp_path) == 0

    asyncio.run(run())


def test_an_aborted_or_forgotten_upload_leaves_no_bytes(tmp_path: Path) -> None:
    async def run() -> None:
        async with InProcess([s3.SERVICE], folder=tmp_path) as cloud:
            await cloud.call("s3", "CreateBucket", {"Bucket": "box"})
            for _ in range(2):
                made = await cloud.call("s3", "CreateMultipartUpload", {"Bucket": "box", "Key": "k"})
                name = {"Bucket": "box", "Key": "k", "UploadId": made["UploadId"]}
                for number in (1, 1, 2):
                    await cloud.call("s3", "UploadPart", {**name, "PartNumber": number, "Body": LARGE})
            assert blobs(tmp_path) == 4
            await cloud.call("s3", "AbortMultipartUpload", name)
            assert blobs(tmp_path) == 2
            await cloud.call("s3", "DeleteBucket", {"Bucket": "box"})
            assert blobs(tmp_path) == 0

    asyncio.run(run())


def test_objects_are_there_after_a_restart(tmp_path: Path) -> None:
    async def write() -> None:
        async with InProcess([s3.SERVICE], folder=tmp_path) as cloud:
            await cloud.call("s3", "CreateBucket", {"Bucket": "box"})
            await cloud.call("s3", "PutObject", {"Bucket": "box", "Key": "small", "Body": b"s"})
            await cloud.call("s3", "PutObject", {"Bucket": "box", "Key": "large", "Body": LARGE})

    async def read() -> None:
        async with InProcess([s3.SERVICE], folder=tmp_path) as cloud:
            assert (await cloud.call("s3", "GetObject", {"Bucket": "box", "Key": "small"}))["Body"] == b"s"
            assert (await cloud.call("s3", "GetObject", {"Bucket": "box", "Key": "large"}))[
                "Body"
            ].path.read_bytes() == LARGE

    asyncio.run(write())
    asyncio.run(read())


# Check values of the catalogue of parametrised CRC algorithms (reveng.sourceforge.io/crc-catalogue), for b"123456789".
@pytest.mark.parametrize(
    ("algorithm", "value"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_crcs_have_their_check_values(algorithm: str, value: str) -> None:
    expected = b64encode(bytes.fromhex(value)).decode()
    assert checksums.compute(algorithm, [b"1234", b"56789"]) == expected


@given(
    st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=6),
    st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]),
)
def test_the_whole_checksum_follows_from_those_of_the_parts(parts: list[bytes], algorithm: str) -> None:
    computed = [(checksums.compute(algorithm, [part]), len(part)) for part in parts]
    assert checksums.combined(algorithm, "FULL_OBJECT", computed) == checksums.compute(algorithm, parts)


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 40))
def test_a_range_is_what_slicing_gives(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    if first < size and first <= last:
        start, length = conditions.range_of(f"bytes={first}-{last}", size) or (0, 0)
        assert data[start : start + length] == data[first : last + 1]
    if last:
        start, length = conditions.range_of(f"bytes=-{last}", size) or (0, 0)
        assert data[start : start + length] == data[-last:]
