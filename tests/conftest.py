"""Fixtures for tests that need servers in processes of their own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServerProcess:
    """`cumulet up` in a process of its own."""

    def __init__(self, folder, *options, environment=None):
        self.folder, self.port = folder, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.options, self.environment = options, environment or {}
        self.log = folder.parent / f"{folder.name}.log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cumulet.cli.main", "up", "--port", str(self.port), "--data", str(self.folder), *self.options],
                stdout=log, stderr=log, env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.endpoint}/_cumulet/health", timeout=5) as answer:
                if json.load(answer)["status"] == "running":
                    return self
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.005)  # a process in another world: there is nothing to wait on but the port
        raise AssertionError("the server does not answer")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


@pytest.fixture
def server_process(tmp_path):
    """Makes server processes; what still runs at the end of the test is stopped."""
    made = []

    def make(*options, environment=None, name="data"):
        server = ServerProcess(tmp_path / name, *options, environment=environment)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()
