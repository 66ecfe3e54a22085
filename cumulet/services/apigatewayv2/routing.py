"""From a deployed HTTP API, a method and a path to a route.

The most specific path wins (a full match, then a greedy `{proxy+}`, then `$default`), and at the same path a named method
before ANY. Source: developer guide, "Create routes for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.integration import function_of, kind_of
from cumulet.services.apigatewayv2.model import Definition, Snapshot, Stage, snapshot_key
from cumulet.services.apigatewayv2.settings import integration_of

_CACHED = 512
_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")


@dataclass(slots=True)
class Target:
    """A route with its integration, stage variables filled in its URI. `version` is the payload's format.

    kind  "function", "http", "service", or "" for a route without an integration
    """

    key: str
    signed: bool
    authorizer: Result | None = None
    kind: str = ""
    function: str | None = None
    uri: str = ""
    method: str = "ANY"
    version: str = "2.0"
    timeout_s: float = 30.0
    mapping: Result = field(default_factory=dict)
    integration: Result = field(default_factory=dict)


@dataclass(slots=True)
class Node:
    literals: dict[str, Node] = field(default_factory=dict)
    parameters: dict[str, Node] = field(default_factory=dict)
    greedy: dict[str, dict[str, Target]] = field(default_factory=dict)
    methods: dict[str, Target] = field(default_factory=dict)


@dataclass(slots=True)
class Deployed:
    """A stage and the API that is deployed on it, ready to serve."""

    stage: Stage
    settings: Mapping[str, Any]
    root: Node
    default: Target | None
    cors: Result | None
    variables: dict[str, str]


def deployed(ctx: Context, stage: Stage) -> Deployed | None:
    """The compiled API of a stage, from this process's cache or made anew; None for a stage that nothing is on.

    A changed stage has a new revision.
    """
    cache: dict[tuple[str, str], Deployed] = ctx.pipeline.volatile.setdefault("apigatewayv2.deployed", {})
    key = (stage.api_id, stage.name)
    found = cache.get(key)
    if found is not None and found.stage.revision == stage.revision:
        return found
    if stage.deployment_id is None:
        return None
    snapshot = ctx.tx.get(snapshot_key(stage.api_id, stage.deployment_id), Snapshot)
    assert snapshot is not None
    found = _compile(stage, snapshot)
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]
    cache[key] = found
    return found


def _compile(stage: Stage, snapshot: Snapshot) -> Deployed:
    variables: dict[str, str] = stage.settings.get("StageVariables") or {}
    root, default = Node(), None
    for route in snapshot.definition.routes.values():
        target = _target(route, snapshot.definition, variables)
        if route["RouteKey"] == "$default":
            default = target
        else:
            method, _, path = route["RouteKey"].partition(" ")
            _add(root, method, path, target)
    cors = snapshot.settings.get("CorsConfiguration") or None
    return Deployed(stage, snapshot.settings, root, default, cors, variables)


def _target(route: Result, definition: Definition, variables: dict[str, str]) -> Target:
    target = Target(route["RouteKey"], route.get("AuthorizationType") == "AWS_IAM")
    if route.get("AuthorizationType") == "CUSTOM":
        target.authorizer = definition.authorizers[route["AuthorizerId"]]
    integration_id = integration_of(route)
    if integration_id is None:
        return target
    integration = definition.integrations[integration_id]
    uri = with_variables(integration.get("IntegrationUri", ""), variables)
    target.kind, target.uri, target.integration = kind_of(integration), uri, integration
    target.version, target.timeout_s = (
        integration["PayloadFormatVersion"],
        integration.get("TimeoutInMillis", 30000) / 1000,
    )
    target.method = integration.get("IntegrationMethod", "ANY")
    if target.kind == "function":
        target.function = function_of(uri) or uri
    if target.kind != "service":
        target.mapping = integration.get("RequestParameters") or {}
    return target


def with_variables(text: str, variables: dict[str, str]) -> str:
    """`text` with its `${stageVariables.name}` filled in; an unknown variable is empty."""
    return _VARIABLE.sub(lambda match: variables.get(match.group(1), ""), text)


def _add(root: Node, method: str, path: str, target: Target) -> None:
    node = root
    for part in path.split("/")[1:]:
        if part.endswith("+}"):
            node.greedy.setdefault(part[1:-2], {})[method] = target
            return
        if part.startswith("{"):
            node = node.parameters.setdefault(part[1:-1], Node())
        else:
            node = node.literals.setdefault(part, Node())
    node.methods[method] = target


def find(api: Deployed, method: str, path: str) -> tuple[Target, dict[str, str]] | None:
    """The route for a method and a decoded path, and its path parameters."""
    found = _find(api.root, method, path.split("/")[1:], 0)
    if found is None and api.default is not None:
        return api.default, {}
    return found


def _find(node: Node, method: str, parts: Sequence[str], at: int) -> tuple[Target, dict[str, str]] | None:
    if at == len(parts):
        target = node.methods.get(method) or node.methods.get("ANY")
        return (target, {}) if target is not None else None
    part = parts[at]
    below = node.literals.get(part)
    found = _find(below, method, parts, at + 1) if below is not None else None
    if found is not None:
        return found
    if part:
        for name, below in node.parameters.items():
            found = _find(below, method, parts, at + 1)
            if found is not None:
                found[1][name] = part
                return found
    rest = "/".join(parts[at:])
    if rest:
        for name, methods in node.greedy.items():
            target = methods.get(method) or methods.get("ANY")
            if target is not None:
                return target, {name: rest}
    return None
