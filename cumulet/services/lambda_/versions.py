"""Operations on versions: publish, list."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.lambda_.errors import InvalidParameterValueException, revision_mismatch
from cumulet.services.lambda_.model import ROOT, Version, base64_sha256
from cumulet.services.lambda_.names import ref
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.publishing import published
from cumulet.services.lambda_.settings import configuration, refuse_what_is_not_here

Json = dict[str, Any]


def publish_version(ctx: Context, req: Json) -> Json:
    """Freeze $LATEST as the next version; the newest one again when nothing has changed since.

    Raises: ResourceNotFoundException, InvalidParameterValueException (another CodeSha256), PreconditionFailedException.
    Source: Lambda API_PublishVersion (read 2026-11).
    """
    refuse_what_is_not_here(req)
    latest = ref(ctx, req["FunctionName"]).latest(ctx)
    if "RevisionId" in req and req["RevisionId"] != latest.revision:
        raise revision_mismatch("Function")
    sha = base64_sha256(latest.code_sha256)
    if req.get("CodeSha256") and req["CodeSha256"] != sha:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({req['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with "
            "the CodeSHA256 in $LATEST."
        )
    version = published(ctx, latest, req.get("Description"))
    return configuration(version, version.label)


def list_versions_by_function(ctx: Context, req: Json) -> Json:
    """$LATEST and the published versions by number, 50 at a time.

    Raises: ResourceNotFoundException. Source: Lambda API_ListVersionsByFunction (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    rows = ctx.tx.scan((ROOT, "version", where.account, where.region, where.name), Version, start=start_of(req))
    shown, marker = page(rows, req, lambda v: configuration(v, v.label))
    return {"Versions": shown, **marker}
