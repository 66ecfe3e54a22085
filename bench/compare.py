"""Cumulet beside moto's server, MiniStack and, for DynamoDB, dynalite, in one run; writes docs/benchmarks.md.

    .venv/bin/python bench/compare.py [--rounds 3] [--only cumulet] [--tables] [--peers DIR]

The peers are installed from PyPI into a virtual environment of their own (`.packages/peers`), dynalite from npm, where that is
there. The server runs on one core and the load
on the other. Every figure is the median of the rounds; rounds of the servers alternate.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import boto3
from botocore.config import Config
from load import AUTHORIZATION, Outcome, http, json_call, measure
from messages import FIGURES as MESSAGES
from messages import cpu_s, message_figures

ROOT = Path(__file__).parents[1]
ITEM = {"S": "x" * 1000}
CODE = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}\n"
FIGURES = [  # key, title, unit
    ("start_s", "start until the first answered request", "s"),
    ("idle_mb", "idle memory (PSS, all processes)", "MB"),
    ("cold_ms", "cold start, invoke to response, median", "ms"),
    ("warm_ms", "warm invoke, alone, median", "ms"),
    ("warm_rate", "warm invokes at 32 connections", "/s"),
    ("http_ms", "HTTP API to function, warm, alone, median", "ms"),
    ("put_rate", "PutItem 1 KiB at 32 connections", "/s"),
    ("put_cpu_ms", "server CPU per PutItem", "ms"),
    ("get_rate", "GetItem 1 KiB at 32 connections", "/s"),
    ("get_cpu_ms", "server CPU per GetItem", "ms"),
    ("update_rate", "UpdateItem with a condition at 32 connections", "/s"),
    ("transact_rate", "TransactWriteItems of two at 32 connections", "/s"),
    ("query_rate", "Query of 50 items of 1 KiB at 32 connections", "/s"),
    *MESSAGES,
    ("after_mb", "memory 5 s after all of it (PSS)", "MB"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for each in found:
        try:
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def pss_mb(pid: int) -> float:
    total = 0
    for each in tree(pid):
        try:
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


class Server:
    """One server under test, on a free port, pinned to the first core."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], health: str) -> None:
        self.name, self.health = name, health
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=ROOT))
        values = {"port": str(self.port), "folder": str(self.folder)}
        self.command = [part.format(**values) for part in command]
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {**inherited, **{key: value.format(**values) for key, value in environment.items()}}
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        began = time.perf_counter()
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            start_new_session=True,
        )
        os.sched_setaffinity(self.process.pid, {0})
        while True:
            try:
                with urllib.request.urlopen(self.endpoint + self.health, timeout=2):
                    return time.perf_counter() - began
            except urllib.error.HTTPError:
                return time.perf_counter() - began
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{self.name} ended: {(self.folder / 'log').read_text()[-2000:]}") from None
                time.sleep(0.002)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )


def package() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE)
    return buffer.getvalue()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def lambda_figures(server: Server, scale: float) -> dict[str, float]:
    """Cold and warm invokes, and an HTTP API in front. Cold: a new function each time, its first invoke."""
    client = server.client("lambda")
    host = f"127.0.0.1:{server.port}"

    def create(name: str) -> str:
        return client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Code={"ZipFile": package()},
            Role="arn:aws:iam::000000000000:role/bench",
            Timeout=30,
        )["FunctionArn"]

    def invoke(name: str) -> Callable[[int], bytes]:
        request = http(
            "POST",
            f"/2015-03-31/functions/{name}/invocations",
            host,
            {
                "Content-Type": "application/json",
                "X-Amz-Date": "20260101T000000Z",
                "Authorization": AUTHORIZATION.format(service="lambda"),
            },
            b'{"k": 1}',
        )
        return lambda number: request

    cold = []
    for number in range(max(3, int(9 * scale))):
        create(f"cold{number}")
        cold.append(measure(server.port, invoke(f"cold{number}"), 1, 1).median_ms)
    arn = create("warm")
    measure(server.port, invoke("warm"), 5, 1)
    alone = measure(server.port, invoke("warm"), int(300 * scale) or 20, 1)
    measure(server.port, invoke("warm"), 64, 32)
    many = measure(server.port, invoke("warm"), int(3000 * scale) or 64, 32)
    figures = {"cold_ms": statistics.median(cold), "warm_ms": alone.median_ms, "warm_rate": many.rate}
    api = server.client("apigatewayv2").create_api(Name="bench", ProtocolType="HTTP")["ApiId"]
    path = f"/_aws/execute-api/{api}/bench" if server.name == "cumulet" else "/bench"
    name = host if server.name == "cumulet" else f"{api}.execute-api.localhost:{server.port}"
    client = server.client("apigatewayv2")
    integration = client.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    client.create_route(ApiId=api, RouteKey="GET /bench", Target=f"integrations/{integration}")
    client.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    served = measure(server.port, lambda number: http("GET", path, name, {}), int(300 * scale) or 20, 1)
    if not served.failed:
        figures["http_ms"] = served.median_ms
    return figures


def table_figures(server: Server, scale: float) -> dict[str, float]:
    client = server.client("dynamodb")
    host = f"127.0.0.1:{server.port}"
    client.create_table(
        TableName="bench",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    client.get_waiter("table_exists").wait(TableName="bench", WaiterConfig={"Delay": 1})
    count = max(200, int(20_000 * scale))

    def put(number: int) -> bytes:
        return json_call(
            "dynamodb",
            "DynamoDB_20120810.PutItem",
            host,
            {"TableName": "bench", "Item": {"id": {"S": f"k{number}"}, "v": ITEM}},
        )

    def get(number: int) -> bytes:
        return json_call(
            "dynamodb",
            "DynamoDB_20120810.GetItem",
            host,
            {"TableName": "bench", "Key": {"id": {"S": f"k{number * 7 % count}"}}},
        )

    figures: dict[str, float] = {}
    for name, make in (("put", put), ("get", get)):
        before = cpu_s(server.process.pid)
        outcome: Outcome = measure(server.port, make, count, 32)
        figures[f"{name}_rate"] = outcome.rate
        figures[f"{name}_cpu_ms"] = (cpu_s(server.process.pid) - before) / count * 1e3
    return figures | more_table_figures(server, scale)


def more_table_figures(server: Server, scale: float) -> dict[str, float]:
    """Updates with a condition, transactions of two writes, and queries of 50 items."""
    client, host = server.client("dynamodb"), f"127.0.0.1:{server.port}"
    client.create_table(
        TableName="lists",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
    )
    client.get_waiter("table_exists").wait(TableName="lists", WaiterConfig={"Delay": 1})
    for start in range(0, 500, 25):
        items = [{"id": {"S": f"l{n % 10}"}, "n": {"N": str(n // 10)}, "v": ITEM} for n in range(start, start + 25)]
        client.batch_write_item(RequestItems={"lists": [{"PutRequest": {"Item": item}} for item in items]})

    def call(operation: str, request: object) -> bytes:
        return json_call("dynamodb", f"DynamoDB_20120810.{operation}", host, request)

    def update(number: int) -> bytes:
        return call(
            "UpdateItem",
            {
                "TableName": "bench",
                "Key": {"id": {"S": f"k{number % 200}"}},
                "UpdateExpression": "ADD hits :one",
                "ConditionExpression": "attribute_exists(id)",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            },
        )

    def transact(number: int) -> bytes:
        puts = [
            {"Put": {"TableName": "bench", "Item": {"id": {"S": f"{side}{number}"}, "v": ITEM}}} for side in ("a", "b")
        ]
        return call("TransactWriteItems", {"TransactItems": puts})

    def query(number: int) -> bytes:
        condition = {
            "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": f"l{number % 10}"}},
        }
        return call("Query", {"TableName": "lists", **condition})

    figures = {}
    for name, make, share in (("update", update, 10_000), ("transact", transact, 6_000), ("query", query, 3_000)):
        outcome = measure(server.port, make, max(100, int(share * scale)), 32)
        if not outcome.failed:
            figures[f"{name}_rate"] = outcome.rate
    return figures


def one_round(server: Server, scale: float, tables: bool = False) -> dict[str, float]:
    figures = {"start_s": server.start()}
    os.sched_setaffinity(0, {1 % (os.cpu_count() or 1)})
    try:
        time.sleep(2)
        figures["idle_mb"] = pss_mb(server.process.pid)
        # moto runs functions in Docker alone, and its queues take 50 messages a second: those figures are left out; dynalite is
        # a DynamoDB and nothing else
        few = tables or server.name in ("moto", "dynalite")
        parts = (table_figures,) if few else (table_figures, message_figures, lambda_figures)
        for part in parts:
            try:
                figures |= part(server, scale)
            except Exception as error:  # a peer that lacks something keeps its other figures
                print(f"    {server.name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        time.sleep(5)
        figures["after_mb"] = pss_mb(server.process.pid)
    finally:
        server.stop()
    return figures


def peers(folder: Path) -> Path:
    if not (folder / "bin/moto_server").exists():
        print("installing the peers ...")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin/pip"), "install", "--quiet", "moto[server]", "ministack"], check=True)
    return folder / "bin"


def dynalite(folder: Path) -> Path | None:
    """Where dynalite is, or None without npm."""
    npm = shutil.which("npm")
    where = folder / "npm/node_modules/dynalite"
    if not where.exists() and npm is not None:
        print("installing dynalite ...")
        command = [npm, "install", "--prefix", str(folder / "npm"), "--silent", "--no-audit", "--no-fund", "dynalite"]
        subprocess.run(command, check=True)
    return where if where.exists() and shutil.which("node") else None


def versions(folder: Path, names: Sequence[str]) -> dict[str, str]:
    found = dynalite(folder)
    known = {"dynalite": json.loads((found / "package.json").read_text())["version"]} if found else {}
    if not set(names) & {"ministack", "moto"}:
        return known
    binaries = peers(folder)
    listed = json.loads(
        subprocess.run([str(binaries / "pip"), "list", "--format", "json"], capture_output=True, check=True).stdout
    )
    return known | {row["name"].lower(): row["version"] for row in listed}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["cumulet", "ministack", "moto", "dynalite"])
    parser.add_argument("--peers", type=Path, default=ROOT / ".packages/peers")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the requests, for a quick look")
    parser.add_argument("--tables", action="store_true", help="DynamoDB's figures alone")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    commands: dict[str, tuple[list[str], dict[str, str], str, float]] = {
        "cumulet": (
            [str(ROOT / ".venv/bin/cumulet"), "up", "--port", "{port}", "--data", "{folder}/data"],
            {},
            "/_cumulet/health",
            1.0,
        ),
    }
    found = dynalite(options.peers) if "dynalite" in options.only else None
    if found is not None:
        # its store is in memory without --path; its tables are there at once, as ours
        quick = ["--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"]
        command = ["node", str(found / "cli.js"), "--host", "127.0.0.1", "--port", "{port}", *quick]
        commands["dynalite"] = (command, {}, "/", 0.15)
    elif "dynalite" in options.only:
        print("dynalite is left out: there is no npm")
    if set(options.only) & {"ministack", "moto"}:
        binaries = peers(options.peers)
        commands["ministack"] = (
            [str(binaries / "ministack")],
            {"GATEWAY_PORT": "{port}", "EDGE_PORT": "{port}"},
            "/_ministack/health",
            0.15,
        )
        commands["moto"] = ([str(binaries / "moto_server"), "-p", "{port}", "-H", "127.0.0.1"], {}, "/moto-api/", 0.1)
    everything: dict[str, list[dict[str, float]]] = {name: [] for name in commands if name in options.only}
    for number in range(options.rounds):
        for name, rounds in everything.items():
            command, environment, health, share = commands[name]
            figures = one_round(Server(name, command, environment, health), options.scale * share, options.tables)
            rounds.append(figures)
            print(
                f"round {number + 1} {name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()),
                flush=True,
            )
    lines = report(everything, {"cumulet": "0.1.0", **versions(options.peers, list(everything))})
    print("\n".join(lines))
    if options.write:
        page = ROOT / "docs/benchmarks.md"
        written = page.read_text() if page.exists() else ""
        rest = written[written.index("\n## ") :] if "\n## " in written else ""
        page.write_text(HEADER.format(machine=machine(), rounds=options.rounds) + "\n".join(lines) + "\n" + rest)


HEADER = """# Benchmarks

`make bench` (`bench/compare.py --write`), one run, {rounds} rounds, medians (lowest to highest in brackets). {machine}.
Cumulet keeps what it acknowledges (one synced write per group); the others keep it in memory. The server
runs on one core, the load on the other. The same requests go to each; the slower servers get fewer of them.

"""


def machine() -> str:
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, CPython {platform.python_version()}"


def report(everything: dict[str, list[dict[str, float]]], known: dict[str, str]) -> list[str]:
    names = list(everything)
    lines = [
        "| what | unit | " + " | ".join(f"{name} {known.get(name, '')}".strip() for name in names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for key, title, unit in FIGURES:
        cells = []
        for name in names:
            values = sorted(figures[key] for figures in everything[name] if key in figures)
            cells.append(
                f"{statistics.median(values):,.3g} [{values[0]:,.3g} - {values[-1]:,.3g}]" if values else "none"
            )
        lines.append(f"| {title} | {unit} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
