"""Which operation of which service a request is for: by target, rpc path, action, or credential scope and path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from cumulet.aws.http import HttpRequest
from cumulet.wire.compressed import is_compressed, plain_body
from cumulet.wire.errors import Malformed, parse_error, unknown_operation
from cumulet.wire.models import Models
from cumulet.wire.query import decode_form
from cumulet.wire.routes import Routes, build_routes

_PRESIGNED = re.compile(r"(?:^|&)X-Amz-Credential=([^&]*)")
_RPC = re.compile(r"^.*/service/([^/]+)/operation/([^/?]+)$")
_DATED = re.compile(r"^/\d{4}-\d{2}-\d{2}/")
_S3_HOST = re.compile(
    r"^(?:(?P<bucket>.+)\.)?s3(?:[.-](?:accelerate|dualstack|fips|[a-z]{2}(?:-[a-z]+)+-\d))*"
    r"\.(?:amazonaws\.com(?:\.cn)?|localhost(?:\.[a-z.]+)?)$"
)
_CONNECTIONS = "/@connections/"
POST_OBJECT = "PostObject"  # a browser's upload: no operation of the model; its fields come from `parse_form`
_EMPTY: dict[str, str] = {}
_KNOWN_ACTIONS = 4096


@dataclass(slots=True, frozen=True)
class Match:
    """Where a request goes. `protocol` is to be passed to parse, serialize and error; `uri_params` are decoded."""

    service: str
    operation: str
    protocol: str
    uri_params: dict[str, str]


class Router:
    """Routes requests to operations; what it needs of the models is in their index."""

    def __init__(self, models: Models) -> None:
        self._index = models.index
        self._targets: dict[str, Match] = {}
        self._prefixes: dict[str, str] = {}  # X-Amz-Target's prefix (also rpc-v2's service name) -> service
        self._signing: dict[str, list[str]] = {}  # signing name -> services
        self._versions: dict[str, list[str]] = {}  # API version -> services that speak query
        self._operations: dict[str, frozenset[str]] = {}
        self._routes: dict[str, Routes] = {}
        self._actions: dict[
            tuple[str | None, bytes, bytes | None], Match
        ] = {}  # of query requests: scope, action, version
        for name, entry in self._index.items():
            if "targetPrefix" in entry:
                self._prefixes[entry["targetPrefix"]] = name
            self._signing.setdefault(entry["signingName"], []).append(name)
            self._operations[name] = frozenset(entry["names"].values())
            if not {"query", "ec2"}.isdisjoint(entry["protocols"]):
                self._versions.setdefault(entry["apiVersion"], []).append(name)

    def route(self, request: HttpRequest) -> Match:
        """Raises: AwsError (501, naming what was asked for) when nothing claims the request."""
        target = request.headers.get("x-amz-target")
        if target is not None:
            return self._targets.get(target) or self._by_target(target)
        if "smithy-protocol" in request.headers or "/operation/" in request.path:
            found = self._by_rpc(request)
            if found is not None:
                return found
        scope = self.scope(request)
        services = self._signing.get(scope, []) if scope else []
        if scope in ("s3express", "s3-object-lambda"):
            services = ["s3"]
        if not services or "routes" not in self._index[services[0]]:
            found = self._by_action(request, scope, services)
            if found is not None:
                return found
        if services:
            return self._by_path(request, services)
        if scope:
            raise unknown_operation(f"{request.method} {request.path}", scope)
        return self._unsigned(request)

    def scope(self, request: HttpRequest) -> str | None:
        """The service name in the request's credential scope; "s3" for signatures of version 2; None when unsigned."""
        header = request.headers.get("authorization")
        if header is not None:
            start = header.find("Credential=")
            if start >= 0:
                parts = header[start + 11 : (header.find(",", start) if "," in header else len(header))].split("/")
                return parts[-2].strip() if len(parts) >= 4 else None
            return "s3" if header.startswith("AWS ") else None
        if "X-Amz-Credential" in request.query:
            found = _PRESIGNED.search(request.query)
            parts = unquote(found[1]).split("/") if found else []
            return parts[-2] if len(parts) >= 4 else None
        if "AWSAccessKeyId=" in request.query and "Signature=" in request.query:
            return "s3"
        return None

    def _by_target(self, target: str) -> Match:
        prefix, _, operation = target.rpartition(".")
        service = self._prefixes.get(prefix)
        if service is None or operation not in self._operations[service]:
            raise unknown_operation(target if service is None else operation, service)
        found = self._targets[target] = Match(service, operation, "json", _EMPTY)
        return found

    def _by_rpc(self, request: HttpRequest) -> Match | None:
        found = _RPC.match(request.path)
        if found is None or request.headers.get("smithy-protocol") != "rpc-v2-cbor":
            return None
        service = self._prefixes.get(found[1])
        if service is None or found[2] not in self._operations[service]:
            raise unknown_operation(found[2], service or found[1])
        return Match(service, found[2], "smithy-rpc-v2-cbor", _EMPTY)

    def _by_action(self, request: HttpRequest, scope: str | None, services: list[str]) -> Match | None:
        """A query request: `Action` and `Version` in the query string or the form."""
        text = request.query.encode()
        action = _field(text, b"Action=") if text else None
        if action is None:
            if "x-www-form-urlencoded" not in request.headers.get("content-type", "x-www-form-urlencoded"):
                return None
            if request.method != "POST" or not isinstance(request.body, bytes):
                return None
            text = request.body
            if is_compressed(request):
                try:
                    text = plain_body(request)
                except Malformed as error:
                    raise parse_error("query", str(error)) from error
            action = _field(text, b"Action=")
            if action is None:
                return None
        version = _field(text, b"Version=")
        asked = (scope, action, version)
        found = self._actions.get(asked)
        if found is None:
            found = self._action(decode_form(b"a=" + action)[0][1], version, services)
            if len(self._actions) >= _KNOWN_ACTIONS:
                self._actions.clear()
            self._actions[asked] = found
        return found

    def _action(self, name: str, version: bytes | None, services: list[str]) -> Match:
        candidates = services
        if version is not None:
            text_version = version.decode("latin-1")
            candidates = [s for s in self._versions.get(text_version, ()) if not services or s in services]
            if not candidates and services == ["ec2"]:  # it serves every version it ever had
                candidates = services
            if not candidates:
                raise unknown_operation(f"{name} (version {text_version})", services[0] if services else None)
        for service in candidates or self._all_with(name):
            if name in self._operations[service]:
                protocol = "ec2" if self._index[service]["protocol"] == "ec2" else "query"
                if protocol in self._index[service]["protocols"]:
                    return Match(service, name, protocol, _EMPTY)
        raise unknown_operation(name, candidates[0] if candidates else None)

    def _all_with(self, action: str) -> list[str]:
        """For requests with neither scope nor version: the one service that has such an action."""
        found = [s for v in self._versions.values() for s in v if action in self._operations[s]]
        return found if len(found) == 1 else []

    def _by_path(self, request: HttpRequest, services: list[str]) -> Match:
        if services[0] == "s3":
            return self._s3(request)
        path = request.path
        if services[0] == "apigatewaymanagementapi":
            path = path[max(path.find(_CONNECTIONS), 0) :]
        for service in services:
            found = self._rest(service).find(request, path) if "routes" in self._index[service] else None
            if found is not None:
                return Match(service, found[0], self._index[service]["protocol"], found[1])
        raise unknown_operation(f"{request.method} {request.path}", services[0])

    def _rest(self, service: str) -> Routes:
        found = self._routes.get(service)
        if found is None:
            found = self._routes[service] = build_routes(self._index[service]["routes"], exact=service == "s3")
        return found

    def _unsigned(self, request: HttpRequest) -> Match:
        """Neither target, action nor scope: a dated path is a REST service's, everything else may be S3's."""
        if _CONNECTIONS in request.path:
            return self._by_path(request, ["apigatewaymanagementapi"])
        if _DATED.match(request.path):
            for service, entry in self._index.items():
                if "routes" in entry and service != "s3":
                    found = self._rest(service).find(request, request.path)
                    if found is not None:
                        return Match(service, found[0], entry["protocol"], found[1])
        return self._s3(request)

    def _s3(self, request: HttpRequest) -> Match:
        path = s3_path(request)
        if request.method == "POST" and "multipart/form-data" in request.headers.get("content-type", ""):
            return Match("s3", POST_OBJECT, "rest-xml", {"Bucket": unquote(path.strip("/"))})
        found = self._rest("s3").find(request, path)
        if found is None:
            raise unknown_operation(f"{request.method} {request.path}", "s3")
        return Match("s3", found[0], "rest-xml", found[1])


def s3_path(request: HttpRequest) -> str:
    """The path with the bucket in front, also where the bucket is in the host's name."""
    host = request.headers.get("host", "").rsplit(":", 1)[0] if "]" not in request.headers.get("host", "") else ""
    bucket: str | None = None
    found = _S3_HOST.match(host.lower())
    if found is not None:
        bucket = host[: found.end("bucket")] if found["bucket"] else None
    elif host.lower().endswith(".localhost"):
        bucket = host[: -len(".localhost")]
    return request.path if not bucket else f"/{bucket}{request.path}"


def _field(form: bytes, name: bytes) -> bytes | None:
    """The raw value of a form's first field `name` (with its "="). Searching for the name is many times faster than matching."""
    at = form.find(name)
    while at > 0 and form[at - 1] != 0x26:  # it ends another field's name, or stands in a value
        at = form.find(name, at + 1)
    if at < 0:
        return None
    start = at + len(name)
    end = form.find(b"&", start)
    return form[start:] if end < 0 else form[start:end]
