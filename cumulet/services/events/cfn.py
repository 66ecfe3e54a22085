"""EventBridge's CloudFormation types.

Source: CloudFormation template reference, AWS::Events::EventBus, ::Rule, ::EventBusPolicy, ::Archive, ::Connection,
::ApiDestination (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.events.model import DEFAULT

Json = dict[str, Any]
_AT_ONCE = 10


def _given(p: Properties, *names: str) -> Json:
    return {name: p[name] for name in names if name in p}


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    tags = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _retag(call: Call, arn: str, p: Properties, scope: Scope) -> None:
    wanted = _tags(p, scope)
    now = call("ListTagsForResource", ResourceARN=arn)["Tags"]
    gone = sorted({tag["Key"] for tag in now} - {tag["Key"] for tag in wanted})
    if gone:
        call("UntagResource", ResourceARN=arn, TagKeys=gone)
    if wanted:
        call("TagResource", ResourceARN=arn, Tags=wanted)


def _text(value: Any) -> str:
    """A property that a template gives as an object, or as JSON text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


# buses


def _bus(name: str, arn: str) -> Created:
    return Created(name, {"Arn": arn, "Name": name})


_BUS_SETTINGS = ("Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


def _create_bus(call: Call, p: Properties, scope: Scope) -> Created:
    request = _given(p, "Name", "EventSourceName", *_BUS_SETTINGS)
    tags = _tags(p, scope)
    arn = call("CreateEventBus", **request, **({"Tags": tags} if tags else {}))["EventBusArn"]
    if "Policy" in p:
        call("PutPermission", EventBusName=p["Name"], Policy=_text(p["Policy"]))
    return _bus(p["Name"], arn)


def _update_bus(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    request = {"Description": "", **_given(p, "Name", *_BUS_SETTINGS)}
    arn = call("UpdateEventBus", **request)["Arn"]
    if p.get("Policy") != old.get("Policy"):
        if "Policy" in p:
            call("PutPermission", EventBusName=p["Name"], Policy=_text(p["Policy"]))
        else:
            call("RemovePermission", EventBusName=p["Name"], RemoveAllPermissions=True)
    _retag(call, arn, p, scope)
    return _bus(p["Name"], arn)


def _delete_bus(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteEventBus", Name=scope.physical_id)


EVENT_BUS = Resource(
    type="AWS::Events::EventBus",
    service="events",
    properties=frozenset({"EventSourceName", "Name", "Policy", "Tags", *_BUS_SETTINGS}),
    required=frozenset({"Name"}),
    create=_create_bus,
    update=_update_bus,
    delete=_delete_bus,
    replace_on=frozenset({"EventSourceName", "Name"}),
)


# rules


def _put_rule(call: Call, p: Properties, **more: Any) -> Created:
    request = _given(p, "Name", "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State")
    if "EventPattern" in p:
        request["EventPattern"] = _text(p["EventPattern"])
    arn = call("PutRule", **request, **more)["RuleArn"]
    targets = p.get("Targets", [])
    for begin in range(0, len(targets), _AT_ONCE):
        call("PutTargets", Rule=p["Name"], Targets=targets[begin : begin + _AT_ONCE], **_given(p, "EventBusName"))
    bus = str(p.get("EventBusName", DEFAULT)).rpartition("/")[2]
    return Created(p["Name"] if bus == DEFAULT else f"{bus}|{p['Name']}", {"Arn": arn, "RuleName": p["Name"]})


def _create_rule(call: Call, p: Properties, scope: Scope) -> Created:
    tags = _tags(p, scope)
    return _put_rule(call, p, **({"Tags": tags} if tags else {}))


def _update_rule(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    left = {str(target["Id"]) for target in p.get("Targets", ())}
    gone = [str(target["Id"]) for target in old.get("Targets", ()) if str(target["Id"]) not in left]
    if gone:
        call("RemoveTargets", Rule=p["Name"], Ids=gone, **_given(p, "EventBusName"))
    created = _put_rule(call, p)
    _retag(call, created.attributes["Arn"], p, scope)
    return created


def _delete_rule(call: Call, p: Properties, scope: Scope) -> None:
    bus, _, name = str(scope.physical_id).rpartition("|")
    where = {"EventBusName": bus or DEFAULT}
    targets = call("ListTargetsByRule", Rule=name, **where)["Targets"]
    if targets:
        call("RemoveTargets", Rule=name, Ids=[target["Id"] for target in targets], **where)
    call("DeleteRule", Name=name, **where)


RULE = Resource(
    type="AWS::Events::Rule",
    service="events",
    properties=frozenset(
        {
            "Description",
            "EventBusName",
            "EventPattern",
            "Name",
            "RoleArn",
            "ScheduleExpression",
            "State",
            "Tags",
            "Targets",
        }
    ),
    create=_create_rule,
    update=_update_rule,
    delete=_delete_rule,
    replace_on=frozenset({"EventBusName", "Name"}),
    name="Name",
    name_max=64,
)


# permissions


def _put_policy(call: Call, p: Properties, scope: Scope) -> Created:
    where = {"EventBusName": p.get("EventBusName", DEFAULT)}
    if "Statement" not in p:
        call("PutPermission", **where, **_given(p, "Action", "Condition", "Principal", "StatementId"))
        return Created(p["StatementId"])
    policy = call("DescribeEventBus", Name=where["EventBusName"]).get("Policy")
    others = json.loads(policy)["Statement"] if policy else []
    given = json.loads(p["Statement"]) if isinstance(p["Statement"], str) else p["Statement"]
    statements = [each for each in others if each.get("Sid") != p["StatementId"]]
    statements.append({**given, "Sid": p["StatementId"]})
    call("PutPermission", **where, Policy=_text({"Version": "2012-10-17", "Statement": statements}))
    return Created(p["StatementId"])


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    call("RemovePermission", EventBusName=p.get("EventBusName", DEFAULT), StatementId=scope.physical_id)


EVENT_BUS_POLICY = Resource(
    type="AWS::Events::EventBusPolicy",
    service="events",
    properties=frozenset({"Action", "Condition", "EventBusName", "Principal", "Statement", "StatementId"}),
    required=frozenset({"StatementId"}),
    create=_put_policy,
    update=lambda call, p, old, scope: _put_policy(call, p, scope),
    delete=_delete_policy,
    replace_on=frozenset({"EventBusName", "StatementId"}),
)


# archives


def _archive_request(p: Properties) -> Json:
    request = _given(p, "ArchiveName", "Description", "KmsKeyIdentifier", "RetentionDays")
    if "EventPattern" in p:
        request["EventPattern"] = _text(p["EventPattern"])
    return request


def _create_archive(call: Call, p: Properties, scope: Scope) -> Created:
    answer = call("CreateArchive", EventSourceArn=p["SourceArn"], **_archive_request(p))
    return Created(p["ArchiveName"], {"Arn": answer["ArchiveArn"]})


def _update_archive(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    answer = call("UpdateArchive", **{"RetentionDays": 0, "Description": "", "EventPattern": "", **_archive_request(p)})
    return Created(p["ArchiveName"], {"Arn": answer["ArchiveArn"]})


def _delete_archive(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteArchive", ArchiveName=scope.physical_id)


ARCHIVE = Resource(
    type="AWS::Events::Archive",
    service="events",
    properties=frozenset(
        {"ArchiveName", "Description", "EventPattern", "KmsKeyIdentifier", "RetentionDays", "SourceArn"}
    ),
    required=frozenset({"SourceArn"}),
    create=_create_archive,
    update=_update_archive,
    delete=_delete_archive,
    replace_on=frozenset({"ArchiveName", "SourceArn"}),
    name="ArchiveName",
    name_max=48,
)


# API destinations

_CONNECTION = (
    "AuthParameters",
    "AuthorizationType",
    "Description",
    "InvocationConnectivityParameters",
    "KmsKeyIdentifier",
)


def _arns(arn: str) -> Json:
    """For policies the ARN goes without the id at its end, which changes when the resource is made again."""
    return {"Arn": arn, "ArnForPolicy": arn.rpartition("/")[0]}


def _put_connection(operation: str, call: Call, p: Properties) -> Created:
    answer = call(operation, Name=p["Name"], **_given(p, *_CONNECTION))
    return Created(p["Name"], _arns(answer["ConnectionArn"]))


def _delete_connection(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteConnection", Name=scope.physical_id)


CONNECTION = Resource(
    type="AWS::Events::Connection",
    service="events",
    properties=frozenset({"Name", *_CONNECTION}),
    create=lambda call, p, scope: _put_connection("CreateConnection", call, p),
    update=lambda call, p, old, scope: _put_connection("UpdateConnection", call, p),
    delete=_delete_connection,
    replace_on=frozenset({"Name"}),
    name="Name",
    name_max=64,
)

_DESTINATION = ("ConnectionArn", "Description", "HttpMethod", "InvocationEndpoint", "InvocationRateLimitPerSecond")


def _put_destination(operation: str, call: Call, p: Properties) -> Created:
    answer = call(operation, Name=p["Name"], **_given(p, *_DESTINATION))
    return Created(p["Name"], _arns(answer["ApiDestinationArn"]))


def _delete_destination(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteApiDestination", Name=scope.physical_id)


API_DESTINATION = Resource(
    type="AWS::Events::ApiDestination",
    service="events",
    properties=frozenset({"Name", *_DESTINATION}),
    required=frozenset({"ConnectionArn", "HttpMethod", "InvocationEndpoint"}),
    create=lambda call, p, scope: _put_destination("CreateApiDestination", call, p),
    update=lambda call, p, old, scope: _put_destination("UpdateApiDestination", call, p),
    delete=_delete_destination,
    replace_on=frozenset({"Name"}),
    name="Name",
    name_max=64,
)

RESOURCES = (EVENT_BUS, RULE, EVENT_BUS_POLICY, ARCHIVE, CONNECTION, API_DESTINATION)
