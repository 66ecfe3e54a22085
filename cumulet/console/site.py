"""The console's answers: its page and files, and the map as JSON and as a drawing.

    GET  /_cumulet/console                            the page; /_cumulet/console/NAME its files
    GET  /_cumulet/map?stack=NAME[&region=][&account=]      the map as JSON; without a stack: everything
    GET  /_cumulet/map.svg?stack=NAME                 the same, drawn; &style=no leaves the colours to the page around it
    POST /_cumulet/map {"forget": true}               count anew

The page shows what senders of messages wrote, so it may do little: only its own scripts and styles, and nothing of others.
"""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import parse_qs

import msgspec

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.console import drawing
from cumulet.console.map import Map, read
from cumulet.console.observed import Observed
from cumulet.kernel.pipeline import Pipeline

PAGE = "/_cumulet/console"
_MAP, _DRAWING = "/_cumulet/map", "/_cumulet/map.svg"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_REGION = "us-east-1"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


class Console:
    """Answers requests for the console."""

    def __init__(self, pipeline: Pipeline, account: str) -> None:
        self._pipeline = pipeline
        self._account = account
        self._observed = Observed()
        self._generation = pipeline.generation
        self._files = {
            each.name: each.read_bytes()
            for each in files("cumulet.console").joinpath("static").iterdir()
            if each.name[each.name.rfind(".") :] in _TYPES
        }

    def answer(self, request: HttpRequest) -> HttpResponse:
        try:
            if request.path == _MAP and request.method == "POST":
                return self._forget(request)
            if request.method not in ("GET", "HEAD"):
                raise GenericAwsError("MethodNotAllowed", f"There is no {request.method} of {request.path}.", 405)
            if request.path == _MAP:
                return _json(self._map(request).as_dict())
            if request.path == _DRAWING:
                style = "style=no" not in request.query.split("&")
                return _response(200, _TYPES[".svg"], drawing.draw(self._map(request), style), _DRAWING_POLICY)
            return self._file(request.path)
        except AwsError as error:
            return _json({"message": error.message}, error.http_status)

    def _file(self, path: str) -> HttpResponse:
        name = path.removeprefix(PAGE).removeprefix("/") or "index.html"
        content = self._files.get(name)
        if content is None or not (path == PAGE or path.startswith(f"{PAGE}/")):
            raise GenericAwsError("NotFound", f"There is no {path}.", 404)
        return _response(200, _TYPES[name[name.rfind(".") :]], content, _POLICY)

    def _map(self, request: HttpRequest) -> Map:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        account, region = query.get("account", self._account), query.get("region", _REGION)
        return read(self._pipeline, self._seen(), query.get("stack", ""), account, region)

    def _seen(self) -> Observed:
        """What was observed since the cloud was last emptied."""
        if self._generation != self._pipeline.generation:
            self._generation = self._pipeline.generation
            self._observed.forget()
        return self._observed

    def _forget(self, request: HttpRequest) -> HttpResponse:
        try:
            order = read_json(request.read_body())
        except NotJson:
            order = None
        if order != {"forget": True}:
            raise GenericAwsError("ValidationException", 'Send {"forget": true} to count anew.', 400)
        self._seen().forget(self._pipeline.tracer.ended)
        return _json({"status": "empty"})


def _json(value: object, status: int = 200) -> HttpResponse:
    return _response(status, "application/json", msgspec.json.encode(value), _POLICY)


def _response(status: int, type_: str, body: bytes, policy: str) -> HttpResponse:
    charset = "" if type_ == "application/json" else "; charset=utf-8"
    headers = [
        ("content-type", type_ + charset),
        ("cache-control", "no-store"),
        ("content-security-policy", policy),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
    ]
    return HttpResponse(status, headers, body)
