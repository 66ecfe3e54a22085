"""From a deployed API and a path to a resource: literal segments before `{parameter}` before `{proxy+}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.checks import function_of
from cumulet.services.apigateway.model import Definition, Snapshot, Stage, snapshot_key

_CACHED = 512
_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}|\$\{stageVariables\[['\"]?([A-Za-z0-9_]+)['\"]?\]\}")


@dataclass(slots=True)
class Endpoint:
    """A resource with methods; `functions` are the Lambda functions of its methods, stage variables filled in."""

    resource_id: str
    path: str
    methods: dict[str, Result]
    functions: dict[str, str | None]
    uris: dict[str, str]


@dataclass(slots=True)
class Node:
    literals: dict[str, Node] = field(default_factory=dict)
    parameter: tuple[str, Node] | None = None
    greedy: tuple[str, Endpoint] | None = None
    endpoint: Endpoint | None = None


@dataclass(slots=True)
class Deployed:
    """A stage and the API that is deployed on it, ready to serve."""

    stage: Stage
    settings: Mapping[str, Any]
    definition: Definition
    root: Node
    binary: tuple[str, ...]
    templates: dict[str, Any] = field(default_factory=dict)  # parsed mapping templates by their source
    schemas: dict[str, Any] = field(default_factory=dict)  # compiled models by name
    method_settings: dict[tuple[str, str], Result] = field(default_factory=dict)  # by path and method


def deployed(ctx: Context, stage: Stage) -> Deployed:
    """The compiled API of a stage, from this process's cache or made anew; a changed stage has a new revision."""
    cache: dict[tuple[str, str], Deployed] = ctx.pipeline.volatile.setdefault("apigateway.deployed", {})
    key = (stage.api_id, stage.name)
    found = cache.get(key)
    if found is None or found.stage.revision != stage.revision:
        snapshot = ctx.tx.get(snapshot_key(stage.api_id, stage.deployment_id), Snapshot)
        assert snapshot is not None
        found = compiled(stage, snapshot)
        if len(cache) >= _CACHED:
            del cache[next(iter(cache))]
        cache[key] = found
    return found


def with_variables(text: str, variables: dict[str, str]) -> str:
    """`text` with its `${stageVariables.name}` filled in; an unknown variable is empty."""
    if "${" not in text:
        return text
    return _VARIABLE.sub(lambda match: variables.get(match.group(1) or match.group(2), ""), text)


def compiled(stage: Stage, snapshot: Snapshot) -> Deployed:
    """A snapshot made ready to serve on a stage."""
    root = Node()
    for resource in snapshot.definition.resources.values():
        methods = resource.get("resourceMethods")
        if methods:
            _add(root, resource["path"], _endpoint(resource, methods, stage))
    binary = tuple(kind.replace("~1", "/").lower() for kind in snapshot.settings.get("binaryMediaTypes") or ())
    return Deployed(stage, snapshot.settings, snapshot.definition, root, binary)


def _endpoint(resource: Result, methods: dict[str, Result], stage: Stage) -> Endpoint:
    uris = {
        name: with_variables(method["methodIntegration"].get("uri", ""), stage.variables)
        for name, method in methods.items()
    }
    functions = {name: function_of(uri) for name, uri in uris.items()}
    return Endpoint(resource["id"], resource["path"], methods, functions, uris)


def _add(root: Node, path: str, endpoint: Endpoint) -> None:
    node = root
    for part in path.strip("/").split("/") if path != "/" else ():
        if part.endswith("+}"):
            node.greedy = (part[1:-2], endpoint)
            return
        if part.startswith("{"):
            if node.parameter is None:
                node.parameter = (part[1:-1], Node())
            node = node.parameter[1]
        else:
            node = node.literals.setdefault(part, Node())
    node.endpoint = endpoint


def find(root: Node, path: str) -> tuple[Endpoint, dict[str, str]] | None:
    """The endpoint of a raw path and its path parameters, as sent; None when no resource with a method matches.

    REST APIs leave the path and its parameters in percent-encoding (observed on AWS by many; serverless-offline #271).
    """
    trimmed = path.strip("/") if path != "/" else ""
    return _find(root, trimmed.split("/") if trimmed else (), 0)


def _find(node: Node, parts: Sequence[str], at: int) -> tuple[Endpoint, dict[str, str]] | None:
    if at == len(parts):
        return (node.endpoint, {}) if node.endpoint is not None else None
    part = unquote(parts[at])
    below = node.literals.get(part)
    if below is not None:
        found = _find(below, parts, at + 1)
        if found is not None:
            return found
    if node.parameter is not None:
        name, below = node.parameter
        found = _find(below, parts, at + 1)
        if found is not None:
            found[1][name] = parts[at]
            return found
    if node.greedy is not None:
        name, endpoint = node.greedy
        return endpoint, {name: "/".join(parts[at:])}
    return None
