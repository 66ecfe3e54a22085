"""Operations on REST APIs and on the account's API Gateway settings."""

from __future__ import annotations

import re

from cumulet.aws.throttle import ACCOUNT_BURST, ACCOUNT_RATE_PER_S
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.model import Account, S, account_key, api_at, api_key, listed_key, page
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.settings import check_settings, described, new_api

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_PATCHES = {
    "/name": Field(ops=("replace",)),
    "/description": Field(),
    "/version": Field(),
    "/binaryMediaTypes/*": Field(element=True),
    "/minimumCompressionSize": Field(convert=patch.whole),
    "/apiKeySource": Field(ops=("replace",)),
    "/disableExecuteApiEndpoint": Field(convert=patch.flag, ops=("replace",)),
    "/endpointConfiguration/types/*": Field(element=True, ops=("replace",)),
    "/endpointConfiguration/types": Field(ops=("add", "replace"), convert=patch.listed),
    "/policy": Field(refused="policy (a resource policy)"),
}


def create_rest_api(ctx: Context, req: Result) -> Result:
    """Make an API with nothing but its root resource `/`.

    Raises: BadRequestException; NotImplementedOnCumulet for cloneFrom, policy, private endpoints.
    Source: API Gateway API reference, CreateRestApi (read 2026-11).
    """
    if "cloneFrom" in req:
        raise not_honoured("cloneFrom", "Export the other API and import its definition instead.")
    return described(new_api(ctx, req))


def get_rest_api(ctx: Context, req: Result) -> Result:
    """One API. Raises: NotFoundException. Source: API Gateway API reference, GetRestApi."""
    return described(api_at(ctx, req["restApiId"]))


def get_rest_apis(ctx: Context, req: Result) -> Result:
    """The account's APIs in this region by id, 25 a page. Source: API Gateway API reference, GetRestApis."""
    ids = [str(key[-1]) for key in ctx.tx.scan_keys(listed_key(ctx.account, ctx.region))]
    return page(((api_id, described(api_at(ctx, api_id))) for api_id in ids), req)


def update_rest_api(ctx: Context, req: Result) -> Result:
    """Patch an API's settings; what is deployed keeps the old ones until the next deployment.

    Raises: NotFoundException, BadRequestException. Source: API Gateway developer guide, "Patch operations".
    """
    api = api_at(ctx, req["restApiId"])
    settings = patch.apply(api.settings, req.get("patchOperations", []), _PATCHES)
    check_settings(settings)
    api = replace(api, settings=settings)
    ctx.tx.put(api_key(api.id), api)
    return described(api)


def delete_rest_api(ctx: Context, req: Result) -> Result:
    """Delete an API with its definition, deployments and stages.

    Raises: NotFoundException. Source: API Gateway API reference, DeleteRestApi.
    """
    api = api_at(ctx, req["restApiId"])
    for kind in ("definition", "deployment", "snapshot", "stage"):
        ctx.tx.delete_all((S, kind, api.id))
    ctx.tx.delete(api_key(api.id))
    ctx.tx.delete(listed_key(api.account, api.region, api.id))
    return {}


def get_account(ctx: Context, req: Result) -> Result:
    """The account's settings: the role for CloudWatch logs, and AWS's throttle figures.

    Source: API Gateway API reference, GetAccount; quotas (10,000 requests a second, burst 5,000).
    """
    account = ctx.tx.get(account_key(ctx.account, ctx.region), Account) or Account()
    result: Result = {
        "throttleSettings": {"burstLimit": ACCOUNT_BURST, "rateLimit": ACCOUNT_RATE_PER_S},
        "features": ["UsagePlans"],
        "apiKeyVersion": "4",
    }
    if account.role_arn is not None:
        result["cloudwatchRoleArn"] = account.role_arn
    return result


def update_account(ctx: Context, req: Result) -> Result:
    """Set or remove the role without which no stage may log to CloudWatch.

    Raises: BadRequestException for what is no role's ARN. Source: API Gateway API reference, UpdateAccount.
    """
    key = account_key(ctx.account, ctx.region)
    account = ctx.tx.get(key, Account) or Account()
    document: Result = {} if account.role_arn is None else {"cloudwatchRoleArn": account.role_arn}
    fields = {"/cloudwatchRoleArn": Field(), "/features": Field(refused="account features")}
    role = patch.apply(document, req.get("patchOperations", []), fields).get("cloudwatchRoleArn")
    if role and not _ROLE.fullmatch(role):
        raise BadRequestException("The role ARN does not have required permissions set to API Gateway")
    ctx.tx.put(key, Account(role_arn=role or None))
    return get_account(ctx, {})
