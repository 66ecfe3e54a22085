"""Event invocations executed per second, end to end: `python bench/events.py [N]`.

A server in a process of its own on a data directory (every event is synced before its 202), a trivial Python function, 32
connections that send Event invocations. Each execution tells the bench its event's number over a connection that its
environment keeps, so that the time is from the first request to the last execution, and none is counted twice.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import boto3
from load import AUTHORIZATION, drive, http, uvloop

from cumulet.testing.process import ServerProcess

CONNECTIONS = 32
CODE = """
import socket
told = socket.create_connection(('127.0.0.1', {port}))
def handler(event, context):
    told.sendall(event['n'].to_bytes(4, 'big'))
"""


def package(port: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), CODE.format(port=port))
    return sink.getvalue()


def event(host: str, n: int) -> bytes:
    headers = {
        "X-Amz-Invocation-Type": "Event",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION.format(service="lambda"),
    }
    return http("POST", "/2015-03-31/functions/f/invocations", host, headers, b'{"n": %d}' % n)


class Told(asyncio.Protocol):
    """One environment's connection: the numbers of the events that it ran."""

    def __init__(self, executed: dict[int, int], count: int, everything: asyncio.Event) -> None:
        self.executed, self.count, self.everything, self.rest = executed, count, everything, b""

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        whole = len(data) // 4 * 4
        self.rest = data[whole:]
        for at in range(0, whole, 4):
            n = int.from_bytes(data[at : at + 4], "big")
            self.executed[n] = self.executed.get(n, 0) + 1
        if len(self.executed) == self.count:
            self.everything.set()


def cpu_s(server: ServerProcess) -> float:
    """What the server's own process has used of the processor; says more than the rate where others use the machine too."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(server: ServerProcess, count: int) -> tuple[float, float, float, float]:
    """(accepted a second, executed a second, times each ran, the server's microseconds for each)."""
    executed: dict[int, int] = {}
    everything = asyncio.Event()

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Told(executed, count, everything), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    client = boto3.client("lambda", endpoint_url=server.endpoint, region_name="us-east-1")
    create = {"FunctionName": "f", "Runtime": "python3.12", "Handler": "index.handler", "Code": {"ZipFile": package(port)},
              "Role": "arn:aws:iam::000000000000:role/r"}  # fmt: skip
    await asyncio.to_thread(lambda: client.create_function(**create))
    host = f"127.0.0.1:{server.port}"
    source = (event(host, n) for n in itertools.islice(itertools.count(), count))
    began, used = time.perf_counter(), cpu_s(server)
    elapsed, _, failures = await drive("127.0.0.1", server.port, source, CONNECTIONS)
    assert not failures, failures[0]
    await asyncio.wait_for(everything.wait(), 120)
    total, used = time.perf_counter() - began, cpu_s(server) - used
    await asyncio.to_thread(lambda: client.delete_function(FunctionName="f"))
    listener.close()
    return count / elapsed, count / total, sum(executed.values()) / count, used / count * 1e6


def main(count: int, rounds: int) -> None:
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    runner = uvloop.run if uvloop else asyncio.run
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-", dir=os.environ.get("BENCH_DIR")) as folder:
        server = ServerProcess(Path(folder) / "data").start()
        try:
            runner(run(server, 500))
            results = [runner(run(server, count)) for _ in range(rounds)]
        finally:
            server.stop()
    for accepted, executed, times, used in results:
        print(
            f"accepted {accepted:6.0f}/s  executed {executed:6.0f}/s  runs of each {times:.3f}  server {used:4.0f} us each"
        )
    print(f"median executed {statistics.median(result[1] for result in results):.0f}/s")


if __name__ == "__main__":
    main(next((int(a) for a in sys.argv[1:] if a.isdigit()), 6000), 3)
