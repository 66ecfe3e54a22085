"""Operations that try policies out: what they would allow, with the evaluator that enforcement has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cumulet.aws.arn import Arn as _Arn
from cumulet.aws.policy.decisions import Caller as _Caller
from cumulet.aws.policy.decisions import decide as _decide
from cumulet.aws.policy.documents import Document as _Document
from cumulet.aws.policy.documents import MalformedPolicy as _MalformedPolicy
from cumulet.aws.policy.documents import parse as _parse
from cumulet.aws.policy.facts import Facts as _Facts
from cumulet.kernel.context import Context
from cumulet.services.iam import documents as _documents
from cumulet.services.iam.enforcing import identity_documents as _identity_documents
from cumulet.services.iam.enforcing import managed_document as _managed_document
from cumulet.services.iam.errors import InvalidInput, MalformedPolicyDocument
from cumulet.services.iam.listing import slice_of as _slice_of
from cumulet.services.iam.model import GROUP, ROLE, USER
from cumulet.services.iam.model import get_entity as _get_entity

if TYPE_CHECKING:
    from cumulet.services.iam import api

Json = dict[str, Any]
_Named = tuple[str, str, _Document]  # a policy's id, its type, and itself
_KINDS = {"user": USER, "role": ROLE, "group": GROUP}


def simulate_custom_policy(ctx: Context, req: api.SimulateCustomPolicyRequest) -> api.SimulateCustomPolicyResult:
    """What the policies of PolicyInputList would allow: one result for each action and resource.

    ContextEntries are the request's context, PermissionsBoundaryPolicyInputList bounds, ResourcePolicy is the resource's, for
    CallerArn. Raises: InvalidInput, MalformedPolicyDocument. Source: IAM API_SimulateCustomPolicy (read 2026-11).
    """
    return _simulated(ctx, dict(req), _inputs(req["PolicyInputList"], "PolicyInputList"), None, "")  # type: ignore[return-value]


def simulate_principal_policy(
    ctx: Context, req: api.SimulatePrincipalPolicyRequest
) -> api.SimulatePrincipalPolicyResult:
    """What the policies of a user (with his groups'), a group or a role would allow, and those of PolicyInputList.

    The entity's own boundary counts unless another one is given.
    Raises: NoSuchEntity, InvalidInput, MalformedPolicyDocument. Source: IAM API_SimulatePrincipalPolicy (read 2026-11).
    """
    source = req["PolicySourceArn"]
    try:
        arn = _Arn.parse(source)
    except ValueError as error:
        raise InvalidInput(f"Invalid Entity Arn: {source}") from error
    word, _, path = arn.resource.partition("/")
    if arn.service != "iam" or word not in _KINDS:
        raise InvalidInput(f"Invalid Entity Arn: {source}")
    entity = _get_entity(ctx, _KINDS[word], path.rpartition("/")[2])
    policies = [
        (name, "IAM Policy", _parse(text)) for name, text in _identity_documents(ctx, _KINDS[word], entity.name)
    ]
    bound = getattr(entity, "boundary", None)
    boundary = None if bound is None else _parse(_managed_document(ctx, bound) or "{}")
    policies += _inputs(req.get("PolicyInputList", []), "PolicyInputList")
    return _simulated(ctx, dict(req), policies, boundary, entity.arn)  # type: ignore[return-value]


def _inputs(texts: Iterable[str], member: str) -> list[_Named]:
    """Raises: MalformedPolicyDocument."""
    found = []
    for number, text in enumerate(texts, 1):
        _documents.check_identity(text)
        found.append((f"{member}.{number}", "IAM Policy", _parse(text)))
    return found


def _simulated(ctx: Context, req: Json, policies: list[_Named], boundary: _Document | None, who: str) -> Json:
    bounds = _inputs(req.get("PermissionsBoundaryPolicyInputList", []), "PermissionsBoundaryPolicyInputList")
    if bounds:
        boundary = bounds[0][2]
    resource_policy = _resource_policy(req)
    caller_arn = req.get("CallerArn", who)
    if resource_policy is not None and not caller_arn:
        raise InvalidInput("A CallerArn is required when a ResourcePolicy is given.")
    account = _account(caller_arn) or ctx.account
    names = {f"AWS:{account}": "account", f"AWS:arn:aws:iam::{account}:root": "account", f"AWS:{caller_arn}": "direct"}
    caller = _Caller(caller_arn, account, names, identity=tuple(each for *_, each in policies), boundary=boundary)
    facts = _Facts(_given(req), {"aws:principalarn": caller_arn or None, "aws:principalaccount": account})
    owner = _account(req.get("ResourceOwner", ""))
    everything = [*policies, *bounds]
    if resource_policy is not None:
        everything.append(("ResourcePolicy", "Resource Policy", resource_policy))
    results = []
    for action in req["ActionNames"]:
        for resource in req.get("ResourceArns") or ["*"]:
            decision = _decide(caller, action, resource, facts, policy=resource_policy, owner=owner)
            result: Json = {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed"
                if decision.allowed
                else "explicitDeny"
                if decision.explicit
                else "implicitDeny",
                "MatchedStatements": _matched(everything, decision.explicit, action, resource, facts),
                "MissingContextValues": _missing(everything, facts),
            }
            if boundary is not None:
                allowed = boundary.allows(action, resource, facts) and not boundary.denies(action, resource, facts)
                result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
            results.append(result)
    return _slice_of(req, "EvaluationResults", results)


def _resource_policy(req: Json) -> _Document | None:
    if "ResourcePolicy" not in req:
        return None
    try:
        return _parse(req["ResourcePolicy"])
    except _MalformedPolicy as error:
        raise MalformedPolicyDocument("Syntax errors in policy.") from error


def _account(arn: str) -> str:
    return arn.split(":")[4] if arn.count(":") >= 5 else arn


def _given(req: Json) -> Json:
    """The context that a simulation is told of."""
    found = {}
    for entry in req.get("ContextEntries", []):
        values = entry.get("ContextKeyValues", [])
        several = str(entry.get("ContextKeyType", "string")).endswith("List")
        if "ContextKeyName" in entry and (several or values):
            found[entry["ContextKeyName"].lower()] = list(values) if several else values[0]
    return found


def _matched(policies: list[_Named], denied: bool, action: str, resource: str, facts: _Facts) -> list[Json]:
    """The policies with a statement that decided: those that deny, or those that allow."""
    found = []
    for name, kind, document in policies:
        speaks = document.denies if denied else document.allows
        if speaks(action, resource, facts):
            found.append({"SourcePolicyId": name, "SourcePolicyType": kind})
    return found


def _missing(policies: list[_Named], facts: _Facts) -> list[str]:
    """Keys that conditions ask for and the simulation was not told."""
    keys = {
        key: None for *_, document in policies for each in (*document.denying, *document.allowing) for key in each.keys
    }
    return [key for key in keys if facts.get(key.lower()) is None]
