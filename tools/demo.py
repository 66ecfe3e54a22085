"""`make demo`: the Simple Web Service deployed, driven, killed in the middle of a burst of writes, and found whole."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import ModuleType

from cumulet.testing.deployment import Deployment

ROOT = Path(__file__).parents[1]
WRITERS = 16
KILL_AFTER_ACKNOWLEDGED = 400


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def load_pattern() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drive", ROOT / "patterns/01-simple-web-service/drive.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process on a data directory."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.endpoint = folder, port, f"http://127.0.0.1:{port}"

    def start(self) -> None:
        began = time.perf_counter()
        self.log = (self.folder.parent / "server.log").open("ab")
        command = [sys.executable, "-m", "cumulet.cli.main", "up", "--port", str(self.port), "--data", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        while True:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_cumulet/health", timeout=1) as answer:
                    assert answer.status == 200
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"the server ended:\n{(self.folder.parent / 'server.log').read_text()}") from None
                time.sleep(0.005)
        print(
            f"  up after {time.perf_counter() - began:.2f} s: {self.endpoint} (pid {self.process.pid}, data in {self.folder})"
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def cumulet(server: Server, *arguments: str) -> str:
    command = [sys.executable, "-m", "cumulet.cli.main", *arguments, "--endpoint-url", server.endpoint]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def burst(service: Deployment, server: Server) -> set[str]:
    """POST from many clients until enough is acknowledged, kill the server, and return what was acknowledged."""
    acknowledged: set[str] = set()
    enough, dead = threading.Event(), threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not dead.is_set():
            name = f"w{writer:02d}-{number:05d}"
            number += 1
            try:
                status, _ = service.request("POST", "/items", {"id": name, "text": "x" * 200})
            except (OSError, ValueError):
                return
            if status == 201:
                acknowledged.add(name)
                if len(acknowledged) >= KILL_AFTER_ACKNOWLEDGED:
                    enough.set()

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        if not enough.wait(120):
            dead.set()
            raise SystemExit(f"only {len(acknowledged)} writes were acknowledged within two minutes")
        server.kill()
        dead.set()
        concurrent.futures.wait(writers)
    return acknowledged


def main() -> int:
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
    os.environ.pop("AWS_ENDPOINT_URL", None)
    pattern = load_pattern()
    with tempfile.TemporaryDirectory(prefix="cumulet-demo-") as folder:
        server = Server(Path(folder) / "data", free_port())
        say("start")
        server.start()
        try:
            say("deploy patterns/01-simple-web-service/template.yaml")
            service = pattern.deploy(server.endpoint)

            say(f"drive it: {service.url}")
            pattern.drive(service)

            say("one request as a trace")
            service.request("POST", "/items", {"id": "traced"})
            roots = json.loads(urllib.request.urlopen(f"{server.endpoint}/_cumulet/trace?limit=50", timeout=10).read())[
                "traces"
            ]
            traced = next(root for root in roots if " POST " in root["name"] and "/items" in root["name"])
            print(cumulet(server, "trace", traced["trace_id"]).rstrip())

            say("the function's log")
            lines = cumulet(server, "logs", pattern.STACK, "-n", "4").rstrip()
            print(lines)
            assert "REPORT RequestId" in lines, "no REPORT line"

            say(f"a burst of POSTs from {WRITERS} clients, and SIGKILL in the middle of it")
            acknowledged = burst(service, server)
            print(f"  {len(acknowledged)} writes were acknowledged before the server died")

            say("start again on the same data directory")
            server.start()
            _, answer = service.request("GET", "/items")
            found = {item["id"] for item in answer["items"]}
            missing = acknowledged - found
            print(f"  {len(found)} items in the table; acknowledged and missing: {len(missing)}")
            if missing:
                raise SystemExit(f"LOST: {sorted(missing)[:10]}")
            pattern.drive(service)
        finally:
            server.stop()
    say("done: nothing acknowledged was lost, and no process is left")
    print("  keep one running: make up     call it: export AWS_ENDPOINT_URL=http://127.0.0.1:4566")
    return 0


if __name__ == "__main__":
    sys.exit(main())
