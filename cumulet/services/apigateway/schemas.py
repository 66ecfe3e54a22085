"""Operations on models (JSON schemas) and request validators."""

from __future__ import annotations

import re

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.errors import BadRequestException, ConflictException, NotFoundException
from cumulet.services.apigateway.model import Definition, definition_key, definition_of, page
from cumulet.services.apigateway.patch import Field

_NAME = re.compile(r"[a-zA-Z0-9]+")
_VALIDATOR = {"validateRequestBody": Field(convert=patch.flag), "validateRequestParameters": Field(convert=patch.flag)}


def create_model(ctx: Context, req: Result) -> Result:
    """Name a JSON schema (draft 4) that request bodies can be held against.

    Raises: NotFoundException, BadRequestException, ConflictException. Source: API Gateway API reference, CreateModel.
    """
    definition = definition_of(ctx, req["restApiId"])
    name = req["name"]
    if not _NAME.fullmatch(name):
        raise BadRequestException("Model name must be alphanumeric: " + name)
    if name in definition.models:
        raise ConflictException("Model name already exists for this REST API")
    model = {"id": ctx.ids.lower(6), "name": name, "contentType": req["contentType"]}
    model.update({member: req[member] for member in ("description", "schema") if member in req})
    _check_schema(model)
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, models={**definition.models, name: model}))
    return model


def get_model(ctx: Context, req: Result) -> Result:
    """One model. Raises: NotFoundException. Source: API reference, GetModel."""
    return _model_of(definition_of(ctx, req["restApiId"]), req["modelName"])


def get_models(ctx: Context, req: Result) -> Result:
    """The API's models by name. Raises: NotFoundException. Source: API reference, GetModels."""
    models = definition_of(ctx, req["restApiId"]).models
    return page(((name, models[name]) for name in sorted(models)), req)


def update_model(ctx: Context, req: Result) -> Result:
    """Patch a model's schema or description. Raises: NotFoundException, BadRequestException. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    old = _model_of(definition, req["modelName"])
    fields = {"/schema": Field(ops=("replace",)), "/description": Field()}
    model = patch.apply(old, req.get("patchOperations", []), fields)
    _check_schema(model)
    ctx.tx.put(
        definition_key(req["restApiId"]), replace(definition, models={**definition.models, model["name"]: model})
    )
    return model


def delete_model(ctx: Context, req: Result) -> Result:
    """Delete a model that no method uses. Raises: NotFoundException, ConflictException. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    name = _model_of(definition, req["modelName"])["name"]
    for method in _methods(definition):
        if name in method.get("requestModels", {}).values():
            raise ConflictException(
                f"Cannot delete model '{name}', is referenced in method request: {method['httpMethod']}"
            )
    left = {key: value for key, value in definition.models.items() if key != name}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, models=left))
    return {}


def create_request_validator(ctx: Context, req: Result) -> Result:
    """Name what is checked of a request before its integration is called: the body, the required parameters.

    Raises: NotFoundException. Source: API Gateway API reference, CreateRequestValidator.
    """
    definition = definition_of(ctx, req["restApiId"])
    validator = {"id": ctx.ids.lower(6), "validateRequestBody": req.get("validateRequestBody", False),
                 "validateRequestParameters": req.get("validateRequestParameters", False)}  # fmt: skip
    if "name" in req:
        validator["name"] = req["name"]
    _save_validator(ctx, req, definition, validator)
    return validator


def get_request_validator(ctx: Context, req: Result) -> Result:
    """One validator. Raises: NotFoundException. Source: API reference, GetRequestValidator."""
    return _validator_of(definition_of(ctx, req["restApiId"]), req["requestValidatorId"])


def get_request_validators(ctx: Context, req: Result) -> Result:
    """The API's validators by id. Raises: NotFoundException. Source: API reference, GetRequestValidators."""
    validators = definition_of(ctx, req["restApiId"]).validators
    return page(((id_, validators[id_]) for id_ in sorted(validators)), req)


def update_request_validator(ctx: Context, req: Result) -> Result:
    """Patch a validator. Raises: NotFoundException, BadRequestException. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    fields = {"/name": Field(ops=("replace",)), **{f"/{name}": field for name, field in _VALIDATOR.items()}}
    validator = patch.apply(
        _validator_of(definition, req["requestValidatorId"]), req.get("patchOperations", []), fields
    )
    _save_validator(ctx, req, definition, validator)
    return validator


def delete_request_validator(ctx: Context, req: Result) -> Result:
    """Delete a validator that no method uses. Raises: NotFoundException, ConflictException. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    id_ = _validator_of(definition, req["requestValidatorId"])["id"]
    if any(method.get("requestValidatorId") == id_ for method in _methods(definition)):
        raise ConflictException("Cannot delete the request validator, it is referenced in a method")
    left = {key: value for key, value in definition.validators.items() if key != id_}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, validators=left))
    return {}


def _methods(definition: Definition) -> list[Result]:
    return [method for one in definition.resources.values() for method in one.get("resourceMethods", {}).values()]


def _model_of(definition: Definition, name: str) -> Result:
    model: Result | None = definition.models.get(name)
    if model is None:
        raise NotFoundException(f"Invalid model name specified: {name}")
    return model


def _validator_of(definition: Definition, id_: str) -> Result:
    validator: Result | None = definition.validators.get(id_)
    if validator is None:
        raise NotFoundException("Invalid Request Validator identifier specified")
    return validator


def _save_validator(ctx: Context, req: Result, definition: Definition, validator: Result) -> None:
    validators = {**definition.validators, validator["id"]: validator}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, validators=validators))


def _check_schema(model: Result) -> None:
    if model["contentType"] != "application/json" or not model.get("schema"):
        return
    try:
        schema = read_json(model["schema"])
    except NotJson as error:
        raise BadRequestException("Invalid model schema specified") from error
    if not isinstance(schema, dict):
        raise BadRequestException("Invalid model schema specified")
