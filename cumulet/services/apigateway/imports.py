"""Operations that make or change an API from an OpenAPI document."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.model import Definition, api_at, api_key, definition_key, definition_of
from cumulet.services.apigateway.openapi import Imported, Importer, load
from cumulet.services.apigateway.settings import check_settings, described, new_api

_PARAMETERS = ("endpointConfigurationTypes", "basepath", "ignore", "mode", "failonwarnings")


def import_rest_api(ctx: Context, req: Result) -> Result:
    """Make an API from an OpenAPI 3 or Swagger 2 document in JSON or YAML.

    Raises: BadRequestException, also for warnings with failOnWarnings; NotImplementedOnCumulet for what the document
    asks and Cumulet does not honour. Source: API Gateway API reference, ImportRestApi (read 2026-11).
    """
    parameters = _parameters(req)
    document = load(req["body"])
    out = Importer(document, ctx.ids, {}, parameters.get("basepath", "ignore")).run()
    _fail_on_warnings(req, out)
    settings = {**out.settings, **_endpoint(parameters)}
    api = new_api(ctx, settings)
    ctx.tx.put(definition_key(api.id), out.definition())
    api = replace(api, root_id=out.resources["/"]["id"])
    ctx.tx.put(api_key(api.id), api)
    return _with_warnings(described(api), out)


def put_rest_api(ctx: Context, req: Result) -> Result:
    """Merge a document into an API (the document wins), or overwrite the API with it.

    Resources keep their ids where their paths stay. Raises: NotFoundException; as ImportRestApi.
    Source: API Gateway API reference, PutRestApi; developer guide, "Update an existing API".
    """
    api = api_at(ctx, req["restApiId"])
    parameters = _parameters(req)
    old = definition_of(ctx, api.id)
    known = {resource["path"]: resource["id"] for resource in old.resources.values()}
    out = Importer(load(req["body"]), ctx.ids, known, parameters.get("basepath", "ignore")).run()
    _fail_on_warnings(req, out)
    overwrite = req.get("mode", "merge") == "overwrite"
    settings = {**api.settings, **out.settings, **_endpoint(parameters)}
    if overwrite:
        for name in ("binaryMediaTypes", "minimumCompressionSize", "description", "version"):
            if name not in out.settings:
                settings.pop(name, None)
    check_settings(settings)
    api = replace(api, settings=settings)
    ctx.tx.put(api_key(api.id), api)
    ctx.tx.put(definition_key(api.id), out.definition() if overwrite else _merged(old, out.definition()))
    return _with_warnings(described(api), out)


def _merged(old: Definition, new: Definition) -> Definition:
    resources = dict(old.resources)
    for id_, resource in new.resources.items():
        methods = {**old.resources.get(id_, {}).get("resourceMethods", {}), **resource.get("resourceMethods", {})}
        resources[id_] = {**resource, "resourceMethods": methods} if methods else resource
    models = {**old.models, **new.models}
    validators = {**old.validators, **new.validators}
    responses = {**old.gateway_responses, **new.gateway_responses}
    return Definition(resources=resources, models=models, validators=validators, gateway_responses=responses,
                      authorizers={**old.authorizers, **new.authorizers})  # fmt: skip


def _parameters(req: Result) -> dict[str, str]:
    found: dict[str, str] = req.get("parameters") or {}
    for name in found:
        if name not in _PARAMETERS:
            raise not_honoured(f"import parameter {name}")
    return found


def _endpoint(parameters: dict[str, str]) -> Result:
    types = parameters.get("endpointConfigurationTypes")
    return {"endpointConfiguration": {"types": types.split(",")}} if types else {}


def _fail_on_warnings(req: Result, out: Imported) -> None:
    if out.warnings and req.get("failOnWarnings"):
        raise BadRequestException("Warnings found during import:\n\t" + "\n\t".join(out.warnings))


def _with_warnings(result: Result, out: Imported) -> Result:
    return {**result, "warnings": out.warnings} if out.warnings else result
