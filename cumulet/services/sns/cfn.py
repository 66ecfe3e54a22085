"""SNS's CloudFormation types.

Source: CloudFormation template reference, AWS::SNS::Topic, AWS::SNS::Subscription, AWS::SNS::TopicPolicy,
AWS::SNS::TopicInlinePolicy (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.sns import access
from cumulet.services.sns.errors import InvalidParameter, unsupported

_encode = msgspec.json.Encoder().encode
_PLAIN = (
    "DisplayName",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
    "FifoThroughputScope",
    "MaximumMessageSize",
)
_WITHOUT = {  # what an attribute is set to when a template no longer has it
    "DisplayName": "",
    "KmsMasterKeyId": "",
    "SignatureVersion": "1",
    "TracingConfig": "PassThrough",
    "FifoThroughputScope": "Topic",
    "MaximumMessageSize": "262144",
    "ContentBasedDeduplication": "false",
}
_LOGGING = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
_PROTOCOLS = {"http/s": "HTTP", "lambda": "Lambda", "sqs": "SQS"}


def _text(value: Any) -> str:
    """An attribute's value: JSON for objects, `true` for booleans."""
    if isinstance(value, dict | list):
        return _encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_fifo(p: Properties) -> bool:
    return _text(p.get("FifoTopic", False)).lower() == "true"


def _attributes(p: Properties) -> dict[str, str]:
    found = {name: _text(p[name]) for name in _PLAIN if name in p}
    if _is_fifo(p):
        found["FifoTopic"] = "true"
        if "ContentBasedDeduplication" in p:
            found["ContentBasedDeduplication"] = _text(p["ContentBasedDeduplication"])
    for logging in p.get("DeliveryStatusLogging", ()):
        protocol = _PROTOCOLS.get(str(logging["Protocol"]))
        if protocol is None:
            raise unsupported(f"DeliveryStatusLogging for protocol {logging['Protocol']}")
        for name in _LOGGING:
            if name in logging:
                found[protocol + name] = _text(logging[name])
    return found


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: _text(tag["Value"]) for tag in p.get("Tags", ())}}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _topic(arn: str) -> Created:
    return Created(arn, {"TopicArn": arn, "TopicName": arn.rsplit(":", 1)[1]})


def _create_topic(call: Call, p: Properties, scope: Scope) -> Created:
    name = str(p["TopicName"])
    if _is_fifo(p) and name == scope.generated_name:
        name = f"{name[:251]}.fifo"
    if _exists(call, f"arn:aws:sns:{scope.region}:{scope.account}:{name}"):
        raise GenericAwsError("AlreadyExists", f"Topic {name} already exists")
    arn = call("CreateTopic", Name=name, Attributes=_attributes(p), Tags=_listed(_tags(p, scope)))["TopicArn"]
    for endpoint in p.get("Subscription", ()):
        call("Subscribe", TopicArn=arn, Protocol=endpoint["Protocol"], Endpoint=endpoint["Endpoint"])
    return _topic(arn)


def _exists(call: Call, arn: str) -> bool:
    try:
        call("GetTopicAttributes", TopicArn=arn)
    except AwsError as error:
        if error.wire_code != "NotFound":
            raise
        return False
    return True


def _update_topic(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    arn = str(scope.physical_id)
    now, before = _attributes(p), _attributes(old)
    for name in before:
        if name not in now:
            fallback = "100" if name.endswith("SampleRate") else _WITHOUT.get(name, "")
            call("SetTopicAttributes", TopicArn=arn, AttributeName=name, AttributeValue=fallback)
    for name, value in now.items():
        if before.get(name) != value:
            call("SetTopicAttributes", TopicArn=arn, AttributeName=name, AttributeValue=value)
    _update_endpoints(call, arn, p, old)
    tags = _tags(p, scope)
    gone = [tag["Key"] for tag in call("ListTagsForResource", ResourceArn=arn)["Tags"] if tag["Key"] not in tags]
    if gone:
        call("UntagResource", ResourceArn=arn, TagKeys=gone)
    if tags:
        call("TagResource", ResourceArn=arn, Tags=_listed(tags))
    return _topic(arn)


def _update_endpoints(call: Call, arn: str, p: Properties, old: Properties) -> None:
    now = {(s["Protocol"], s["Endpoint"]) for s in p.get("Subscription", ())}
    before = {(s["Protocol"], s["Endpoint"]) for s in old.get("Subscription", ())}
    for protocol, endpoint in sorted(before - now):
        subscribed = call("Subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint, ReturnSubscriptionArn=True)
        call("Unsubscribe", SubscriptionArn=subscribed["SubscriptionArn"])
    for protocol, endpoint in sorted(now - before):
        call("Subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint)


def _delete_topic(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteTopic", TopicArn=scope.physical_id)


TOPIC = Resource(
    type="AWS::SNS::Topic",
    service="sns",
    properties=frozenset(
        {
            *_PLAIN,
            "ContentBasedDeduplication",
            "DeliveryStatusLogging",
            "FifoTopic",
            "Subscription",
            "Tags",
            "TopicName",
        }
    ),
    members={
        "DeliveryStatusLogging": frozenset({"Protocol", *_LOGGING}),
        "Subscription": frozenset({"Endpoint", "Protocol"}),
    },
    create=_create_topic,
    update=_update_topic,
    delete=_delete_topic,
    replace_on=frozenset({"TopicName", "FifoTopic"}),
    name="TopicName",
    name_max=256,
)


# subscriptions

_SET = ("DeliveryPolicy", "RawMessageDelivery", "RedrivePolicy")
_FILTER = ("FilterPolicy", "FilterPolicyScope")


def _check_region(p: Properties, scope: Scope) -> None:
    if p.get("Region", scope.region) != scope.region:
        raise InvalidParameter.of(f"Region: Cumulet subscribes to topics of the stack's region, {scope.region}")


def _create_subscription(call: Call, p: Properties, scope: Scope) -> Created:
    _check_region(p, scope)
    attributes = {name: _text(p[name]) for name in (*_SET, *_FILTER) if name in p}
    request: dict[str, Any] = {"TopicArn": p["TopicArn"], "Protocol": p["Protocol"], "ReturnSubscriptionArn": True}
    if "Endpoint" in p:
        request["Endpoint"] = p["Endpoint"]
    if attributes:
        request["Attributes"] = attributes
    arn = call("Subscribe", **request)["SubscriptionArn"]
    return Created(arn, {"Arn": arn})


def _update_subscription(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    arn = str(scope.physical_id)

    def set_(name: str, value: str) -> None:
        call("SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName=name, AttributeValue=value)

    for name in _SET:
        if p.get(name) != old.get(name):
            set_(name, _text(p[name]) if name in p else "false" if name == "RawMessageDelivery" else "")
    if any(p.get(name) != old.get(name) for name in _FILTER):
        set_("FilterPolicy", "")  # the old policy need not be one in the new scope
        set_("FilterPolicyScope", _text(p.get("FilterPolicyScope", "MessageAttributes")))
        if "FilterPolicy" in p:
            set_("FilterPolicy", _text(p["FilterPolicy"]))
    return Created(arn, {"Arn": arn})


def _delete_subscription(call: Call, p: Properties, scope: Scope) -> None:
    call("Unsubscribe", SubscriptionArn=scope.physical_id)


SUBSCRIPTION = Resource(
    type="AWS::SNS::Subscription",
    service="sns",
    properties=frozenset({*_SET, *_FILTER, "Endpoint", "Protocol", "Region", "TopicArn"}),
    required=frozenset({"Protocol", "TopicArn"}),
    create=_create_subscription,
    update=_update_subscription,
    delete=_delete_subscription,
    replace_on=frozenset({"Endpoint", "Protocol", "Region", "TopicArn"}),
)


# policies


def _give(call: Call, arn: str, document: Any) -> None:
    call("SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue=_text(document))


def _take(call: Call, arn: str) -> None:
    """Back to the default policy; a topic that is gone needs none."""
    if _exists(call, arn):
        _give(call, arn, access.default_document(arn, arn.split(":")[4]))


def _create_policy(call: Call, p: Properties, scope: Scope) -> Created:
    for arn in p["Topics"]:
        _give(call, arn, p["PolicyDocument"])
    return Created(scope.physical_id or scope.generated_name, {"Id": scope.physical_id or scope.generated_name})


def _update_policy(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    for arn in old["Topics"]:
        if arn not in p["Topics"]:
            _take(call, arn)
    return _create_policy(call, p, scope)


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    for arn in p["Topics"]:
        _take(call, arn)


TOPIC_POLICY = Resource(
    type="AWS::SNS::TopicPolicy",
    service="sns",
    properties=frozenset({"PolicyDocument", "Topics"}),
    required=frozenset({"PolicyDocument", "Topics"}),
    create=_create_policy,
    update=_update_policy,
    delete=_delete_policy,
)


def _create_inline(call: Call, p: Properties, scope: Scope) -> Created:
    _give(call, p["TopicArn"], p["PolicyDocument"])
    return Created(str(p["TopicArn"]))


def _delete_inline(call: Call, p: Properties, scope: Scope) -> None:
    _take(call, str(p["TopicArn"]))


INLINE_POLICY = Resource(
    type="AWS::SNS::TopicInlinePolicy",
    service="sns",
    properties=frozenset({"PolicyDocument", "TopicArn"}),
    required=frozenset({"PolicyDocument", "TopicArn"}),
    create=_create_inline,
    update=lambda call, p, old, scope: _create_inline(call, p, scope),
    delete=_delete_inline,
    replace_on=frozenset({"TopicArn"}),
)

RESOURCES = (TOPIC, SUBSCRIPTION, TOPIC_POLICY, INLINE_POLICY)
