"""From a request to a checked revision: transforms, parameters, capabilities, and the checks before anything is created."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import parameters, template, transforms
from cumulet.services.cloudformation.environment import (
    StackEnvironment,
    check_dynamic,
    plan_for,
    types_of,
)
from cumulet.services.cloudformation.errors import InsufficientCapabilitiesException, ValidationError
from cumulet.services.cloudformation.lookup import template_text
from cumulet.services.cloudformation.model import Revision, Stack, revision_of
from cumulet.services.cloudformation.source import parse

_NAMED_IAM = {
    "AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName",
}  # fmt: skip
_IAM = {*_NAMED_IAM, "AWS::IAM::AccessKey", "AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition"}
_REFUSED = {
    "StackPolicyBody", "StackPolicyURL", "StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL", "ResourceTypes",
    "ResourcesToImport", "DeploymentMode", "DeploymentConfig",
}  # fmt: skip
_TRUE_REFUSED = {"ImportExistingResources", "RetainExceptOnCreate", "IncludeNestedStacks"}
MAX_TAGS = 50


def refuse_settings(req: Mapping[str, Any]) -> None:
    """Raises: NotImplementedOnCumulet for a setting that is not honoured."""
    refused = sorted(name for name in req if (name in _REFUSED and req[name]) or (name in _TRUE_REFUSED and req[name]))
    if req.get("RollbackConfiguration", {}).get("RollbackTriggers"):
        refused.append("RollbackConfiguration.RollbackTriggers")
    if refused:
        raise NotImplementedOnCumulet(f"cloudformation: {', '.join(refused)} is not supported by Cumulet.")


def new_revision(
    ctx: Context, req: Mapping[str, Any], stack: Stack | None, *, reviewed: bool = False
) -> tuple[Revision, dict[str, Any]]:
    """The revision that a request describes, not stored yet, and its template. `stack` is what it updates.

    `reviewed`: a change set shows what the macros make of it first, so that they need no capability (API_CreateChangeSet).
    Raises: ValidationError, InsufficientCapabilitiesException, NotImplementedOnCumulet.
    """
    refuse_settings(req)
    before = revision_of(ctx, stack, stack.revision) if stack is not None and stack.revision else None
    if req.get("UsePreviousTemplate"):
        if before is None:
            raise ValidationError("UsePreviousTemplate cannot be used: there is no previous template.")
        if "TemplateBody" in req or "TemplateURL" in req:
            raise ValidationError("You must specify either a template or UsePreviousTemplate, not both.")
        body = before.body
    else:
        body = template_text(ctx, req)
    data = parse(body)
    template.check_sections(data, body)
    values = parameters.values_for(data, req.get("Parameters", []), before.parameters if before else None)
    tags = {tag["Key"]: tag["Value"] for tag in req["Tags"]} if "Tags" in req else before.tags if before else {}
    _check_tags(tags)
    revision = Revision(
        id=ctx.ids.uuid(), body=body, parameters=values, resolved=parameters.typed(ctx, data, values), tags=tags,
        capabilities=list(req.get("Capabilities", [])),
        notification_arns=req.get("NotificationARNs", []),
        role_arn=req.get("RoleARN", before.role_arn if before else ""),
    )  # fmt: skip
    if revision.notification_arns:
        raise NotImplementedOnCumulet("cloudformation: NotificationARNs is not supported by Cumulet.")
    if not reviewed and transforms.needs_auto_expand(data) and "CAPABILITY_AUTO_EXPAND" not in revision.capabilities:
        raise InsufficientCapabilitiesException("Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
    _check_capabilities(data, revision.capabilities)
    return revision, data


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise ValidationError(f"Tag count cannot exceed {MAX_TAGS}")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise ValidationError("Invalid tag key. aws: prefixed tag key names are not allowed for external use.")


def capabilities_of(data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(the capabilities that a template needs, the resource types that are the reason)."""
    bodies = [body for body in data.get("Resources", {}).values() if isinstance(body, dict)]
    found = {body.get("Type") for body in bodies} & _IAM
    reasons = sorted(str(kind) for kind in found)
    named = any(_NAMED_IAM.get(str(body.get("Type")), "-") in body.get("Properties", {}) for body in bodies)
    needed = ["CAPABILITY_NAMED_IAM"] if named else ["CAPABILITY_IAM"] if reasons else []
    return needed, reasons


def _check_capabilities(data: Mapping[str, Any], given: list[str]) -> None:
    needed, _ = capabilities_of(data)
    if needed == ["CAPABILITY_IAM"] and not {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"} & set(given):
        raise InsufficientCapabilitiesException("Requires capabilities : [CAPABILITY_IAM]")
    if needed == ["CAPABILITY_NAMED_IAM"] and "CAPABILITY_NAMED_IAM" not in given:
        raise InsufficientCapabilitiesException("Requires capabilities : [CAPABILITY_NAMED_IAM]")


def expand_macros(ctx: Context, stack: Stack, revision: Revision, data: dict[str, Any]) -> dict[str, Any]:
    """The template after the transforms that are done here. Raises: ValidationError, NotImplementedOnCumulet."""
    transforms.check(data)
    data = transforms.include(ctx, data, StackEnvironment(ctx, stack, revision, data))
    return transforms.language_extensions(data, StackEnvironment(ctx, stack, revision, data))


def finish(ctx: Context, stack: Stack, revision: Revision, data: dict[str, Any]) -> Revision:
    """The revision with its processed template, checked against what there is, and stored.

    Raises: ValidationError, InsufficientCapabilitiesException, NotImplementedOnCumulet: nothing was created.
    """
    data = {key: value for key, value in data.items() if key not in ("Transform", "Globals")}
    template.check_sections(data, revision.body)
    template.check_resources(data, revision.body)
    _check_capabilities(data, revision.capabilities)
    template.check_references(data, revision.body)
    revision = replace(revision, processed=json.dumps(data, ensure_ascii=False), unprocessed="")
    _, plan = plan_for(ctx, stack, revision)
    template.check_types(plan, types_of(ctx), revision.body)
    check_dynamic(ctx, [planned.properties for planned in plan.resources.values()])
    ctx.tx.put(stack.under("revision", revision.id), revision)
    return revision
