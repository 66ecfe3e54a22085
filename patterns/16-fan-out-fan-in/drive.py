"""Deploys the Fan-Out/Fan-In to a running cloud and gives it a job.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
import time
import uuid
from pathlib import Path

from cumulet.testing import deployment

STACK = "fan-out-fan-in"


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack)


def result(service: deployment.Deployment, job: str) -> dict[str, object] | None:
    """A job's result, or None while it is not there."""
    s3 = service.client("s3")
    try:
        answer = s3.get_object(Bucket=service.outputs["Folder"], Key=f"results/{job}.json")
    except s3.exceptions.NoSuchKey:
        return None
    found: dict[str, object] = json.load(answer["Body"])
    return found


def main(endpoint: str) -> None:
    service, job = deploy(endpoint), f"squares-{uuid.uuid4().hex[:6]}"
    service.invoke("Split", {"job": job, "numbers": list(range(1000)), "per_part": 40}, "Event")
    print("  Split <- the squares of 0 to 999, 40 to a part")
    deadline = time.monotonic() + 120
    while (found := result(service, job)) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"there is no result after a minute; cumulet logs {service.stack} may say why")
        time.sleep(0.05)
    print(f"  Combine -> {json.dumps(found)}")
    if found["total"] != sum(number * number for number in range(1000)):
        raise SystemExit("the total is wrong")


if __name__ == "__main__":
    main(sys.argv[1])
