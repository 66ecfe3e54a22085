"""A template's sections, checked; and what is left of it once its conditions are decided: the plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.resource import Resource
from cumulet.services.cloudformation import intrinsics
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import Environment
from cumulet.services.cloudformation.source import Path, at_line

SECTIONS = {
    "AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Hooks", "Mappings", "Metadata", "Outputs", "Parameters",
    "Resources", "Rules", "Transform",
}  # fmt: skip
RESOURCE_KEYS = {
    "Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Description", "Metadata", "Properties", "Type", "UpdatePolicy",
    "UpdateReplacePolicy",
}  # fmt: skip
MAX_RESOURCES, MAX_PARAMETERS, MAX_OUTPUTS, MAX_MAPPINGS = 500, 200, 200, 200
PSEUDO = {
    "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId",
    "AWS::StackName", "AWS::URLSuffix",
}  # fmt: skip
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]+")
Json = dict[str, Any]
Types = Callable[[str], Resource | None]


@dataclass(frozen=True)
class Planned:
    """One resource that will be: its properties still hold functions."""

    logical_id: str
    type: str
    properties: Json
    needs: frozenset[str]
    deletion_policy: str  # empty: the type's own, Snapshot where it can be taken, else Delete
    replace_policy: str
    metadata: Any = None


@dataclass(frozen=True)
class Plan:
    """What a template comes to with its parameters."""

    resources: dict[str, Planned]
    outputs: Json = field(default_factory=dict)


def check_sections(data: Json, text: str) -> None:
    """Raises: ValidationError for what is no template; NotImplementedOnCumulet for sections that are not honoured."""
    unknown = sorted(set(data) - SECTIONS)
    if unknown:
        where = at_line(text, (unknown[0],))
        raise ValidationError(f"Invalid template property or properties [{', '.join(unknown)}]{where}")
    version = data.get("AWSTemplateFormatVersion", "2010-09-09")
    if version != "2010-09-09":
        raise ValidationError("Template format error: Value of AWSTemplateFormatVersion is not valid: " + str(version))
    for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        if section in data and not isinstance(data[section], dict):
            raise ValidationError(f"Template format error: {section} must be an object{at_line(text, (section,))}.")
    if not data.get("Resources"):
        raise ValidationError("Template format error: At least one Resources member must be defined.")
    description = data.get("Description", "")
    if not isinstance(description, str):
        raise ValidationError("Template format error: Description must be a string.")
    if len(description.encode()) > 1024:
        raise ValidationError("Template format error: 'Description' length is greater than 1024.")
    for section, limit in (
        ("Resources", MAX_RESOURCES),
        ("Parameters", MAX_PARAMETERS),
        ("Outputs", MAX_OUTPUTS),
        ("Mappings", MAX_MAPPINGS),
    ):
        count = len([name for name in data.get(section, {}) if not name.startswith("Fn::")])
        if count > limit:
            raise ValidationError(
                f"Template format error: Number of {section.lower()}, {count}, is greater than maximum allowed, {limit}"
            )
    for section in ("Rules", "Hooks"):
        if data.get(section):
            raise NotImplementedOnCumulet(f"The template section {section} is not supported by Cumulet.")


def check_resources(data: Json, text: str) -> None:
    """The shape of each resource. Raises: ValidationError."""
    for logical_id, body in data["Resources"].items():
        path: Path = ("Resources", logical_id)
        if not _LOGICAL_ID.fullmatch(logical_id):
            raise ValidationError(
                f"Template format error: Resource name {logical_id} is non alphanumeric.{at_line(text, path)}"
            )
        if not isinstance(body, dict):
            raise ValidationError(
                f"Template format error: [/Resources/{logical_id}] resource definition is malformed{at_line(text, path)}"
            )
        if not isinstance(body.get("Type"), str):
            raise ValidationError(
                f"Template format error: [/Resources/{logical_id}] Every Resources object must contain a Type member."
                f"{at_line(text, path)}"
            )
        unknown = sorted(set(body) - RESOURCE_KEYS)
        if unknown:
            raise ValidationError(
                f"Invalid template resource property '{unknown[0]}'{at_line(text, (*path, unknown[0]))}"
            )
        if not isinstance(body.get("Properties", {}), dict):
            raise ValidationError(
                f"Template format error: Properties of {logical_id} must be an object{at_line(text, path)}"
            )
        for key in ("CreationPolicy", "UpdatePolicy"):
            if body.get(key):
                raise NotImplementedOnCumulet(
                    f"{key} of {logical_id} is not supported by Cumulet{at_line(text, (*path, key))}."
                )
        for key, allowed in (
            ("DeletionPolicy", ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")),
            ("UpdateReplacePolicy", ("Delete", "Retain", "Snapshot")),
        ):
            policy = body.get(key, "Delete")
            if isinstance(policy, str) and policy not in allowed:
                raise ValidationError(
                    f"Template error: Unrecognized {key} {policy} for resource {logical_id}{at_line(text, (*path, key))}"
                )


def check_references(data: Json, text: str, extra: Iterable[str] = ()) -> None:
    """Every Ref, GetAtt, Sub, DependsOn and condition names something. Raises: ValidationError with the line."""
    resources, conditions = data["Resources"], data.get("Conditions", {})
    values = {*data.get("Parameters", {}), *PSEUDO, *extra}
    for section in ("Resources", "Outputs"):
        unresolved: dict[str, Path] = {}
        for logical_id, body in data.get(section, {}).items():
            base: Path = (section, logical_id)
            if isinstance(body, dict):
                for name in depends_on(body):
                    if name not in resources:
                        unresolved.setdefault(name, (*base, "DependsOn"))
                condition = body.get("Condition")
                if isinstance(condition, str) and condition not in conditions:
                    raise _unresolved_condition(condition, section, text, (*base, "Condition"))
            for kind, name, _, path in intrinsics.references(body, base):
                if kind == "If":
                    if name not in conditions:
                        raise _unresolved_condition(name, section, text, path)
                elif kind == "GetAtt":
                    if name not in resources:
                        raise ValidationError(
                            f"Template error: instance of Fn::GetAtt references undefined resource {name}{at_line(text, path)}"
                        )
                elif name not in resources and (kind == "SubAtt" or name not in values):
                    unresolved.setdefault(name, path)
        if unresolved:
            where = at_line(text, next(iter(unresolved.values())))
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{', '.join(unresolved)}] in the {section} block "
                f"of the template{where}"
            )


def _unresolved_condition(name: str, section: str, text: str, path: Path) -> ValidationError:
    return ValidationError(
        f"Template format error: Unresolved condition dependency {name} in the {section} block of the template{at_line(text, path)}"
    )


def check_types(plan: Plan, types: Types, text: str) -> None:
    """Every type is there and every property is honoured. Raises: ValidationError naming resource, property and line."""
    unknown = sorted({planned.type for planned in plan.resources.values() if type_of(types, planned.type) is None})
    if unknown:
        path: Path = next(("Resources", p.logical_id) for p in plan.resources.values() if p.type in unknown)
        names = ", ".join(p.logical_id for p in plan.resources.values() if p.type in unknown)
        raise ValidationError(
            f"Template format error: Unrecognized resource types: [{', '.join(unknown)}] ({names}){at_line(text, path)}",
            hint="Cumulet has no such CloudFormation type; docs/services/cloudformation.md lists what there is.",
        )
    for planned in plan.resources.values():
        resource = type_of(types, planned.type)
        assert resource is not None
        if "*" not in resource.properties:
            for name in planned.properties:
                if name not in resource.properties:
                    where = at_line(text, ("Resources", planned.logical_id, "Properties", name))
                    raise ValidationError(
                        f"Property {name} of {planned.type} is not supported by Cumulet (resource {planned.logical_id}){where}"
                    )
        for key, policy in (
            ("DeletionPolicy", planned.deletion_policy),
            ("UpdateReplacePolicy", planned.replace_policy),
        ):
            if policy == "Snapshot" and resource.snapshot is None:
                raise ValidationError(
                    f"Template error: {planned.type} does not support Snapshot deletion policy"
                    f"{at_line(text, ('Resources', planned.logical_id, key))}"
                )
        missing = sorted(resource.required - set(planned.properties))
        if missing:
            where = at_line(text, ("Resources", planned.logical_id))
            raise ValidationError(
                f"Properties validation failed for resource {planned.logical_id} with message:\n"
                + "\n".join(f"#: required key [{name}] not found" for name in missing)
                + where
            )


def type_of(types: Types, name: str) -> Resource | None:
    """The Resource of a type name; `Custom::X` is a custom resource."""
    if name.startswith("Custom::"):
        name = "AWS::CloudFormation::CustomResource"
    return types(name)


def takes_snapshot(kind: Resource | None, policy: str) -> bool:
    """Whether a resource is deleted after a last snapshot: the default where its type can have one."""
    return kind is not None and kind.snapshot is not None and policy in ("", "Snapshot")


def depends_on(body: Json) -> list[str]:
    value = body.get("DependsOn", [])
    return [value] if isinstance(value, str) else [name for name in value if isinstance(name, str)]


def plan_of(data: Json, env: Environment, text: str) -> Plan:
    """The plan, its resources in an order that respects dependencies. Raises: ValidationError."""
    active = {
        logical_id: body
        for logical_id, body in data["Resources"].items()
        if "Condition" not in body or env.condition(body["Condition"])
    }
    planned: dict[str, Planned] = {}
    for logical_id, body in active.items():
        properties = intrinsics.prune(body.get("Properties", {}), env.condition)
        needs = {name for name in depends_on(body) if name in active}
        for kind, name, _, path in intrinsics.references(properties, ("Resources", logical_id, "Properties")):
            if kind in ("Ref", "GetAtt", "SubAtt") and name in data["Resources"]:
                if name not in active:
                    raise _inactive(name, "Resources", text, path)
                needs.add(name)
        policy = text_policy(body.get("DeletionPolicy", ""), env)
        planned[logical_id] = Planned(
            logical_id,
            body["Type"],
            properties,
            frozenset(needs),
            policy,
            text_policy(body.get("UpdateReplacePolicy", "Delete"), env),
            body.get("Metadata"),
        )
    outputs: Json = {}
    for name, body in data.get("Outputs", {}).items():
        if not isinstance(body, dict) or "Value" not in body:
            raise ValidationError(
                f"Template format error: Every Outputs member must contain a Value object{at_line(text, ('Outputs', name))}"
            )
        if "Condition" in body and not env.condition(body["Condition"]):
            continue
        pruned = intrinsics.prune(body, env.condition)
        for kind, target, _, path in intrinsics.references(pruned, ("Outputs", name)):
            if kind in ("Ref", "GetAtt", "SubAtt") and target in data["Resources"] and target not in active:
                raise _inactive(target, "Outputs", text, path)
        outputs[name] = pruned
    return Plan({name: planned[name] for name in ordered(planned)}, outputs)


def text_policy(value: Any, env: Environment) -> str:
    return intrinsics.text_of(intrinsics.resolve(intrinsics.prune(value, env.condition), env))


def _inactive(name: str, section: str, text: str, path: Path) -> ValidationError:
    return ValidationError(
        f"Template format error: Unresolved resource dependencies [{name}] in the {section} block of the template{at_line(text, path)}"
    )


def ordered(planned: Mapping[str, Planned]) -> list[str]:
    """The names, each after what it needs. Raises: ValidationError for a circle."""
    left = {name: set(item.needs) for name, item in planned.items()}
    order: list[str] = []
    while left:
        ready = [name for name, needs in left.items() if not needs]
        if not ready:
            raise ValidationError(f"Circular dependency between resources: [{', '.join(_circle(left))}]")
        order += ready
        done = set(ready)
        left = {name: needs - done for name, needs in left.items() if name not in done}
    return order


def _circle(left: Mapping[str, set[str]]) -> list[str]:
    """The members of circles alone, without what merely depends on them."""
    trimmed = {name: set(needs) for name, needs in left.items()}
    while True:
        needed = set().union(*trimmed.values())
        outside = [name for name in trimmed if name not in needed]
        if not outside:
            return sorted(trimmed)
        for name in outside:
            del trimmed[name]
