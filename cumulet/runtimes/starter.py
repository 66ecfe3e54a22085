"""How execution environments come into being: on Linux, forks of a zygote.

A starter for systems where fork is unsafe (macOS) or missing (Windows) implements the same four methods over a pool
of spare interpreters. The zygote is exec'd, never forked from the server, which has threads, sockets and an event
loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Protocol

from .frames import CONTROL, EXITED, FORK, FORKED, KILL, UP
from .inside.sdk import NAMES
from .model import RuntimeStartError

BOOT = """
import sys, types
for name, path in {"cumulet": sys.argv[1], "cumulet.runtimes": sys.argv[2]}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from cumulet.runtimes.inside import zygote
zygote.main(int(sys.argv[3]), sys.argv[4] == "isolate", sys.argv[5], sys.argv[6:])
"""


class Listener(Protocol):
    """Who is told what becomes of environments."""

    def forked(self, ident: int, pid: int) -> None: ...
    def exited(self, ident: int, status: int, max_rss_kb: int) -> None: ...
    def starter_up(self) -> None: ...
    def starter_gone(self, error: RuntimeStartError | None) -> None: ...


class Starter(Protocol):
    """Makes and ends the processes of execution environments."""

    isolated: bool
    bare_kb: int

    def start(self) -> None: ...
    def fork(self, ident: int, channel: int, output: int) -> None: ...
    def kill(self, ident: int) -> None: ...
    async def close(self) -> None: ...


class ZygoteStarter:
    """The server's side of one zygote. `fork` takes ownership of the descriptors it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scratch: Path, listener: Listener, isolate: bool) -> None:
        self.isolated = False
        self.bare_kb = 0
        self._isolate = isolate
        self._loop = loop
        self._listener = listener
        self._sdk_dir = scratch / "sdk"
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._up = False

    def start(self) -> None:
        """Start the zygote unless one runs; does not wait for it."""
        if self._control is not None:
            return
        if not self._sdk_dir.exists():
            link_sdk(self._sdk_dir)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = Path(__file__).resolve().parent
        places = dict.fromkeys([str(here), sys.base_prefix, sys.prefix, *_site_dirs()])
        arguments = (
            here.parent,
            here,
            theirs.fileno(),
            "isolate" if self._isolate else "plain",
            self._sdk_dir.resolve(),
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", BOOT, *map(str, arguments), *places],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        theirs.close()
        ours.setblocking(False)
        self._control = ours
        self._up = False
        self._loop.add_reader(ours.fileno(), self._on_control)

    def fork(self, ident: int, channel: int, output: int) -> None:
        """Have the zygote fork a blank that talks over these descriptors."""
        self.start()
        self._send(CONTROL.pack(FORK, ident, 0, 0), (channel, output))

    def kill(self, ident: int) -> None:
        """Have an environment's whole process group killed; `exited` follows."""
        self._send(CONTROL.pack(KILL, ident, 0, 0), ())

    async def close(self) -> None:
        """End the zygote and with it every environment, and wait until they are gone."""
        process = self._process
        self._disconnect()
        if process is not None:
            await self._loop.run_in_executor(None, process.wait)

    def _send(self, message: bytes, descriptors: tuple[int, ...]) -> None:
        self._unsent.append((message, descriptors))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        control = self._control
        while self._unsent and control is not None:
            message, descriptors = self._unsent[0]
            try:
                socket.send_fds(control, [message], list(descriptors)) if descriptors else control.send(message)
            except BlockingIOError:
                self._loop.add_writer(control.fileno(), self._flush)
                return
            except OSError:  # the zygote is gone: its end of the socket tells so
                pass
            self._unsent.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        if control is not None:
            self._loop.remove_writer(control.fileno())

    def _on_control(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(CONTROL.size)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone()
                return
            kind, ident, number, size = CONTROL.unpack(data)
            if kind == FORKED:
                self._listener.forked(ident, number)
            elif kind == EXITED:
                self._listener.exited(ident, number, size)
            elif kind == UP:
                self._up, self.isolated, self.bare_kb = True, bool(ident), size
                self._listener.starter_up()

    def _gone(self) -> None:
        process, was_up = self._process, self._up
        self._disconnect()
        status = process.wait() if process is not None else None  # it has closed its socket: it is ending
        error = None
        if not was_up:
            error = RuntimeStartError(
                f"The process that starts Python functions ended with status {status} before it was ready; its own "
                f"message is on the server's stderr. Check that `{sys.executable} -c 'import boto3'` works."
            )
        self._listener.starter_gone(error)

    def _disconnect(self) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._loop.remove_writer(self._control.fileno())
            self._control.close()
        self._control = self._process = None
        while self._unsent:
            for descriptor in self._unsent.popleft()[1]:
                os.close(descriptor)


def starter_for(loop: asyncio.AbstractEventLoop, scratch: Path, listener: Listener, isolate: bool = True) -> Starter:
    """The starter for this system."""
    if not sys.platform.startswith("linux"):
        raise RuntimeStartError(
            f"Functions run on Linux only so far, and this is {sys.platform}: "
            "run Cumulet in a Linux virtual machine or WSL 2."
        )
    return ZygoteStarter(loop, scratch, listener, isolate)


def link_sdk(folder: Path) -> None:
    """Make the folder of the runtime's own packages: Lambda's SDK, nothing else of this environment."""
    folder.mkdir(parents=True)
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if spec.submodule_search_locations else origin
        (folder / source.name).symlink_to(source)
        distribution = "python_dateutil" if name == "dateutil" else name
        for info in source.parent.glob(f"{distribution}-*.dist-info"):
            with contextlib.suppress(FileExistsError):
                (folder / info.name).symlink_to(info)


def _site_dirs() -> list[str]:
    spec = importlib.util.find_spec("boto3")
    return [str(Path(spec.origin).parent.parent)] if spec is not None and spec.origin is not None else []
