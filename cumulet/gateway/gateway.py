"""The gateway: from an HTTP request to an operation in the pipeline, and from its outcome to an HTTP response."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cumulet import wire
from cumulet.aws.errors import AwsError, GenericAwsError, InternalFailure, NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.gateway import admin, bucketcors, cors, doors, jsondoor, postform
from cumulet.gateway.auth import DEFAULT_REGION, Authenticator, Caller, Identity, style
from cumulet.gateway.server import is_loopback
from cumulet.kernel.pipeline import Call, Pipeline
from cumulet.wire import POST_OBJECT, Models, OperationModel, Router

if TYPE_CHECKING:
    from cumulet.console.site import Console

__all__ = ["Gateway", "Hooks", "Identity"]

Reply = Callable[[HttpResponse], None]
_REPORT = "this is a bug in Cumulet: please report it with this traceback"


@dataclass(frozen=True)
class Hooks:
    """What the gateway asks of the rest: whose a key is, and how to empty the cloud."""

    identify: Callable[[str], Identity | None]
    reset: Callable[[], Awaitable[None]]
    version: str


class Gateway:
    """Answers HTTP requests. On loopback any key is accepted, elsewhere every signature is verified."""

    def __init__(self, pipeline: Pipeline, models: Models, hooks: Hooks, *, host: str, account: str) -> None:
        self.pipeline = pipeline
        self.models = models
        self.router = Router(models)
        self.hooks = hooks
        self.account = account
        self.auth = Authenticator(
            hooks.identify,
            pipeline.clock.now,
            time.time,  # noqa: TID251  (clients sign at the machine's time)
            account=account,
            strict=not is_loopback(host),
        )
        self.log = logging.getLogger("cumulet")
        self.access = logging.getLogger("cumulet.access")
        if self.access.level == logging.NOTSET:
            self.access.setLevel(logging.WARNING)
        self.tasks: set[asyncio.Task[Any]] = set()

    @functools.cached_property
    def console(self) -> Console:
        """Imported when somebody looks."""
        from cumulet.console.site import Console

        return Console(self.pipeline, self.account)

    def handle(self, request: HttpRequest, reply: Reply) -> object:
        """The server's handler: called at once for every complete request. Returns what to cancel, or None."""
        try:
            path = request.path
            if path.startswith(("/_", "/moto-api/")) and admin.serves(path):
                return self._own(request, reply)
            door = doors.find(request)
            if door is not None:
                return self._door(*door, reply)
            if "origin" in request.headers:
                asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
                found = bucketcors.verdict(self, request, asks=asks)
                if asks:
                    reply(bucketcors.preflight(self, request, found) if found else cors.preflight(request))
                    return None
                reply = bucketcors.allowing(found, reply) if found else cors.allowing(request, reply)
            return self._operation(request, reply)
        except Exception as error:
            request_id = self.pipeline.ids.uuid()
            self.broke(request_id, f"{request.method} {request.path}", error)
            reply(wire.error(InternalFailure("An internal error occurred."), request, request_id))
            return None

    def screen(self, request: HttpRequest) -> HttpResponse | None:
        """Why a body need not be sent: S3 signs without it, so a wrong or expired signature is known before it."""
        try:
            match = self.router.route(request)
        except AwsError:
            return None  # perhaps the body says what it is for
        if match.service != "s3" or match.operation == POST_OBJECT:  # a form is signed in its body
            return None
        try:
            self.auth.caller(request, "s3", body=False)
        except AwsError as error:
            operation = self.models.service("s3").operation(match.operation)
            return operation.error(error, self._request_id("s3"), match.protocol, request)
        return None

    def _request_id(self, service: str) -> str:
        return self.pipeline.ids.hex(16).upper() if service == "s3" else self.pipeline.ids.uuid()

    def broke(self, request_id: str, what: str, error: Exception) -> None:
        """Write down what should not have happened."""
        self.log.error("request %s: %s broke; %s", request_id, what, _REPORT, exc_info=error)

    # operations

    def _operation(self, request: HttpRequest, reply: Reply) -> object:
        began = time.perf_counter() if self.access.isEnabledFor(logging.INFO) else 0.0
        try:
            match = self.router.route(request)
        except AwsError as error:
            request_id = self.pipeline.ids.uuid()
            self.access_line(began, request_id, f"{request.method} {request.path}", "-", error)
            reply(wire.error(error, request, request_id))
            return None
        request_id = self._request_id(match.service)
        if match.operation == POST_OBJECT:
            postform.post_object(self, request, match, request_id, reply, began)
            return None
        operation = self.models.service(match.service).operation(match.operation)
        protocol = match.protocol
        call: Call | None = None

        def answer(outcome: Any) -> None:
            try:
                if isinstance(outcome, AwsError):
                    response = operation.error(outcome, request_id, protocol, request)
                else:
                    response = operation.serialize(outcome, request_id, protocol)
            except Exception as error:
                self.broke(request_id, f"the answer of {match.service}.{match.operation}", error)
                failure = InternalFailure("An internal error occurred.")
                response = operation.error(failure, request_id, protocol, request)
            if began:
                who = call.principal if call is not None else "-"
                self.access_line(began, request_id, f"{match.service}.{match.operation}", who, outcome)
            reply(response)

        try:
            caller = self.auth.caller(request, style(match.service, protocol), "unsigned" in operation.spec)
            call = self.call_of(request, match.service, match.operation, request_id, caller)
            if self.pipeline.services.operation(match.service, match.operation) is not None:
                call.request = operation.parse(request, protocol, match.uri_params)
                operation.check(call.request)
        except AwsError as error:
            answer(error)
            return None
        except Exception as error:
            self.broke(request_id, f"parsing {match.service}.{match.operation}", error)
            answer(InternalFailure("An internal error occurred."))
            return None
        self.pipeline.handle(call, answer)
        return call

    def call_of(self, request: HttpRequest, service: str, operation: str, request_id: str, caller: Caller) -> Call:
        """The pipeline's call for an HTTP request, its `request` still to be filled in."""
        headers = request.headers
        host = headers.get("host")
        return Call(
            service,
            operation,
            None,
            caller.account,
            caller.region,
            request_id,
            caller.principal,
            caller.access_key,
            f"http://{host}" if host else self.pipeline.endpoint,
            request.source_ip,
            headers.get("x-amzn-trace-id"),
        )

    def access_line(self, began: float, request_id: str, what: str, principal: str, outcome: Any) -> None:
        """One line of a request in the log, where it is wanted; `began` is 0 where it is not."""
        if not began:
            return
        status, hint = 200, ""
        if isinstance(outcome, AwsError):
            status, hint = outcome.http_status, f" {outcome.wire_code}{f' ({outcome.hint})' if outcome.hint else ''}"
        elif isinstance(outcome, HttpResponse):
            status = outcome.status
        self.access.info(
            "%s %s %s %d %.2f ms%s", request_id, what, principal, status, (time.perf_counter() - began) * 1e3, hint
        )

    # doors

    def _door(self, name: str, request: DoorRequest, reply: Reply) -> object:
        began = time.perf_counter() if self.access.isEnabledFor(logging.INFO) else 0.0
        request_id = self.pipeline.ids.uuid()
        if self.pipeline.services.door(name) is None:
            reply(wire.error(NotImplementedOnCumulet(f"There is no {name} on Cumulet."), request, request_id))
            return None
        try:
            caller = self._door_caller(request)
        except AwsError as error:
            reply(_door_error(error, request_id))
            return None
        call = self.call_of(request, name, request.method, request_id, caller)

        def answer(outcome: Any) -> None:
            self.access_line(began, request_id, f"{name} {request.method} {request.path}", call.principal, outcome)
            if isinstance(outcome, HttpResponse):
                reply(outcome)
            elif isinstance(outcome, AwsError):
                reply(_door_error(outcome, request_id))
            else:
                self.log.error("request %s: door %s answered %r; %s", request_id, name, type(outcome), _REPORT)
                reply(admin.json_response({"message": "Internal Server Error"}, 500))

        self.pipeline.handle_door(name, request, call, answer)
        return call

    def _door_caller(self, request: DoorRequest) -> Caller:
        """Who signed, where somebody did. An Authorization header of the application's own is its own business."""
        caller = Caller(self.account, DEFAULT_REGION, f"arn:aws:iam::{self.account}:root")
        if not doors.signed(request):
            return caller
        try:
            signer = self.auth.caller(request, "json", unsigned=True)
        except AwsError as error:
            raise GenericAwsError(error.wire_code, error.message, 403) from error
        caller.access_key, caller.principal = signer.access_key, signer.principal
        return caller

    # our own paths

    def _own(self, request: HttpRequest, reply: Reply) -> object:
        """`/_cumulet/...`: not for pages of other sites, and off loopback for signed requests only, but for health."""
        if "origin" in request.headers and not cors.is_local(request):
            reply(admin.json_response({"message": "Pages of other sites may not steer this cloud."}, 403))
            return None
        health = request.path == "/_cumulet/health"
        if not self.auth.strict and not health and not cors.names_us(request):
            message = (
                "Call this cloud's own paths by localhost or by its address: another name may be that of another site."
            )
            reply(admin.json_response({"message": message}, 403))
            return None
        if self.auth.strict and not health:
            try:
                self.auth.caller(request, "json")
            except AwsError as error:
                reply(admin.error_response(error, self.pipeline.ids.uuid()))
                return None
        return admin.handle(self, request, reply)

    def json_door(self, request: HttpRequest, reply: Reply) -> object:
        """`POST /_cumulet/call/{service}/{operation}`: any operation with a JSON body, for the command line."""
        request_id = self.pipeline.ids.uuid()
        _, _, _, service, name = (request.path + "////").split("/")[:5]
        operation: OperationModel | None = None
        try:
            if request.method != "POST":
                raise GenericAwsError("MethodNotAllowed", "Call operations with POST.", 405)
            if not self._inspects(service, name):
                try:
                    operation = self.models.service(service).operation(name)
                except KeyError:
                    raise wire.unknown_operation(name, service) from None
            caller = self.auth.caller(request, "json", unsigned=not self.auth.strict)
            call = self.call_of(request, service, name, request_id, caller)
            call.region = request.headers.get("x-cumulet-region", call.region)
            call.account = request.headers.get("x-cumulet-account", call.account)
            if operation is None:
                call.request = _json(request)
            elif self.pipeline.services.operation(service, name) is not None:
                call.request = jsondoor.request_of(operation, _json(request))
                operation.check(call.request)
        except AwsError as error:
            reply(admin.error_response(error, request_id))
            return None

        def answer(outcome: Any) -> None:
            try:
                if isinstance(outcome, AwsError):
                    reply(admin.error_response(outcome, request_id))
                else:
                    value = outcome if operation is None else jsondoor.value_of(operation, outcome)
                    reply(admin.json_response(value, request_id=request_id))
            except AwsError as error:
                reply(admin.error_response(error, request_id))

        self.pipeline.handle(call, answer)
        return call

    def _inspects(self, service: str, name: str) -> bool:
        known = self.pipeline.services.get(service)
        return known is not None and name in known.inspect


def _json(request: HttpRequest) -> Any:
    try:
        return read_json(request.read_body() or b"{}")
    except NotJson as error:
        raise GenericAwsError("SerializationException", f"The body is not JSON: {error}", 400) from error


def _door_error(error: AwsError, request_id: str) -> HttpResponse:
    response = admin.json_response({"message": error.message}, error.http_status, request_id)
    response.headers = [*response.headers, ("x-amzn-errortype", error.wire_code)]
    return response
