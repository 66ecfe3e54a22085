"""Operations on parameters: put, get, list, delete, history, labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.ssm import checks, filters
from cumulet.services.ssm.errors import (
    HierarchyTypeMismatchException,
    ParameterAlreadyExists,
    ParameterLimitExceeded,
    ParameterMaxVersionLimitExceeded,
    ParameterNotFound,
    ParameterVersionLabelLimitExceeded,
    ParameterVersionNotFound,
    ValidationException,
)
from cumulet.services.ssm.lookup import ask_kms, page, parameter_named, selected, value_of, version_of
from cumulet.services.ssm.model import (
    LABELS,
    MOST,
    ROOT,
    VERSIONS,
    Parameter,
    Version,
    count_key,
    parameter_key,
    versions_of,
)
from cumulet.services.ssm.tagging import tagged

Json = dict[str, Any]
_LABEL = re.compile(r"(?!aws|ssm)[a-z_.-][a-z0-9_.-]{0,99}", re.IGNORECASE)
_DEFAULT_KEY = "alias/aws/ssm"


def put_parameter(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Make a parameter, or with Overwrite a new version of one; a SecureString is sealed by a KMS key (by default alias/aws/ssm).

    Limits: 4 KB (Advanced: 8 KB), 10,000 standard and 100,000 advanced parameters, 15 levels, the newest 100 versions are kept.
    Raises: ParameterAlreadyExists, ValidationException, HierarchyTypeMismatchException, HierarchyLevelLimitExceededException,
    ParameterPatternMismatchException, InvalidAllowedPatternException, ParameterLimitExceeded, ParameterMaxVersionLimitExceeded,
    InvalidKeyId; NotImplemented for Policies and data types other than text.
    Source: Systems Manager API_PutParameter; AWS General Reference, "Systems Manager quotas" (read 2026-11).
    """
    checks.refuse(req)
    name = checks.name(ctx, req["Name"])
    there = ctx.tx.get(parameter_key(ctx.account, ctx.region, name), Parameter)
    if there is not None and not req.get("Overwrite"):
        raise ParameterAlreadyExists(
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
        )
    if req.get("Tags") and req.get("Overwrite"):
        raise ValidationException(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite "
            "flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource."
        )
    before = there.now if there is not None else None
    version = _new_version(ctx, req, before)
    if there is None:
        parameter = Parameter(
            account=ctx.account, region=ctx.region, name=name, now=version, tags=tagged({}, req.get("Tags", ()))
        )
    else:
        parameter = replace(there, now=version)
    _count(ctx, before, version)
    if version.type == "SecureString":
        parameter = replace(parameter, now=_sealed(ctx, parameter, req["Value"]))
    elif "KeyId" in req:
        raise ValidationException("KeyId is required for SecureString type parameter only.")
    _trim(ctx, parameter)
    ctx.tx.put(parameter.key, parameter)
    ctx.tx.put((*versions_of(ctx.account, ctx.region, name), version.number), parameter.now)
    return {"Version": version.number, "Tier": version.tier}


def _new_version(ctx: Context, req: Mapping[str, Any], before: Version | None) -> Version:
    if before is None and "Type" not in req:
        raise ValidationException("A parameter type is required when you create a parameter.")
    type_ = req.get("Type", before.type if before is not None else "")
    if before is not None and type_ != before.type:
        raise HierarchyTypeMismatchException(
            f"The parameter's type {before.type} can't be changed to {type_}. Create a new, unique parameter."
        )
    value = req["Value"]
    if not value:
        raise ValidationException("Parameter value must not be empty.")
    tier = checks.tier(req, before.tier if before is not None else "")
    pattern = req.get("AllowedPattern", "")
    if pattern:
        for part in value.split(",") if type_ == "StringList" else [value]:
            checks.pattern(pattern, part)
    return Version(
        number=before.number + 1 if before is not None else 1, type=type_, modified=ctx.now, user=ctx.principal,
        value="" if type_ == "SecureString" else value, key_id=req.get("KeyId", _key_of(before)) if type_ == "SecureString" else "",
        description=req.get("Description", ""), pattern=pattern, tier=tier,
    )  # fmt: skip


def _key_of(before: Version | None) -> str:
    return before.key_id if before is not None else _DEFAULT_KEY


def _sealed(ctx: Context, parameter: Parameter, value: str) -> Version:
    request = {
        "KeyId": parameter.now.key_id,
        "Context": {"PARAMETER_ARN": parameter.arn},
        "Plaintext": value.encode(),
    }
    return replace(parameter.now, sealed=ask_kms(ctx, parameter, "cumulet:Seal", request)["Sealed"])


def _count(ctx: Context, before: Version | None, after: Version) -> None:
    if before is not None and before.tier == after.tier:
        return
    if before is not None:
        ctx.tx.add(count_key(ctx.account, ctx.region, before.tier), -1)
    if ctx.tx.add(count_key(ctx.account, ctx.region, after.tier)) > MOST[after.tier]:
        raise ParameterLimitExceeded(
            f"Parameter limit exceeded: {MOST[after.tier]} {after.tier.lower()} parameters in this account and region."
        )


def _trim(ctx: Context, parameter: Parameter) -> None:
    """Drop the oldest version over a hundred. Raises: ParameterMaxVersionLimitExceeded where it has a label."""
    oldest = parameter.now.number - VERSIONS
    if oldest < 1:
        return
    if oldest in parameter.labels.values():
        raise ParameterMaxVersionLimitExceeded(
            f"You attempted to create a new version of {parameter.name} by calling the PutParameter API with the overwrite flag. "
            f"Version {oldest}, the oldest version, can't be deleted because it has a label associated with it. Move the label to "
            "another version of the parameter, and try again."
        )
    ctx.tx.delete((*versions_of(parameter.account, parameter.region, parameter.name), oldest))


def get_parameter(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A parameter by its name or ARN, of a version or label where they follow a colon.

    Raises: ParameterNotFound, ParameterVersionNotFound, InvalidKeyId. Source: Systems Manager API_GetParameter (read 2026-11).
    """
    return {"Parameter": _shown(ctx, *selected(ctx, req["Name"]), req.get("WithDecryption", False))}


def get_parameters(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Up to ten parameters as GetParameter gives them; those that are not there are listed.

    Raises: InvalidKeyId. Source: Systems Manager API_GetParameters (read 2026-11).
    """
    found: list[Json] = []
    invalid: list[str] = []
    for name in req["Names"]:
        try:
            found.append(_shown(ctx, *selected(ctx, name), req.get("WithDecryption", False)))
        except (ParameterNotFound, ParameterVersionNotFound):
            invalid.append(name)
    return {"Parameters": found, "InvalidParameters": invalid}


def get_parameters_by_path(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The parameters right under a path, or with Recursive below it, ten a page; filters by type, key and label.

    Raises: ValidationException, InvalidFilterKey, InvalidFilterOption, InvalidNextToken, InvalidKeyId.
    Source: Systems Manager API_GetParametersByPath (read 2026-11).
    """
    path: str = req["Path"]
    if not path.startswith("/"):
        raise ValidationException(
            'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". '
            'It can\'t be prefixed with "aws" or "ssm" (case-insensitive).'
        )
    test = filters.below(path, req.get("Recursive", False))
    passes, label = filters.by_path(req.get("ParameterFilters", ()))
    rows: list[tuple[Parameter, Version]] = []
    for _, parameter in ctx.tx.scan((ROOT, "parameter", ctx.account, ctx.region), Parameter):
        if test(parameter.name) and passes(parameter):
            number = parameter.labels.get(label) if label is not None else parameter.now.number
            version = version_of(ctx, parameter, number) if number is not None else None
            if version is not None:
                rows.append((parameter, version))
    decrypt = req.get("WithDecryption", False)
    return page(req, rows, lambda row: _shown(ctx, *row, "", decrypt), 10)


def _shown(ctx: Context, parameter: Parameter, version: Version, selector: str, decrypt: bool) -> Json:
    shown: Json = {
        "Name": parameter.name,
        "Type": version.type,
        "Value": value_of(ctx, parameter, version, decrypt),
        "Version": version.number,
        "LastModifiedDate": version.modified,
        "ARN": parameter.arn,
        "DataType": version.data_type,
    }
    if selector:
        shown["Selector"] = selector
    return shown


def describe_parameters(ctx: Context, req: Mapping[str, Any]) -> Json:
    """All about the parameters that filters let pass but their values, 50 a page.

    Raises: InvalidFilterKey, InvalidFilterOption, InvalidFilterValue, InvalidNextToken, ValidationException.
    Source: Systems Manager API_DescribeParameters (read 2026-11).
    """
    passes = filters.described(req)
    rows = [
        parameter
        for _, parameter in ctx.tx.scan((ROOT, "parameter", ctx.account, ctx.region), Parameter)
        if passes(parameter)
    ]
    return page(req, rows, lambda one: {"ARN": one.arn, **_described(one.name, one.now)}, 50)


def _described(name: str, version: Version) -> Json:
    shown: Json = {
        "Name": name,
        "Type": version.type,
        "LastModifiedDate": version.modified,
        "LastModifiedUser": version.user,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": [],
        "DataType": version.data_type,
    }
    for member, value in (
        ("KeyId", version.key_id),
        ("Description", version.description),
        ("AllowedPattern", version.pattern),
    ):
        if value:
            shown[member] = value
    return shown


def get_parameter_history(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The versions of a parameter that are kept, oldest first, 50 a page.

    Raises: ParameterNotFound, InvalidNextToken, InvalidKeyId. Source: Systems Manager API_GetParameterHistory (read 2026-11).
    """
    parameter = parameter_named(ctx, req["Name"])
    rows = [row for _, row in ctx.tx.scan(versions_of(ctx.account, ctx.region, parameter.name), Version)]
    decrypt = req.get("WithDecryption", False)

    def shown(version: Version) -> Json:
        return {
            **_described(parameter.name, version),
            "Value": value_of(ctx, parameter, version, decrypt),
            "Labels": sorted(label for label, number in parameter.labels.items() if number == version.number),
        }

    return page(req, rows, shown, 50)


def delete_parameter(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Delete a parameter with its versions. Raises: ParameterNotFound. Source: Systems Manager API_DeleteParameter (read 2026-11)."""
    _delete(ctx, parameter_named(ctx, req["Name"]))
    return {}


def delete_parameters(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Delete up to ten parameters; those that are not there are listed. Source: Systems Manager API_DeleteParameters."""
    deleted: list[str] = []
    invalid: list[str] = []
    for name in req["Names"]:
        try:
            _delete(ctx, parameter_named(ctx, name))
            deleted.append(name)
        except ParameterNotFound:
            invalid.append(name)
    return {"DeletedParameters": deleted, "InvalidParameters": invalid}


def _delete(ctx: Context, parameter: Parameter) -> None:
    ctx.tx.delete(parameter.key)
    ctx.tx.delete_all(versions_of(parameter.account, parameter.region, parameter.name))
    ctx.tx.add(count_key(parameter.account, parameter.region, parameter.now.tier), -1)


def label_parameter_version(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Put labels on a version (by default the newest), ten at most; they move from where they were. Malformed ones are listed.

    Raises: ParameterNotFound, ParameterVersionNotFound, ParameterVersionLabelLimitExceeded.
    Source: Systems Manager API_LabelParameterVersion (read 2026-11).
    """
    parameter = parameter_named(ctx, req["Name"])
    number = _existing(ctx, parameter, req.get("ParameterVersion", parameter.now.number))
    invalid = [label for label in req["Labels"] if not _LABEL.fullmatch(label)]
    labels = parameter.labels | {label: number for label in req["Labels"] if label not in invalid}
    if sum(1 for each in labels.values() if each == number) > LABELS:
        raise ParameterVersionLabelLimitExceeded(
            f"A parameter version can have maximum {LABELS} labels. Move one or more labels to another version and try again."
        )
    ctx.tx.put(parameter.key, replace(parameter, labels=labels))
    return {"InvalidLabels": invalid, "ParameterVersion": number}


def _existing(ctx: Context, parameter: Parameter, number: int) -> int:
    if version_of(ctx, parameter, number) is None:
        raise ParameterVersionNotFound(
            f"Systems Manager could not find version {number} of {parameter.name}. Verify the version and try again."
        )
    return number


def unlabel_parameter_version(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take labels off a version; those that are not on it are listed.

    Raises: ParameterNotFound, ParameterVersionNotFound. Source: Systems Manager API_UnlabelParameterVersion (read 2026-11).
    """
    parameter = parameter_named(ctx, req["Name"])
    number = _existing(ctx, parameter, req["ParameterVersion"])
    removed = [label for label in req["Labels"] if parameter.labels.get(label) == number]
    left = {label: each for label, each in parameter.labels.items() if label not in removed}
    ctx.tx.put(parameter.key, replace(parameter, labels=left))
    return {"RemovedLabels": removed, "InvalidLabels": [label for label in req["Labels"] if label not in removed]}
