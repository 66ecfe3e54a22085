"""Deploys the Simple Web Service to a running cloud and drives it over HTTP, printing every request.

python drive.py http://127.0.0.1:4566
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3

from cumulet.cli.urls import local_url

STACK = "simple-web-service"


def deploy(endpoint: str, stack: str = STACK) -> str:
    """Deploy the template with `cumulet deploy`; the URL of its API on this machine."""
    template = Path(__file__).with_name("template.yaml")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "cumulet.cli.main",
            "deploy",
            str(template),
            "--stack",
            stack,
            "--endpoint-url",
            endpoint,
        ],
        check=True,
    )
    client = boto3.client(
        "cloudformation",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    outputs = client.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    url = local_url(endpoint, next(output["OutputValue"] for output in outputs if output["OutputKey"] == "Url"))
    assert url is not None
    return url


def request(method: str, url: str, body: object = None) -> tuple[int, object]:
    """(status, JSON answer) of one HTTP request."""
    data = None if body is None else json.dumps(body).encode()
    ask = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=30) as answer:
            raw, status = answer.read(), answer.status
    except urllib.error.HTTPError as refusal:
        raw, status = refusal.read(), refusal.code
    return status, json.loads(raw) if raw else None


def drive(url: str) -> None:
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
        status, answer = request(method, url + path, body)
        text = "" if answer is None else json.dumps(answer)
        print(f"  {method:<6} {path:<16} {status}  {text if len(text) < 100 else text[:97] + '...'}")
        if status != expected:
            raise SystemExit(f"expected {expected}")


if __name__ == "__main__":
    drive(deploy(sys.argv[1]))
