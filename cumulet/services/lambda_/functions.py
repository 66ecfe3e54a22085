"""Operations on functions: create, update, read, list, delete."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_ import packages
from cumulet.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    revision_mismatch,
)
from cumulet.services.lambda_.model import (
    LATEST,
    ROOT,
    Alias,
    Function,
    Version,
)
from cumulet.services.lambda_.names import ref
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.publishing import published
from cumulet.services.lambda_.removal import forget_function, forget_version
from cumulet.services.lambda_.settings import check_size, configuration, configured
from cumulet.services.lambda_.tagging import check_tags

Json = dict[str, Any]


def create_function(ctx: Context, req: Json) -> Json:
    """Make a function of a zip package; it is active at once.

    Limits: 50 MB zipped in the request, 250 MB unzipped with layers, 4 KB environment, 128-10240 MB, 1-900 s, 5 layers.
    The role's ARN must be well formed; the role itself need not be there.
    Raises: ResourceConflictException, InvalidParameterValueException, RequestEntityTooLargeException,
    NotImplementedOnCumulet (a setting or runtime that is not honoured).
    Source: Lambda API_CreateFunction (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    if where.qualifier or where.account != ctx.account:
        raise InvalidParameterValueException(f"Invalid function name: {req['FunctionName']}")
    check_tags({}, req.get("Tags", {}))
    if ("Runtime" not in req or "Handler" not in req) and req.get("PackageType", "Zip") == "Zip":
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    function = Function(account=where.account, region=where.region, name=where.name, tags=dict(req.get("Tags", {})))
    if ctx.tx.get(function.key, Function) is not None:
        raise ResourceConflictException(f"Function already exist: {where.name}")
    blank = Version(
        account=where.account, region=where.region, name=where.name, number=0, revision=ctx.ids.uuid(), role="", runtime="",
        handler="", code_sha256="", code_size=0, unzipped=0, modified=ctx.now,
    )  # fmt: skip
    version = configured(ctx, blank, req)
    package = packages.package_of(ctx, req["Code"], "CreateFunction")
    version = replace(version, code_sha256=package.sha256, code_size=package.size, unzipped=package.unzipped)
    check_size(version)
    packages.keep(ctx, package)
    for layer in version.layers:
        packages.use(ctx, ctx.account, layer.sha256)
    ctx.tx.put(function.key, function)
    ctx.tx.put(version.key, version)
    if req.get("Publish"):
        version = published(ctx, version, None)
        return configuration(version, version.label)
    return configuration(version)


def update_function_code(ctx: Context, req: Json) -> Json:
    """Replace $LATEST's code; with DryRun the checks alone, with Publish also a new version.

    Raises: ResourceNotFoundException, PreconditionFailedException, InvalidParameterValueException.
    Source: Lambda API_UpdateFunctionCode (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    latest = where.latest(ctx)
    if "RevisionId" in req and req["RevisionId"] != latest.revision:
        raise revision_mismatch("Function")
    package = packages.package_of(ctx, req, "UpdateFunctionCode")
    changed = replace(
        latest, code_sha256=package.sha256, code_size=package.size, unzipped=package.unzipped, modified=ctx.now,
        revision=ctx.ids.uuid(), architectures=tuple(req.get("Architectures", latest.architectures)),
    )  # fmt: skip
    check_size(changed)
    if req.get("DryRun"):
        return configuration(changed)
    packages.keep(ctx, package)
    packages.release(ctx, latest.account, latest.code_sha256)
    ctx.tx.put(changed.key, changed)
    if req.get("Publish"):
        changed = published(ctx, changed, None)
        return configuration(changed, changed.label)
    return configuration(changed)


def update_function_configuration(ctx: Context, req: Json) -> Json:
    """Change $LATEST's settings; what the request does not name stays.

    Raises: ResourceNotFoundException, PreconditionFailedException, InvalidParameterValueException.
    Source: Lambda API_UpdateFunctionConfiguration (read 2026-11).
    """
    latest = ref(ctx, req["FunctionName"]).latest(ctx)
    if "RevisionId" in req and req["RevisionId"] != latest.revision:
        raise revision_mismatch("Function")
    changed = replace(configured(ctx, latest, req), modified=ctx.now, revision=ctx.ids.uuid())
    for layer in changed.layers:
        packages.use(ctx, latest.account, layer.sha256)
    for layer in latest.layers:
        packages.release(ctx, latest.account, layer.sha256)
    ctx.tx.put(changed.key, changed)
    return configuration(changed)


def get_function(ctx: Context, req: Json) -> Json:
    """A function's configuration, tags, reserved concurrency, and a link to its package that works for ten minutes.

    Raises: ResourceNotFoundException. Source: Lambda API_GetFunction (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    version = where.version(ctx)
    function = where.function(ctx)
    answer: Json = {
        "Configuration": configuration(version, where.qualifier),
        "Code": {"RepositoryType": "S3", "Location": packages.link(ctx, version.account, version.code_sha256)},
    }
    if function.tags:
        answer["Tags"] = dict(function.tags)
    if function.reserved is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
    return answer


def get_function_configuration(ctx: Context, req: Json) -> Json:
    """The settings of a version. Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionConfiguration."""
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    return configuration(where.version(ctx), where.qualifier)


def get_function_code_signing_config(ctx: Context, req: Json) -> Json:
    """That a function has no code signing configuration: none can be set here.

    Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionCodeSigningConfig (read 2026-11).
    """
    return {"FunctionName": ref(ctx, req["FunctionName"]).function(ctx).name}


def list_functions(ctx: Context, req: Json) -> Json:
    """The functions of the account in this region, by name, 50 at a time; with FunctionVersion=ALL every version.

    Raises: InvalidParameterValueException. Source: Lambda API_ListFunctions (read 2026-11).
    """
    everything = req.get("FunctionVersion") == "ALL"
    if "MasterRegion" in req:  # the replicas of Lambda@Edge: there are none
        if not everything:
            raise InvalidParameterValueException("FunctionVersion must be ALL where MasterRegion is given.")
        return {"Functions": []}
    prefix = (ROOT, "version", ctx.account, ctx.region)
    rows = ((key, v) for key, v in ctx.tx.scan(prefix, Version, start=start_of(req)) if everything or v.number == 0)
    shown, marker = page(rows, req, lambda v: configuration(v, v.label if everything else None))
    return {"Functions": shown, **marker}


def delete_function(ctx: Context, req: Json) -> Json:
    """Delete a function with everything of its own, or, with a version as qualifier, that version alone.

    Raises: ResourceNotFoundException, ResourceConflictException (an alias points at the version),
    InvalidParameterValueException ($LATEST cannot be deleted alone).
    Source: Lambda API_DeleteFunction (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    if not where.qualifier:
        where.function(ctx)
        forget_function(ctx, where)
        return {}
    if where.qualifier == LATEST:
        raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
    if not where.qualifier.isdigit():
        raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
    version = where.version(ctx)
    prefix = (ROOT, "alias", where.account, where.region, where.name)
    users = [
        alias.arn for _, alias in ctx.tx.scan(prefix, Alias)
        if version.number == alias.version or version.label in (alias.weights or {})
    ]  # fmt: skip
    if users:
        raise ResourceConflictException(
            f"Unable to delete version because the following aliases reference it: [{', '.join(users)}]"
        )
    forget_version(ctx, version)
    return {}
