"""Forms that browsers post to S3: read, their file measured outside the loop, put through PutObject's model, answered.

A large form is in its spool file already; the object becomes a part of that file, so nothing is copied and memory stays
flat. Source: S3 API reference, "POST Object" (read 2026-11).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from cumulet.aws.errors import AwsError, GenericAwsError, InternalFailure
from cumulet.aws.http import Body, HttpRequest, HttpResponse, Spooled, SpooledPart
from cumulet.wire import Match, parse_form
from cumulet.wire.form import FILENAME, MOST_BEFORE_FILE, malformed, read_form
from cumulet.wire.xml import escape

if TYPE_CHECKING:
    from cumulet.gateway.gateway import Gateway

Reply = Callable[[HttpResponse], None]
Form = tuple[dict[str, str], Body]
_CHUNK = 1024 * 1024
_HEADERS = ("cache-control", "content-type", "content-disposition", "content-encoding", "content-language",
            "content-md5", "expires")  # fmt: skip


def post_object(
    gateway: Gateway, request: HttpRequest, match: Match, request_id: str, reply: Reply, began: float
) -> None:
    """Store the file of a form; `began` is as for `Gateway.access_line`."""
    body = request.body
    work = _Post(gateway, request, match, request_id, reply, began)
    if isinstance(body, bytes):
        work.go(lambda: parse_form(body, request.headers["content-type"]))
        return
    loop = asyncio.get_running_loop()
    measuring = loop.run_in_executor(None, _read, body, request.headers["content-type"])
    measuring.add_done_callback(lambda job: work.go(job.result))


def _read(body: Spooled, content_type: str) -> Form:
    """The fields of a spooled form, and its file as a part of the spool's. Raises: AwsError."""
    with body.path.open("rb") as file:
        form = read_form(file.read(2 * MOST_BEFORE_FILE), content_type, complete=body.size <= 2 * MOST_BEFORE_FILE)
        file.seek(form.start)
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        size, held, ended = 0, b"", False
        while not ended:
            read = file.read(_CHUNK)
            if not read:
                raise malformed()
            data = held + read
            at = data.find(form.delimiter)
            ended = at >= 0
            cut = at if ended else max(0, len(data) - len(form.delimiter) + 1)  # a delimiter may lie across two reads
            held = data[cut:]
            md5.update(data[:cut])
            sha256.update(data[:cut])
            size += cut
    return form.fields, SpooledPart(body.path, form.start, size, md5.hexdigest(), sha256.hexdigest())


class _Post:
    """One form on its way."""

    def __init__(
        self, gateway: Gateway, request: HttpRequest, match: Match, request_id: str, reply: Reply, began: float
    ) -> None:
        self.gateway, self.request, self.request_id, self.reply = gateway, request, request_id, reply
        self.began = began
        self.principal = "-"
        self.bucket = match.uri_params["Bucket"]
        self.put = gateway.models.service("s3").operation("PutObject")
        self.fields: dict[str, str] = {}
        self.key = ""

    def go(self, read: Callable[[], Form]) -> None:
        """Read, authenticate, call; whatever goes wrong is answered."""
        gateway = self.gateway
        try:
            if not self.bucket or "/" in self.bucket:
                message = "The specified method is not allowed against this resource."
                raise GenericAwsError("MethodNotAllowed", message, 405, members={"Method": "POST"})
            fields, body = read()
            filename = fields.pop(FILENAME)
            self.fields = {name: value.replace(FILENAME, filename) for name, value in fields.items()}
            self.key = self._key()
            caller = gateway.auth.posted(fields)
            self.principal = caller.principal
            call = gateway.call_of(self.request, "s3", "PostObject", self.request_id, caller)
            call.request = {"Put": self._put(body), "Fields": self.fields}
        except AwsError as error:
            self._answer(error)
        except Exception as error:
            gateway.broke(self.request_id, "reading a form", error)
            self._answer(InternalFailure("An internal error occurred."))
        else:
            gateway.pipeline.handle(call, self._answer)

    def _key(self) -> str:
        if "key" not in self.fields:
            message = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
            raise GenericAwsError("InvalidArgument", message, members={"ArgumentName": "key", "ArgumentValue": ""})
        if not self.fields["key"]:
            message = "User key must have a length greater than 0."
            raise GenericAwsError("InvalidArgument", message, members={"ArgumentName": "key", "ArgumentValue": ""})
        return self.fields["key"]

    def _put(self, body: Body) -> Any:
        """The PutObject request that the fields mean. Raises: AwsError."""
        fields = self.fields
        headers = {name: value for name, value in fields.items() if name in _HEADERS or name.startswith("x-amz-")}
        if "acl" in fields:
            headers["x-amz-acl"] = fields["acl"]
        if "tagging" in fields:
            headers["x-amz-tagging"] = self._tagging(fields["tagging"])
        listed = list(headers.items())
        path = {"Bucket": self.bucket, "Key": self.key}
        request = HttpRequest("PUT", f"/{self.bucket}/{quote(self.key)}", "", headers, body, listed)
        put = self.put.parse(request, "rest-xml", path)
        self.put.check(put)
        return put

    def _tagging(self, document: str) -> str:
        """The tags of a form, which are XML, as PutObject's header has them. Raises: AwsError."""
        operation = self.gateway.models.service("s3").operation("PutObjectTagging")
        path = {"Bucket": self.bucket, "Key": self.key}
        found = operation.parse(HttpRequest("PUT", "/", "tagging", {}, document.encode()), "rest-xml", path)
        operation.check(found)
        return urlencode([(tag["Key"], tag["Value"]) for tag in found["Tagging"]["TagSet"]])

    def _answer(self, outcome: Any) -> None:
        self.gateway.access_line(self.began, self.request_id, "s3.PostObject", self.principal, outcome)
        if isinstance(outcome, AwsError):
            self.reply(self.put.error(outcome, self.request_id, "rest-xml", self.request))
            return
        try:
            response = self._success(self.put.serialize(outcome, self.request_id, "rest-xml"), outcome["ETag"])
        except Exception as error:
            self.gateway.broke(self.request_id, "the answer of s3.PostObject", error)
            failure = InternalFailure("An internal error occurred.")
            response = self.put.error(failure, self.request_id, "rest-xml", self.request)
        self.reply(response)

    def _success(self, response: HttpResponse, etag: str) -> HttpResponse:
        """303 where the form asks for a redirect to a URL, else the status it asks for: 200, 201 with XML, or 204."""
        fields = self.fields
        redirect = _redirect(fields.get("success_action_redirect") or fields.get("redirect", ""))
        if redirect:
            query = urlencode({"bucket": self.bucket, "key": self.key, "etag": etag}, quote_via=quote)
            location = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
            return HttpResponse(303, [*response.headers, ("Location", location)])
        base = f"http://{self.request.headers.get('host', 'localhost')}"
        styled = f"{base}/{self.bucket}" if self.request.path.strip("/") else base
        location = f"{styled}/{quote(self.key, safe='')}"
        headers = [*response.headers, ("Location", location)]
        status = fields.get("success_action_status", "")
        if status != "201":
            return HttpResponse(200 if status == "200" else 204, headers)
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse><Location>{escape(location)}</Location>'
            f"<Bucket>{escape(self.bucket)}</Bucket><Key>{escape(self.key)}</Key><ETag>{escape(etag)}</ETag></PostResponse>"
        )
        plain = [(name, value) for name, value in headers if name.lower() != "content-type"]
        return HttpResponse(201, [*plain, ("content-type", "application/xml")], body.encode())


def _redirect(url: str) -> str:
    """The URL without its fragment, or nothing for what is no URL: S3 then behaves as if the field were absent."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts._replace(fragment="").geturl() if parts.scheme in ("http", "https") and parts.hostname else ""
