"""Who may do what, where IAM is enforced: every operation is held against the policies that apply to its caller.

A service says in its `Authz` which actions on which resources an operation needs; here the caller's policies are found (they
are IAM's and STS's, asked by internal operations), kept until IAM changes, and evaluated. With enforcement off there is no
Authority, and nobody asks for one.

    ""                       the platform itself (timers, what a service needs for itself): everything
    arn:aws:iam::A:root      the account's administrator, also whoever signs with keys that IAM did not make: everything
    user, assumed role       identity policies, boundary, session policies, and the resource's policy
    arn:aws:iam::A:role/R    a service that acts with a role: the role's policies
    x.amazonaws.com          a service by itself: the resource's policy must let it in
    ANONYMOUS                nobody: the resource's policy must let everybody in
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cumulet.aws.arn import Arn
from cumulet.aws.policy.decisions import Caller, Decision, decide
from cumulet.aws.policy.documents import Document, Documents, MalformedPolicy
from cumulet.aws.policy.facts import Facts
from cumulet.kernel.authz import ANONYMOUS, Authz, Need, surroundings

if TYPE_CHECKING:
    from cumulet.kernel.context import Context
    from cumulet.kernel.registry import Registry

VERSION = ("~authority", "version")  # changes with every change of IAM's records: what is kept under another one is old
_KEPT = 1000
_READS = ("Get", "List", "Simulate", "Generate")
_OWN = "cumulet:"

_NOTHING = Document({})


class Authority:
    """Decides. It keeps parsed documents, and callers with their policies."""

    def __init__(self, services: Registry) -> None:
        self._services = services
        self._documents = Documents()
        self._callers: dict[tuple[str, str], tuple[bytes | None, Caller]] = {}

    def check(self, ctx: Context, service: str, operation: str, request: Any, source: str = "") -> None:
        """Before an operation runs for `ctx.principal`. Raises: the service's AwsError for denied access."""
        known = self._services.get(service)
        authz = known.authz if known is not None else None
        own = operation.startswith(_OWN)
        if not _unlimited(ctx.principal) and not (own and (authz is None or operation not in authz.needs)):
            authz = authz or Authz(service)
            tags = _tags_in(request)
            for need in authz.of(ctx, operation, request):
                self._require(ctx, authz, need, source, tags)
        if service == "iam" and not operation.startswith((*_READS, _OWN)):
            ctx.tx.put(VERSION, ctx.ids.uuid().encode())

    def _require(self, ctx: Context, authz: Authz, need: Need, source: str, tags: Mapping[str, Any]) -> None:
        decision = self.decide(ctx, need, source, tags)
        if not decision.allowed:
            raise authz.refused(self.caller(ctx).arn, need, decision)

    def decide(self, ctx: Context, need: Need, source: str = "", tags: Mapping[str, Any] | None = None) -> Decision:
        """Whether `ctx.principal` may do one thing."""
        if _unlimited(ctx.principal):
            return Decision(True)
        caller = self.caller(ctx)
        if caller.account:
            source = ""  # a role speaks for itself
        owner = need.owner or ctx.account
        facts = Facts(_lowered(need.facts), caller.facts, tags or {}, surroundings(ctx, source, owner))
        text = need.policy() if callable(need.policy) else need.policy
        policy = self.document(text) if text else None
        return decide(
            caller, need.action, need.resource, facts, policy=policy, owner=owner, kind=need.kind, binding=need.binding
        )

    def document(self, text: str) -> Document | None:
        """A policy, or None for a text that is none."""
        try:
            return self._documents.of(text)
        except MalformedPolicy:
            return None

    def caller(self, ctx: Context) -> Caller:
        """`ctx.principal` with his policies."""
        key = (ctx.principal, ctx.access_key if ctx.access_key.startswith("ASIA") else "")
        version = ctx.tx.get_bytes(VERSION)
        known = self._callers.get(key)
        if known is not None and known[0] == version:
            return known[1]
        caller = self._found(ctx)
        if len(self._callers) >= _KEPT:
            self._callers.clear()
        self._callers[key] = (version, caller)
        return caller

    def _found(self, ctx: Context) -> Caller:
        principal = ctx.principal
        if principal == ANONYMOUS:
            return Caller("anonymous", "", {}, limited=False, facts={"aws:principaltype": "Anonymous"})
        if not principal.startswith("arn:"):
            name = principal.partition(".")[0]
            facts = {"aws:principalisawsservice": True, "aws:principalservicename": principal}
            names = dict.fromkeys((f"Service:{principal}", f"Service:{name}.{ctx.region}.amazonaws.com"), "direct")
            return Caller(principal, "", names, limited=False, facts=facts)
        account = Arn.parse(principal).account
        asked = {"Arn": principal}
        found = ctx.call("iam", "cumulet:PoliciesOf", asked, principal="", account=account)
        session: dict[str, Any] = {}
        if ctx.access_key.startswith("ASIA"):
            session = ctx.call("sts", "cumulet:Session", {"AccessKeyId": ctx.access_key}, principal="")
            if session.get("Arn") != principal:
                session = {}
        return self._caller(principal, account, found, session)

    def _caller(self, arn: str, account: str, found: Mapping[str, Any], session: Mapping[str, Any]) -> Caller:
        """A user, or a role that is assumed."""
        kind = found["Kind"]
        names = {f"AWS:{account}": "account", f"AWS:arn:aws:iam::{account}:root": "account", f"AWS:{arn}": "direct"}
        shown, ident = arn, found["Id"]
        if kind == "role":
            if ":assumed-role/" not in arn:
                shown = f"arn:aws:sts::{account}:assumed-role/{found['Name']}/cumulet"
            ident = f"{found['Id']}:{shown.rpartition('/')[2]}"
            names |= {f"AWS:{shown}": "direct", f"AWS:{found['Arn']}": "role", f"AWS:{found['Id']}": "role"}
        names[f"AWS:{ident}"] = "direct"
        facts: dict[str, Any] = {
            "aws:principalarn": found["Arn"],
            "aws:principalaccount": account,
            "aws:principaltype": "AssumedRole" if kind == "role" else "User",
            "aws:principalisawsservice": False,
            "aws:userid": ident,
        }
        if kind == "user":
            facts["aws:username"] = found["Name"]
        for name, value in {**found["Tags"], **session.get("Tags", {})}.items():
            facts[f"aws:principaltag/{name.lower()}"] = value
        if session.get("SourceIdentity"):
            facts["aws:sourceidentity"] = session["SourceIdentity"]
        narrowed = session.get("Policies")
        return Caller(
            shown,
            account,
            names,
            identity=self._parsed(found["Policies"]),
            boundary=self.document(found["Boundary"]) or _NOTHING if found["Boundary"] is not None else None,
            session=self._parsed(narrowed) if narrowed is not None else None,
            facts=facts,
        )

    def _parsed(self, texts: Iterable[str]) -> tuple[Document, ...]:
        return tuple(document for text in texts if (document := self.document(text)) is not None)


def _unlimited(principal: str) -> bool:
    return not principal or principal.endswith(":root")


def _lowered(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in facts.items()}


def _tags_in(request: Any) -> dict[str, Any]:
    """aws:RequestTag/... and aws:TagKeys of a request, in the forms that services have."""
    if not isinstance(request, dict):
        return {}
    given = request.get("Tags") or request.get("tags") or ()
    tags: dict[str, str] = {}
    if isinstance(given, dict):
        tags = {str(name): str(value) for name, value in given.items() if isinstance(value, str)}
    else:
        for each in given:
            if isinstance(each, dict):
                tags[str(each.get("Key", each.get("key")))] = str(each.get("Value", each.get("value", "")))
    keys = [*tags, *(request.get("TagKeys") or request.get("tagKeys") or ())]
    if not keys:
        return {}
    return {"aws:tagkeys": keys, **{f"aws:requesttag/{name.lower()}": value for name, value in tags.items()}}
