"""Operations on a bucket's website configuration; hosting.py serves what it says.

Source: S3 API_PutBucketWebsite; user guide, "Configuring a webpage redirect" (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument, InvalidRequest, NotThere
from cumulet.services.s3.model import bucket_key as _bucket_key

if TYPE_CHECKING:
    from cumulet.services.s3 import api

Json = dict[str, Any]

_MOST_RULES = 50


def put_bucket_website(ctx: Context, req: api.PutBucketWebsiteRequest) -> api.PutBucketWebsiteResult:
    """Make the bucket a website: an index document, perhaps an error document and up to 50 routing rules, or one redirect.

    Raises: NoSuchBucket, InvalidArgument, InvalidRequest.
    """
    bucket = _open_bucket(ctx, req)
    website: Json = dict(req["WebsiteConfiguration"])
    if "RedirectAllRequestsTo" in website:
        if len(website) > 1:
            raise InvalidRequest("RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
        if not website["RedirectAllRequestsTo"]["HostName"]:
            raise InvalidRequest('A host name must be provided to redirect all requests (e.g. "example.com").')
        _check_protocol(website["RedirectAllRequestsTo"])
    else:
        _check_documents(website)
    rules = website.get("RoutingRules", [])
    if len(rules) > _MOST_RULES:
        raise InvalidRequest(
            f"The number of routing rules provided exceeds the limit of {_MOST_RULES} per website configuration."
        )
    for rule in rules:
        _check_rule(rule)
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, website=website))
    return {}


def get_bucket_website(ctx: Context, req: api.GetBucketWebsiteRequest) -> api.GetBucketWebsiteResult:
    """The website configuration. Raises: NoSuchBucket, NoSuchWebsiteConfiguration. Source: S3 API_GetBucketWebsite."""
    bucket = _open_bucket(ctx, req)
    if bucket.website is None:
        raise NotThere(
            "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", bucket.name
        )
    return bucket.website  # type: ignore[return-value]


def delete_bucket_website(ctx: Context, req: api.DeleteBucketWebsiteRequest) -> api.DeleteBucketWebsiteResult:
    """The bucket is no website any more. Raises: NoSuchBucket. Source: S3 API_DeleteBucketWebsite (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, website=None))
    return {}


def _check_documents(website: Json) -> None:
    if "IndexDocument" not in website:
        raise InvalidArgument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        )
    suffix = website["IndexDocument"]["Suffix"]
    if not suffix or "/" in suffix:
        raise InvalidArgument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix)


def _check_protocol(redirect: Json) -> None:
    if redirect.get("Protocol", "http") not in ("http", "https"):
        raise InvalidRequest(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."
        )


def _check_rule(rule: Json) -> None:
    redirect, condition = rule["Redirect"], rule.get("Condition")
    if condition is not None and not condition:
        raise InvalidRequest(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be "
            "present."
        )
    code = (condition or {}).get("HttpErrorCodeReturnedEquals", "404")
    if not (len(code) == 3 and code.isdigit() and code[0] in "45"):
        raise InvalidRequest(f"The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX.")
    if not redirect:
        raise InvalidRequest("Redirect cannot be empty.")
    if "ReplaceKeyPrefixWith" in redirect and "ReplaceKeyWith" in redirect:
        raise InvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    code = redirect.get("HttpRedirectCode", "301")
    if not (len(code) == 3 and code.isdigit() and code[0] == "3" and code != "300"):
        raise InvalidRequest(f"The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300.")
    _check_protocol(redirect)
