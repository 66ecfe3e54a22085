"""A child process that never outlives the server: started, waited for and ended in the event loop.

On Linux it gets a signal of its choice when the server dies, however that dies. Elsewhere a survivor is found at the next
start by what it left in its folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True)
class User:
    """Whom engines run as."""

    uid: int
    gid: int
    name: str


def engine_user() -> User | None:
    """Someone without rights when we are root, whom many engines refuse to run as; else None: ourselves."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd  # not there on Windows

    entry = pwd.getpwnam("nobody")
    return User(entry.pw_uid, entry.pw_gid, entry.pw_name)


class Child:
    """One running process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch()

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        user: User | None,
        environment: Mapping[str, str],
        last_signal: int = signal.SIGKILL,
        descriptors: Sequence[int] = (),
    ) -> Child:
        """Start a command, its output appended to `log`. `last_signal` is what it gets when the server dies.

        Call it in the event loop's own thread: the kernel ties the child to the thread that starts it.
        """
        uid, gid = (user.uid, user.gid) if user is not None else (-1, -1)
        arguments = [os.getpid(), int(last_signal), uid, gid]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", _LAUNCH, *map(str, arguments), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=dict(environment),
                pass_fds=tuple(descriptors),
                start_new_session=True,  # Ctrl-C at the server's terminal is not for it
            )
        return cls(process)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(self.pid)

            def ended() -> None:
                loop.remove_reader(descriptor)
                os.close(descriptor)
                self._finish(self._process.wait())

            loop.add_reader(descriptor, ended)
        else:
            waiting = loop.run_in_executor(None, self._process.wait)
            waiting.add_done_callback(lambda done: self._finish(done.result()))

    def _finish(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> int:
        """Its exit status, or minus the signal that ended it. Cancelling the waiter leaves the process alone."""
        return await asyncio.shield(self._ended)

    def send(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self, steps: Sequence[tuple[int, float]]) -> int:
        """Send one signal after the other, each with its time in seconds, until it ends; at last SIGKILL."""
        for number, patience_s in steps:
            self.send(number)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self.wait(), patience_s)
        self.send(signal.SIGKILL)
        return await self.wait()
