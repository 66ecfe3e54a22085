"""Operations on an API's resources: the tree of its paths."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.errors import BadRequestException, ConflictException
from cumulet.services.apigateway.model import (
    Definition,
    api_at,
    definition_key,
    definition_of,
    page,
    resource_of,
    with_resource,
)

_PART = re.compile(r"[a-zA-Z0-9._:\-]+|\{[a-zA-Z0-9._:\-]+\+?\}")


def create_resource(ctx: Context, req: Result) -> Result:
    """Add a path segment below a resource: literal, `{parameter}` or greedy `{parameter+}`.

    Raises: NotFoundException, BadRequestException, ConflictException for a name that a sibling has.
    Source: API Gateway API reference, CreateResource (read 2026-11).
    """
    definition = definition_of(ctx, req["restApiId"])
    parent = resource_of(definition, req["parentId"])
    _check_part(definition, parent, req["pathPart"], None)
    resource = {
        "id": ctx.ids.lower(6),
        "parentId": parent["id"],
        "pathPart": req["pathPart"],
        "path": _below(parent["path"], req["pathPart"]),
    }
    ctx.tx.put(definition_key(req["restApiId"]), with_resource(definition, resource))
    return resource


def get_resource(ctx: Context, req: Result) -> Result:
    """One resource; its methods in full with `embed=methods`.

    Raises: NotFoundException. Source: API Gateway API reference, GetResource.
    """
    resource = resource_of(definition_of(ctx, req["restApiId"]), req["resourceId"])
    return _shown(resource, "methods" in req.get("embed", ()))


def get_resources(ctx: Context, req: Result) -> Result:
    """The API's resources by id. Raises: NotFoundException. Source: API Gateway API reference, GetResources."""
    resources = definition_of(ctx, req["restApiId"]).resources
    embed = "methods" in req.get("embed", ())
    return page(((id_, _shown(resources[id_], embed)) for id_ in sorted(resources)), req)


def update_resource(ctx: Context, req: Result) -> Result:
    """Rename a resource (`/pathPart`) or hang it elsewhere (`/parentId`); the paths below follow.

    Raises: NotFoundException, BadRequestException, ConflictException. Source: API Gateway API reference, UpdateResource.
    """
    api_id = req["restApiId"]
    definition = definition_of(ctx, api_id)
    old = resource_of(definition, req["resourceId"])
    only = patch.Field(ops=("replace",))
    new = patch.apply(old, req.get("patchOperations", []), {"/pathPart": only, "/parentId": only})
    if "parentId" not in old:
        raise BadRequestException("Root resource cannot be updated.")
    parent = resource_of(definition, new["parentId"])
    if parent["id"] in {resource["id"] for resource in _tree(definition, old["id"])}:
        raise BadRequestException("A resource cannot be moved below itself.")
    _check_part(definition, parent, new["pathPart"], old["id"])
    new["path"] = _below(parent["path"], new["pathPart"])
    resources = {**definition.resources, new["id"]: new}
    for resource in list(_tree(definition, old["id"]))[1:]:
        above = resources[resource["parentId"]]
        resources[resource["id"]] = {**resource, "path": _below(above["path"], resource["pathPart"])}
    ctx.tx.put(definition_key(api_id), replace(definition, resources=resources))
    return _shown(new, False)


def delete_resource(ctx: Context, req: Result) -> Result:
    """Delete a resource, its methods and everything below it.

    Raises: NotFoundException; BadRequestException for the root. Source: API Gateway API reference, DeleteResource.
    """
    api_id = req["restApiId"]
    definition = definition_of(ctx, api_id)
    resource = resource_of(definition, req["resourceId"])
    if resource["id"] == api_at(ctx, api_id).root_id:
        raise BadRequestException("Root resource cannot be removed.")
    gone = {below["id"] for below in _tree(definition, resource["id"])}
    left = {id_: value for id_, value in definition.resources.items() if id_ not in gone}
    ctx.tx.put(definition_key(api_id), replace(definition, resources=left))
    return {}


def _below(path: str, part: str) -> str:
    return f"/{part}" if path == "/" else f"{path}/{part}"


def _tree(definition: Definition, resource_id: str) -> Iterable[Result]:
    """A resource and everything below it, parents first."""
    yield definition.resources[resource_id]
    for resource in definition.resources.values():
        if resource.get("parentId") == resource_id:
            yield from _tree(definition, resource["id"])


def _check_part(definition: Definition, parent: Result, part: str, own_id: str | None) -> None:
    if not _PART.fullmatch(part):
        raise BadRequestException(
            "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the "
            "beginning and the end."
        )
    if parent.get("pathPart", "").endswith("+}"):
        raise BadRequestException(
            f"Cannot create a child of a resource with a greedy path variable: {parent['pathPart']}"
        )
    for sibling in definition.resources.values():
        if sibling.get("parentId") != parent["id"] or sibling["id"] == own_id:
            continue
        other = sibling["pathPart"]
        if other == part:
            raise ConflictException(f"Another resource with the same parent already has this name: {part}")
        if part[0] == "{" and other[0] == "{" and part.endswith("+}") == other.endswith("+}"):
            raise BadRequestException(
                f"A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
            )


def _shown(resource: Result, embed: bool) -> Result:
    if embed or "resourceMethods" not in resource:
        return resource
    return {**resource, "resourceMethods": {name: {} for name in resource["resourceMethods"]}}
