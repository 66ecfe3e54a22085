"""Deploys the Simple Web Service to a running cloud and drives it over HTTP, printing every request.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
from pathlib import Path

from cumulet.testing import deployment

STACK = "simple-web-service"


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack)


def drive(service: deployment.Deployment) -> None:
    """Create, read, update, list and delete, each with its answer checked."""
    steps = [
        ("POST", "/items", {"id": "cumulus", "base_m": 600}, 201),
        ("POST", "/items", {"id": "cumulus"}, 409),
        ("GET", "/items/cumulus", None, 200),
        ("PUT", "/items/cumulus", {"base_m": 750, "kind": "humilis"}, 200),
        ("GET", "/items", None, 200),
        ("DELETE", "/items/cumulus", None, 204),
        ("GET", "/items/cumulus", None, 404),
    ]
    for method, path, body, expected in steps:
        status, answer = service.request(method, path, body)
        text = "" if answer is None else json.dumps(answer)
        print(f"  {method:<6} {path:<16} {status}  {text if len(text) < 100 else text[:97] + '...'}")
        if status != expected:
            raise SystemExit(f"expected {expected}")


if __name__ == "__main__":
    drive(deploy(sys.argv[1]))
