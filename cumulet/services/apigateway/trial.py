"""A definition and a request made up for a trial: what TestInvokeMethod and TestInvokeAuthorizer run."""

from __future__ import annotations

from cumulet.aws.http import DoorRequest
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.model import Definition, RestApi, Snapshot, Stage
from cumulet.services.apigateway.routing import Deployed, compiled

STAGE = "test-invoke-stage"


def trial_of(ctx: Context, api: RestApi, definition: Definition, variables: dict[str, str]) -> Deployed:
    """A definition as if it were deployed on a stage of its own."""
    stage = Stage(
        api_id=api.id, account=api.account, region=api.region, name=STAGE, deployment_id="", created_at=ctx.now,
        updated_at=ctx.now, revision="", settings={"variables": variables},
    )  # fmt: skip
    return compiled(stage, Snapshot(definition=definition, settings=api.settings))


def request_for(req: Result, path: str, query: str, method: str) -> DoorRequest:
    sent = list((req.get("headers") or {}).items())
    sent.extend((name, value) for name, values in (req.get("multiValueHeaders") or {}).items() for value in values)
    headers: dict[str, str] = {}
    for name, value in sent:
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    body = (req.get("body") or "").encode()
    return DoorRequest(method, path, query, headers, body, sent, source_ip="test-invoke-source-ip")
