"""What enforcement asks of IAM: the policies that apply to a user, or to a role that is assumed."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.services.iam import awsmanaged, managed
from cumulet.services.iam.errors import InvalidInput
from cumulet.services.iam.model import GROUP, ROLE, USER, Attachment, Inline, Membership, Role, User, Version, key

Json = dict[str, Any]


def policies_of(ctx: Context, req: Json) -> Json:
    """`cumulet:PoliciesOf`: Kind, Arn, Name, Id, Tags, the documents of the identity policies and the boundary's of a user's, a
    role's or an assumed role's `Arn`. Somebody whom IAM does not know has no policies.
    """
    arn = Arn.parse(req["Arn"])
    kind, _, rest = arn.resource.partition("/")
    if kind == "user":
        user = ctx.tx.get(key(arn.account, USER, rest.rpartition("/")[2]), User)
        return _told(ctx, USER, req["Arn"], rest.rpartition("/")[2], user)
    name = rest.partition("/")[0] if kind == "assumed-role" else rest.rpartition("/")[2]
    role = ctx.tx.get(key(arn.account, ROLE, name), Role)
    return _told(ctx, ROLE, f"arn:{arn.partition}:iam::{arn.account}:role/{name}", name, role)


def _told(ctx: Context, kind: str, arn: str, name: str, entity: Role | User | None) -> Json:
    if entity is None:
        return {"Kind": kind, "Arn": arn, "Name": name, "Id": "", "Tags": {}, "Policies": [], "Boundary": None}
    boundary = None if entity.boundary is None else managed_document(ctx, entity.boundary) or "{}"
    return {
        "Kind": kind,
        "Arn": entity.arn,
        "Name": entity.name,
        "Id": entity.id,
        "Tags": entity.tags,
        "Policies": [document for _, document in identity_documents(ctx, kind, entity.name)],
        "Boundary": boundary,
    }


def identity_documents(ctx: Context, kind: str, name: str) -> list[tuple[str, str]]:
    """(policy's name or ARN, document) of everything that is attached to an entity, a user's groups included."""
    found: list[tuple[str, str]] = []
    at = (kind, name.lower())
    for _, inline in ctx.tx.scan(("iam", ctx.account, "inline", *at), Inline):
        found.append((inline.name, inline.document))
    for _, attachment in ctx.tx.scan(("iam", ctx.account, "attachment", *at), Attachment):
        document = managed_document(ctx, attachment.arn)
        if document is not None:
            found.append((attachment.arn, document))
    if kind == USER:
        for _, membership in ctx.tx.scan(("iam", ctx.account, "group-of", name.lower()), Membership):
            found += identity_documents(ctx, GROUP, membership.group)
    return found


def managed_document(ctx: Context, arn: str) -> str | None:
    """The document in force of a managed policy; None for one that is gone, or an AWS policy that Cumulet does not carry."""
    try:
        policy = managed.find(ctx, arn)
    except InvalidInput:
        return None
    if policy is None:
        return None
    if policy.account == "aws":
        return awsmanaged.document(policy.name)
    at = ("iam", policy.account, "version", policy.name.lower(), policy.default_version)
    version = ctx.tx.get(at, Version)
    return None if version is None else version.document


def trust_of(ctx: Context, arn: str) -> str | None:
    """A role's trust policy."""
    role = ctx.tx.get(key(Arn.parse(arn).account, ROLE, arn.rpartition("/")[2]), Role)
    return None if role is None else role.trust


def trust_policy(ctx: Context, req: Json) -> Json:
    """`cumulet:TrustPolicy`: the trust policy of the role `Arn`; {} for a role that IAM does not know."""
    trust = trust_of(ctx, req["Arn"])
    return {} if trust is None else {"Document": trust}


def documents_of(ctx: Context, req: Json) -> Json:
    """`cumulet:Documents`: the documents of managed policies (`PolicyArns`); one that is not known allows nothing."""
    return {"Documents": [managed_document(ctx, arn) or "{}" for arn in req["PolicyArns"]]}
