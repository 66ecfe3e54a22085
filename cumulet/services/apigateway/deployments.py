"""Operations on deployments: unchangeable copies of an API's definition."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.errors import BadRequestException, NotFoundException, not_honoured
from cumulet.services.apigateway.model import (
    Definition,
    Deployment,
    S,
    Snapshot,
    Stage,
    api_at,
    definition_of,
    deployment_key,
    page,
    snapshot_key,
    stage_key,
    stages_of,
)
from cumulet.services.apigateway.staging import check_stage, new_stage


def create_deployment(ctx: Context, req: Result) -> Result:
    """Copy the API as it is now; with `stageName`, put that stage (a new one, or an old one) on the copy.

    Raises: NotFoundException; BadRequestException for an API without methods or a method without integration.
    Source: API Gateway API reference, CreateDeployment (read 2026-11).
    """
    api = api_at(ctx, req["restApiId"])
    if req.get("canarySettings"):
        raise not_honoured("canarySettings")
    definition = definition_of(ctx, api.id)
    methods = [m for resource in definition.resources.values() for m in resource.get("resourceMethods", {}).values()]
    if not methods:
        raise BadRequestException("The REST API doesn't contain any methods")
    if any("methodIntegration" not in method for method in methods):
        raise BadRequestException("No integration defined for method")
    deployment = Deployment(id=ctx.ids.lower(6), created_at=float(int(ctx.now)), description=req.get("description"))
    ctx.tx.put(deployment_key(api.id, deployment.id), deployment)
    ctx.tx.put(snapshot_key(api.id, deployment.id), Snapshot(definition=definition, settings=api.settings))
    if req.get("stageName"):
        _put_on_stage(ctx, api.id, req, deployment)
    return _described(deployment)


def get_deployment(ctx: Context, req: Result) -> Result:
    """One deployment; with `embed=apisummary` what it holds. Raises: NotFoundException. Source: API reference."""
    deployment = _deployment_at(ctx, req)
    result = _described(deployment)
    if "apisummary" in req.get("embed", ()):
        snapshot = ctx.tx.get(snapshot_key(req["restApiId"], deployment.id), Snapshot)
        assert snapshot is not None
        result["apiSummary"] = _summary(snapshot.definition)
    return result


def get_deployments(ctx: Context, req: Result) -> Result:
    """The API's deployments by id. Raises: NotFoundException. Source: API reference, GetDeployments."""
    api = api_at(ctx, req["restApiId"])
    found = ctx.tx.scan((S, "deployment", api.id), Deployment)
    return page(((deployment.id, _described(deployment)) for _, deployment in found), req)


def update_deployment(ctx: Context, req: Result) -> Result:
    """Change a deployment's description. Raises: NotFoundException, BadRequestException. Source: API reference."""
    deployment = _deployment_at(ctx, req)
    document = {} if deployment.description is None else {"description": deployment.description}
    document = patch.apply(document, req.get("patchOperations", []), {"/description": patch.Field()})
    deployment = replace(deployment, description=document.get("description"))
    ctx.tx.put(deployment_key(req["restApiId"], deployment.id), deployment)
    return _described(deployment)


def delete_deployment(ctx: Context, req: Result) -> Result:
    """Delete a deployment that no stage is on.

    Raises: NotFoundException, BadRequestException. Source: API reference, DeleteDeployment.
    """
    deployment = _deployment_at(ctx, req)
    if any(stage.deployment_id == deployment.id for stage in stages_of(ctx, req["restApiId"])):
        raise BadRequestException("Active stages pointing to this deployment must be moved or deleted")
    ctx.tx.delete(deployment_key(req["restApiId"], deployment.id))
    ctx.tx.delete(snapshot_key(req["restApiId"], deployment.id))
    return {}


def _put_on_stage(ctx: Context, api_id: str, req: Result, deployment: Deployment) -> None:
    settings: Result = {name: req[name] for name in ("variables", "tracingEnabled", "cacheClusterEnabled", "cacheClusterSize")
                if name in req}  # fmt: skip
    if "stageDescription" in req:
        settings["description"] = req["stageDescription"]
    stage = ctx.tx.get(stage_key(api_id, req["stageName"]), Stage)
    if stage is None:
        new_stage(ctx, api_id, req["stageName"], deployment.id, settings)
        return
    check_stage(ctx, api_id, deployment.id, settings)
    kept = {name: value for name, value in settings.items() if not name.startswith("cacheCluster")}
    stage = replace(stage, deployment_id=deployment.id, settings={**stage.settings, **kept},
                    updated_at=float(int(ctx.now)), revision=ctx.ids.hex(16))  # fmt: skip
    ctx.tx.put(stage_key(api_id, stage.name), stage)


def _deployment_at(ctx: Context, req: Result) -> Deployment:
    api_at(ctx, req["restApiId"])
    deployment = ctx.tx.get(deployment_key(req["restApiId"], req["deploymentId"]), Deployment)
    if deployment is None:
        raise NotFoundException("Invalid Deployment identifier specified")
    return deployment


def _described(deployment: Deployment) -> Result:
    result: Result = {"id": deployment.id, "createdDate": deployment.created_at}
    if deployment.description is not None:
        result["description"] = deployment.description
    return result


def _summary(definition: Definition) -> Result:
    return {
        resource["path"]: {
            name: {
                "authorizationType": method.get("authorizationType", "NONE"),
                "apiKeyRequired": method.get("apiKeyRequired", False),
            }
            for name, method in resource["resourceMethods"].items()
        }
        for resource in definition.resources.values()
        if resource.get("resourceMethods")
    }
