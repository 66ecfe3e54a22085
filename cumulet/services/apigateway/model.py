"""What a REST API is in the store: its settings, its definition, snapshots of that (deployments) and stages.

A definition holds resources, methods and integrations in the shapes that the API shows, so that a deployment is a copy
of it. Ids of APIs are unique over all accounts, because a request to an API names nothing but its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import Record, replace
from cumulet.services.apigateway.errors import BadRequestException, NotFoundException

S = "apigateway"
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY")
PAGE, PAGE_MAX = 25, 500


class RestApi(Record):
    """`settings` are CreateRestApi's members."""

    id: str
    account: str
    region: str
    created_at: float
    root_id: str
    settings: Mapping[str, Any]
    tags: Mapping[str, str] = {}


class Definition(Record):
    """Everything that a deployment copies; ids or names -> the API's own shapes."""

    resources: Mapping[str, Any]
    models: Mapping[str, Any] = {}
    validators: Mapping[str, Any] = {}
    gateway_responses: Mapping[str, Any] = {}
    authorizers: Mapping[str, Any] = {}


class Snapshot(Record):
    """A definition as deployed, with the API's settings of that moment."""

    definition: Definition
    settings: Mapping[str, Any]


class Deployment(Record):
    id: str
    created_at: float
    description: str | None = None


class Stage(Record):
    """`settings` are CreateStage's members and methodSettings; `revision` changes with every change."""

    api_id: str
    account: str
    region: str
    name: str
    deployment_id: str
    created_at: float
    updated_at: float
    revision: str
    settings: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}

    @property
    def variables(self) -> dict[str, str]:
        found: dict[str, str] = self.settings.get("variables") or {}
        return found


class Listed(Record):
    """A row of the index from account and region to API ids."""


class Account(Record):
    role_arn: str | None = None


def account_key(account: str, region: str) -> Key:
    return (S, "account", account, region)


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


def api_at(ctx: Context, api_id: str) -> RestApi:
    """Raises: NotFoundException for an API that is missing or another account's or region's."""
    api = ctx.tx.get(api_key(api_id), RestApi)
    if api is None or api.account != ctx.account or api.region != ctx.region:
        raise NotFoundException(f"Invalid API identifier specified {ctx.account}:{api_id}")
    return api


def definition_of(ctx: Context, api_id: str) -> Definition:
    """Raises: NotFoundException."""
    api_at(ctx, api_id)
    definition = ctx.tx.get(definition_key(api_id), Definition)
    assert definition is not None
    return definition


def resource_of(definition: Definition, resource_id: str) -> Result:
    """Raises: NotFoundException."""
    resource: Result | None = definition.resources.get(resource_id)
    if resource is None:
        raise NotFoundException("Invalid Resource identifier specified")
    return resource


def method_of(definition: Definition, resource_id: str, http_method: str) -> Result:
    """Raises: NotFoundException."""
    method: Result | None = resource_of(definition, resource_id).get("resourceMethods", {}).get(http_method)
    if method is None:
        raise NotFoundException("Invalid Method identifier specified")
    return method


def integration_of(definition: Definition, resource_id: str, http_method: str) -> Result:
    """Raises: NotFoundException."""
    integration: Result | None = method_of(definition, resource_id, http_method).get("methodIntegration")
    if integration is None:
        raise NotFoundException("No integration defined for method")
    return integration


def with_resource(definition: Definition, resource: Result) -> Definition:
    """The definition with a new or changed resource."""
    return replace(definition, resources={**definition.resources, resource["id"]: resource})


def with_method(definition: Definition, resource_id: str, http_method: str, method: Result | None) -> Definition:
    """The definition with a method set, or taken away (None)."""
    resource = resource_of(definition, resource_id)
    methods = {name: value for name, value in resource.get("resourceMethods", {}).items() if name != http_method}
    if method is not None:
        methods[http_method] = method
    changed = {name: value for name, value in resource.items() if name != "resourceMethods"}
    return with_resource(definition, {**changed, "resourceMethods": methods} if methods else changed)


def stage_at(ctx: Context, api_id: str, name: str) -> Stage:
    """Raises: NotFoundException."""
    api_at(ctx, api_id)
    stage = ctx.tx.get(stage_key(api_id, name), Stage)
    if stage is None:
        raise NotFoundException("Invalid stage identifier specified")
    return stage


def stages_of(ctx: Context, api_id: str) -> list[Stage]:
    return [stage for _, stage in ctx.tx.scan((S, "stage", api_id), Stage)]


def page(items: Iterable[tuple[str, Result]], req: Result) -> Result:
    """One page of (id, item) pairs sorted by id; `position` is the id of the next page's first item.

    Source: REST API reference, "limit: the default value is 25 and the maximum value is 500".
    """
    limit = req.get("limit", PAGE)
    if not 1 <= limit <= PAGE_MAX:
        raise BadRequestException("limit must be between 1 and 500" if limit > PAGE_MAX else "limit must be positive")
    start = req.get("position", "")
    rest = [(id_, item) for id_, item in items if id_ >= start]
    result: Result = {"items": [item for _, item in rest[:limit]]}
    if len(rest) > limit:
        result["position"] = rest[limit][0]
    return result
