"""A server in a process of its own, for tests that kill it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cumulet.cli.client import read_state
from cumulet.testing import clients

_START_WITHIN_S = 120.0
_STOP_WITHIN_S = 60.0
_ADVANCED_WITHIN_S = 300.0
_PORTS = range(
    18000, 28000
)  # below those that systems give to outgoing connections, and not where engines look for theirs
_dice = random.SystemRandom()
_claims: deque[int] = deque(maxlen=64)  # descriptors, of the ports that were given out last


def free_port() -> int:
    """A port that nobody listens on, that no client is given while its server is down between a kill and a start, and that no other
    tests on this machine are given meanwhile: a datagram socket with its number says that it is taken.

    Raises: AssertionError.
    """
    for port in _dice.sample(_PORTS, 100):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        if len(_claims) == _claims.maxlen:
            os.close(_claims.popleft())
        _claims.append(claim.detach())  # until the process ends
        return port
    raise AssertionError(f"all of 100 ports from {_PORTS.start} to {_PORTS.stop} are taken")


class ServerProcess:
    """`cumulet up` on a data directory; its output is in `log`. `prefix` is a command that executes another (`nsenter ...`)."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> None:
        self.folder, self.port, self.prefix = folder, free_port(), tuple(prefix)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.options, self.environment = options, dict(environment or {})
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, crash_at: str | None = None) -> ServerProcess:
        """Start it and wait until it answers. Raises: AssertionError with its output.

        `crash_at` is a point of the kernel's faults and how often it is passed ("store.commit:30"): there it dies, which may
        be before it answers, if there is work that is due.
        """
        command = [
            *self.prefix,
            sys.executable,
            "-m",
            "cumulet.cli.main",
            "up",
            "--port",
            str(self.port),
            "--data",
            os.path.relpath(self.folder),  # as `cumulet up` has it without a setting: a folder seen from where one is
            *self.options,
        ]
        environment = {**os.environ, **self.environment, **({"CUMULET_CRASH_AT": crash_at} if crash_at else {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + _START_WITHIN_S
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                clients.opener().open(f"{self.endpoint}/_cumulet/health", timeout=5) as answer,
            ):
                if json.load(answer)["status"] == "running" and self._is_ours():
                    return self
            if self.process.poll() is not None:
                if crash_at:
                    return self
                raise AssertionError(f"the server ended:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.005)  # another process: there is nothing to wait on but its port
        raise AssertionError("the server does not answer")

    def _is_ours(self) -> bool:
        """Whether who answers is this server, and not another on the same port; `prefix` may hide what it wrote."""
        assert self.process is not None, "start() it first"
        state = read_state(self.folder)
        return bool(self.prefix) or (state is not None and state["pid"] == self.process.pid)

    def client(self, service: str) -> Any:
        """A boto3 client, made once per service; it goes on after the server was killed and started."""
        return clients.client(self.endpoint, service)

    def advance(self, seconds: float) -> None:
        """Move a virtual clock; answered when nothing is in flight any more.

        Raises: ValueError when it refuses; OSError or HTTPException when it dies.
        """
        body = json.dumps({"advance": seconds}).encode()
        request = urllib.request.Request(f"{self.endpoint}/_cumulet/clock", body)
        try:
            with clients.opener().open(request, timeout=_ADVANCED_WITHIN_S) as answer:
                json.load(answer)
        except urllib.error.HTTPError as refusal:
            if refusal.code >= 500:
                raise
            raise ValueError(json.load(refusal)["message"]) from None

    def ended(self) -> int:
        """Wait until it has ended by itself; its status. Raises: TimeoutExpired."""
        assert self.process is not None, "start() it first"
        return self.process.wait(_STOP_WITHIN_S)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None, "start() it first"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait. Raises: TimeoutExpired when it does not stop (it is killed then)."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
