"""Operations on authorizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigatewayv2.authorizer import check_authorizer
from cumulet.services.apigatewayv2.errors import ConflictException, NotFoundException
from cumulet.services.apigatewayv2.model import (
    Definition,
    changed,
    definition_key,
    definition_of,
    kept,
    page,
    stage_at,
)

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2 import api as shapes  # an `api` is an Api here

_KEPT = ("AuthorizerCredentialsArn", "AuthorizerPayloadFormatVersion", "AuthorizerResultTtlInSeconds", "AuthorizerType",
         "AuthorizerUri", "EnableSimpleResponses", "IdentitySource", "IdentityValidationExpression", "JwtConfiguration",
         "Name")  # fmt: skip


def create_authorizer(ctx: Context, req: shapes.CreateAuthorizerRequest) -> shapes.CreateAuthorizerResult:
    """Name a Lambda function that decides who may use routes; its answers are kept for 0 to 3600 seconds (default 0).

    Raises: NotFoundException; BadRequestException; NotImplementedOnCumulet for JWT authorizers.
    Source: API Gateway V2 API reference, CreateAuthorizer (read 2026-11).
    """
    definition = definition_of(ctx, req["ApiId"])
    authorizer = {"AuthorizerId": ctx.ids.lower(6), **kept(req, _KEPT)}
    return cast("shapes.CreateAuthorizerResult", _put(ctx, req["ApiId"], definition, authorizer))


def get_authorizer(ctx: Context, req: shapes.GetAuthorizerRequest) -> shapes.GetAuthorizerResult:
    """One authorizer. Raises: NotFoundException. Source: API reference, GetAuthorizer."""
    return cast("shapes.GetAuthorizerResult", _authorizer_of(definition_of(ctx, req["ApiId"]), req["AuthorizerId"]))


def get_authorizers(ctx: Context, req: shapes.GetAuthorizersRequest) -> shapes.GetAuthorizersResult:
    """The API's authorizers by id. Raises: NotFoundException, BadRequestException. Source: API reference."""
    return cast("shapes.GetAuthorizersResult", page(list(definition_of(ctx, req["ApiId"]).authorizers.items()), req))


def update_authorizer(ctx: Context, req: shapes.UpdateAuthorizerRequest) -> shapes.UpdateAuthorizerResult:
    """Change an authorizer. Raises: as CreateAuthorizer. Source: API reference, UpdateAuthorizer."""
    definition = definition_of(ctx, req["ApiId"])
    authorizer = {**_authorizer_of(definition, req["AuthorizerId"]), **kept(req, _KEPT)}
    return cast("shapes.UpdateAuthorizerResult", _put(ctx, req["ApiId"], definition, authorizer))


def delete_authorizer(ctx: Context, req: shapes.DeleteAuthorizerRequest) -> shapes.DeleteAuthorizerResult:
    """Delete an authorizer that no route uses.

    Raises: NotFoundException, ConflictException. Source: API reference, DeleteAuthorizer.
    """
    definition = definition_of(ctx, req["ApiId"])
    authorizer_id = req["AuthorizerId"]
    _authorizer_of(definition, authorizer_id)
    users = [route["RouteId"] for route in definition.routes.values() if route.get("AuthorizerId") == authorizer_id]
    if users:
        raise ConflictException(
            f"Cannot delete Authorizer '{authorizer_id}'. Authorizer is referenced by Route: {users[0]}"
        )
    left = {id_: value for id_, value in definition.authorizers.items() if id_ != authorizer_id}
    _save(ctx, req["ApiId"], replace(definition, authorizers=left))
    return {}


def reset_authorizers_cache(
    ctx: Context, req: shapes.ResetAuthorizersCacheRequest
) -> shapes.ResetAuthorizersCacheResult:
    """Forget what a stage's authorizers answered. Raises: NotFoundException. Source: API reference, ResetAuthorizersCache."""
    stage = stage_at(ctx, req["ApiId"], req["StageName"])
    cache: dict[tuple[str, ...], object] = ctx.pipeline.volatile.get("apigatewayv2.authorized", {})
    for key in [key for key in cache if key[:2] == (stage.api_id, stage.name)]:
        del cache[key]
    return {}


def _put(ctx: Context, api_id: str, definition: Definition, authorizer: Result) -> Result:
    check_authorizer(authorizer)
    authorizers = {**definition.authorizers, authorizer["AuthorizerId"]: authorizer}
    _save(ctx, api_id, replace(definition, authorizers=authorizers))
    return authorizer


def _authorizer_of(definition: Definition, authorizer_id: str) -> Result:
    authorizer: Result | None = definition.authorizers.get(authorizer_id)
    if authorizer is None:
        raise NotFoundException("Invalid Authorizer identifier specified", members={"ResourceType": "Authorizer"})
    return authorizer


def _save(ctx: Context, api_id: str, definition: Definition) -> None:
    ctx.tx.put(definition_key(api_id), definition)
    changed(ctx, api_id)
