"""A small load generator: keep-alive HTTP/1.1 connections that each send the next request when the last is answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

try:
    import uvloop
except ImportError:
    uvloop = None

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000"
)


Request = bytes | Generator[bytes, bytes | None, None]


@dataclass
class Outcome:
    """requests per second, and milliseconds."""

    rate: float
    median_ms: float
    p99_ms: float
    failed: int


def http(method: str, path: str, host: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode() + body


def json_call(service: str, target: str, host: str, body: object, version: str = "1.0") -> bytes:
    """One AWS JSON request as bytes."""
    return http(
        "POST",
        "/",
        host,
        {
            "Content-Type": f"application/x-amz-json-{version}",
            "X-Amz-Target": target,
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": AUTHORIZATION.format(service=service),
        },
        json.dumps(body).encode(),
    )


class Connection(asyncio.Protocol):
    """Sends requests one after another until the source ends. The source gives requests, or scripts: generators that yield requests
    and are sent their answers' bodies."""

    def __init__(
        self,
        source: Iterator[Request],
        times: list[float],
        failures: list[bytes],
        done: asyncio.Event,
        address: tuple[str, int],
    ) -> None:
        self.source, self.times, self.failures, self.done, self.address = source, times, failures, done, address
        self.buffer = b""
        self.leaving = False
        self.script: Generator[bytes, bytes | None, None] | None = None
        self.body: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        request = self.next_request()
        if request is None:
            self.transport.close()
            self.done.set()
            return
        self.began = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def next_request(self) -> bytes | None:
        """What comes next: the script's next request, for which it gets the answer before, or the source's."""
        while True:
            if self.script is not None:
                try:
                    return self.script.send(self.body)
                except StopIteration:
                    self.script = None
            following = next(self.source, None)
            if following is None or isinstance(following, bytes):
                return following
            self.script, self.body = following, None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            size = end + 4 + int(head[at + 15 :].split(b"\r", 1)[0])
        elif b"chunked" in head:  # the whole answer is there when the last chunk is
            last = self.buffer.find(b"\r\n0\r\n\r\n", end)
            size = last + 7 if last >= 0 else len(self.buffer) + 1
        else:  # the end of the connection is the end of the answer
            return
        if len(self.buffer) < size:
            return
        self.answered(head, size)
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            self.reconnect()
        else:
            self.send()

    def answered(self, head: bytes, size: int) -> None:
        self.times.append(time.perf_counter() - self.began)
        if self.script is not None:
            self.body = self.buffer[len(head) + 4 : size]
        if not head.split(b" ", 2)[1].startswith(b"2"):
            self.failures.append(self.buffer[:size][:400])
        self.buffer = self.buffer[size:]

    def reconnect(self) -> None:
        """The server closes after each answer: the next request goes over a new connection, whose making counts."""
        self.leaving = True
        self.transport.close()
        again = Connection(self.source, self.times, self.failures, self.done, self.address)
        self.task = asyncio.get_running_loop().create_task(again.open())

    async def open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *self.address)
        except OSError as error:
            self.failures.append(str(error).encode())
            self.done.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self.leaving or self.done.is_set():
            return
        end = self.buffer.find(b"\r\n\r\n")
        if end >= 0:
            self.answered(self.buffer[:end].lower(), len(self.buffer))
            self.reconnect()
            return
        self.failures.append(b"connection lost")
        self.done.set()


async def drive(
    host: str, port: int, requests: Iterator[Request], connections: int
) -> tuple[float, list[float], list[bytes]]:
    times: list[float] = []
    failures: list[bytes] = []
    done = [asyncio.Event() for _ in range(connections)]
    began = time.perf_counter()
    for event in done:
        await Connection(requests, times, failures, event, (host, port)).open()
    for event in done:
        await event.wait()
    return time.perf_counter() - began, times, failures


def measure(port: int, make: Callable[[int], Request], count: int, connections: int) -> Outcome:
    """Send `count` requests, the n-th made by `make(n)`, over `connections`."""
    numbers = itertools.count()
    source = (make(number) for number in itertools.takewhile(lambda number: number < count, numbers))
    runner = uvloop.run if uvloop else asyncio.run
    elapsed, times, failures = runner(drive("127.0.0.1", port, source, connections))
    if failures:
        print(f"    {len(failures)} failed, the first: {failures[0][:300]!r}", file=sys.stderr)
    times.sort()
    return Outcome(
        len(times) / elapsed,
        statistics.median(times) * 1e3 if times else 0.0,
        times[int(len(times) * 0.99)] * 1e3 if times else 0.0,
        len(failures),
    )
