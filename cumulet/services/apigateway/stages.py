"""Operations on stages: named, reachable versions of an API."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import methodsettings, patch
from cumulet.services.apigateway.model import api_at, stage_at, stage_key, stages_of
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.staging import check_stage, describe_stage, new_stage

_PATCHES = {
    "/deploymentId": Field(ops=("replace",)),
    "/description": Field(),
    "/variables/*": Field(),
    "/tracingEnabled": Field(convert=patch.flag, ops=("replace",)),
    "/cacheClusterEnabled": Field(convert=patch.flag, ops=("replace",)),
    "/cacheClusterSize": Field(refused="cacheClusterSize (caching)"),
    "/canarySettings": Field(ops=("remove",)),
    "/clientCertificateId": Field(refused="clientCertificateId"),
    "/documentationVersion": Field(refused="documentationVersion"),
    "/accessLogSettings/destinationArn": Field(ops=("add", "replace")),
    "/accessLogSettings/format": Field(ops=("add", "replace")),
    "/accessLogSettings": Field(ops=("remove",)),
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
    """Patch a stage: its deployment, variables, access log, settings by method (`/{resource path}/{method}/throttling/...`).

    Raises: NotFoundException, BadRequestException, NotImplementedOnCumulet. Source: API reference, UpdateStage.
    """
    stage = stage_at(ctx, req["restApiId"], req["stageName"])
    plain: list[Result] = []
    settings: list[Result] = []
    for operation in req.get("patchOperations", []):
        (settings if operation.get("path", "").count("/") == 4 else plain).append(operation)
    document = patch.apply({**stage.settings, "deploymentId": stage.deployment_id}, plain, _PATCHES)
    document["methodSettings"] = methodsettings.changed(document.get("methodSettings", {}), settings)
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
