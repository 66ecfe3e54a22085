"""The HTTP server: listens, keeps the connections, sweeps stuck ones, stops gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.gateway.http1 import Connection
from cumulet.kernel.blobs import not_written

log = logging.getLogger("cumulet")

Reply = Callable[[HttpResponse], None]
Handler = Callable[[HttpRequest, Reply], object]
Screen = Callable[[HttpRequest], HttpResponse | None]
_INTERNAL = "We encountered an internal error. Please try again."


@dataclass(frozen=True)
class Limits:
    """Seconds after which a connection is given up."""

    head_s: float = 30.0  # a request's head must arrive within
    body_s: float = 60.0  # silence inside a body
    idle_s: float = 600.0  # nothing under way
    stalled_s: float = 300.0  # an answer that is not read
    sweep_s: float = 5.0  # how often this is looked at


class CannotListen(Exception):
    """Nobody can listen there, or somebody does already; the message says why and what to do."""


class Server:
    """Serves `handler(request, reply)`; it is called at once, in the loop, when a request is complete.

    handler    calls `reply` once, at once or later; what it returns gets `cancelled = True` when the client leaves
    spool_dir  where bodies over 64 KiB are written
    screen     asked, before a client that waits for "100 Continue" sends its body, for a reason to refuse it
    """

    def __init__(
        self,
        handler: Handler,
        spool_dir: Path,
        *,
        screen: Screen = lambda request: None,
        limits: Limits | None = None,
    ) -> None:
        self.handler = handler
        self.spool_dir = spool_dir
        self.screen = screen
        self.limits = limits or Limits()
        self.connections: set[Connection] = set()
        self.loop: asyncio.AbstractEventLoop
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_at = 0.0
        self._empty: asyncio.Event | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 4566) -> int:
        """Listen; returns the port. Raises: CannotListen."""
        self.loop = asyncio.get_running_loop()
        try:
            self._listener = await self.loop.create_server(lambda: Connection(self), host, port, backlog=2048)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Port {port} is in use by {_owner(port)}. Stop it, or start with --port {port + 1}."
            else:
                why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
                message = f"Cannot listen on {host}, port {port}: {why}. Choose others with --host and --port."
            raise CannotListen(message) from error
        self._sweep_later()
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Accept nothing more, let the requests under way end, close what is idle."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._listener is not None:
            self._listener.close()
        self._empty = asyncio.Event()
        for connection in list(self.connections):
            connection.stop()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self._empty is not None and not self.connections:
            self._empty.set()

    def dispatch(self, request: HttpRequest, reply: Reply) -> object:
        """Call the handler; what it does not catch is a 500."""
        try:
            return self.handler(request, reply)
        except Exception:
            log.exception("the handler failed on %s %s", request.method, request.path)
            reply(self.refuse(500, "InternalError", _INTERNAL))
            return None

    def refuse(self, status: int, code: str, message: str) -> HttpResponse:
        """An answer of the front itself, where no service could be asked."""
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode()
        return HttpResponse(status, [("Content-Type", "application/xml")], body)

    def not_stored(self, failure: Exception) -> HttpResponse:
        """The answer to a body that the disk would not take."""
        log.error("a request body could not be stored: %s", failure)
        why = failure.strerror if isinstance(failure, OSError) else failure
        return self.refuse(500, "InternalError", not_written(f"the request's body: {why}"))

    def _sweep_later(self) -> None:
        self._sweep_at = self.loop.time() + self.limits.sweep_s
        self._sweeper = self.loop.call_later(self.limits.sweep_s, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        stood_still = now >= self._sweep_at + self.limits.sweep_s  # what has come meanwhile is still to be read
        for connection in () if stood_still else list(self.connections):
            connection.sweep(now)
        self._sweep_later()


def _owner(port: int) -> str:
    """ "pid 812 (name)" of the process that listens on a port, as far as /proc tells."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    with contextlib.suppress(OSError):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    for descriptor in (process / "fd").iterdir():
                        if str(descriptor.readlink()) in inodes:
                            return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return "another process"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    if host == "localhost":
        return True
    with contextlib.suppress(OSError):
        return socket.inet_aton(host)[0] == 127
    return host == "::1"
