"""Deploys the Notifier and two subscribers to a running cloud, publishes, and shows who heard what.

python drive.py http://127.0.0.1:4566
python drive.py listen 9000 500     a partner that confirms its subscription and answers every notice with 500
"""

import contextlib
import http.server
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from cumulet.testing import deployment

STACK = "notifier"
HERE = Path(__file__).parent


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The topic, deployed."""
    return deployment.deploy(endpoint, HERE / "template.yaml", stack)


def subscribe(endpoint: str, name: str, notifier: str = STACK, **parameters: str) -> deployment.Deployment:
    """A subscriber's own stack, deployed: ledger, dunning or partner."""
    template = HERE / "subscribers" / f"{name}.yaml"
    return deployment.deploy(endpoint, template, name, Notifier=notifier, **parameters)


def publish(notifier: deployment.Deployment, invoice: str, kind: str) -> str:
    """Publish a notice; its message id."""
    answer = notifier.client("sns").publish(
        TopicArn=notifier.outputs["Topic"],
        Message=json.dumps({"invoice": invoice, "kind": kind}),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
    )
    return str(answer["MessageId"])


def heard(ledger: deployment.Deployment) -> list[str]:
    """Take the invoices out of the ledger's inbox."""
    sqs, url, found = ledger.client("sqs"), ledger.outputs["Inbox"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"])["invoice"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found)


def letters(dunning: deployment.Deployment) -> list[str]:
    items = dunning.client("dynamodb").scan(TableName=dunning.outputs["Letters"])["Items"]
    return sorted(item["invoice"]["S"] for item in items)


class Partner(http.server.ThreadingHTTPServer):
    """An HTTP endpoint that confirms its subscription and answers notifications with `status`."""

    def __init__(self, port: int = 0, status: int = 200) -> None:
        super().__init__(("127.0.0.1", port), _Listen)
        self.status = status
        self.url = f"http://127.0.0.1:{self.server_address[1]}/notices"
        self.notices: list[str] = []
        self.attempts = 0
        self.confirmed = threading.Event()


class _Listen(http.server.BaseHTTPRequestHandler):
    server: Partner

    def do_POST(self) -> None:
        note = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if note["Type"] == "SubscriptionConfirmation":
            urllib.request.urlopen(note["SubscribeURL"], timeout=60).close()
            self.server.confirmed.set()
        else:
            self.server.attempts += 1
            if self.server.status < 300:
                self.server.notices.append(json.loads(note["Message"])["invoice"])
        self.send_response(self.server.status if note["Type"] == "Notification" else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def partner() -> Iterator[Partner]:
    server = Partner()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def main(endpoint: str) -> None:
    notifier = deploy(endpoint)
    ledger, dunning = subscribe(endpoint, "ledger"), subscribe(endpoint, "dunning")
    for invoice, kind in (("i1", "paid"), ("i2", "overdue"), ("i3", "paid")):
        print(f"  publish {invoice} {kind}: {publish(notifier, invoice, kind)}")
    deadline = time.monotonic() + 120
    while letters(dunning) != ["i2"]:
        if time.monotonic() > deadline:
            raise SystemExit("the dunning service heard nothing")
        time.sleep(0.05)
    print(f"  ledger heard {heard(ledger)}, dunning heard {letters(dunning)}")


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        Partner(int(sys.argv[2]), int(sys.argv[3])).serve_forever()
    else:
        main(sys.argv[1])
