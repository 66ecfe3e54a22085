"""The gateway: from an HTTP request to an operation in the pipeline, and from its outcome to an HTTP response."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cumulet import wire
from cumulet.aws.errors import AwsError, InternalFailure, NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.aws.sigv4 import Claim
from cumulet.gateway import admin, doors, signatures
from cumulet.gateway.server import is_loopback
from cumulet.kernel.pipeline import Call, Pipeline
from cumulet.wire import Match, Models, Router
from cumulet.wire.router import s3_path

Reply = Callable[[HttpResponse], None]
DEFAULT_REGION = "us-east-1"
DEFAULT_SECRET = "test"
_EXPOSED = "x-amzn-requestid,x-amz-request-id,x-amzn-errortype,x-amz-version-id,etag,date,x-amz-function-error,x-amz-log-result"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has an access key."""

    account: str
    arn: str
    secret: str


@dataclass(frozen=True)
class Hooks:
    """What the gateway asks of the rest: whose a key is, and how to empty the cloud."""

    identify: Callable[[str], Identity | None]
    reset: Callable[[], Awaitable[None]]
    version: str


class UnrecognizedClientException(AwsError):
    status = 403


class InvalidAccessKeyId(AwsError):
    status = 403


class MissingAuthenticationToken(AwsError):
    status = 403


class Gateway:
    """Answers HTTP requests. On loopback any key is accepted, elsewhere every signature is verified."""

    def __init__(self, pipeline: Pipeline, models: Models, hooks: Hooks, *, host: str, account: str) -> None:
        self.pipeline = pipeline
        self.models = models
        self.router = Router(models)
        self.hooks = hooks
        self.account = account
        self.strict = not is_loopback(host)
        self.log = logging.getLogger("cumulet")
        self.access = logging.getLogger("cumulet.access")
        self.access.setLevel(logging.WARNING)
        self.tasks: set[asyncio.Task[Any]] = set()
        self._root = f"arn:aws:iam::{account}:root"

    def handle(self, request: HttpRequest, reply: Reply) -> object:
        """The server's handler: called at once for every complete request."""
        if "origin" in request.headers:
            reply = self._with_cors(request, reply)
        if self.access.isEnabledFor(logging.INFO):
            reply = self._logged(request, reply)
        try:
            if request.path.startswith(("/_", "/moto-api/")) and admin.serves(request.path):
                return admin.handle(self, request, reply)
            door = doors.find(request)
            if door is not None:
                return self._door(*door, reply)
            if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
                reply(HttpResponse(200, _preflight(request)))
                return None
            return self._operation(request, reply)
        except Exception as error:
            request_id = self.pipeline.ids.uuid()
            self.log.error("request %s: %s %s broke", request_id, request.method, request.path, exc_info=error)
            reply(wire.error(InternalFailure("An internal error occurred."), request, request_id))
            return None

    # operations

    def _operation(self, request: HttpRequest, reply: Reply) -> object:
        request_id = self.pipeline.ids.uuid()
        try:
            match = self.router.route(request)
        except AwsError as error:
            reply(wire.error(error, request, request_id))
            return None
        if match.service == "s3":
            request_id = request_id.replace("-", "")[:16].upper()
        if match.operation == "PostObject":
            return self._post_object(request, match, request_id, reply)
        operation = self.models.service(match.service).operation(match.operation)
        protocol = match.protocol
        try:
            call = self._call(request, match, request_id)
            call.request = operation.parse(request, protocol, match.uri_params)
            if (match.service, match.operation) in self.pipeline.operations:
                operation.check(call.request)
        except AwsError as error:
            reply(operation.error(error, request_id, protocol, request))
            return None

        def answer(outcome: Any) -> None:
            try:
                if isinstance(outcome, AwsError):
                    response = operation.error(outcome, request_id, protocol, request)
                else:
                    response = operation.serialize(outcome, request_id, protocol)
            except Exception as error:
                self.log.error(
                    "request %s: the answer of %s.%s cannot be written",
                    request_id,
                    match.service,
                    match.operation,
                    exc_info=error,
                )
                response = operation.error(
                    InternalFailure("An internal error occurred."), request_id, protocol, request
                )
            reply(response)

        self.pipeline.handle(call, answer)
        return call

    def _post_object(self, request: HttpRequest, match: Match, request_id: str, reply: Reply) -> object:
        error = NotImplementedOnCumulet("s3 POST Object (browser form uploads) is not implemented by Cumulet.")
        reply(self.models.service("s3").operation("PutObject").error(error, request_id, match.protocol, request))
        return None

    def _call(self, request: HttpRequest, match: Match | None, request_id: str) -> Call:
        """Who calls, from where. Raises: AwsError for a signature that is malformed, expired or wrong."""
        headers = request.headers
        claim = signatures.presigned(request)
        known = (claim.access_key, claim.region) if claim is not None else signatures.quick(request)
        account, region, principal, access_key = self.account, DEFAULT_REGION, self._root, ""
        if known is not None:
            access_key, region = known
            identity = self._identity(access_key)
            if identity is not None:
                account, principal = identity.account, identity.arn
            elif len(access_key) == 12 and access_key.isdigit():
                account, principal = access_key, f"arn:aws:iam::{access_key}:root"
            if claim is not None or self.strict:
                self._verify(request, claim or signatures.header(request), identity, match)
        elif self.strict:
            raise MissingAuthenticationToken("Request is missing Authentication Token")
        host = headers.get("host")
        return Call(
            match.service if match else "",
            match.operation if match else "",
            None,
            account,
            region,
            request_id,
            principal,
            access_key,
            f"http://{host}" if host else self.pipeline.endpoint,
            request.source_ip,
            headers.get("x-amzn-trace-id"),
        )

    def _identity(self, access_key: str) -> Identity | None:
        return (
            self.hooks.identify(access_key)
            if access_key.startswith(("ASIA", "AKIA")) and len(access_key) >= 16
            else None
        )

    def _verify(self, request: HttpRequest, claim: Claim, identity: Identity | None, match: Match | None) -> None:
        if identity is None and self.strict:
            if match is not None and match.service == "s3":
                raise InvalidAccessKeyId(
                    "The AWS Access Key Id you provided does not exist in our records.",
                    members={"AWSAccessKeyId": claim.access_key},
                )
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        secret = identity.secret if identity is not None else DEFAULT_SECRET
        resource = s3_path(request) if claim.version == 2 else ""
        signatures.verify(request, claim, secret, self.pipeline.clock.now(), resource)

    # doors

    def _door(self, name: str, request: DoorRequest, reply: Reply) -> object:
        request_id = self.pipeline.ids.uuid()
        if name not in self.pipeline.doors:
            reply(wire.error(NotImplementedOnCumulet(f"There is no {name} on Cumulet."), request, request_id))
            return None
        host = request.headers.get("host")
        call = Call(
            name,
            request.method,
            None,
            self.account,
            DEFAULT_REGION,
            request_id,
            self._root,
            "",
            f"http://{host}" if host else self.pipeline.endpoint,
            request.source_ip,
            request.headers.get("x-amzn-trace-id"),
        )
        try:
            signer = signatures.quick(request)
            if signer is not None:
                identity = self._identity(signer[0])
                call.access_key = signer[0]
                call.principal = identity.arn if identity else self._root
        except AwsError:
            pass  # an Authorization header of the application's own

        def answer(outcome: Any) -> None:
            if isinstance(outcome, HttpResponse):
                reply(outcome)
            elif isinstance(outcome, AwsError):
                reply(admin.json_response({"message": outcome.message}, outcome.http_status))
            else:
                self.log.error("request %s: door %s answered %r", request_id, name, type(outcome))
                reply(admin.json_response({"message": "Internal Server Error"}, 500))

        self.pipeline.handle_door(name, request, call, answer)
        return call

    # the JSON door

    def json_door(self, request: HttpRequest, reply: Reply) -> object:
        """`POST /_cumulet/call/{service}/{operation}`: any operation with a JSON body, for the command line and the console."""
        request_id = self.pipeline.ids.uuid()
        _, _, _, service, name = (request.path + "////").split("/")[:5]
        try:
            operation = self.models.service(service).operation(name)
        except KeyError:
            reply(admin.error_response(wire.unknown_operation(name, service), request_id))
            return None
        try:
            call = self._call(request, Match(service, name, "json", {}), request_id)
            call.region = request.headers.get("x-cumulet-region", call.region)
            call.request = operation.parse(request, "json", {})
            if (service, name) in self.pipeline.operations:
                operation.check(call.request)
        except AwsError as error:
            reply(admin.error_response(error, request_id))
            return None

        def answer(outcome: Any) -> None:
            if isinstance(outcome, AwsError):
                reply(admin.error_response(outcome, request_id))
            else:
                reply(operation.serialize(outcome, request_id, "json"))

        self.pipeline.handle(call, answer)
        return call

    # around an answer

    def _with_cors(self, request: HttpRequest, reply: Reply) -> Reply:
        if doors.find(request) is not None:
            return reply  # an API answers for itself
        origin = request.headers["origin"]

        def with_cors(response: HttpResponse) -> None:
            names = {name.lower() for name, _ in response.headers}
            if "access-control-allow-origin" not in names:
                response.headers = [
                    *response.headers,
                    ("access-control-allow-origin", origin),
                    ("access-control-expose-headers", _EXPOSED),
                    ("vary", "origin"),
                ]
            reply(response)

        return with_cors

    def _logged(self, request: HttpRequest, reply: Reply) -> Reply:
        began = time.perf_counter()

        def logged(response: HttpResponse) -> None:
            reply(response)
            target = request.headers.get("x-amz-target", "")
            self.access.info(
                "%s %s %s %d %.2f ms",
                request.method,
                request.path,
                target,
                response.status,
                (time.perf_counter() - began) * 1e3,
            )

        return logged


def _preflight(request: HttpRequest) -> list[tuple[str, str]]:
    return [
        ("access-control-allow-methods", "HEAD,GET,PUT,POST,DELETE,OPTIONS,PATCH"),
        ("access-control-allow-headers", request.headers.get("access-control-request-headers", "*")),
        ("access-control-max-age", "600"),
    ]
