"""A server in a thread of its own, around a handler that the test gives, and a client on bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.gateway.http1 import Connection
from cumulet.gateway.server import Handler, Limits, Server


class Running:
    """A server that runs in a thread."""

    def __init__(self, handler: Handler, folder: Path, loop_kind: str = "uvloop", **options: Any) -> None:
        self.folder = folder
        if loop_kind == "uvloop":
            import uvloop

            self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        else:
            self.loop = asyncio.new_event_loop()
        self.server = Server(handler, folder, **options)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port: int = self.run(self.server.start("127.0.0.1", 0))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def soon(self, function: Callable[..., Any], *args: Any) -> None:
        self.loop.call_soon_threadsafe(function, *args)

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def close(self) -> None:
        self.run(self.server.stop(1.0))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def echo(request: HttpRequest, reply: Callable[[HttpResponse], None]) -> None:
    """Answers with what it got."""
    head = f"{request.method} {request.path} {request.query}\n".encode()
    reply(HttpResponse(200, [("x-echo", "yes")], head + request.read_body()))


Start = Callable[..., Running]


@pytest.fixture(params=["uvloop", "stdlib"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """`start(handler)`: a running server, on both event loops."""
    with contextlib.ExitStack() as stack:

        def begin(handler: Handler = echo, **options: Any) -> Running:
            running = Running(handler, tmp_path, request.param, **options)
            stack.callback(running.close)
            return running

        yield begin


PATIENT = Limits(sweep_s=0.02)
"""For a server that is to be impatient later, when all is as the test wants it: `running.server.limits = QUICK`."""
QUICK = Limits(head_s=0.1, body_s=0.1, idle_s=0.1, stalled_s=0.1, sweep_s=0.02)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`received(size)`: waits until the server has read so many bytes."""
    parts: queue.SimpleQueue[int] = queue.SimpleQueue()
    receive = Connection.data_received

    def counted(connection: Connection, data: bytes) -> None:
        receive(connection, data)
        parts.put(len(data))

    def wait(size: int) -> None:
        while size > 0:
            size -= parts.get(timeout=60)

    monkeypatch.setattr(Connection, "data_received", counted)
    return wait


class Reader:
    """Reads HTTP/1.1 answers from a socket."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.buffer = b""

    def _fill(self) -> None:
        data = self.client.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._fill()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._fill()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def answer(self, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body)"""
        line, *rest = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (r.partition(": ") for r in rest)}
        status = int(line.split()[1])
        if head or status < 200 or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.until(b"\r\n")
            self.until(b"\r\n")
            return status, headers, body
        return status, headers, self.exactly(int(headers["content-length"]))

    def closed(self) -> bool:
        """Whether the server closes the connection without another byte."""
        try:
            return self.buffer == b"" and self.client.recv(1) == b""
        except ConnectionResetError:
            return True
