"""Deploys the Internal Handoff to a running cloud, hands over orders, and shows the parcels.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
import time
import uuid
from pathlib import Path

from cumulet.testing import deployment

STACK = "internal-handoff"


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack)


def parcels(service: deployment.Deployment) -> set[str]:
    """The orders that were shipped."""
    pages = service.client("dynamodb").get_paginator("scan").paginate(TableName=service.outputs["Parcels"])
    return {item["order"]["S"] for page in pages for item in page["Items"]}


def main(endpoint: str) -> None:
    service = deploy(endpoint)
    orders = {f"{uuid.uuid4().hex[:6]}-{number}" for number in range(5)}
    for name in sorted(orders):
        order = {"order": name, "address": "1 Cloud Street", "takes_s": 0.2}
        began = time.perf_counter()
        answer = service.invoke("Orders", order)
        print(f"  Orders <- {order['order']}: {json.dumps(answer)} after {(time.perf_counter() - began) * 1e3:.0f} ms")
    deadline = time.monotonic() + 120
    while missing := orders - parcels(service):
        if time.monotonic() > deadline:
            raise SystemExit(f"not shipped: {', '.join(sorted(missing))}; cumulet logs {service.stack} may say why")
        time.sleep(0.05)
    print(f"  shipped: {', '.join(sorted(orders))}")


if __name__ == "__main__":
    main(sys.argv[1])
