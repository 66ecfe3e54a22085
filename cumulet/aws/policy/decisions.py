"""AWS's evaluation logic: which of the policies that apply to a request decides it.

    a Deny in any policy                                               -> denied
    resource policy, same account, names the caller itself             -> allowed
    resource policy, same account, names the caller's role             -> allowed within boundary and session policy
    permissions boundary, session policy: must allow, where there is one
    identity policies: one must allow
    resource policy of another account: must allow as well

Source: IAM user guide, "Policy evaluation logic", "Evaluating identity-based policies with resource-based policies",
"Cross account policy evaluation logic", "Permissions boundaries", "Troubleshoot access denied error messages" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cumulet.aws.policy.documents import Document
from cumulet.aws.policy.facts import Facts
from cumulet.aws.policy.kinds import BOUNDARY, IDENTITY, RESOURCE, SESSION, TRUST


@dataclass(frozen=True, slots=True)
class Decision:
    """`policy` is the kind that decided; `explicit` for a Deny in it. Without a kind nothing denied."""

    allowed: bool
    policy: str = ""
    explicit: bool = False

    def why(self, action: str) -> str:
        """The end of AWS's message of a denied request."""
        if not self.explicit:
            return f"because no {self.policy} allows the {action} action"
        article = "the" if self.policy == TRUST else "an" if self.policy == IDENTITY else "a"
        return f"with an explicit deny in {article} {self.policy}"


ALLOWED = Decision(True)


@dataclass(slots=True)
class Caller:
    """Who asks, with all policies that come with him.

    arn        what messages name: a user's, a session's; a service's name
    account    "" for a service and for somebody anonymous
    names      what resource policies call him: "AWS:arn:..." -> "direct" (himself), "role", "account"
    limited    False for the root user and services: no identity policies apply
    session    None without a session policy
    facts      the context's keys that follow from him, in lower case
    """

    arn: str
    account: str
    names: Mapping[str, str]
    limited: bool = True
    identity: tuple[Document, ...] = ()
    boundary: Document | None = None
    session: tuple[Document, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def decide(
    caller: Caller,
    action: str,
    resource: str,
    facts: Facts,
    *,
    policy: Document | None = None,
    owner: str = "",
    kind: str = RESOURCE,
    binding: bool = False,
) -> Decision:
    """Whether a caller may do an action on a resource.

    policy   the resource's policy, if it has one
    owner    the resource's account; "" counts as the caller's
    binding  nobody comes in whom the resource's policy does not let in, the account's own users neither; so with the kind TRUST
    """
    denied = _denial(caller, action, resource, facts, policy, kind)
    if denied is not None:
        return denied
    granted = policy.grants(action, resource, facts, caller.names) if policy is not None else ""
    same = not owner or owner == caller.account
    if not caller.account:  # a service, or nobody
        return ALLOWED if granted == "direct" else Decision(False, kind)
    if same and granted == "direct":
        return ALLOWED
    if (binding or kind == TRUST or not same) and not granted:
        return Decision(False, kind)
    if not caller.limited:
        return ALLOWED
    if caller.boundary is not None and not caller.boundary.allows(action, resource, facts):
        return Decision(False, BOUNDARY)
    if caller.session is not None and not any(each.allows(action, resource, facts) for each in caller.session):
        return Decision(False, SESSION)
    if same and granted == "role":
        return ALLOWED
    if not any(each.allows(action, resource, facts) for each in caller.identity):
        return Decision(False, IDENTITY)
    return ALLOWED


def _denial(
    caller: Caller, action: str, resource: str, facts: Facts, policy: Document | None, kind: str
) -> Decision | None:
    if policy is not None and policy.denies(action, resource, facts, caller.names):
        return Decision(False, kind, True)
    if any(each.denies(action, resource, facts) for each in caller.identity):
        return Decision(False, IDENTITY, True)
    if caller.boundary is not None and caller.boundary.denies(action, resource, facts):
        return Decision(False, BOUNDARY, True)
    if caller.session is not None and any(each.denies(action, resource, facts) for each in caller.session):
        return Decision(False, SESSION, True)
    return None
