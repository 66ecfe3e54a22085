"""Operations on stages: named, reachable versions of an API."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.model import api_at, stage_at, stage_key, stages_of
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.staging import check_stage, describe_stage, new_stage

_PATCHES = {
    "/deploymentId": Field(ops=("replace",)),
    "/description": Field(),
    "/variables/*": Field(),
    "/tracingEnabled": Field(convert=patch.flag, ops=("replace",)),
    "/*/*/throttling/rateLimit": Field(convert=patch.number),
    "/*/*/throttling/burstLimit": Field(convert=patch.whole),
    "/*/*/logging/loglevel": Field(),
    "/*/*/logging/dataTrace": Field(convert=patch.flag),
    "/*/*/metrics/enabled": Field(convert=patch.flag),
    "/*/*/caching/enabled": Field(convert=patch.flag),
    "/*/*/caching/ttlInSeconds": Field(refused="method caching"),
    "/*/*/caching/dataEncrypted": Field(refused="method caching"),
    "/cacheClusterEnabled": Field(convert=patch.flag, ops=("replace",)),
    "/cacheClusterSize": Field(refused="cacheClusterSize (caching)"),
    "/canarySettings": Field(ops=("remove",)),
    "/clientCertificateId": Field(refused="clientCertificateId"),
    "/documentationVersion": Field(refused="documentationVersion"),
    "/accessLogSettings/destinationArn": Field(refused="accessLogSettings"),
    "/accessLogSettings/format": Field(refused="accessLogSettings"),
    "/accessLogSettings": Field(ops=("remove",)),
}
_SETTINGS = {
    ("throttling", "rateLimit"): "throttlingRateLimit",
    ("throttling", "burstLimit"): "throttlingBurstLimit",
    ("logging", "loglevel"): "loggingLevel",
    ("logging", "dataTrace"): "dataTraceEnabled",
    ("metrics", "enabled"): "metricsEnabled",
    ("caching", "enabled"): "cachingEnabled",
}


def create_stage(ctx: Context, req: Result) -> Result:
    """Make a deployment reachable under a name, with variables for its integrations.

    Raises: NotFoundException; ConflictException; BadRequestException; NotImplementedOnCumulet for caching and canaries.
    Source: API Gateway API reference, CreateStage (read 2026-11).
    """
    return describe_stage(new_stage(ctx, req["restApiId"], req["stageName"], req["deploymentId"], req))


def get_stage(ctx: Context, req: Result) -> Result:
    """One stage. Raises: NotFoundException. Source: API reference, GetStage."""
    return describe_stage(stage_at(ctx, req["restApiId"], req["stageName"]))


def get_stages(ctx: Context, req: Result) -> Result:
    """The API's stages, or those on one deployment. Raises: NotFoundException. Source: API reference, GetStages."""
    api = api_at(ctx, req["restApiId"])
    wanted = req.get("deploymentId")
    return {"item": [describe_stage(s) for s in stages_of(ctx, api.id) if wanted in (None, s.deployment_id)]}


def update_stage(ctx: Context, req: Result) -> Result:
    """Patch a stage: its deployment, variables, throttling by method (`/{resource path}/{method}/throttling/...`).

    Raises: NotFoundException, BadRequestException, NotImplementedOnCumulet. Source: API reference, UpdateStage.
    """
    stage = stage_at(ctx, req["restApiId"], req["stageName"])
    plain: list[Result] = []
    settings: list[Result] = []
    for operation in req.get("patchOperations", []):
        (settings if operation.get("path", "").count("/") == 4 else plain).append(operation)
    document = patch.apply({**stage.settings, "deploymentId": stage.deployment_id}, plain, _PATCHES)
    _set_methods(document, settings)
    deployment_id = document.pop("deploymentId")
    check_stage(ctx, stage.api_id, deployment_id, document)
    document.pop("cacheClusterEnabled", None)
    stage = replace(stage, settings=document, deployment_id=deployment_id, updated_at=float(int(ctx.now)),
                    revision=ctx.ids.hex(16))  # fmt: skip
    ctx.tx.put(stage_key(stage.api_id, stage.name), stage)
    return describe_stage(stage)


def delete_stage(ctx: Context, req: Result) -> Result:
    """Delete a stage. Raises: NotFoundException. Source: API reference, DeleteStage."""
    stage = stage_at(ctx, req["restApiId"], req["stageName"])
    ctx.tx.delete(stage_key(stage.api_id, stage.name))
    return {}


def _set_methods(document: Result, operations: list[Result]) -> None:
    """Method settings: the path is `/{resource path, escaped}/{method}/{group}/{name}`, the key `{resource path, escaped}/{method}`."""
    settings: Result = {where: dict(value) for where, value in document.get("methodSettings", {}).items()}
    for operation in operations:
        resource, method, group, name = operation["path"].split("/")[1:]
        patched = patch.apply({}, [operation], _PATCHES)
        where = f"{resource}/{method}"
        member = _SETTINGS[group, name]
        one = settings.setdefault(where, {})
        if operation.get("op") == "remove":
            one.pop(member, None)
        else:
            one[member] = patched[patch.unescape(resource)][method][group][name]
    document["methodSettings"] = {where: value for where, value in settings.items() if value}
