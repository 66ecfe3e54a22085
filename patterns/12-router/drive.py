"""Deploys the Router to a running cloud and sends it one event of each kind.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
import time
import uuid
from pathlib import Path

from cumulet.testing import deployment

STACK = "router"
EVENTS = [
    {"id": "e1", "kind": "signup", "customer": " Ada "},
    {"id": "e2", "kind": "renewal", "customer": "Bob", "plan": "pro"},
    {"id": "e3", "kind": "overdue", "customer": "Eve", "reminders": 1},
]


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack)


def done(service: deployment.Deployment) -> dict[str, list[str]]:
    """Event id -> the tasks that were done for it."""
    found: dict[str, list[str]] = {}
    for page in service.client("dynamodb").get_paginator("scan").paginate(TableName=service.outputs["Done"]):
        for item in page["Items"]:
            found.setdefault(item["id"]["S"], []).append(item["task"]["S"])
    return found


def main(endpoint: str) -> None:
    service, run = deploy(endpoint), uuid.uuid4().hex[:6]
    events = [{**event, "id": f"{run}-{event['id']}"} for event in EVENTS]
    for event in events:
        service.invoke("Router", event, "Event")
        print(f"  Router <- {json.dumps(event)}")
    deadline = time.monotonic() + 120
    while missing := {event["id"] for event in events} - done(service).keys():
        if time.monotonic() > deadline:
            raise SystemExit(
                f"not done: {', '.join(sorted(map(str, missing)))}; cumulet logs {service.stack} may say why"
            )
        time.sleep(0.05)
    for number, tasks in sorted(done(service).items()):
        if number.startswith(run):
            print(f"  {number}: {', '.join(tasks)}")


if __name__ == "__main__":
    main(sys.argv[1])
