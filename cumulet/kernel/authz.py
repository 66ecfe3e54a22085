"""What a service says of IAM: which actions on which resources its operations need. `authority` holds callers against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.policy.kinds import RESOURCE, TRUST

if TYPE_CHECKING:
    from cumulet.aws.policy.decisions import Decision
    from cumulet.kernel.context import Context

ANONYMOUS = "*"  # the principal of a request that nobody signed

PolicyText = str | None


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that an operation needs permission for.

    action    "sqs:SendMessage"
    resource  the ARN that policies name
    owner     the resource's account; "" is the account that the operation works in
    policy    the resource's policy, or a function that finds it
    facts     further keys of the context (values may be functions, see Facts)
    kind      TRUST for a role's trust policy
    binding   nobody comes in whom the policy does not let in, the account's own users neither (KMS keys)
    """

    action: str
    resource: str = "*"
    owner: str = ""
    policy: PolicyText | Callable[[], PolicyText] = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    kind: str = RESOURCE
    binding: bool = False


Needs = Callable[["Context", Any], Iterable[Need]]


@dataclass(frozen=True, eq=False)
class Authz:
    """What a service's operations need.

    prefix    of its actions: an operation that `needs` does not know needs "{prefix}:{Operation}" on every resource
    needs     operation -> what it needs; also for operations of our own that stand for an action of AWS's
    each      makes what an operation needs that is not in `needs`, from its name
    code, status   of its refusals
    spelled   how its messages write an action
    quoted    whether its messages put the resource in quotes
    """

    prefix: str
    needs: Mapping[str, Needs] = field(default_factory=dict)
    each: Callable[[str], Needs] | None = None
    code: str = "AccessDeniedException"
    status: int = 400
    spelled: Callable[[str], str] = str
    quoted: bool = False

    def of(self, ctx: Context, operation: str, request: Any) -> Iterable[Need]:
        """Raises: AwsError for a request that names no resource."""
        known = self.needs.get(operation)
        if known is None and self.each is not None:
            known = self.each(operation)
        return known(ctx, request) if known is not None else (Need(f"{self.prefix}:{operation}"),)

    def refused(self, caller: str, need: Need, decision: Decision) -> AwsError:
        """The error of a denied request, in AWS's words."""
        action = self.spelled(need.action)
        where = f' on resource: "{need.resource}"' if self.quoted else f" on resource: {need.resource}"
        if decision.policy == TRUST:
            where = ""
        message = f"User: {caller} is not authorized to perform: {action}{where} {decision.why(action)}"
        return GenericAwsError(self.code, message, self.status)


def surroundings(ctx: Context, source: str = "", owner: str = "") -> dict[str, Any]:
    """The keys of the context that every request has. `source` is the ARN on whose behalf a service calls."""
    facts: dict[str, Any] = {
        "aws:currenttime": lambda: datetime.fromtimestamp(ctx.now, UTC).isoformat().replace("+00:00", "Z"),
        "aws:epochtime": int(ctx.now),
        "aws:requestedregion": ctx.region,
        "aws:securetransport": False,
        "aws:resourceaccount": owner or ctx.account,
        "aws:viaawsservice": bool(source),
    }
    if source:
        facts["aws:sourcearn"] = source
        facts["aws:sourceaccount"] = source.split(":", 5)[4] or ctx.account
    elif ctx.source_ip:
        facts["aws:sourceip"] = ctx.source_ip
    return facts
