"""What is checked of a request before its integration is called: the method's validator.

Source: developer guide, "Request validation for REST APIs" (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigateway.exchange import Exchange


def missing_parameters(exchange: Exchange) -> list[str]:
    """The names of required parameters that the request lacks; none without a validator that looks for them."""
    if not _validator(exchange).get("validateRequestParameters"):
        return []
    missing = []
    for parameter, required in exchange.method.get("requestParameters", {}).items():
        place, _, name = parameter.removeprefix("method.request.").partition(".")
        if required and not _given(exchange, place, name):
            missing.append(name)
    return missing


def _given(exchange: Exchange, place: str, name: str) -> bool:
    if place == "path":
        return bool(exchange.path_parameters.get(name))
    if place.endswith("querystring"):
        return any(exchange.query.get(name, ()))
    return bool(exchange.header(name))


def _validator(exchange: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = exchange.deployed.definition.validators.get(
        exchange.method.get("requestValidatorId", ""), {}
    )
    return found


def body_errors(exchange: Exchange) -> list[str]:
    """What is wrong with the body by its media type's model (JSON schema draft 4); none without a validator for bodies."""
    models = exchange.method.get("requestModels")
    if not models or not _validator(exchange).get("validateRequestBody"):
        return []
    media = (exchange.header("content-type") or "application/json").partition(";")[0].strip()
    name = models.get(media)
    if name in (None, "Empty"):
        return []
    try:
        document = read_json(exchange.http.read_body() or b"null")
    except NotJson:
        return ["Invalid JSON"]
    return [error.message for error in _schema(exchange, name).iter_errors(document)]


def _schema(exchange: Exchange, name: str) -> Any:
    """A compiled schema, kept with the deployed API. References to other models are by URLs that end in their names."""
    compiled = exchange.deployed.schemas
    if name not in compiled:
        # Late, because it takes a large part of a start-up and few APIs need it.
        from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it has no types
        from referencing import Registry
        from referencing.jsonschema import DRAFT4

        models = exchange.deployed.definition.models

        def retrieve(uri: str) -> Any:
            model = models.get(uri.rpartition("/")[2], {})
            return DRAFT4.create_resource(json.loads(model.get("schema") or "{}"))

        registry: Any = Registry(retrieve=retrieve)  # type: ignore[call-arg]  # attrs' own __init__
        compiled[name] = Draft4Validator(json.loads(models[name].get("schema") or "{}"), registry=registry)
    return compiled[name]
