"""What a stack's template refers to: parameters, pseudo parameters, conditions, resources, exports, dynamic references."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.cloudformation import intrinsics
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.model import NAME, Export, Revision, Stack, StackResource, revision_of
from cumulet.services.cloudformation.template import PSEUDO, Plan, Types, plan_of, type_of

_DYNAMIC = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")
_KEPT_PLANS = 64
URL_SUFFIX = "amazonaws.com"


class Unknown(Exception):
    """The value is not known before the change is executed."""


def types_of(ctx: Context) -> Types:
    """Every CloudFormation type that a service gives, by name."""
    return ctx.pipeline.services.resource


class StackEnvironment:
    """An `intrinsics.Environment` for one revision of a stack.

    unknown   logical ids whose values are not known yet: asking for one raises Unknown
    imports   collects the names of exports that were used
    """

    def __init__(
        self,
        ctx: Context,
        stack: Stack,
        revision: Revision,
        data: Mapping[str, Any],
        unknown: frozenset[str] = frozenset(),
    ) -> None:
        self.ctx = ctx
        self.stack = stack
        self.revision = revision
        self.data = data
        self.mappings: Mapping[str, Any] = data.get("Mappings", {})
        self.unknown = unknown
        self.imports: set[str] = set()
        self._conditions: dict[str, bool | None] = {}

    def ref(self, name: str) -> Any:
        if name in self.revision.resolved:
            return self.revision.resolved[name]
        if name in PSEUDO:
            return self._pseudo(name)
        version = self._record(name).now
        resource = type_of(types_of(self.ctx), version.type)
        if resource is not None and resource.ref is not None:
            return resource.ref(version.physical_id, version.attributes)
        return version.physical_id

    def _pseudo(self, name: str) -> Any:
        stack = self.stack
        match name:
            case "AWS::NotificationARNs":
                return list(self.revision.notification_arns)
            case "AWS::NoValue":
                return intrinsics.NO_VALUE
        return {
            "AWS::AccountId": stack.account, "AWS::Region": stack.region, "AWS::StackId": stack.id, "AWS::StackName": stack.name,
            "AWS::Partition": "aws", "AWS::URLSuffix": URL_SUFFIX,
        }[name]  # fmt: skip

    def _record(self, logical_id: str) -> StackResource:
        if logical_id in self.unknown:
            raise Unknown
        record = self.ctx.tx.get(self.stack.under("resource", logical_id), StackResource)
        if record is None or not record.now.physical_id:
            raise ValidationError(
                f"Template error: Unresolved dependencies [{logical_id}]. Cannot reference resources here"
            )
        return record

    def attribute(self, logical_id: str, name: str) -> Any:
        attributes = self._record(logical_id).now.attributes
        if name in attributes:
            return attributes[name]
        found: Any = attributes
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise ValidationError(
                    f"Template error: resource {logical_id} does not support attribute type {name} in Fn::GetAtt"
                )
            found = found[part]
        return found

    def exported(self, name: str) -> str:
        found = self.ctx.tx.get((NAME, "export", self.stack.account, self.stack.region, name), Export)
        if found is None:
            raise ValidationError(f"No export named {name} found.")
        self.imports.add(name)
        return found.value

    def condition(self, name: str) -> bool:
        if name not in self._conditions:
            body = self.data.get("Conditions", {}).get(name)
            if body is None:
                raise ValidationError(
                    f"Template format error: Unresolved condition dependency {name} in the Conditions block of the template"
                )
            self._conditions[name] = None
            self._conditions[name] = intrinsics.decide(body, self)
        known = self._conditions[name]
        if known is None:
            raise ValidationError(f"Template error: Found circular condition dependency between conditions: [{name}]")
        return known

    def zones(self, region: str) -> list[str]:
        return [f"{region or self.stack.region}{letter}" for letter in "abc"]


def plan_for(ctx: Context, stack: Stack, revision: Revision) -> tuple[dict[str, Any], Plan]:
    """(the processed template, its plan). Revisions never change, so that both are remembered."""
    plans: dict[str, tuple[dict[str, Any], Plan]] = ctx.pipeline.volatile.setdefault("cloudformation.plans", {})
    found = plans.get(revision.id)
    if found is None:
        data = json.loads(revision.processed)
        found = data, plan_of(data, StackEnvironment(ctx, stack, revision, data), revision.body)
        while len(plans) >= _KEPT_PLANS:
            del plans[next(iter(plans))]
        plans[revision.id] = found
    return found


def current_plan(ctx: Context, stack: Stack) -> tuple[Revision, dict[str, Any], Plan]:
    revision = revision_of(ctx, stack, stack.revision)
    return revision, *plan_for(ctx, stack, revision)


def dynamic_services(value: Any) -> set[str]:
    """The services that dynamic references in `value` name."""
    if isinstance(value, str):
        return {match.group(1) for match in _DYNAMIC.finditer(value)} if "{{resolve:" in value else set()
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*(dynamic_services(item) for item in value)) if isinstance(value, list) else set()


def check_dynamic(ctx: Context, value: Any) -> None:
    """Raises: NotImplementedOnCumulet when a dynamic reference names a service that is not here."""
    needed = {"ssm": ("ssm", "GetParameter"), "ssm-secure": ("ssm", "GetParameter"),
              "secretsmanager": ("secretsmanager", "GetSecretValue")}  # fmt: skip
    for service in sorted(dynamic_services(value)):
        if service not in needed:
            raise ValidationError(f"Template error: Unknown dynamic reference service {service}")
        if ctx.pipeline.services.operation(*needed[service]) is None:
            raise NotImplementedOnCumulet(
                f"Dynamic references {{{{resolve:{service}:...}}}} need {'.'.join(needed[service])}, which is not implemented by Cumulet."
            )


def expand(ctx: Context, value: Any) -> Any:
    """`value` with dynamic references replaced; they stay unresolved in what the stack remembers."""
    if isinstance(value, str):
        return (
            _DYNAMIC.sub(lambda match: _dynamic(ctx, match.group(1), match.group(2)), value)
            if "{{resolve:" in value
            else value
        )
    if isinstance(value, dict):
        return {key: expand(ctx, item) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(ctx, item) for item in value]
    return value


def _dynamic(ctx: Context, service: str, rest: str) -> str:
    try:
        if service in ("ssm", "ssm-secure"):
            request = {"Name": rest, "WithDecryption": service == "ssm-secure"}
            parameter = ctx.call("ssm", "GetParameter", request)["Parameter"]
            if service == "ssm" and parameter["Type"] == "SecureString":
                raise ValidationError(
                    f"SSM Secure reference is needed for the SecureString {rest}: {{{{resolve:ssm-secure:{rest}}}}}"
                )
            return str(parameter["Value"])
        return _secret(ctx, rest)
    except AwsError as error:
        raise ValidationError(f"Could not resolve {{{{resolve:{service}:{rest}}}}}: {error.message}") from error


def _secret(ctx: Context, rest: str) -> str:
    """`secret-id:SecretString:json-key:version-stage:version-id`; the id may be an ARN."""
    head, _, tail = rest.partition(":SecretString")
    _, key, stage, version = ([*tail.split(":"), "", "", "", ""])[:4]
    request = {"SecretId": head}
    if stage:
        request["VersionStage"] = stage
    if version:
        request["VersionId"] = version
    text = str(ctx.call("secretsmanager", "GetSecretValue", request).get("SecretString", ""))
    if not key:
        return text
    try:
        return intrinsics.text_of(read_json(text)[key])
    except (NotJson, KeyError, TypeError) as error:
        raise ValidationError(f"Could not find a value associated with JSONKey in SecretString: {key}") from error
