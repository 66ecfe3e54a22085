"""Deploys the Aggregator to a running cloud, with a carrier's API of our own, and asks it; then the carrier goes away.

python drive.py http://127.0.0.1:4566
"""

import contextlib
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from cumulet.testing import deployment

STACK = "aggregator"


class Carrier(http.server.ThreadingHTTPServer):
    """An external API: answers with `status` and what it knows of parcels."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers = threading.Event()  # who asks waits for it
        self.answers.set()
        self.asked = threading.Event()  # somebody has asked while nobody was answered
        self.url = f"http://127.0.0.1:{self.server_address[1]}/parcels"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if not self.server.answers.is_set():  # type: ignore[attr-defined]
            self.server.asked.set()  # type: ignore[attr-defined]
        self.server.answers.wait()  # type: ignore[attr-defined]
        body = json.dumps({"parcels": ["on its way"]}).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", str(len(body)))
        with contextlib.suppress(OSError):  # who asked may not have waited
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def carrier() -> Iterator[Carrier]:
    server = Carrier()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def deploy(endpoint: str, carrier_url: str, carrier_timeout_s: int = 20) -> deployment.Deployment:
    """The service, deployed; patient with a carrier of our own, who is as slow as this machine is busy."""
    template, patience = Path(__file__).with_name("template.yaml"), str(carrier_timeout_s)
    return deployment.deploy(endpoint, template, STACK, CarrierUrl=carrier_url, CarrierTimeout=patience)


def ask(service: deployment.Deployment, customer: str) -> dict[str, object]:
    status, answer = service.request("GET", f"/customers/{customer}")
    print(f"  GET /customers/{customer}  {status}  {json.dumps(answer)}")
    if status != 200:
        raise SystemExit("expected 200")
    return dict(answer)


def main(endpoint: str) -> None:
    with carrier() as external:
        service = deploy(endpoint, external.url)
        if ask(service, "ada")["incomplete"]:
            raise SystemExit("expected a complete answer")
        external.status = 500
        if ask(service, "ada")["incomplete"] != ["shipping"]:
            raise SystemExit("expected an answer without shipping")


if __name__ == "__main__":
    main(sys.argv[1])
