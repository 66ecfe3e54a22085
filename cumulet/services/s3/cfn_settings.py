"""Bucket settings as AWS::S3::Bucket writes them, turned into what the operations take.

Source: CloudFormation template reference, the property types of AWS::S3::Bucket (read 2026-11).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet

Json = dict[str, Any]

_NOTIFICATIONS = (
    ("LambdaConfigurations", "Function", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
    ("QueueConfigurations", "Queue", "QueueConfigurations", "QueueArn"),
    ("TopicConfigurations", "Topic", "TopicConfigurations", "TopicArn"),
)


def flag(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _known(given: Json, property_: str, *names: str) -> None:
    """Raises: NotImplementedOnCumulet for a member that nothing here reads."""
    for name in given:
        if name not in names:
            raise NotImplementedOnCumulet(
                f"Property {property_}.{name} of AWS::S3::Bucket is not supported by Cumulet."
            )


def notifications(given: Json) -> Json:
    """NotificationConfiguration: one event to a configuration, the filter's rules one level higher."""
    names = [member for member, _, _, _ in _NOTIFICATIONS]
    _known(given, "NotificationConfiguration", *names, "EventBridgeConfiguration")
    made: Json = {}
    for member, target, operation_member, arn in _NOTIFICATIONS:
        configurations = []
        for each in given.get(member, []):
            configuration: Json = {arn: each[target], "Events": [each["Event"]]}
            rules = each.get("Filter", {}).get("S3Key", {}).get("Rules", [])
            if rules:
                named = [{"Name": str(rule["Name"]).lower(), "Value": rule["Value"]} for rule in rules]
                configuration["Filter"] = {"Key": {"FilterRules": named}}
            configurations.append(configuration)
        if configurations:
            made[operation_member] = configurations
    if "EventBridgeConfiguration" in given and flag(
        (given["EventBridgeConfiguration"] or {}).get("EventBridgeEnabled", True)
    ):
        made["EventBridgeConfiguration"] = {}
    return made


def cors(given: Json) -> Json:
    rules = []
    for rule in given["CorsRules"]:
        _known(rule, "CorsRule", "Id", "AllowedHeaders", "AllowedMethods", "AllowedOrigins", "ExposedHeaders", "MaxAge")
        made = {name: rule[name] for name in ("AllowedHeaders", "AllowedMethods", "AllowedOrigins") if name in rule}
        for name, member in (("Id", "ID"), ("ExposedHeaders", "ExposeHeaders"), ("MaxAge", "MaxAgeSeconds")):
            if name in rule:
                made[member] = rule[name]
        rules.append(made)
    return {"CORSRules": rules}


def _date(value: Any) -> float:
    """A template's date, ISO 8601; one without a zone is UTC."""
    at = datetime.fromisoformat(str(value))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


_LIFECYCLE = (
    "AbortIncompleteMultipartUpload", "ExpirationDate", "ExpirationInDays", "ExpiredObjectDeleteMarker", "Id",
    "NoncurrentVersionExpiration", "NoncurrentVersionExpirationInDays", "NoncurrentVersionTransition",
    "NoncurrentVersionTransitions", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Prefix", "Status", "TagFilters",
    "Transition", "Transitions",
)  # fmt: skip


def lifecycle(given: Json) -> list[Json]:
    """Rules: the filter's parts stand beside each other, actions have names of their own."""
    _known(given, "LifecycleConfiguration", "Rules", "TransitionDefaultMinimumObjectSize")
    return [_rule(rule) for rule in given["Rules"]]


def _rule(rule: Json) -> Json:
    _known(rule, "LifecycleConfiguration.Rule", *_LIFECYCLE)
    made: Json = {"Status": rule["Status"], "Filter": _filter(rule)}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    expiration: Json = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = rule["ExpirationInDays"]
    if "ExpirationDate" in rule:
        expiration["Date"] = _date(rule["ExpirationDate"])
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = rule["ExpiredObjectDeleteMarker"]
    if expiration:
        made["Expiration"] = expiration
    if "AbortIncompleteMultipartUpload" in rule:
        made["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    if "NoncurrentVersionExpiration" in rule:
        made["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
    elif "NoncurrentVersionExpirationInDays" in rule:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    transitions = [*rule.get("Transitions", []), *([rule["Transition"]] if "Transition" in rule else [])]
    if transitions:
        made["Transitions"] = [_transition(each) for each in transitions]
    older = rule.get("NoncurrentVersionTransitions", [])
    older = [*older, *([rule["NoncurrentVersionTransition"]] if "NoncurrentVersionTransition" in rule else [])]
    if older:
        made["NoncurrentVersionTransitions"] = [
            {("NoncurrentDays" if name == "TransitionInDays" else name): value for name, value in each.items()}
            for each in older
        ]
    return made


def _transition(given: Json) -> Json:
    made: Json = {"StorageClass": given["StorageClass"]}
    if "TransitionInDays" in given:
        made["Days"] = given["TransitionInDays"]
    if "TransitionDate" in given:
        made["Date"] = _date(given["TransitionDate"])
    return made


def _filter(rule: Json) -> Json:
    parts: Json = {name: rule[name] for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan") if name in rule}
    if "Prefix" in rule:
        parts["Prefix"] = rule["Prefix"]
    tags = [{"Key": tag["Key"], "Value": str(tag["Value"])} for tag in rule.get("TagFilters", [])]
    if len(parts) + len(tags) <= 1:
        return {"Tag": tags[0]} if tags else parts or {"Prefix": ""}
    return {"And": {**parts, **({"Tags": tags} if tags else {})}}


def website(given: Json) -> Json:
    _known(given, "WebsiteConfiguration", "ErrorDocument", "IndexDocument", "RedirectAllRequestsTo", "RoutingRules")
    made: Json = {}
    if "IndexDocument" in given:
        made["IndexDocument"] = {"Suffix": given["IndexDocument"]}
    if "ErrorDocument" in given:
        made["ErrorDocument"] = {"Key": given["ErrorDocument"]}
    if "RedirectAllRequestsTo" in given:
        made["RedirectAllRequestsTo"] = given["RedirectAllRequestsTo"]
    if "RoutingRules" in given:
        made["RoutingRules"] = [
            {
                "Redirect": rule["RedirectRule"],
                **({"Condition": rule["RoutingRuleCondition"]} if "RoutingRuleCondition" in rule else {}),
            }
            for rule in given["RoutingRules"]
        ]
    return made
