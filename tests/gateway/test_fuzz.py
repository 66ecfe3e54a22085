"""Whatever a client sends, the server answers the next one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Reader, Running, echo

_PIECES = st.sampled_from([
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello", b"Connection: close\r\n", b"Upgrade: h2c\r\n",
    b"Connection: Upgrade\r\n", b"Content-Encoding: aws-chunked\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\x00\x00\x05\x01\x05\x00\x00\x00\x01\x82\x84\x86\x41\x00", b"HTTP/1.1 200 OK\r\n", b"x" * 70_000,
])  # fmt: skip
_INPUT = st.lists(st.one_of(_PIECES, st.binary(max_size=40)), max_size=12)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        server = Running(echo, Path(folder))
        yield server
        server.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=_INPUT)
def test_random_bytes_never_stop_the_server(running: Running, pieces: list[bytes]) -> None:
    with running.connect() as client, contextlib.suppress(ConnectionError):
        for piece in pieces:
            client.sendall(piece)
    with running.connect() as client:
        client.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
        assert Reader(client).answer()[2] == b"GET /alive \n"
