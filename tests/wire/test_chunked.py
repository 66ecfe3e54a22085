"""The aws-chunked encoding, fed in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.wire import AwsChunked, MalformedChunk

SIGNED = (
    b"5;chunk-signature=aa11\r\nhello\r\n6;chunk-signature=bb22\r\n world\r\n0;chunk-signature=cc33\r\n"
    b"x-amz-checksum-crc32c:wdBDMA==\r\nx-amz-trailer-signature:dd44\r\n\r\n"
)


def test_signed_chunks_and_trailers_are_decoded() -> None:
    decoder = AwsChunked()
    assert decoder.feed(SIGNED) == b"hello world"
    assert decoder.done
    assert decoder.signatures == ["aa11", "bb22", "cc33"]
    assert decoder.trailers == {"x-amz-checksum-crc32c": "wdBDMA==", "x-amz-trailer-signature": "dd44"}


def test_unsigned_chunks_with_a_trailer_are_decoded() -> None:
    decoder = AwsChunked()
    assert decoder.feed(b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:abc=\r\n\r\n") == b"hello world"
    assert (decoder.done, decoder.trailers) == (True, {"x-amz-checksum-crc32": "abc="})


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_any_split_gives_the_same_bytes(chunks: list[bytes], sizes: list[int]) -> None:
    body = b"".join(f"{len(c):x};chunk-signature=00\r\n".encode() + c + b"\r\n" for c in chunks)
    body += b"0;chunk-signature=00\r\nx-amz-checksum-sha256:q\r\n\r\n"
    decoder, out, at, i = AwsChunked(), b"", 0, 0
    while at < len(body):
        size = sizes[i % len(sizes)]
        out += decoder.feed(body[at : at + size])
        at, i = at + size, i + 1
    decoder.finish()
    assert out == b"".join(chunks)
    assert decoder.done
    assert decoder.trailers == {"x-amz-checksum-sha256": "q"}


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n\r\nmore",
        b"1" * 17 + b"\r\n",
        b"f" * 9000,
        b"\xff\r\n",
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    decoder = AwsChunked()
    with pytest.raises(MalformedChunk):
        for i in range(0, len(body), 7):
            decoder.feed(body[i : i + 7])


@pytest.mark.parametrize("body", [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0"])
def test_a_body_that_ends_early_is_refused(body: bytes) -> None:
    decoder = AwsChunked()
    decoder.feed(body)
    with pytest.raises(MalformedChunk):
        decoder.finish()


def test_a_missing_last_empty_line_is_forgiven() -> None:
    decoder = AwsChunked()
    assert decoder.feed(b"1\r\na\r\n0\r\n") == b"a"
    decoder.finish()
    assert decoder.done
