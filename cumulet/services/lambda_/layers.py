"""Operations on layers."""

from __future__ import annotations

import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.lambda_ import packages
from cumulet.services.lambda_.errors import InvalidParameterValueException, ResourceNotFoundException
from cumulet.services.lambda_.model import ROOT, Layer, LayerVersion, base64_sha256, policy_key, timestamp
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.policies import add_statement, document, principal_of, remove_statement

_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+)(?::(\d+))?")

Json = dict[str, Any]


def publish_layer_version(ctx: Context, req: Json) -> Json:
    """Keep a package as the layer's next version; the first one makes the layer.

    Raises: InvalidParameterValueException, RequestEntityTooLargeException.
    Source: Lambda API_PublishLayerVersion (read 2026-11).
    """
    account, region, name = _name(ctx, req["LayerName"])
    package = packages.package_of(ctx, req["Content"], "PublishLayerVersion")
    packages.keep(ctx, package)
    key = (ROOT, "layer", account, region, name)
    layer = ctx.tx.get(key, Layer) or Layer()
    number = layer.last_version + 1
    ctx.tx.put(key, Layer(last_version=number))
    version = LayerVersion(
        account=account, region=region, name=name, number=number, code_sha256=package.sha256, code_size=package.size,
        unzipped=package.unzipped, created=ctx.now, description=req.get("Description", ""), license=req.get("LicenseInfo"),
        runtimes=tuple(req.get("CompatibleRuntimes", ())), architectures=tuple(req.get("CompatibleArchitectures", ())),
    )  # fmt: skip
    ctx.tx.put(version.key, version)
    return _with_content(ctx, version)


def get_layer_version(ctx: Context, req: Json) -> Json:
    """One layer version, with a link to its package that works for ten minutes.

    Raises: ResourceNotFoundException. Source: Lambda API_GetLayerVersion (read 2026-11).
    """
    return _with_content(ctx, _version(ctx, req["LayerName"], req["VersionNumber"]))


def get_layer_version_by_arn(ctx: Context, req: Json) -> Json:
    """As GetLayerVersion. Raises: ResourceNotFoundException. Source: Lambda API_GetLayerVersionByArn (read 2026-11)."""
    layer, _, number = req["Arn"].rpartition(":")
    return _with_content(ctx, _version(ctx, layer, int(number)))


def list_layer_versions(ctx: Context, req: Json) -> Json:
    """A layer's versions, newest first, 50 at a time; one that does not exist has none.

    Source: Lambda API_ListLayerVersions (read 2026-11).
    """
    account, region, name = _name(ctx, req["LayerName"])
    prefix = (ROOT, "layer-version", account, region, name)
    start = start_of(req)
    end = None if start is None else (*start, None)  # the marker's own row is shown
    rows = ((key, v) for key, v in ctx.tx.scan(prefix, LayerVersion, end=end, reverse=True) if _suits(v, req))
    shown, marker = page(rows, req, _item)
    return {"LayerVersions": shown, **marker}


def list_layers(ctx: Context, req: Json) -> Json:
    """The layers of the account in this region by name, each with its newest version, 50 at a time.

    Source: Lambda API_ListLayers (read 2026-11).
    """
    newest: dict[str, tuple[Key, LayerVersion]] = {}
    start = start_of(req)
    for key, version in ctx.tx.scan((ROOT, "layer-version", ctx.account, ctx.region), LayerVersion, start=start):
        if _suits(version, req):
            first = newest.get(version.name, (key, version))[0]
            newest[version.name] = (first, version)
    shown, marker = page(newest.values(), req, _layer)
    return {"Layers": shown, **marker}


def delete_layer_version(ctx: Context, req: Json) -> Json:
    """Delete a layer version; functions that use it keep it. One that is not there is fine.

    Source: Lambda API_DeleteLayerVersion (read 2026-11).
    """
    account, region, name = _name(ctx, req["LayerName"])
    version = ctx.tx.get((ROOT, "layer-version", account, region, name, req["VersionNumber"]), LayerVersion)
    if version is not None:
        packages.release(ctx, account, version.code_sha256)
        ctx.tx.delete(version.key)
        ctx.tx.delete(_policy(version))
    return {}


def add_layer_version_permission(ctx: Context, req: Json) -> Json:
    """Let other accounts use a layer version.

    Raises: ResourceNotFoundException, ResourceConflictException, PreconditionFailedException.
    Source: Lambda API_AddLayerVersionPermission (read 2026-11).
    """
    version = _version(ctx, req["LayerName"], req["VersionNumber"])
    statement: Json = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": principal_of(req["Principal"]),
        "Action": req["Action"],
        "Resource": version.arn,
    }
    if "OrganizationId" in req:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": req["OrganizationId"]}}
    text = add_statement(ctx, _policy(version), statement, req.get("RevisionId"))
    return {"Statement": text, "RevisionId": document(ctx, _policy(version))["RevisionId"]}


def remove_layer_version_permission(ctx: Context, req: Json) -> Json:
    """Take a statement out of a layer version's policy.

    Raises: ResourceNotFoundException, PreconditionFailedException.
    Source: Lambda API_RemoveLayerVersionPermission (read 2026-11).
    """
    version = _version(ctx, req["LayerName"], req["VersionNumber"])
    remove_statement(ctx, _policy(version), req["StatementId"], req.get("RevisionId"))
    return {}


def get_layer_version_policy(ctx: Context, req: Json) -> Json:
    """A layer version's policy. Raises: ResourceNotFoundException. Source: Lambda API_GetLayerVersionPolicy."""
    return document(ctx, _policy(_version(ctx, req["LayerName"], req["VersionNumber"])))


def _name(ctx: Context, name: str) -> tuple[str, str, str]:
    """(account, region, name) of a layer's name or ARN."""
    if not name.startswith("arn:"):
        return ctx.account, ctx.region, name
    match = _ARN.fullmatch(name)
    if match is None:
        raise InvalidParameterValueException(f"Invalid layer ARN: {name}")
    return match[2], match[1], match[3]


def _version(ctx: Context, layer: str, number: int) -> LayerVersion:
    account, region, name = _name(ctx, layer)
    found = ctx.tx.get((ROOT, "layer-version", account, region, name, number), LayerVersion)
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def _policy(version: LayerVersion) -> Key:
    return policy_key(version.account, version.region, f"layer:{version.name}", str(version.number))


def _suits(version: LayerVersion, req: Json) -> bool:
    if "CompatibleRuntime" in req and req["CompatibleRuntime"] not in version.runtimes:
        return False
    return "CompatibleArchitecture" not in req or req["CompatibleArchitecture"] in version.architectures


def _item(version: LayerVersion) -> Json:
    shown: Json = {
        "LayerVersionArn": version.arn,
        "Version": version.number,
        "Description": version.description,
        "CreatedDate": timestamp(version.created),
    }
    if version.license is not None:
        shown["LicenseInfo"] = version.license
    if version.runtimes:
        shown["CompatibleRuntimes"] = list(version.runtimes)
    if version.architectures:
        shown["CompatibleArchitectures"] = list(version.architectures)
    return shown


def _layer(version: LayerVersion) -> Json:
    return {"LayerName": version.name, "LayerArn": version.layer_arn, "LatestMatchingVersion": _item(version)}


def _with_content(ctx: Context, version: LayerVersion) -> Json:
    content = {
        "Location": packages.link(ctx, version.account, version.code_sha256),
        "CodeSha256": base64_sha256(version.code_sha256),
        "CodeSize": version.code_size,
    }
    return {"Content": content, "LayerArn": version.layer_arn, **_item(version), "LayerVersionArn": version.arn}
