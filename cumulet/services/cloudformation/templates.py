"""Operations on templates, and on what stacks export and import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from cumulet.kernel.context import Context
from cumulet.services.cloudformation import parameters, prepare, template, transforms
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import text_of
from cumulet.services.cloudformation.lookup import find_change_set, need_stack, page, template_text
from cumulet.services.cloudformation.model import NAME, Export, revision_of, stack_at
from cumulet.services.cloudformation.outputs import importers
from cumulet.services.cloudformation.source import parse

if TYPE_CHECKING:
    from cumulet.services.cloudformation import api


def get_template(ctx: Context, req: api.GetTemplateRequest) -> api.GetTemplateResult:
    """A stack's or change set's template: as given, or after its transforms (TemplateStage Processed).

    Raises: ChangeSetNotFound, ValidationError. Source: CloudFormation API_GetTemplate (read 2026-11).
    """
    if "ChangeSetName" in req:
        stack, change_set = find_change_set(ctx, req)
        revision_id = change_set.revision
    elif "StackName" in req:
        stack = need_stack(ctx, req["StackName"])
        revision_id = stack.revision
    else:
        raise ValidationError("StackName or ChangeSetName must be specified.")
    if not revision_id:
        raise ValidationError(f"Stack [{stack.name}] has no template yet: it is in {stack.status}")
    revision = revision_of(ctx, stack, revision_id)
    stages = ["Original", "Processed"] if revision.processed else ["Original"]
    stage = req.get("TemplateStage", "Original")
    if stage not in stages:
        raise ValidationError(f"Template stage {stage} is not available yet.")
    if stage == "Original" or not transforms.needs_auto_expand(parse(revision.body)):
        return {"TemplateBody": revision.body, "StagesAvailable": stages}
    return {"TemplateBody": revision.processed, "StagesAvailable": stages}


def validate_template(ctx: Context, req: api.ValidateTemplateRequest) -> api.ValidateTemplateResult:
    """Whether a template is well formed: its parameters and the capabilities it needs. Raises: ValidationError.

    Source: CloudFormation API_ValidateTemplate (read 2026-11).
    """
    data = _checked(template_text(ctx, req))
    found: dict[str, Any] = {
        "Parameters": [_validated_parameter(name, body) for name, body in parameters.declared(data).items()]
    }
    return cast("api.ValidateTemplateResult", {**found, **_needs(data)})


def _checked(text: str) -> dict[str, Any]:
    data = parse(text)
    template.check_sections(data, text)
    if not transforms.needs_auto_expand(data):
        template.check_resources(data, text)
        template.check_references(data, text)
    return data


def _validated_parameter(name: str, body: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"ParameterKey": name, "NoEcho": text_of(body.get("NoEcho", False)) == "true"}
    if "Default" in body:
        result["DefaultValue"] = text_of(body["Default"])
    if "Description" in body:
        result["Description"] = str(body["Description"])
    return result


def _needs(data: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if data.get("Description"):
        result["Description"] = data["Description"]
    names = transforms.declared(data)
    needed, reasons = prepare.capabilities_of(data)
    why = f"The following resource(s) require capabilities: [{', '.join(reasons)}]"
    if names:
        result["DeclaredTransforms"] = names
        needed, why = (
            [*needed, "CAPABILITY_AUTO_EXPAND"],
            f"The following transform(s) require capabilities: [{', '.join(names)}]",
        )
    if needed:
        result["Capabilities"] = needed
        result["CapabilitiesReason"] = why
    return result


def get_template_summary(ctx: Context, req: api.GetTemplateSummaryRequest) -> api.GetTemplateSummaryResult:
    """What a template, or a stack's template, declares: parameters, types, capabilities, transforms.

    Raises: ValidationError. Source: CloudFormation API_GetTemplateSummary (read 2026-11).
    """
    if "StackName" in req:
        stack = need_stack(ctx, req["StackName"])
        text = revision_of(ctx, stack, stack.revision).body if stack.revision else ""
        if not text:
            raise ValidationError(f"Stack [{stack.name}] has no template yet: it is in {stack.status}")
        data = parse(text)
    else:
        data = _checked(template_text(ctx, req))
    kinds = sorted({str(body.get("Type")) for body in data["Resources"].values() if isinstance(body, dict)})
    result: dict[str, Any] = {
        "Parameters": [_declaration(name, body) for name, body in parameters.declared(data).items()],
        "ResourceTypes": kinds, "Version": str(data.get("AWSTemplateFormatVersion", "2010-09-09")), **_needs(data),
    }  # fmt: skip
    if "Metadata" in data:
        result["Metadata"] = json.dumps(data["Metadata"])
    return cast("api.GetTemplateSummaryResult", result)


def _declaration(name: str, body: dict[str, Any]) -> dict[str, Any]:
    constraints = (
        {"AllowedValues": [text_of(item) for item in body["AllowedValues"]]} if "AllowedValues" in body else {}
    )
    return {**_validated_parameter(name, body), "ParameterType": body["Type"], "ParameterConstraints": constraints}


def list_exports(ctx: Context, req: api.ListExportsRequest) -> api.ListExportsResult:
    """All exports of the region. Raises: ValidationError.

    Source: CloudFormation API_ListExports (read 2026-11).
    """
    found: list[api.Export] = []
    for _, export in ctx.tx.scan((NAME, "export", ctx.account, ctx.region), Export):
        stack = stack_at(ctx, export.stack)
        assert stack is not None
        found.append({"ExportingStackId": stack.id, "Name": export.name, "Value": export.value})
    shown, token = page(found, req.get("NextToken"))
    result: api.ListExportsResult = {"Exports": shown}
    if token:
        result["NextToken"] = token
    return result


def list_imports(ctx: Context, req: api.ListImportsRequest) -> api.ListImportsResult:
    """The stacks that import an export. Raises: ValidationError.

    Source: CloudFormation API_ListImports (read 2026-11).
    """
    name = req["ExportName"]
    export = ctx.tx.get((NAME, "export", ctx.account, ctx.region, name), Export)
    owner = stack_at(ctx, export.stack) if export else None
    users = importers(ctx, owner, name) if owner else []
    if not users:
        raise ValidationError(f"Export '{name}' is not imported by any stack.")
    shown, token = page(users, req.get("NextToken"))
    result: api.ListImportsResult = {"Imports": shown}
    if token:
        result["NextToken"] = token
    return result
