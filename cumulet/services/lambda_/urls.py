"""Operations on function URLs."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import ResourceConflictException, ResourceNotFoundException
from cumulet.services.lambda_.model import ROOT, Url, UrlPointer, timestamp
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.pages import page, start_of

Json = dict[str, Any]


def create_function_url_config(ctx: Context, req: Json) -> Json:
    """Give a function or an alias an HTTP endpoint of its own, at /_aws/lambda-url/{id}/.

    Raises: ResourceNotFoundException, ResourceConflictException, NotImplementedOnCumulet (RESPONSE_STREAM).
    Source: Lambda API_CreateFunctionUrlConfig (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    where.version(ctx)
    _refuse_streams(req)
    url = Url(
        id=ctx.ids.lower(32), account=where.account, region=where.region, function=where.name, qualifier=where.qualifier,
        auth=req["AuthType"], created=ctx.now, modified=ctx.now, cors=req.get("Cors"),
    )  # fmt: skip
    if ctx.tx.get(url.key, Url) is not None:
        raise ResourceConflictException(
            f"Failed to create function url config for [functionArn = {url.function_arn}]. Error message:  "
            "FunctionUrlConfig exists for this Lambda function"
        )
    ctx.tx.put(url.key, url)
    pointer = UrlPointer(account=url.account, region=url.region, function=url.function, qualifier=url.qualifier)
    ctx.tx.put((ROOT, "url-id", url.id), pointer)
    shown = _shown(ctx, url)
    del shown["LastModifiedTime"]
    return shown


def get_function_url_config(ctx: Context, req: Json) -> Json:
    """A function's URL. Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionUrlConfig (read 2026-11)."""
    return _shown(ctx, _url(ctx, req))


def update_function_url_config(ctx: Context, req: Json) -> Json:
    """Change a URL's AuthType or CORS settings; the URL stays.

    Raises: ResourceNotFoundException, NotImplementedOnCumulet. Source: Lambda API_UpdateFunctionUrlConfig (read 2026-11).
    """
    _refuse_streams(req)
    url = _url(ctx, req)
    changed = replace(url, auth=req.get("AuthType", url.auth), cors=req.get("Cors", url.cors), modified=ctx.now)
    ctx.tx.put(changed.key, changed)
    return _shown(ctx, changed)


def delete_function_url_config(ctx: Context, req: Json) -> Json:
    """Delete a URL. Raises: ResourceNotFoundException. Source: Lambda API_DeleteFunctionUrlConfig (read 2026-11)."""
    url = _url(ctx, req)
    ctx.tx.delete((ROOT, "url-id", url.id))
    ctx.tx.delete(url.key)
    return {}


def list_function_url_configs(ctx: Context, req: Json) -> Json:
    """The URLs of a function and its aliases, 50 at a time.

    Raises: ResourceNotFoundException. Source: Lambda API_ListFunctionUrlConfigs (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    rows = ctx.tx.scan((ROOT, "url", where.account, where.region, where.name), Url, start=start_of(req))
    shown, marker = page(rows, req, lambda url: _shown(ctx, url))
    return {"FunctionUrlConfigs": shown, **marker}


def _refuse_streams(req: Json) -> None:
    if req.get("InvokeMode", "BUFFERED") != "BUFFERED":
        raise NotImplementedOnCumulet("Lambda's setting InvokeMode=RESPONSE_STREAM is not implemented by Cumulet.")


def _url(ctx: Context, req: Json) -> Url:
    where: Ref = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    found = ctx.tx.get((ROOT, "url", where.account, where.region, where.name, where.qualifier), Url)
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def _shown(ctx: Context, url: Url) -> Json:
    shown: Json = {
        "FunctionUrl": f"{ctx.endpoint}/_aws/lambda-url/{url.id}/",
        "FunctionArn": url.function_arn,
        "AuthType": url.auth,
        "CreationTime": timestamp(url.created),
        "LastModifiedTime": timestamp(url.modified),
        "InvokeMode": url.invoke_mode,
    }
    if url.cors:
        shown["Cors"] = dict(url.cors)
    return shown
