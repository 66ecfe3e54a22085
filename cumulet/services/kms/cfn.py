"""KMS's CloudFormation types.

Source: CloudFormation template reference, AWS::KMS::Key, AWS::KMS::Alias (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.outcome import Effect
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    tags = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    return [{"TagKey": name, "TagValue": value} for name, value in tags.items()]


def _policy(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _create_key(call: Call, p: Properties, scope: Scope) -> Created | Effect:
    request: dict[str, Any] = {
        name: p[name]
        for name in ("BypassPolicyLockoutSafetyCheck", "Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin")
        if name in p
    }
    if "KeyPolicy" in p:
        request["Policy"] = _policy(p["KeyPolicy"])
    if tags := _tags(p, scope):
        request["Tags"] = tags
    made: Any = call("CreateKey", **request)
    if isinstance(made, Effect):
        return made.then(lambda ctx, result: _made(call, p, result["KeyMetadata"]))
    return _made(call, p, made["KeyMetadata"])


def _made(call: Call, p: Properties, metadata: dict[str, Any]) -> Created:
    key_id = metadata["KeyId"]
    if _true(p.get("EnableKeyRotation", False)):
        _rotate(call, p, key_id)
    if not _true(p.get("Enabled", True)):
        call("DisableKey", KeyId=key_id)
    return Created(key_id, {"Arn": metadata["Arn"], "KeyId": key_id})


def _rotate(call: Call, p: Properties, key_id: str) -> None:
    days = {"RotationPeriodInDays": p["RotationPeriodInDays"]} if "RotationPeriodInDays" in p else {}
    call("EnableKeyRotation", KeyId=key_id, **days)


def _update_key(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    key_id = str(scope.physical_id)
    enabled, was = _true(p.get("Enabled", True)), _true(old.get("Enabled", True))
    if enabled and not was:
        call("EnableKey", KeyId=key_id)
    if p.get("Description", "") != old.get("Description", ""):
        call("UpdateKeyDescription", KeyId=key_id, Description=p.get("Description", ""))
    if "KeyPolicy" in p and p["KeyPolicy"] != old.get("KeyPolicy"):
        bypass = {"BypassPolicyLockoutSafetyCheck": p["BypassPolicyLockoutSafetyCheck"]} if "BypassPolicyLockoutSafetyCheck" in p else {}  # fmt: skip
        call("PutKeyPolicy", KeyId=key_id, Policy=_policy(p["KeyPolicy"]), **bypass)
    rotation = ("EnableKeyRotation", "RotationPeriodInDays")
    if [str(p.get(name, "")) for name in rotation] != [str(old.get(name, "")) for name in rotation]:
        if _true(p.get("EnableKeyRotation", False)):
            _rotate(call, p, key_id)
        else:
            call("DisableKeyRotation", KeyId=key_id)
    tags = _tags(p, scope)
    there = [tag["TagKey"] for tag in call("ListResourceTags", KeyId=key_id, Limit=50)["Tags"]]
    gone = [name for name in there if name not in {tag["TagKey"] for tag in tags}]
    if gone:
        call("UntagResource", KeyId=key_id, TagKeys=gone)
    if tags:
        call("TagResource", KeyId=key_id, Tags=tags)
    if was and not enabled:
        call("DisableKey", KeyId=key_id)
    arn = call("DescribeKey", KeyId=key_id)["KeyMetadata"]["Arn"]
    return Created(key_id, {"Arn": arn, "KeyId": key_id})


def _delete_key(call: Call, p: Properties, scope: Scope) -> None:
    key_id = str(scope.physical_id)
    if call("DescribeKey", KeyId=key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return
    days = {"PendingWindowInDays": p["PendingWindowInDays"]} if "PendingWindowInDays" in p else {}
    call("ScheduleKeyDeletion", KeyId=key_id, **days)


KEY = Resource(
    type="AWS::KMS::Key",
    service="kms",
    properties=frozenset(
        {
            "BypassPolicyLockoutSafetyCheck", "Description", "EnableKeyRotation", "Enabled", "KeyPolicy", "KeySpec", "KeyUsage",
            "MultiRegion", "Origin", "PendingWindowInDays", "RotationPeriodInDays", "Tags",
        }
    ),
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    replace_on=frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Origin"}),
)  # fmt: skip


def _create_alias(call: Call, p: Properties, scope: Scope) -> Created:
    call("CreateAlias", AliasName=p["AliasName"], TargetKeyId=p["TargetKeyId"])
    return Created(p["AliasName"])


def _update_alias(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("UpdateAlias", AliasName=p["AliasName"], TargetKeyId=p["TargetKeyId"])
    return Created(p["AliasName"])


def _delete_alias(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteAlias", AliasName=scope.physical_id)


ALIAS = Resource(
    type="AWS::KMS::Alias",
    service="kms",
    properties=frozenset({"AliasName", "TargetKeyId"}),
    required=frozenset({"AliasName", "TargetKeyId"}),
    create=_create_alias,
    update=_update_alias,
    delete=_delete_alias,
    replace_on=frozenset({"AliasName"}),
)

RESOURCES = (KEY, ALIAS)
