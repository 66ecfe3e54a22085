"""CloudFormation types of API keys and usage plans.

Source: CloudFormation template reference, AWS::ApiGateway::ApiKey, UsagePlan, UsagePlanKey (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

Patch = dict[str, str]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: _text(tag["Value"]) for tag in p.get("Tags", ())}}


def _retag(call: Call, arn: str, tags: Mapping[str, str]) -> None:
    gone = [name for name in call("GetTags", resourceArn=arn)["tags"] if name not in tags]
    if gone:
        call("UntagResource", resourceArn=arn, tagKeys=gone)
    call("TagResource", resourceArn=arn, tags=dict(tags))


_KEY = {"CustomerId": "customerId", "Description": "description", "Enabled": "enabled", "Name": "name", "Value": "value",
        "GenerateDistinctId": "generateDistinctId"}  # fmt: skip


def _key_of(made: Mapping[str, Any]) -> Created:
    return Created(made["id"], {"APIKeyId": made["id"]})


def _stage_keys(p: Properties) -> list[str]:
    return [f"{one['RestApiId']}/{one['StageName']}" for one in p.get("StageKeys", ())]


def _create_key(call: Call, p: Properties, scope: Scope) -> Created:
    request = {member: p[name] for name, member in _KEY.items() if name in p}
    request["stageKeys"] = [
        {"restApiId": one["RestApiId"], "stageName": one["StageName"]} for one in p.get("StageKeys", ())
    ]
    return _key_of(call("CreateApiKey", **request, tags=_tags(p, scope)))


def _update_key(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    assert scope.physical_id is not None
    defaults = {"CustomerId": "", "Description": "", "Enabled": "false"}
    patches = [{"op": "replace", "path": f"/{_KEY[name]}", "value": _text(p.get(name, default))}
               for name, default in defaults.items() if name in p or name in old]  # fmt: skip
    before, now = _stage_keys(old), _stage_keys(p)
    patches += [{"op": "remove", "path": "/stages", "value": name} for name in before if name not in now]
    patches += [{"op": "add", "path": "/stages", "value": name} for name in now if name not in before]
    made = call("UpdateApiKey", apiKey=scope.physical_id, patchOperations=patches)
    _retag(call, f"arn:aws:apigateway:{scope.region}::/apikeys/{scope.physical_id}", _tags(p, scope))
    return _key_of(made)


def _delete_key(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteApiKey", apiKey=scope.physical_id)


API_KEY = Resource(
    type="AWS::ApiGateway::ApiKey",
    service="apigateway",
    properties=frozenset({*_KEY, "StageKeys", "Tags"}),
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    replace_on=frozenset({"GenerateDistinctId", "Name", "Value"}),
    name="Name",
)


def _limits(throttle: Mapping[str, Any]) -> dict[str, Any]:
    names = {"BurstLimit": "burstLimit", "RateLimit": "rateLimit"}
    return {names[name]: value for name, value in throttle.items()}


def _plan(p: Properties) -> dict[str, Any]:
    """CreateUsagePlan's members."""
    found: dict[str, Any] = {member: p[name] for name, member in (("UsagePlanName", "name"), ("Description", "description"))
                             if name in p}  # fmt: skip
    if p.get("Throttle"):
        found["throttle"] = _limits(p["Throttle"])
    if p.get("Quota"):
        names = {"Limit": "limit", "Offset": "offset", "Period": "period"}
        found["quota"] = {names[name]: value for name, value in p["Quota"].items()}
    if p.get("ApiStages"):
        found["apiStages"] = [
            {"apiId": one["ApiId"], "stage": one["Stage"],
             "throttle": {name: _limits(limits) for name, limits in one.get("Throttle", {}).items()}}
            for one in p["ApiStages"]
        ]  # fmt: skip
    return found


def _create_plan(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateUsagePlan", **_plan(p), tags=_tags(p, scope))
    return Created(made["id"], {"Id": made["id"]})


def _stages(p: Properties) -> dict[str, Mapping[str, Any]]:
    return {f"{one['ApiId']}:{one['Stage']}": one for one in p.get("ApiStages", ())}


def _set(path: str, values: Mapping[str, Any]) -> list[Patch]:
    return [{"op": "replace", "path": f"{path}/{name[0].lower()}{name[1:]}", "value": _text(value)}
            for name, value in values.items()]  # fmt: skip


def _plan_patches(p: Properties, old: Properties) -> list[Patch]:
    patches = [{"op": "replace", "path": "/name", "value": p["UsagePlanName"]},
               {"op": "replace", "path": "/description", "value": p.get("Description", "")}]  # fmt: skip
    for name in ("Throttle", "Quota"):
        if old.get(name):
            patches.append({"op": "remove", "path": f"/{name.lower()}"})
        patches += _set(f"/{name.lower()}", p.get(name, {}))
    before, now = _stages(old), _stages(p)
    patches += [{"op": "remove", "path": "/apiStages", "value": name} for name in before]
    for name, stage in now.items():
        patches.append({"op": "add", "path": "/apiStages", "value": name})
        for method, limits in stage.get("Throttle", {}).items():
            patches += _set(f"/apiStages/{name}/throttle/{method.replace('/', '~1')}", limits)
    return patches


def _update_plan(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    assert scope.physical_id is not None
    call("UpdateUsagePlan", usagePlanId=scope.physical_id, patchOperations=_plan_patches(p, old))
    _retag(call, f"arn:aws:apigateway:{scope.region}::/usageplans/{scope.physical_id}", _tags(p, scope))
    return Created(scope.physical_id, {"Id": scope.physical_id})


def _delete_plan(call: Call, p: Properties, scope: Scope) -> None:
    patches = [{"op": "remove", "path": "/apiStages", "value": name} for name in _stages(p)]
    call("UpdateUsagePlan", usagePlanId=scope.physical_id, patchOperations=patches)
    call("DeleteUsagePlan", usagePlanId=scope.physical_id)


USAGE_PLAN = Resource(
    type="AWS::ApiGateway::UsagePlan",
    service="apigateway",
    properties=frozenset({"ApiStages", "Description", "Quota", "Tags", "Throttle", "UsagePlanName"}),
    create=_create_plan,
    update=_update_plan,
    delete=_delete_plan,
    name="UsagePlanName",
)


def _create_member(call: Call, p: Properties, scope: Scope) -> Created:
    call("CreateUsagePlanKey", usagePlanId=p["UsagePlanId"], keyId=p["KeyId"], keyType=p["KeyType"])
    physical = f"{p['KeyId']}:{p['UsagePlanId']}"
    return Created(physical, {"Id": physical})


def _delete_member(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteUsagePlanKey", usagePlanId=p["UsagePlanId"], keyId=p["KeyId"])


USAGE_PLAN_KEY = Resource(
    type="AWS::ApiGateway::UsagePlanKey",
    service="apigateway",
    properties=frozenset({"KeyId", "KeyType", "UsagePlanId"}),
    required=frozenset({"KeyId", "KeyType", "UsagePlanId"}),
    create=_create_member,
    delete=_delete_member,
)
