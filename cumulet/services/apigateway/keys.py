"""Operations on API keys."""

from __future__ import annotations

import csv

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import keyring, patch
from cumulet.services.apigateway.errors import (
    BadRequestException,
    ConflictException,
    LimitExceededException,
    NotFoundException,
)
from cumulet.services.apigateway.keyring import ApiKey, Pointer
from cumulet.services.apigateway.model import page, stage_at
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.planning import join

VALUE_MIN, VALUE_MAX = 20, 128
_KEPT = ("name", "description", "customerId")
_PATCHES = {
    "/name": Field(ops=("replace",)),
    "/description": Field(ops=("replace",)),
    "/customerId": Field(ops=("replace",)),
    "/enabled": Field(convert=patch.flag, ops=("replace",)),
}


def create_api_key(ctx: Context, req: Result) -> Result:
    """Make an API key; without `enabled` it is disabled, without `value` it gets 40 letters and digits.

    The value is unique in the account and region. `stageKeys` are shown and open nothing: usage plans do.
    Raises: BadRequestException, ConflictException, LimitExceededException, NotFoundException for a stage that is not there.
    Source: API Gateway API reference, CreateApiKey (read 2026-11).
    """
    return _described(_new(ctx, req, _room(ctx)), True)


def get_api_key(ctx: Context, req: Result) -> Result:
    """One key, with its value on demand. Raises: NotFoundException. Source: API reference, GetApiKey."""
    return _described(keyring.key_at(ctx, req["apiKey"]), req.get("includeValue", False))


def get_api_keys(ctx: Context, req: Result) -> Result:
    """The account's keys by id, 25 a page; `nameQuery` is how their names begin. Source: API reference, GetApiKeys."""
    start, customer = req.get("nameQuery", ""), req.get("customerId")
    found = [key for _, key in ctx.tx.scan(keyring.key_key(ctx), ApiKey)
             if key.settings.get("name", "").startswith(start) and customer in (None, key.settings.get("customerId"))]  # fmt: skip
    return page(((key.id, _described(key, req.get("includeValues", False))) for key in found), req)


def update_api_key(ctx: Context, req: Result) -> Result:
    """Patch a key: name, description, enabled, customerId; it holds from the next request on.

    Raises: NotFoundException, BadRequestException. Source: API reference, UpdateApiKey; "Patch operations".
    """
    key = keyring.key_at(ctx, req["apiKey"])
    operations = req.get("patchOperations", [])
    plain = [operation for operation in operations if operation.get("path") != "/stages"]
    document = patch.apply({**key.settings, "enabled": key.enabled}, plain, _PATCHES)
    stages = [operation for operation in operations if operation.get("path") == "/stages"]
    if stages:
        document["stageKeys"] = _changed_stages(ctx, document.get("stageKeys", []), stages)
    key = replace(key, enabled=document.pop("enabled"), settings=document, updated_at=float(int(ctx.now)))
    ctx.tx.put(keyring.key_key(ctx, key.id), key)
    return _described(key, False)


def delete_api_key(ctx: Context, req: Result) -> Result:
    """Delete a key, and take it out of its usage plans. Raises: NotFoundException. Source: API reference, DeleteApiKey."""
    key = keyring.key_at(ctx, req["apiKey"])
    for plan in keyring.plans_of(ctx, key.id):
        ctx.tx.delete(keyring.member_key(ctx, plan.id, key.id))
        ctx.tx.delete(keyring.opened_key(ctx, key.id, plan.id))
        keyring.forget_usage(ctx, plan.id, key.id)
    ctx.tx.delete(keyring.value_key(ctx, key.value))
    ctx.tx.delete(keyring.key_key(ctx, key.id))
    return {}


def import_api_keys(ctx: Context, req: Result) -> Result:
    """Make keys of a CSV file with the columns name and key, and perhaps description, enabled and usageplanIds.

    A row that cannot be imported is a warning, or with `failOnWarnings` the end of it all.
    Raises: BadRequestException. Source: developer guide, "API Gateway API key file format" (read 2026-11).
    """
    rows = csv.reader(req["body"].decode("utf-8-sig", "replace").splitlines())
    columns = [name.strip().lower() for name in next(rows, [])]
    if "key" not in columns or "name" not in columns:
        raise BadRequestException("The API key file must have the columns name and key")
    ids: list[str] = []
    warnings: list[str] = []
    room = _room(ctx)
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        given = dict(zip(columns, (value.strip() for value in row), strict=False))
        mark = ctx.tx.savepoint()
        try:
            ids.append(_imported(ctx, given, room - len(ids)))
        except (BadRequestException, ConflictException, NotFoundException) as error:
            ctx.tx.rollback(mark)
            warnings.append(f"Row {number}: {error.message}")
    if warnings and req.get("failOnWarnings"):
        raise BadRequestException("; ".join(warnings))
    return {"ids": ids, "warnings": warnings}


def _imported(ctx: Context, row: dict[str, str], room: int) -> str:
    request: Result = {"name": row["name"], "value": row.get("key", ""), "enabled": True}
    if row.get("enabled"):
        request["enabled"] = patch.flag(row["enabled"])
    if row.get("description"):
        request["description"] = row["description"]
    key = _new(ctx, request, room)
    for plan_id in row.get("usageplanids", "").split(","):
        if plan_id.strip():
            join(ctx, keyring.plan_at(ctx, plan_id.strip()), key)
    return key.id


def _room(ctx: Context) -> int:
    return keyring.KEYS_MAX - sum(1 for _ in ctx.tx.scan_keys(keyring.key_key(ctx)))


def _new(ctx: Context, req: Result, room: int) -> ApiKey:
    value = req.get("value") or ctx.ids.secret(60).replace("+", "").replace("/", "")[:40]
    if not VALUE_MIN <= len(value) <= VALUE_MAX:
        raise BadRequestException(f"API Key value should be between {VALUE_MIN} and {VALUE_MAX} characters long")
    if ctx.tx.get(keyring.value_key(ctx, value), Pointer) is not None:
        raise ConflictException("API Key already exists")
    if room < 1:
        raise LimitExceededException(f"API Keys limit exceeded: an account has at most {keyring.KEYS_MAX} in a region")
    settings = {name: req[name] for name in _KEPT if name in req}
    if req.get("stageKeys"):
        named = [f"{one.get('restApiId', '')}/{one.get('stageName', '')}" for one in req["stageKeys"]]
        settings["stageKeys"] = _changed_stages(ctx, [], [{"op": "add", "value": name} for name in named])
    now = float(int(ctx.now))
    key = ApiKey(
        id=ctx.ids.lower(10), value=value, created_at=now, updated_at=now, enabled=req.get("enabled", False),
        settings=settings, tags=req.get("tags") or {},
    )  # fmt: skip
    ctx.tx.put(keyring.key_key(ctx, key.id), key)
    ctx.tx.put(keyring.value_key(ctx, value), Pointer(id=key.id))
    return key


def _changed_stages(ctx: Context, stages: list[str], operations: list[Result]) -> list[str]:
    """`{api}/{stage}` names added and removed. Raises: NotFoundException, BadRequestException."""
    found = list(stages)
    for operation in operations:
        name = str(operation.get("value") or "")
        if operation.get("op") not in ("add", "remove"):
            raise BadRequestException(
                "Invalid patch path  '/stages' specified for op 'replace'. Must be one of: [add, remove]"
            )
        found = [one for one in found if one != name]
        if operation["op"] == "add":
            api_id, _, stage = name.partition("/")
            stage_at(ctx, api_id or " ", stage or " ")
            found.append(name)
    return found


def _described(key: ApiKey, with_value: bool) -> Result:
    result: Result = {"id": key.id, "stageKeys": [], **key.settings, "enabled": key.enabled,
                      "createdDate": key.created_at, "lastUpdatedDate": key.updated_at}  # fmt: skip
    if with_value:
        result["value"] = key.value
    if key.tags:
        result["tags"] = key.tags
    return result
