"""Operations on a bucket's CORS rules, and what the rules say of a request from a page of another origin.

Source: S3 API_PutBucketCors; user guide, "Using cross-origin resource sharing (CORS)", "How does Amazon S3 evaluate the CORS
configuration on a bucket?" (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidRequest, MalformedXML, NotThere
from cumulet.services.s3.model import Bucket
from cumulet.services.s3.model import bucket_key as _bucket_key

if TYPE_CHECKING:
    from cumulet.services.s3 import api

Json = dict[str, Any]

_MOST = 100
_ID_CHARACTERS = 255
_METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_NOT_ENABLED = "CORSResponse: CORS is not enabled for this bucket."
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


def put_bucket_cors(ctx: Context, req: api.PutBucketCorsRequest) -> api.PutBucketCorsResult:
    """Replace the bucket's CORS rules, at most 100. Raises: NoSuchBucket, MalformedXML, InvalidRequest."""
    bucket = _open_bucket(ctx, req)
    rules: list[Json] = [dict(rule) for rule in req["CORSConfiguration"].get("CORSRules", [])]
    if not rules:
        raise MalformedXML()
    if len(rules) > _MOST:
        raise InvalidRequest(f"The number of CORS rules should not exceed allowed limit of {_MOST} rules.")
    for rule in rules:
        _check(rule)
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, cors=rules))
    return {}


def _check(rule: Json) -> None:
    if not rule.get("AllowedMethods") or not rule.get("AllowedOrigins"):
        raise MalformedXML()
    if len(rule.get("ID", "")) > _ID_CHARACTERS:
        raise InvalidRequest(f"ID length should not exceed allowed limit of {_ID_CHARACTERS}")
    for method in rule["AllowedMethods"]:
        if method not in _METHODS:
            raise InvalidRequest(
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}",
            )
    for member, name in (("AllowedOrigins", "AllowedOrigin"), ("AllowedHeaders", "AllowedHeader")):
        for value in rule.get(member, []):
            if value.count("*") > 1:
                raise InvalidRequest(f'{name} "{value}" can not have more than one wildcard.')
    for value in rule.get("ExposeHeaders", []):
        if "*" in value:
            raise InvalidRequest(
                f'ExposeHeader "{value}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )


def get_bucket_cors(ctx: Context, req: api.GetBucketCorsRequest) -> api.GetBucketCorsResult:
    """The bucket's CORS rules. Raises: NoSuchBucket, NoSuchCORSConfiguration. Source: S3 API_GetBucketCors."""
    bucket = _open_bucket(ctx, req)
    if bucket.cors is None:
        raise NotThere("NoSuchCORSConfiguration", "The CORS configuration does not exist", bucket.name)
    return {"CORSRules": bucket.cors}  # type: ignore[typeddict-item]


def delete_bucket_cors(ctx: Context, req: api.DeleteBucketCorsRequest) -> api.DeleteBucketCorsResult:
    """Remove the rules. Raises: NoSuchBucket. Source: S3 API_DeleteBucketCors (read 2026-11)."""
    ctx.tx.put(_bucket_key(req["Bucket"]), replace(_open_bucket(ctx, req), cors=None))
    return {}


def _answer(ctx: Context, req: Json) -> Json:
    """Internal `cumulet:Cors`: what a page of `Origin` may do with `Bucket` by `Method`, with `Headers` where it asks before.

    {} for a bucket that is not there, {"Allowed": headers of the answer} or {"Refused": why}.
    """
    bucket = ctx.tx.get(_bucket_key(req["Bucket"]), Bucket)
    if bucket is None:
        return {}
    if not bucket.cors:
        return {"Refused": _NOT_ENABLED}
    wanted = [name.strip().lower() for name in req.get("Headers", "").split(",") if name.strip()]
    for rule in bucket.cors:
        origin = next((each for each in rule["AllowedOrigins"] if _matches(each, req["Origin"])), None)
        allowed = [each.lower() for each in rule.get("AllowedHeaders", [])]
        if origin is None or req["Method"] not in rule["AllowedMethods"]:
            continue
        if all(any(_matches(each, name) for each in allowed) for name in wanted):
            return {"Allowed": _headers(rule, origin, req["Origin"], wanted)}
    return {"Refused": _NOT_ALLOWED}


def _matches(pattern: str, value: str) -> bool:
    """Whether a pattern with at most one `*` is that value."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == value
    return len(value) >= len(before) + len(after) and value.startswith(before) and value.endswith(after)


def _headers(rule: Json, pattern: str, origin: str, wanted: list[str]) -> list[tuple[str, str]]:
    found = [
        ("Access-Control-Allow-Origin", "*" if pattern == "*" else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule["AllowedMethods"])),
    ]
    if wanted:
        found.append(("Access-Control-Allow-Headers", ", ".join(wanted)))
    if rule.get("ExposeHeaders"):
        found.append(("Access-Control-Expose-Headers", ", ".join(rule["ExposeHeaders"])))
    if "MaxAgeSeconds" in rule:
        found.append(("Access-Control-Max-Age", str(rule["MaxAgeSeconds"])))
    if pattern != "*":
        found.append(("Access-Control-Allow-Credentials", "true"))
    return [*found, ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")]


INTERNALS = {"cumulet:Cors": _answer}
