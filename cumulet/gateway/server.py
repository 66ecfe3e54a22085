"""The HTTP server: listens, makes a connection's protocol, stops gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.gateway.http1 import Http1, http_date

Handler = Callable[[HttpRequest, Callable[[HttpResponse], None]], object]
_STOP_WITHIN_S = 5.0


class PortInUse(Exception):
    """Somebody listens there already; the message says who and what to do."""


class Connection(Protocol):
    def stop(self) -> None: ...


class Server:
    """Serves `handler(request, reply)`; it is called at once, in the loop, when a request is complete.

    `reply` is to be called once, at once or later. What the handler returns gets `cancelled = True` when the client leaves.
    """

    def __init__(self, handler: Handler, spool_dir: Path) -> None:
        self.handler = handler
        self.spool_dir = spool_dir
        self.connections: set[Connection] = set()
        self.stopping = False
        self.log = logging.getLogger("cumulet")
        self._date = (0, "")

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises: PortInUse."""
        self.loop = asyncio.get_running_loop()
        try:
            self._server = await self.loop.create_server(lambda: Http1(self), host, port, backlog=2048)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"Port {port} is in use by {_owner(port)}. Stop it, or start with --port {port + 1}.") from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def date_line(self) -> str:
        """The Date header, made once a second. Wall-clock time: SDKs correct their skew by it."""
        now = int(time.time())  # noqa: TID251 - the Date header is not the cloud's clock
        if self._date[0] != now:
            self._date = (now, f"date: {http_date(now)}\r\n")
        return self._date[1]

    async def stop(self) -> None:
        """Stop listening, finish what is being answered, close the rest."""
        self.stopping = True
        self._server.close()
        for connection in list(self.connections):
            connection.stop()
        deadline = self.loop.time() + _STOP_WITHIN_S
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            with contextlib.suppress(Exception):
                connection.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)


def _owner(port: int) -> str:
    """"pid 812 (name)" of the process that listens on a port, as far as /proc tells."""
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
