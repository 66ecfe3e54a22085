"""Puts the Strangler in front of an old application of our own, and moves its routes while it is being asked.

python drive.py http://127.0.0.1:4566
"""

import contextlib
import http.server
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cumulet.testing import deployment

STACK = "strangler"
Answer = tuple[int, Mapping[str, str], str]


class Legacy(http.server.ThreadingHTTPServer):
    """The old application: orders and customers in memory, a page, a status; `asked` is what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.status = 200
        self.documents: dict[str, dict[str, Any]] = {
            "/orders/1": {"id": "1", "item": "anvil"},
            "/customers/ann": {"id": "ann", "since": 1998},
        }
        self.asked: list[tuple[str, str, dict[str, str]]] = []


class _Page(http.server.BaseHTTPRequestHandler):
    server: Legacy

    def _answer(self, status: int, body: str, kind: str = "application/json") -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(raw))), ("X-Served-By", "legacy")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _serve(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        path, documents = self.path.partition("?")[0], self.server.documents
        if path == "/status.txt":
            self._answer(self.server.status, "well", "text/plain")
        elif self.command == "POST" and path == "/orders":
            order = json.loads(sent)
            documents[f"/orders/{order['id']}"] = order
            self._answer(201, json.dumps(order))
        elif self.command == "PUT" and path in documents:
            documents[path].update(json.loads(sent))
            self._answer(200, json.dumps(documents[path]))
        elif path in documents:
            self._answer(200, json.dumps(documents[path]))
        elif path == "/broken":
            self._answer(500, "<h1>it broke</h1>", "text/html")
        elif path == "/":
            self._answer(200, "<h1>The shop</h1>", "text/html")
        else:
            self._answer(404, json.dumps({"message": "Nothing here."}))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def legacy() -> Iterator[Legacy]:
    server = Legacy()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def deploy(endpoint: str, legacy_url: str, stack: str = STACK, **moved: str) -> deployment.Deployment:
    """The front, with `Orders="serverless"` for what has moved."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack, LegacyUrl=legacy_url, **moved)


def ask(service: deployment.Deployment, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """(status, headers in lower case, text) of a request to the front."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(service.url + path, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, {k.lower(): v for k, v in refusal.headers.items()}, refusal.read().decode()


def main(endpoint: str) -> None:
    paths = ("/orders/1", "/customers/ann", "/")
    with legacy() as old:
        ways = (("legacy", "legacy"), ("serverless", "legacy"), ("serverless", "serverless"))
        for orders, customers in ways:
            service = deploy(endpoint, old.url, Orders=orders, Customers=customers)
            served = []
            for path in paths:
                status, headers, text = ask(service, "GET", path)
                served.append(headers.get("x-served-by", "nobody"))
                print(f"  GET {path:<16} {status}  by {served[-1]:<10}  {text}")
            expected = [orders, customers, "legacy"]
            if served != expected:
                raise SystemExit(f"expected {expected}")


if __name__ == "__main__":
    main(sys.argv[1])
