"""What SNS's operations need of IAM. A topic's default policy lets in services that act as its owner (aws:SourceOwner).

Source: Service Authorization Reference, "Amazon SNS"; developer guide, "Identity and access management" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.sns import registry
from cumulet.services.sns.access import document

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]
_OWNED = (
    "cloudwatch.amazonaws.com",
    "lambda.alarms.cloudwatch.amazonaws.com",
)  # services that act as the account itself


def _need(ctx: Context, action: str, arn: str, **facts: Any) -> Need:
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        return Need(f"sns:{action}", arn or "*")
    topic = registry.topic_at(ctx, (parts[4], parts[3], parts[5]))
    topic_arn = ":".join(parts[:6])
    owner = parts[4]
    if ctx.principal in _OWNED:
        facts["aws:SourceOwner"] = ctx.account
    if topic is None:
        return Need(f"sns:{action}", topic_arn, owner, facts=facts)
    return Need(f"sns:{action}", topic_arn, owner, lambda: document(topic), {**facts, **_tags(topic.tags)})


def _tags(tags: dict[str, str]) -> Json:
    return {f"aws:ResourceTag/{name}": value for name, value in tags.items()}


def _on_topic(action: str, member: str = "TopicArn") -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        facts: Json = {}
        if "Protocol" in req:
            facts["sns:Protocol"] = req["Protocol"]
        if "Endpoint" in req:
            facts["sns:Endpoint"] = req["Endpoint"]
        yield _need(ctx, action, req.get(member) or req.get("TargetArn") or "", **facts)
        role = req.get("AttributeValue") if str(req.get("AttributeName", "")).endswith("FeedbackRoleArn") else None
        if role:
            yield Need("iam:PassRole", role, facts={"iam:PassedToService": "sns.amazonaws.com"})

    return needs


def _create(ctx: Context, req: Json) -> Iterable[Need]:
    yield Need("sns:CreateTopic", f"arn:aws:sns:{ctx.region}:{ctx.account}:{req['Name']}")
    for name, role in (req.get("Attributes") or {}).items():
        if name.endswith("FeedbackRoleArn"):
            yield Need("iam:PassRole", role, facts={"iam:PassedToService": "sns.amazonaws.com"})


_TOPIC = {
    "PublishBatch": "Publish",
    **{
        name: name
        for name in ("AddPermission", "ConfirmSubscription", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic",
                     "Publish", "RemovePermission", "SetTopicAttributes", "Subscribe")
    },
}  # fmt: skip

AUTHZ = Authz(
    "sns",
    {
        **{operation: _on_topic(action) for operation, action in _TOPIC.items()},
        "CreateTopic": _create,
        **{
            name: _on_topic(name, "SubscriptionArn")
            for name in ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe")
        },
        **{name: _on_topic(name, "ResourceArn") for name in ("ListTagsForResource", "TagResource", "UntagResource")},
    },
    code="AuthorizationError",
    status=403,
    spelled=lambda action: action.replace("sns:", "SNS:", 1),
)
