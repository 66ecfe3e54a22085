"""An application deployed to a running cloud, for the code that drives it: patterns' `drive.py` and tests.

shop = deploy("http://127.0.0.1:4566", Path("template.yaml"), "shop")
shop.request("POST", "/orders", {"id": "1"})
shop.client("sqs").receive_message(QueueUrl=shop.outputs["Queue"])
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from cumulet.cli.main import main
from cumulet.cli.urls import local_url
from cumulet.testing import clients


@dataclass(frozen=True)
class Deployment:
    """A stack on the cloud at `endpoint`, with its outputs."""

    endpoint: str
    stack: str
    outputs: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client, made once per service."""
        return clients.client(self.endpoint, service)

    @property
    def url(self) -> str:
        """The output Url as it answers on this machine."""
        found = local_url(self.endpoint, self.outputs["Url"])
        assert found is not None, f"{self.outputs['Url']} is no API's URL"
        return found

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """(status, answer) of a request to the stack's API; the answer as JSON, or as text where it is none."""
        data = None if body is None else json.dumps(body).encode()
        ask = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        try:
            with clients.opener().open(ask, timeout=60) as answer:
                raw, status = answer.read(), answer.status
        except urllib.error.HTTPError as refusal:
            raw, status = refusal.read(), refusal.code
        try:
            return status, json.loads(raw) if raw else None
        except ValueError:
            return status, raw.decode(errors="replace")

    def invoke(self, output: str, payload: object, kind: str = "RequestResponse") -> Any:
        """Invoke the function that an output names; its answer, or None for an Event. Raises: FunctionFailed."""
        name = self.outputs[output]
        answer = self.client("lambda").invoke(
            FunctionName=name, InvocationType=kind, Payload=json.dumps(payload).encode()
        )
        raw = answer["Payload"].read()
        if "FunctionError" in answer:
            raise FunctionFailed(raw.decode())
        return json.loads(raw) if raw else None

    @contextlib.contextmanager
    def traced(self, service: str, trace_id: str) -> Iterator[None]:
        """Requests to a service are part of a trace meanwhile."""
        events = self.client(service).meta.events

        def mark(request: Any, **_: object) -> None:
            request.headers.add_header("X-Amzn-Trace-Id", f"Root={trace_id}")

        events.register_first(f"before-sign.{service}", mark)
        try:
            yield
        finally:
            events.unregister(f"before-sign.{service}", mark)

    def clock(self, **order: object) -> dict[str, Any]:
        """Steer the cloud's clock: `clock(advance=60)`, `clock(freeze=True)`. Without an order: what it says."""
        data = json.dumps(order).encode() if order else None
        with clients.opener().open(f"{self.endpoint}/_cumulet/clock", data, timeout=120) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace."""
        with clients.opener().open(f"{self.endpoint}/_cumulet/trace?id={trace_id}", timeout=60) as answer:
            spans: list[dict[str, Any]] = json.load(answer)["spans"]
        return spans


class FunctionFailed(Exception):
    """A function's error, as JSON text."""


def deploy(endpoint: str, template: Path, stack: str, **parameters: str) -> Deployment:
    """Deploy a template with its local code as `cumulet deploy` does, which prints what it does. Raises: SystemExit."""
    arguments = ["deploy", str(template), "--stack", stack, "--endpoint-url", endpoint]
    for name, value in parameters.items():
        arguments += ["--parameter", f"{name}={value}"]
    try:
        main.main(arguments, prog_name="cumulet", standalone_mode=False)
    except click.ClickException as error:
        raise SystemExit(f"Error: {error.format_message()}") from error
    return attach(endpoint, stack)


def attach(endpoint: str, stack: str) -> Deployment:
    """A stack that is deployed already."""
    found = clients.client(endpoint, "cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    return Deployment(endpoint, stack, outputs)
