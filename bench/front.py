"""What a small POST costs in each HTTP front: CPU per request, requests per second, latency.

    python bench/front.py                    # our Protocol on uvloop and on the standard loop
    python bench/front.py --venv /path/venv  # also uvicorn and aiohttp, installed in that virtual environment

The server runs in a process of its own; this process is the client: 32 connections, keep-alive, one request each at a
time. CPU is the server's (user + system), read from /proc before and after, so that the client's cost does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BODY = b'{"QueueUrl": "http://127.0.0.1:4566/000000000000/orders", "MessageBody": "' + b"x" * 307 + b'"}'
ANSWER = b'{"MessageId":"5fea7756-0ea4-451a-a703-a558b933e274","MD5OfMessageBody":"fafb00f5732ab283681e124bf8747ed1"}'
HEADERS = [
    ("Host", "127.0.0.1:4566"),
    ("Accept-Encoding", "identity"),
    ("X-Amz-Target", "AmazonSQS.SendMessage"),
    ("Content-Type", "application/x-amz-json-1.0"),
    ("User-Agent", "Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux#6 lang/python#3.11"),
    ("X-Amz-Date", "20260101T000000Z"),
    ("amz-sdk-invocation-id", "2b2b1d9a-5f1e-4f4c-8d3e-52b5b4b8a6b1"),
    ("amz-sdk-request", "attempt=1"),
    (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
        "x-amz-target, Signature=" + "a" * 64,
    ),
    ("Content-Length", str(len(BODY))),
]
REQUEST = b"POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in HEADERS).encode() + b"\r\n" + BODY

OURS = """
import asyncio, sys, tempfile
from pathlib import Path
sys.path.insert(0, {root!r})
from cumulet.aws.http import HttpResponse
from cumulet.gateway.server import Server
ANSWER = {answer!r}
def handler(request, reply):
    reply(HttpResponse(200, [("x-amzn-requestid", "5fea7756-0ea4-451a-a703-a558b933e274"), ("content-type", "application/x-amz-json-1.0")], ANSWER))
async def main():
    server = Server(handler, Path(tempfile.gettempdir()))
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()
"""
SERVERS = {
    "ours, uvloop": OURS + "import uvloop; uvloop.run(main())",
    "ours, stdlib loop": OURS + "asyncio.run(main())",
    "uvicorn, raw ASGI": """
import socket, uvicorn
ANSWER = {answer!r}
async def app(scope, receive, send):
    if scope["type"] != "http": return
    while (await receive()).get("more_body"): pass
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"x-amzn-requestid", b"5fea7756-0ea4-451a-a703-a558b933e274"),
        (b"content-type", b"application/x-amz-json-1.0"), (b"content-length", str(len(ANSWER)).encode())]}})
    await send({{"type": "http.response.body", "body": ANSWER}})
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(128)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, http="httptools", loop="uvloop", access_log=False, log_level="error", lifespan="off")).run([listener])
""",
    "aiohttp, low level": """
import asyncio, uvloop
from aiohttp import web
ANSWER = {answer!r}
async def handler(request):
    await request.read()
    headers = {{"x-amzn-requestid": "5fea7756-0ea4-451a-a703-a558b933e274"}}
    return web.Response(body=ANSWER, headers=headers, content_type="application/x-amz-json-1.0")
async def main():
    runner = web.ServerRunner(web.Server(handler)); await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0); await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
""",
}


class Client(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete."""

    def __init__(self, latencies: list[float], stop_at: float) -> None:
        self.latencies, self.stop_at, self.size, self.got = latencies, stop_at, 0, 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.size:
            assert data.startswith(b"HTTP/1.1 200"), data
            self.size = data.index(b"\r\n\r\n") + 4 + len(ANSWER)
        self.got += len(data)
        if self.got >= self.size:
            self.got = 0
            now = time.perf_counter()
            self.latencies.append(now - self.sent)
            if now < self.stop_at:
                self._send()
            elif not self.done.done():
                self.done.set_result(None)
                self.transport.close()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(port: int, seconds: float, connections: int) -> list[float]:
    latencies: list[float] = []
    loop, stop_at = asyncio.get_running_loop(), time.perf_counter() + seconds
    clients = [
        (await loop.create_connection(lambda: Client(latencies, stop_at), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*[client.done for client in clients])
    return latencies


def measure(name: str, python: str, rounds: int, seconds: float, connections: int) -> None:
    code = SERVERS[name].format(root=str(Path(__file__).resolve().parent.parent), answer=ANSWER)
    server = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline().strip()
        if not line:
            print(f"{name:22} not available")
            return
        run = __import__("uvloop").run
        run(load(int(line), 0.5, connections))
        cost, rate, p50, p99 = [], [], [], []
        for _ in range(rounds):
            cpu, began = cpu_s(server.pid), time.perf_counter()
            latencies = sorted(run(load(int(line), seconds, connections)))
            cost.append((cpu_s(server.pid) - cpu) / len(latencies) * 1e6)
            rate.append(len(latencies) / (time.perf_counter() - began))
            p50.append(latencies[len(latencies) // 2] * 1e3)
            p99.append(latencies[len(latencies) * 99 // 100] * 1e3)
        m = statistics.median
        print(
            f"{name:22} {m(cost):6.1f} us CPU/request ({min(cost):.1f}-{max(cost):.1f})  {m(rate):8.0f}/s  p50 {m(p50):.2f} ms  p99 {m(p99):.2f} ms"
        )
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", help="a virtual environment with uvicorn[standard] and aiohttp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    for name in SERVERS:
        if name.startswith("ours"):
            measure(name, sys.executable, options.rounds, options.seconds, options.connections)
        elif options.venv:
            measure(name, f"{options.venv}/bin/python", options.rounds, options.seconds, options.connections)


if __name__ == "__main__":
    main()
