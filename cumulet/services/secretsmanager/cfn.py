"""Secrets Manager's CloudFormation types.

Source: CloudFormation template reference, AWS::SecretsManager::Secret, ResourcePolicy, RotationSchedule, SecretTargetAttachment
(read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.secretsmanager.errors import ValidationException


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    tags = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _value(call: Call, p: Properties) -> dict[str, str]:
    """SecretString, as it is given or generated."""
    if "SecretString" in p and "GenerateSecretString" in p:
        raise ValidationException("You can't specify both SecretString and GenerateSecretString.")
    if "SecretString" in p:
        return {"SecretString": str(p["SecretString"])}
    if "GenerateSecretString" not in p:
        return {}
    how = dict(p["GenerateSecretString"])
    template, key = how.pop("SecretStringTemplate", None), how.pop("GenerateStringKey", None)
    if (template is None) != (key is None):
        raise ValidationException("You must specify both SecretStringTemplate and GenerateStringKey, or neither.")
    password = call("GetRandomPassword", **how)["RandomPassword"]
    if template is None:
        return {"SecretString": password}
    try:
        filled = {**read_json(template), key: password}
    except (NotJson, TypeError):
        raise ValidationException("SecretStringTemplate must be a JSON object.") from None
    return {"SecretString": json.dumps(filled)}


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    request: dict[str, Any] = {name: p[name] for name in ("Description", "KmsKeyId", "Name") if name in p}
    if tags := _tags(p, scope):
        request["Tags"] = tags
    arn = call("CreateSecret", **request, **_value(call, p))["ARN"]
    return Created(arn, {"Id": arn})


def _update(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    arn = str(scope.physical_id)
    request: dict[str, Any] = {
        name: p.get(name, "") for name in ("Description", "KmsKeyId") if p.get(name, "") != old.get(name, "")
    }
    source = ("SecretString", "GenerateSecretString")
    if [p.get(name) for name in source] != [old.get(name) for name in source]:
        request |= _value(call, p)
    if request:
        call("UpdateSecret", SecretId=arn, **request)
    tags = _tags(p, scope)
    there = [tag["Key"] for tag in call("DescribeSecret", SecretId=arn)["Tags"]]
    gone = [name for name in there if name not in {tag["Key"] for tag in tags}]
    if gone:
        call("UntagResource", SecretId=arn, TagKeys=gone)
    if tags:
        call("TagResource", SecretId=arn, Tags=tags)
    return Created(arn, {"Id": arn})


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteSecret", SecretId=scope.physical_id, ForceDeleteWithoutRecovery=True)


SECRET = Resource(
    type="AWS::SecretsManager::Secret",
    service="secretsmanager",
    properties=frozenset({"Description", "GenerateSecretString", "KmsKeyId", "Name", "SecretString", "Tags"}),
    create=_create,
    update=_update,
    delete=_delete,
    replace_on=frozenset({"Name"}),
    name="Name",
    name_max=512,
)


def _set_policy(call: Call, p: Properties, scope: Scope) -> Created:
    policy = p["ResourcePolicy"]
    request = {"BlockPublicPolicy": p["BlockPublicPolicy"]} if "BlockPublicPolicy" in p else {}
    text = policy if isinstance(policy, str) else json.dumps(policy)
    arn = call("PutResourcePolicy", SecretId=p["SecretId"], ResourcePolicy=text, **request)["ARN"]
    return Created(arn, {"Id": arn})


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteResourcePolicy", SecretId=scope.physical_id)


RESOURCE_POLICY = Resource(
    type="AWS::SecretsManager::ResourcePolicy",
    service="secretsmanager",
    properties=frozenset({"BlockPublicPolicy", "ResourcePolicy", "SecretId"}),
    required=frozenset({"ResourcePolicy", "SecretId"}),
    create=_set_policy,
    update=lambda call, p, old, scope: _set_policy(call, p, scope),
    delete=_delete_policy,
    replace_on=frozenset({"SecretId"}),
)


def _rotate(call: Call, p: Properties, scope: Scope) -> Created:
    request: dict[str, Any] = {name: p[name] for name in ("RotationLambdaARN", "RotationRules") if name in p}
    if "RotateImmediatelyOnUpdate" in p:
        request["RotateImmediately"] = p["RotateImmediatelyOnUpdate"]
    arn = call("RotateSecret", SecretId=p["SecretId"], **request)["ARN"]
    return Created(arn, {"Id": arn})


def _cancel(call: Call, p: Properties, scope: Scope) -> None:
    call("CancelRotateSecret", SecretId=scope.physical_id)


ROTATION_SCHEDULE = Resource(
    type="AWS::SecretsManager::RotationSchedule",
    service="secretsmanager",
    properties=frozenset({"RotateImmediatelyOnUpdate", "RotationLambdaARN", "RotationRules", "SecretId"}),
    required=frozenset({"SecretId"}),
    create=_rotate,
    update=lambda call, p, old, scope: _rotate(call, p, scope),
    delete=_cancel,
    replace_on=frozenset({"SecretId"}),
)

_CONNECTIONS = ("engine", "host", "port", "dbname", "dbInstanceIdentifier")


def _attach(call: Call, p: Properties, scope: Scope) -> Created:
    """Add to the secret how the database is reached."""
    if p["TargetType"] != "AWS::RDS::DBInstance":
        raise ValidationException(f"TargetType {p['TargetType']} is not supported by Cumulet.")
    [target] = call("rds:DescribeDBInstances", DBInstanceIdentifier=p["TargetId"])["DBInstances"]
    kept = json.loads(call("GetSecretValue", SecretId=p["SecretId"])["SecretString"])
    kept |= {"engine": target["Engine"], "dbInstanceIdentifier": target["DBInstanceIdentifier"]}
    if "Endpoint" in target:
        kept |= {"host": target["Endpoint"]["Address"], "port": target["Endpoint"]["Port"]}
    if "DBName" in target:
        kept["dbname"] = target["DBName"]
    arn = call("PutSecretValue", SecretId=p["SecretId"], SecretString=json.dumps(kept))["ARN"]
    return Created(arn, {"Id": arn})


def _detach(call: Call, p: Properties, scope: Scope) -> None:
    kept = json.loads(call("GetSecretValue", SecretId=scope.physical_id)["SecretString"])
    left = {name: value for name, value in kept.items() if name not in _CONNECTIONS}
    call("PutSecretValue", SecretId=scope.physical_id, SecretString=json.dumps(left))


ATTACHMENT = Resource(
    type="AWS::SecretsManager::SecretTargetAttachment",
    service="secretsmanager",
    properties=frozenset({"SecretId", "TargetId", "TargetType"}),
    required=frozenset({"SecretId", "TargetId", "TargetType"}),
    create=_attach,
    update=lambda call, p, old, scope: _attach(call, p, scope),
    delete=_detach,
    replace_on=frozenset({"SecretId"}),
)

RESOURCES = (SECRET, RESOURCE_POLICY, ROTATION_SCHEDULE, ATTACHMENT)
