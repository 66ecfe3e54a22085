"""Deploys the Gatekeeper to a running cloud, makes a user, and lets him try what he may and may not; then removes him.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cumulet.cli.urls import local_url
from cumulet.testing import deployment

STACK = "gatekeeper"
Answer = tuple[int, Any]


def deploy(endpoint: str, stack: str = STACK, kept_for_s: int = 300) -> deployment.Deployment:
    """The shop and its authorization service, deployed."""
    template = Path(__file__).with_name("template.yaml")
    return deployment.deploy(endpoint, template, stack, KeptForSeconds=str(kept_for_s))


def _answer(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read() or b"null")


def ask(service: deployment.Deployment, token: str | None, path: str, method: str = "GET") -> Answer:
    """A user's request to the shop."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return _answer(urllib.request.Request(service.url + path, headers=headers, method=method))


def administer(
    service: deployment.Deployment, method: str, path: str, body: object = None, signed: bool = True
) -> Answer:
    """An administrator's request to the authorization service, signed as AWS wants it."""
    url = f"{local_url(service.endpoint, service.outputs['UsersUrl'])}{path}"
    data = b"" if body is None else json.dumps(body).encode()
    request = AWSRequest(method, url, data=data, headers={"Content-Type": "application/json"})
    if signed:
        SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
    return _answer(urllib.request.Request(url, data or None, dict(request.headers.items()), method=method))


def add(service: deployment.Deployment, name: str, **permissions: object) -> str:
    """A new user's token."""
    status, answer = administer(service, "POST", "/users", {"name": name, **permissions})
    if status != 201:
        raise SystemExit(f"expected 201, not {status}: {answer}")
    return str(answer["token"])


def main(endpoint: str) -> None:
    service = deploy(endpoint, kept_for_s=0)
    token = add(service, "ann", allow=["GET/orders", "GET/orders/*"], deny=["GET/orders/secret"])
    steps = [
        (token, "GET", "/orders", 200),
        (token, "GET", "/orders/7", 200),
        (token, "GET", "/orders/secret", 403),
        (token, "DELETE", "/orders/7", 403),
        (None, "GET", "/orders", 401),
        ("ann.guessed", "GET", "/orders", 401),
    ]
    for sent, method, path, expected in steps:
        status, answer = ask(service, sent, path, method)
        print(f"  {method:<6} {path:<15} {status}  {json.dumps(answer)}")
        if status != expected:
            raise SystemExit(f"expected {expected}")
    administer(service, "DELETE", "/users/ann")
    status, answer = ask(service, token, "/orders")
    print(f"  removed: GET /orders {status}  {json.dumps(answer)}")
    if status != 401:
        raise SystemExit("expected 401")


if __name__ == "__main__":
    main(sys.argv[1])
