"""Start, idle memory, and the first request to each service: `python bench/start.py [--rounds 5]`.

Every server is new, on an empty folder, pinned to the first core, and finds its byte code compiled. Requests go by the JSON door,
which is the same for all services; the second request to a service tells what of the first one was loading.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request

from compare import Server, pss_mb
from load import AUTHORIZATION

REQUESTS = {
    "apigateway": "GetRestApis",
    "apigatewayv2": "GetApis",
    "cloudformation": "DescribeStacks",
    "cloudwatch": "ListMetrics",
    "dynamodb": "ListTables",
    "events": "ListEventBuses",
    "iam": "ListUsers",
    "lambda": "ListFunctions",
    "logs": "DescribeLogGroups",
    "rds": "DescribeDBInstances",
    "s3": "ListBuckets",
    "sns": "ListTopics",
    "sqs": "ListQueues",
    "sts": "GetCallerIdentity",
}
COMMAND = [sys.executable, "-m", "cumulet.cli.main", "up", "--port", "{port}", "--data", "{folder}/data"]
IDLE_S = 2.0


def call_ms(server: Server, service: str, operation: str) -> float:
    request = urllib.request.Request(f"{server.endpoint}/_cumulet/call/{service}/{operation}", data=b"{}")
    request.add_header(
        "authorization", AUTHORIZATION.format(service=service) if "{" in AUTHORIZATION else AUTHORIZATION
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        json.load(answer)
    return (time.perf_counter() - began) * 1e3


def start_figures(byte_code: str) -> dict[str, float]:
    server = Server("start", COMMAND, {"PYTHONPYCACHEPREFIX": byte_code}, "/_cumulet/health")
    try:
        took = server.start()
        time.sleep(IDLE_S)
        return {"start, ms": took * 1e3, "idle memory (PSS, all processes), MB": pss_mb(server.process.pid)}
    finally:
        server.stop()


def request_figures(byte_code: str, service: str, operation: str) -> dict[str, float]:
    server = Server("start", COMMAND, {"PYTHONPYCACHEPREFIX": byte_code}, "/_cumulet/health")
    try:
        server.start()
        time.sleep(0.2)
        first, second = (call_ms(server, service, operation) for _ in range(2))
        return {f"{service}: first request, ms": first, f"{service}: second request, ms": second}
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as byte_code:
        for service, operation in REQUESTS.items():  # compiles everything
            request_figures(byte_code, service, operation)
        seen: dict[str, list[float]] = {}
        for _ in range(rounds):
            figures = start_figures(byte_code)
            for service, operation in REQUESTS.items():
                figures |= request_figures(byte_code, service, operation)
            for name, value in figures.items():
                seen.setdefault(name, []).append(value)
    for name, values in seen.items():
        print(f"{name}: {statistics.median(values):.1f} [{min(values):.1f} - {max(values):.1f}]", flush=True)


if __name__ == "__main__":
    main()
