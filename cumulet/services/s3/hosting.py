"""Websites out of buckets: the door `s3-website`, for GET and HEAD of anyone whom the bucket's policy lets read.

A request is a redirect of all, of a rule for its prefix, an object (a key that ends in `/` is its index document), a
redirect to the folder of that name, or an error: then a rule for its code, the error document, or a page of our own.
Source: S3 user guide, "Hosting a static website", "Configuring an index document", "Configuring a custom error document",
"Configuring a webpage redirect" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from html import escape
from typing import Any
from urllib.parse import quote, unquote

from cumulet.aws.errors import AccessDenied, AwsError
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.s3 import bodies, conditions, cors, versions
from cumulet.services.s3.errors import MethodNotAllowed, NoSuchBucket, NoSuchKey, NotModified, NotThere
from cumulet.services.s3.model import Bucket, Version, bucket_key
from cumulet.services.s3.public import allows_anyone

Json = dict[str, Any]
Headers = list[tuple[str, str]]

DOOR = "s3-website"
_TITLES = {301: "Moved Permanently", 302: "Found", 304: "Not Modified", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 412: "Precondition Failed", 416: "Requested Range Not Satisfiable"}  # fmt: skip
_NAMES = {"CacheControl": "Cache-Control", "ContentDisposition": "Content-Disposition",
          "ContentEncoding": "Content-Encoding", "ContentLanguage": "Content-Language",
          "ContentType": "Content-Type"}  # fmt: skip


def serve(ctx: Context, request: HttpRequest) -> HttpResponse:
    """Answer a request for a website."""
    assert isinstance(request, DoorRequest)
    name = unquote(request.target)
    extra: Headers = []
    try:
        bucket = ctx.tx.get(bucket_key(name), Bucket)
        if bucket is None:
            raise NoSuchBucket(name)
        extra = _cross_origin(ctx, request, name)
        if bucket.website is None:
            raise NotThere(
                "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", name
            )
        if request.method == "OPTIONS" and extra:
            return HttpResponse(200, extra)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(request.method)
        response = _Visit(ctx, bucket, bucket.website, request).answer()
    except AwsError as error:
        response = _page(ctx, error)
    response.headers = [*response.headers, *extra, *_ids(ctx)]
    return response


def _cross_origin(ctx: Context, request: DoorRequest, bucket: str) -> Headers:
    if "origin" not in request.headers:
        return []
    method = request.headers.get("access-control-request-method", request.method)
    asked = {"Bucket": bucket, "Origin": request.headers["origin"], "Method": method}
    asked["Headers"] = request.headers.get("access-control-request-headers", "")
    return list(cors.INTERNALS["cumulet:Cors"](ctx, asked).get("Allowed", []))


class _Visit:
    """One request for a website that is there."""

    def __init__(self, ctx: Context, bucket: Bucket, website: Json, request: DoorRequest) -> None:
        self.ctx, self.bucket, self.website, self.request = ctx, bucket, website, request
        self.key = unquote(request.rest.removeprefix("/"))
        self.base = request.path.removesuffix(request.rest) if request.path.startswith("/_aws/") else ""

    def answer(self) -> HttpResponse:
        if "RedirectAllRequestsTo" in self.website:
            return self._redirect(self.website["RedirectAllRequestsTo"], self.key)
        rule = self._rule(None)
        if rule is not None:
            return self._by_rule(rule)
        suffix = self.website["IndexDocument"]["Suffix"]
        key = self.key + suffix if not self.key or self.key.endswith("/") else self.key
        try:
            return self._object(key)
        except NotModified:
            return HttpResponse(304)
        except AwsError as error:
            if isinstance(error, NoSuchKey) and key == self.key and self._there(f"{key}/{suffix}"):
                return HttpResponse(302, [("Location", f"{self.base}/{quote(key)}/")])
            return self._failed(error)

    def _found(self, key: str) -> Version:
        """Raises: AccessDenied, NoSuchKey."""
        if not allows_anyone(self.bucket, "s3:GetObject", f"arn:aws:s3:::{self.bucket.name}/{key}"):
            raise AccessDenied("Access Denied")
        return versions.readable(self.ctx, self.bucket, key, None, "GET")

    def _there(self, key: str) -> bool:
        try:
            self._found(key)
        except AwsError:
            return False
        return True

    def _object(self, key: str) -> HttpResponse:
        found = self._found(key)
        if found.redirect:
            return HttpResponse(301, [("Location", self._own(found.redirect))])
        headers = self.request.headers
        conditions.check_read(_conditions(headers), found)
        asked = conditions.range_of(headers["range"], found.size) if "range" in headers else None
        start, size = asked or (0, found.size)
        described = _described(found)
        if asked is not None:
            described.append(("Content-Range", f"bytes {start}-{start + size - 1}/{found.size}"))
        body = bodies.body_of(self.ctx, found.segments, start, size)
        return HttpResponse(200 if asked is None else 206, described, body)

    def _failed(self, error: AwsError) -> HttpResponse:
        rule = self._rule(str(error.http_status))
        if rule is not None:
            return self._by_rule(rule)
        if "ErrorDocument" not in self.website:
            return _page(self.ctx, error)
        key = self.website["ErrorDocument"]["Key"]
        try:
            found = self._found(key)
        except AwsError as second:
            return _page(self.ctx, error, second, key)
        body = bodies.body_of(self.ctx, found.segments, 0, found.size)
        return HttpResponse(error.http_status, _described(found), body)

    def _rule(self, code: str | None) -> Json | None:
        """The first routing rule for this key: of those for an error's code, or of those for none."""
        for rule in self.website.get("RoutingRules", ()):
            condition = rule.get("Condition", {})
            if condition.get("HttpErrorCodeReturnedEquals") == code and self.key.startswith(
                condition.get("KeyPrefixEquals", "")
            ):
                return dict(rule)
        return None

    def _by_rule(self, rule: Json) -> HttpResponse:
        redirect, key = rule["Redirect"], self.key
        if "ReplaceKeyWith" in redirect:
            key = redirect["ReplaceKeyWith"]
        elif "ReplaceKeyPrefixWith" in redirect:
            matched = rule.get("Condition", {}).get("KeyPrefixEquals", "")
            key = redirect["ReplaceKeyPrefixWith"] + key.removeprefix(matched)
        return self._redirect(redirect, key)

    def _redirect(self, redirect: Json, key: str) -> HttpResponse:
        scheme = redirect.get("Protocol", self.request.scheme)
        host = redirect.get("HostName", self.request.headers.get("host", "localhost"))
        base = "" if "HostName" in redirect else self.base
        location = f"{scheme}://{host}{base}/{quote(key, safe='/?&=#%:@!$,;+')}"
        return HttpResponse(int(redirect.get("HttpRedirectCode", 301)), [("Location", location)])

    def _own(self, location: str) -> str:
        return self.base + location if location.startswith("/") else location


def _conditions(headers: dict[str, str]) -> Json:
    asked: Json = {}
    readers: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("if-match", "IfMatch", str),
        ("if-none-match", "IfNoneMatch", str),
        ("if-modified-since", "IfModifiedSince", _time),
        ("if-unmodified-since", "IfUnmodifiedSince", _time),
    )
    for name, member, read in readers:
        value = read(headers[name]) if name in headers else None
        if value is not None:
            asked[member] = value
    return asked


def _time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _described(found: Version) -> Headers:
    headers = [("ETag", f'"{found.etag}"'), ("Last-Modified", formatdate(int(found.modified), usegmt=True))]
    named = {"ContentType": "binary/octet-stream", **found.headers}
    headers += [(_NAMES[member], str(value)) for member, value in named.items() if member in _NAMES]
    return headers + [(f"x-amz-meta-{name}", value) for name, value in found.metadata.items()]


def _ids(ctx: Context) -> Headers:
    return [("x-amz-request-id", ctx.request_id), ("x-amz-id-2", f"{ctx.request_id}cumulet")]


def _page(ctx: Context, error: AwsError, second: AwsError | None = None, document: str = "") -> HttpResponse:
    """An error as a page; `second` is why the error document could not be had."""
    status = error.http_status
    title = f"{status} {_TITLES.get(status, 'Error')}"
    text = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{_items(error, ctx)}"
    if second is not None:
        text += "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n"
        text += _items(second, None, document)
    body = f"{text}<hr/>\n</body>\n</html>\n".encode("utf-8", "replace")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("x-amz-error-code", error.wire_code)]
    return HttpResponse(status, [*headers, ("x-amz-error-message", error.message)], body)


def _items(error: AwsError, ctx: Context | None, key: str = "") -> str:
    listed = {"Code": error.wire_code, "Message": error.message, **({"Key": key} if key else {}), **error.members}
    if ctx is not None:
        listed |= {"RequestId": ctx.request_id, "HostId": f"{ctx.request_id}cumulet"}
    items = "".join(f"<li>{escape(name)}: {escape(str(value))}</li>\n" for name, value in listed.items())
    return f"<ul>\n{items}</ul>\n"


def url(ctx: Context, req: Json) -> Json:
    """Internal `cumulet:WebsiteUrl`: where a bucket's website is, without DNS."""
    return {"Url": f"{ctx.endpoint}/_aws/{DOOR}/{req['Bucket']}"}
