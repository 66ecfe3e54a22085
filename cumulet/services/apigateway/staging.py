"""Makes, checks and shows stages, for CreateStage and for CreateDeployment with a stage's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import methodsettings
from cumulet.services.apigateway.accesslogs import check_access_log
from cumulet.services.apigateway.errors import BadRequestException, ConflictException, NotFoundException, not_honoured
from cumulet.services.apigateway.model import Account, Deployment, Stage, account_key, api_at, deployment_key, stage_key

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")
_VARIABLE = re.compile(r"[A-Za-z0-9\-._~:/?#&=,]*")
_KEPT = ("description", "variables", "tracingEnabled")
_NO_ROLE = "CloudWatch Logs role ARN must be set in account settings to enable logging"


def new_stage(ctx: Context, api_id: str, name: str, deployment_id: str, settings: Mapping[str, Any]) -> Stage:
    """Store a new stage. Raises: NotFoundException, ConflictException, BadRequestException, NotImplementedOnCumulet."""
    api = api_at(ctx, api_id)
    if not _NAME.fullmatch(name):
        raise BadRequestException("Stage name only allows a-zA-Z0-9_-")
    if ctx.tx.get(stage_key(api_id, name), Stage) is not None:
        raise ConflictException("Stage already exists")
    check_stage(ctx, api_id, deployment_id, settings)
    now = float(int(ctx.now))
    stage = Stage(
        api_id=api_id, account=api.account, region=api.region, name=name, deployment_id=deployment_id, created_at=now,
        updated_at=now, revision=ctx.ids.hex(16), settings={key: settings[key] for key in _KEPT if key in settings},
        tags=settings.get("tags") or {},
    )  # fmt: skip
    ctx.tx.put(stage_key(api_id, name), stage)
    return stage


def check_stage(ctx: Context, api_id: str, deployment_id: str, settings: Mapping[str, Any]) -> None:
    """Raises: NotFoundException, BadRequestException, NotImplementedOnCumulet."""
    if ctx.tx.get(deployment_key(api_id, deployment_id), Deployment) is None:
        raise NotFoundException("Invalid Deployment identifier specified")
    if settings.get("cacheClusterEnabled") or settings.get("cacheClusterSize"):
        raise not_honoured("cacheClusterEnabled (caching)")
    if settings.get("canarySettings"):
        raise not_honoured("canarySettings")
    if settings.get("documentationVersion"):
        raise not_honoured("documentationVersion")
    for name, value in (settings.get("variables") or {}).items():
        if not _VARIABLE_NAME.fullmatch(name) or not _VARIABLE.fullmatch(value):
            raise BadRequestException(
                "Invalid stage variable value: values may have alphanumeric characters and -._~:/?#&=,"
            )
    methods = settings.get("methodSettings") or {}
    methodsettings.check(methods)
    access_log = settings.get("accessLogSettings") or {}
    check_access_log(access_log)
    if methodsettings.wants_logs(methods) or access_log.get("destinationArn"):
        account = ctx.tx.get(account_key(ctx.account, ctx.region), Account)
        if account is None or account.role_arn is None:
            raise BadRequestException(_NO_ROLE)


def describe_stage(stage: Stage) -> Result:
    """A stage in the API's shape."""
    result: Result = {
        "stageName": stage.name, "deploymentId": stage.deployment_id, "cacheClusterEnabled": False,
        "cacheClusterStatus": "NOT_AVAILABLE", "tracingEnabled": False,
        "createdDate": stage.created_at, "lastUpdatedDate": stage.updated_at, **stage.settings,
    }  # fmt: skip
    result["methodSettings"] = methodsettings.described(stage.settings.get("methodSettings") or {})
    if stage.tags:
        result["tags"] = stage.tags
    return result
