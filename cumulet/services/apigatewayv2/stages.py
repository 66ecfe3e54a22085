"""Operations on stages, deployments and tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigatewayv2.errors import BadRequestException, ConflictException, NotFoundException, not_honoured
from cumulet.services.apigatewayv2.model import (
    Api,
    Deployment,
    S,
    Stage,
    api_at,
    api_key,
    changed,
    deployment_key,
    kept,
    new_deployment,
    page,
    put_on,
    snapshot_key,
    stage_at,
    stage_key,
    stages_of,
)
from cumulet.services.apigatewayv2.settings import check_stage

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2 import api as shapes  # an `api` is an Api here

_KEPT = ("Description", "StageVariables", "DefaultRouteSettings", "RouteSettings", "AccessLogSettings",
         "ClientCertificateId")  # fmt: skip
_ARN = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+::/apis/([^/]+)(?:/stages/([^/]+))?")


def create_stage(ctx: Context, req: shapes.CreateStageRequest) -> shapes.CreateStageResult:
    """Make the API reachable under a name, or without one as `$default`; AutoDeploy keeps it on the newest definition.

    Raises: NotFoundException, ConflictException, BadRequestException, NotImplementedOnCumulet.
    Source: API Gateway V2 API reference, CreateStage (read 2026-11).
    """
    api = api_at(ctx, req["ApiId"])
    name = req["StageName"]
    if name in api.stages:
        raise ConflictException("Stage already exists")
    now = float(int(ctx.now))
    stage = Stage(
        api_id=api.id, account=api.account, region=api.region, name=name, created_at=now, updated_at=now,
        revision=ctx.ids.hex(16), deployment_id=req.get("DeploymentId"), auto_deploy=req.get("AutoDeploy", False),
        settings=kept(req, _KEPT), tags=dict(req.get("Tags") or {}),
    )  # fmt: skip
    check_stage(ctx, stage)
    if stage.auto_deploy and stage.deployment_id:
        raise BadRequestException("DeploymentId cannot be set when AutoDeploy is enabled")
    ctx.tx.put(api_key(api.id), replace(api, stages=[*api.stages, name]))
    ctx.tx.put(stage_key(api.id, name), stage)
    if stage.auto_deploy:
        changed(ctx, api.id)
    return cast("shapes.CreateStageResult", _described(stage_at(ctx, api.id, name)))


def get_stage(ctx: Context, req: shapes.GetStageRequest) -> shapes.GetStageResult:
    """One stage. Raises: NotFoundException. Source: API reference, GetStage."""
    return cast("shapes.GetStageResult", _described(stage_at(ctx, req["ApiId"], req["StageName"])))


def get_stages(ctx: Context, req: shapes.GetStagesRequest) -> shapes.GetStagesResult:
    """The API's stages by name. Raises: NotFoundException, BadRequestException. Source: API reference, GetStages."""
    api = api_at(ctx, req["ApiId"])
    return cast(
        "shapes.GetStagesResult", page([(stage.name, _described(stage)) for stage in stages_of(ctx, api.id)], req)
    )


def update_stage(ctx: Context, req: shapes.UpdateStageRequest) -> shapes.UpdateStageResult:
    """Change a stage; members that are given replace the old ones as a whole.

    Raises: NotFoundException, BadRequestException, NotImplementedOnCumulet. Source: API reference, UpdateStage.
    """
    stage = stage_at(ctx, req["ApiId"], req["StageName"])
    stage = replace(
        stage, settings={**stage.settings, **kept(req, _KEPT)},
        auto_deploy=req.get("AutoDeploy", stage.auto_deploy), deployment_id=req.get("DeploymentId", stage.deployment_id),
        updated_at=float(int(ctx.now)), revision=ctx.ids.hex(16),
    )  # fmt: skip
    check_stage(ctx, stage)
    if stage.auto_deploy and "DeploymentId" in req:
        raise BadRequestException("DeploymentId cannot be set when AutoDeploy is enabled")
    ctx.tx.put(stage_key(stage.api_id, stage.name), stage)
    if stage.auto_deploy:
        changed(ctx, stage.api_id)
    return cast("shapes.UpdateStageResult", _described(stage_at(ctx, stage.api_id, stage.name)))


def delete_stage(ctx: Context, req: shapes.DeleteStageRequest) -> shapes.DeleteStageResult:
    """Delete a stage. Raises: NotFoundException. Source: API reference, DeleteStage."""
    stage = stage_at(ctx, req["ApiId"], req["StageName"])
    api = api_at(ctx, stage.api_id)
    ctx.tx.put(api_key(api.id), replace(api, stages=[name for name in api.stages if name != stage.name]))
    ctx.tx.delete(stage_key(stage.api_id, stage.name))
    return {}


def delete_route_settings(ctx: Context, req: shapes.DeleteRouteSettingsRequest) -> shapes.DeleteRouteSettingsResult:
    """Take away one route's settings. Raises: NotFoundException. Source: API reference, DeleteRouteSettings."""
    stage = stage_at(ctx, req["ApiId"], req["StageName"])
    settings = dict(stage.settings.get("RouteSettings") or {})
    if settings.pop(req["RouteKey"], None) is None:
        raise NotFoundException("Invalid Route key specified", members={"ResourceType": "RouteSettings"})
    kept = {**stage.settings, "RouteSettings": settings}
    ctx.tx.put(stage_key(stage.api_id, stage.name), replace(stage, settings=kept, revision=ctx.ids.hex(16)))
    return {}


def delete_access_log_settings(
    ctx: Context, req: shapes.DeleteAccessLogSettingsRequest
) -> shapes.DeleteAccessLogSettingsResult:
    """Write no access log any more. Raises: NotFoundException. Source: API reference, DeleteAccessLogSettings."""
    stage = stage_at(ctx, req["ApiId"], req["StageName"])
    kept = {name: value for name, value in stage.settings.items() if name != "AccessLogSettings"}
    ctx.tx.put(stage_key(stage.api_id, stage.name), replace(stage, settings=kept, revision=ctx.ids.hex(16)))
    return {}


def create_deployment(ctx: Context, req: shapes.CreateDeploymentRequest) -> shapes.CreateDeploymentResult:
    """Copy the API as it is now; with `StageName`, put that stage on the copy.

    Raises: NotFoundException; BadRequestException for a stage that deploys automatically, or an API without routes.
    Source: API Gateway V2 API reference, CreateDeployment (read 2026-11).
    """
    deployment = new_deployment(ctx, req["ApiId"], req.get("Description"))
    if "StageName" in req:
        stage = stage_at(ctx, req["ApiId"], req["StageName"])
        if stage.auto_deploy:
            raise BadRequestException("Deployment cannot be done to a stage with AutoDeploy enabled")
        put_on(ctx, stage, deployment)
    return cast("shapes.CreateDeploymentResult", _deployed(deployment))


def get_deployment(ctx: Context, req: shapes.GetDeploymentRequest) -> shapes.GetDeploymentResult:
    """One deployment. Raises: NotFoundException. Source: API reference, GetDeployment."""
    return cast("shapes.GetDeploymentResult", _deployed(_deployment_at(ctx, req)))


def get_deployments(ctx: Context, req: shapes.GetDeploymentsRequest) -> shapes.GetDeploymentsResult:
    """The API's deployments by id. Raises: NotFoundException, BadRequestException. Source: API reference."""
    api = api_at(ctx, req["ApiId"])
    return cast(
        "shapes.GetDeploymentsResult",
        page([(one.id, _deployed(one)) for _, one in ctx.tx.scan((S, "deployment", api.id), Deployment)], req),
    )


def update_deployment(ctx: Context, req: shapes.UpdateDeploymentRequest) -> shapes.UpdateDeploymentResult:
    """Change a deployment's description. Raises: NotFoundException. Source: API reference, UpdateDeployment."""
    deployment = _deployment_at(ctx, req)
    if "Description" in req:
        deployment = replace(deployment, description=req["Description"])
        ctx.tx.put(deployment_key(req["ApiId"], deployment.id), deployment)
    return cast("shapes.UpdateDeploymentResult", _deployed(deployment))


def delete_deployment(ctx: Context, req: shapes.DeleteDeploymentRequest) -> shapes.DeleteDeploymentResult:
    """Delete a deployment that no stage is on. Raises: NotFoundException, BadRequestException. Source: API reference."""
    deployment = _deployment_at(ctx, req)
    if any(stage.deployment_id == deployment.id for stage in stages_of(ctx, req["ApiId"])):
        raise BadRequestException("Active stages pointing to this deployment must be moved or deleted")
    ctx.tx.delete(deployment_key(req["ApiId"], deployment.id))
    ctx.tx.delete(snapshot_key(req["ApiId"], deployment.id))
    return {}


def tag_resource(ctx: Context, req: shapes.TagResourceRequest) -> shapes.TagResourceResult:
    """Add or change tags of an API or a stage. Raises: NotFoundException, BadRequestException. Source: API reference."""
    tagged = _tagged(ctx, req["ResourceArn"])
    tags = {**tagged.tags, **(req.get("Tags") or {})}
    if len(tags) > 50:
        raise BadRequestException("The number of tags exceeds the limit of 50.")
    _save_tags(ctx, tagged, tags)
    return {}


def untag_resource(ctx: Context, req: shapes.UntagResourceRequest) -> shapes.UntagResourceResult:
    """Remove tags. Raises: NotFoundException, BadRequestException. Source: API reference, UntagResource."""
    tagged = _tagged(ctx, req["ResourceArn"])
    _save_tags(ctx, tagged, {name: value for name, value in tagged.tags.items() if name not in req["TagKeys"]})
    return {}


def get_tags(ctx: Context, req: shapes.GetTagsRequest) -> shapes.GetTagsResult:
    """Tags of an API or a stage. Raises: NotFoundException, BadRequestException. Source: API reference, GetTags."""
    return {"Tags": dict(_tagged(ctx, req["ResourceArn"]).tags)}


def _tagged(ctx: Context, arn: str) -> Api | Stage:
    match = _ARN.fullmatch(arn)
    if match is None:
        if ":apigateway:" in arn:
            raise not_honoured(f"tags of {arn.rpartition('::')[2]}")
        raise BadRequestException("Invalid ARN specified in the request")
    api_id, stage = match.groups()
    return api_at(ctx, api_id) if stage is None else stage_at(ctx, api_id, stage)


def _save_tags(ctx: Context, tagged: Api | Stage, tags: dict[str, str]) -> None:
    if isinstance(tagged, Stage):
        ctx.tx.put(stage_key(tagged.api_id, tagged.name), replace(tagged, tags=tags))
    else:
        ctx.tx.put(api_key(tagged.id), replace(tagged, tags=tags))


def _deployment_at(ctx: Context, req: Mapping[str, Any]) -> Deployment:
    api_at(ctx, req["ApiId"])
    deployment = ctx.tx.get(deployment_key(req["ApiId"], req["DeploymentId"]), Deployment)
    if deployment is None:
        raise NotFoundException("Invalid Deployment identifier specified", members={"ResourceType": "Deployment"})
    return deployment


def _deployed(deployment: Deployment) -> Result:
    result: Result = {"DeploymentId": deployment.id, "CreatedDate": deployment.created_at, "DeploymentStatus": "DEPLOYED",
                      "AutoDeployed": deployment.automatic}  # fmt: skip
    if deployment.description is not None:
        result["Description"] = deployment.description
    return result


def _described(stage: Stage) -> Result:
    result: Result = {
        "StageName": stage.name, "AutoDeploy": stage.auto_deploy, "CreatedDate": stage.created_at,
        "LastUpdatedDate": stage.updated_at, "StageVariables": {}, "RouteSettings": {},
        "DefaultRouteSettings": {"DetailedMetricsEnabled": False}, **stage.settings, "Tags": stage.tags,
    }  # fmt: skip
    if stage.deployment_id is not None:
        result["DeploymentId"] = stage.deployment_id
    if stage.managed:
        result["ApiGatewayManaged"] = True
    if stage.auto_deploy:
        result["LastDeploymentStatusMessage"] = (
            f"Successfully deployed stage with deployment ID '{stage.deployment_id}'"
        )
    return result
