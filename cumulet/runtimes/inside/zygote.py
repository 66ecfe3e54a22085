"""The zygote: a single-threaded process with boto3 imported that forks execution environments on demand.

It runs no customer code, opens no client and no socket of its own, and does three things: fork, kill, tell who
ended. Crash safety: when the server ends (however), the control socket reads end-of-file; the zygote kills every
environment's process group and exits. When the zygote itself is killed, the kernel kills its children
(PR_SET_PDEATHSIG) and the server starts another one. It keeps nothing on disk, so no crash leaves anything behind.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback

from cumulet.runtimes.frames import CONTROL, EXITED, FORK, FORKED, KILL, UP
from cumulet.runtimes.inside import bootstrap, namespace, sdk


def main(control_fd: int, isolate: bool, runtime_dir: str, kept: list[str]) -> None:
    """Import, freeze, then serve the server's requests until it goes away."""
    gc.disable()
    bootstrap.add_site_builtins()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    namespace.adopt_orphans()
    isolated = isolate and namespace.private_root_works(runtime_dir)
    if isolated:
        namespace.enter_private_root(runtime_dir)
        runtime_dir = "/var/runtime"
    clean = frozenset(sys.modules)
    bare_kb = bootstrap.resident_kb()
    sys.path.append(runtime_dir)
    sdk.preload()
    home = bootstrap.Home(runtime_dir, isolated, tuple(kept), frozenset(sys.modules) - clean)
    gc.collect()
    gc.freeze()
    Zygote(control, home).serve(bare_kb)


class Zygote:
    """The fork server; `children` maps a process id to its environment's id."""

    def __init__(self, control: socket.socket, home: bootstrap.Home) -> None:
        self.control = control
        self.home = home
        self.children: dict[int, int] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self, bare_kb: int) -> None:
        """Answer control messages and report exits, until the server is gone."""
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._tell(UP, int(self.home.isolated), os.getpid(), bare_kb)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wake_read, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.wake_read:
                    os.read(self.wake_read, 4096)
                    self._reap()
                else:
                    self._command()

    def _command(self) -> None:
        try:
            data, ancillary, _, _ = self.control.recvmsg(CONTROL.size, socket.CMSG_SPACE(8))
        except ConnectionError:
            data = b""
        if not data:
            self._end()
        kind, ident, _, _ = CONTROL.unpack(data)
        if kind == FORK:
            descriptors = array.array("i")
            for _, _, content in ancillary:
                descriptors.frombytes(content)
            self._fork(ident, descriptors[0], descriptors[1])
        elif kind == KILL:
            for pid, child in self.children.items():
                if child == ident:
                    _kill(pid)

    def _fork(self, ident: int, channel: int, output: int) -> None:
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                namespace.die_with_parent(zygote)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.setsid()
                self.control.detach()
                bootstrap.become_blank(channel, output, self.home)
            except Exception:  # the edge of a process: say in the function's log why it cannot start
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(70)
        os.close(channel)
        os.close(output)
        self.children[pid] = ident
        self._tell(FORKED, ident, pid, 0)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ident = self.children.pop(pid, None)
            if ident is not None:
                _kill_group(pid)
                self._kill_strays()
                self._tell(EXITED, ident, status, usage.ru_maxrss)

    def _kill_strays(self) -> None:
        """Kill descendants of ended environments that had left their process group (they are ours now)."""
        with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as listing:
            for pid in map(int, listing.read().split()):
                if pid not in self.children:
                    _kill(pid)

    def _tell(self, kind: bytes, *numbers: int) -> None:
        try:
            self.control.send(CONTROL.pack(kind, *numbers))
        except OSError:
            self._end()

    def _end(self) -> None:
        for pid in self.children:
            _kill(pid)
        for pid in self.children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._kill_strays()
        os._exit(0)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _kill(pid: int) -> None:
    """Kill a child that is not reaped yet, which may not have made its group so far."""
    _kill_group(pid)
    os.kill(pid, signal.SIGKILL)
