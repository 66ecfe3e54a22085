"""Systems Manager's CloudFormation type for parameters.

Source: CloudFormation template reference, AWS::SSM::Parameter (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.ssm.errors import ValidationException

_PLAIN = ("AllowedPattern", "DataType", "Description", "Name", "Tier", "Type", "Value")


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{name: str(value) for name, value in p.get("Tags", {}).items()}}


def _request(p: Properties) -> dict[str, Any]:
    if p["Type"] == "SecureString":
        raise ValidationException("AWS::SSM::Parameter does not support the type SecureString.")
    return {name: p[name] for name in _PLAIN if name in p}


def _made(p: Properties) -> Created:
    return Created(p["Name"], {"Type": p["Type"], "Value": str(p["Value"])})


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    tags = [{"Key": name, "Value": value} for name, value in _tags(p, scope).items()]
    call("PutParameter", **_request(p), **({"Tags": tags} if tags else {}))
    return _made(p)


def _update(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    if any(p.get(name) != old.get(name) for name in _PLAIN):
        call("PutParameter", Overwrite=True, **_request(p))
    where = {"ResourceType": "Parameter", "ResourceId": p["Name"]}
    tags = _tags(p, scope)
    gone = [tag["Key"] for tag in call("ListTagsForResource", **where)["TagList"] if tag["Key"] not in tags]
    if gone:
        call("RemoveTagsFromResource", **where, TagKeys=gone)
    if tags:
        call("AddTagsToResource", **where, Tags=[{"Key": name, "Value": value} for name, value in tags.items()])
    return _made(p)


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteParameter", Name=scope.physical_id)


PARAMETER = Resource(
    type="AWS::SSM::Parameter",
    service="ssm",
    properties=frozenset({*_PLAIN, "Tags"}),
    required=frozenset({"Type", "Value"}),
    create=_create,
    update=_update,
    delete=_delete,
    replace_on=frozenset({"Name", "Type"}),
    name="Name",
    name_max=256,
)

RESOURCES = (PARAMETER,)
