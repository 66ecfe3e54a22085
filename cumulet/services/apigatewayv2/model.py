"""What an HTTP API is in the store: settings, routes and integrations, snapshots of them (deployments), and stages.

Routes and integrations are kept in the shapes that the API shows. Ids of APIs are unique over all accounts, because a
request to an API names nothing but its id. A stage with AutoDeploy gets a new deployment with every change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import Record, replace
from cumulet.services.apigatewayv2.errors import BadRequestException, NotFoundException

S = "apigatewayv2"
_PAGE_MAX = 500


class Api(Record):
    """`settings` are CreateApi's members that are kept; `stages` the names of its stages."""

    id: str
    account: str
    region: str
    created_at: float
    settings: Mapping[str, Any]
    tags: Mapping[str, str] = {}
    stages: Sequence[str] = ()


class Definition(Record):
    """Routes, integrations and authorizers by id."""

    routes: Mapping[str, Any] = {}
    integrations: Mapping[str, Any] = {}
    authorizers: Mapping[str, Any] = {}


class Snapshot(Record):
    definition: Definition
    settings: Mapping[str, Any]


class Deployment(Record):
    id: str
    created_at: float
    automatic: bool = False
    description: str | None = None


class Stage(Record):
    """`settings` are CreateStage's members that are kept; `revision` changes with every change and deployment."""

    api_id: str
    account: str
    region: str
    name: str
    created_at: float
    updated_at: float
    revision: str
    deployment_id: str | None = None
    auto_deploy: bool = False
    managed: bool = False
    settings: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}


class Listed(Record):
    """A row of the index from account and region to API ids."""


def api_key(api_id: str) -> Key:
    return (S, "api", api_id)


def definition_key(api_id: str) -> Key:
    return (S, "definition", api_id)


def deployment_key(api_id: str, deployment_id: str) -> Key:
    return (S, "deployment", api_id, deployment_id)


def snapshot_key(api_id: str, deployment_id: str) -> Key:
    return (S, "snapshot", api_id, deployment_id)


def stage_key(api_id: str, name: str) -> Key:
    return (S, "stage", api_id, name)


def listed_key(account: str, region: str, api_id: str = "") -> Key:
    return (S, "listed", account, region, api_id) if api_id else (S, "listed", account, region)


def api_at(ctx: Context, api_id: str) -> Api:
    """Raises: NotFoundException for an API that is missing or another account's or region's."""
    api = ctx.tx.get(api_key(api_id), Api)
    if api is None or api.account != ctx.account or api.region != ctx.region:
        raise NotFoundException(f"Invalid API identifier specified {ctx.account}:{api_id}")
    return api


def definition_of(ctx: Context, api_id: str) -> Definition:
    """Raises: NotFoundException."""
    api_at(ctx, api_id)
    definition = ctx.tx.get(definition_key(api_id), Definition)
    assert definition is not None
    return definition


def stage_at(ctx: Context, api_id: str, name: str) -> Stage:
    """Raises: NotFoundException."""
    api_at(ctx, api_id)
    stage = ctx.tx.get(stage_key(api_id, name), Stage)
    if stage is None:
        raise NotFoundException("Invalid stage identifier specified")
    return stage


def stages_of(ctx: Context, api_id: str) -> list[Stage]:
    return [stage for _, stage in ctx.tx.scan((S, "stage", api_id), Stage)]


def new_deployment(ctx: Context, api_id: str, description: str | None = None, automatic: bool = False) -> Deployment:
    """Copy the API's definition and settings. Raises: NotFoundException."""
    api, definition = api_at(ctx, api_id), definition_of(ctx, api_id)
    deployment = Deployment(
        id=ctx.ids.lower(6), created_at=float(int(ctx.now)), automatic=automatic, description=description
    )
    ctx.tx.put(deployment_key(api_id, deployment.id), deployment)
    ctx.tx.put(snapshot_key(api_id, deployment.id), Snapshot(definition=definition, settings=api.settings))
    return deployment


def put_on(ctx: Context, stage: Stage, deployment: Deployment) -> Stage:
    """The stage on a deployment, stored. An automatic deployment that no stage is on any more goes."""
    old = stage.deployment_id
    stage = replace(stage, deployment_id=deployment.id, revision=ctx.ids.hex(16), updated_at=float(int(ctx.now)))
    ctx.tx.put(stage_key(stage.api_id, stage.name), stage)
    if old is not None and old != deployment.id:
        previous = ctx.tx.get(deployment_key(stage.api_id, old), Deployment)
        if (
            previous is not None
            and previous.automatic
            and all(s.deployment_id != old for s in stages_of(ctx, stage.api_id))
        ):
            ctx.tx.delete(deployment_key(stage.api_id, old))
            ctx.tx.delete(snapshot_key(stage.api_id, old))
    return stage


def changed(ctx: Context, api_id: str) -> None:
    """Deploy what changed to the stages that deploy automatically."""
    automatic = [stage for stage in stages_of(ctx, api_id) if stage.auto_deploy]
    if automatic:
        deployment = new_deployment(
            ctx, api_id, "Automatic deployment triggered by changes to the Api configuration", True
        )
        for stage in automatic:
            put_on(ctx, stage, deployment)


def kept(req: Mapping[str, Any], names: Iterable[str]) -> Result:
    """Those members of a request that are there."""
    return {name: req[name] for name in names if name in req}


def page(items: Sequence[tuple[str, Result]], req: Mapping[str, Any]) -> Result:
    """One page of (id, item) pairs by id; `NextToken` is the id of the next page's first item.

    Raises: BadRequestException.
    """
    text = req.get("MaxResults") or str(_PAGE_MAX)
    if not text.isdigit() or not 1 <= int(text) <= _PAGE_MAX:
        raise BadRequestException(f"Invalid value for maxResults: {text}")
    limit, start = int(text), req.get("NextToken") or ""
    rest = [(id_, item) for id_, item in sorted(items, key=lambda pair: pair[0]) if id_ >= start]
    result: Result = {"Items": [item for _, item in rest[:limit]]}
    if len(rest) > limit:
        result["NextToken"] = rest[limit][0]
    return result
