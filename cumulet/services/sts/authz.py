"""What STS's operations need of IAM: AssumeRole asks the role's trust policy as well; some need nothing.

Source: Service Authorization Reference, "AWS Security Token Service"; IAM user guide, "Granting permissions to create
temporary security credentials" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.policy.kinds import TRUST
from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context

Json = dict[str, Any]


def _assume(ctx: Context, req: Json) -> Iterable[Need]:
    arn = req["RoleArn"]
    try:
        account = Arn.parse(arn).account
    except ValueError:
        return  # the operation says what is wrong
    found = ctx.call("iam", "cumulet:TrustPolicy", {"Arn": arn}, principal="", account=account)
    facts: Json = {"sts:RoleSessionName": req["RoleSessionName"]}
    for member, key in (("ExternalId", "sts:ExternalId"), ("SourceIdentity", "sts:SourceIdentity")):
        if member in req:
            facts[key] = req[member]
    if "TransitiveTagKeys" in req:
        facts["sts:TransitiveTagKeys"] = list(req["TransitiveTagKeys"])
    for action, needed in (("AssumeRole", True), ("TagSession", bool(req.get("Tags"))),
                           ("SetSourceIdentity", "SourceIdentity" in req)):  # fmt: skip
        if needed:
            yield Need(f"sts:{action}", arn, account, found.get("Document", "{}"), facts, TRUST)


def _nothing(ctx: Context, req: Json) -> Iterable[Need]:
    return ()


AUTHZ = Authz(
    "sts",
    {"AssumeRole": _assume, "GetCallerIdentity": _nothing, "GetSessionToken": _nothing},
    code="AccessDenied",
    status=403,
)
