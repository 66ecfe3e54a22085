"""Deploys the FIFOer (with a trigger) to a running cloud, sends tasks for three accounts, and shows the order they were booked in.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
import time
from pathlib import Path

from cumulet.testing import deployment

STACK = "fifoer"


def deploy(endpoint: str, stack: str = STACK, form: str = "template.yaml") -> deployment.Deployment:
    """The service, deployed: `template.yaml` with a trigger, `template-2018.yaml` with a rule."""
    return deployment.deploy(endpoint, Path(__file__).with_name(form), stack)


def send(service: deployment.Deployment, account: str, number: int, **task: object) -> None:
    """One task for an account."""
    service.client("sqs").send_message(
        QueueUrl=service.outputs["Tasks"],
        MessageBody=json.dumps({"account": account, "number": number, **({"amount": number} | task)}),
        MessageGroupId=account,
    )


def bookings(service: deployment.Deployment) -> list[dict[str, str]]:
    """The bookings of all accounts, each account's in the order they were made."""
    found = []
    for page in service.client("dynamodb").get_paginator("scan").paginate(TableName=service.outputs["Ledger"]):
        rows = [{name: next(iter(value.values())) for name, value in item.items()} for item in page["Items"]]
        found += [row for row in rows if "entry" in row]
    return sorted(found, key=lambda row: (row["account"], int(row["entry"])))


def booked(service: deployment.Deployment) -> dict[str, list[int]]:
    """Account -> the numbers of its tasks in the order they were booked."""
    found: dict[str, list[int]] = {}
    for row in bookings(service):
        found.setdefault(row["account"], []).append(int(row["number"]))
    return found


def main(endpoint: str) -> None:
    service = deploy(endpoint)
    first = 1 + max((number for numbers in booked(service).values() for number in numbers), default=-1)
    expected = list(range(first, first + 10))
    for number in expected:
        for account in ("ada", "bob", "eve"):
            send(service, account, number)
    print("  30 tasks for three accounts")
    deadline = time.monotonic() + 120
    while sum(number >= first for numbers in booked(service).values() for number in numbers) < 30:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {booked(service)} was booked; cumulet logs {service.stack} may say why")
        time.sleep(0.05)
    for account, numbers in sorted(booked(service).items()):
        print(f"  {account}: {numbers[-10:]}")
        if numbers[-10:] != expected:
            raise SystemExit("out of order")


if __name__ == "__main__":
    main(sys.argv[1])
