"""Cumulet's own paths, `/_cumulet/...`: health, reset, the clock, traces, and the JSON door to every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.gateway.auth import DEFAULT_REGION
from cumulet.kernel.pipeline import Call

if TYPE_CHECKING:
    from cumulet.gateway.gateway import Gateway

Reply = Callable[[HttpResponse], None]

_MOST_S = 3_155_760_000  # how far the clock is advanced at once


def json_response(value: Any, status: int = 200, request_id: str | None = None) -> HttpResponse:
    headers = [("content-type", "application/json")]
    if request_id is not None:
        headers.append(("x-amzn-requestid", request_id))
    return HttpResponse(status, headers, msgspec.json.encode(value))


def serves(path: str) -> bool:
    return path.startswith("/_cumulet/") or path == "/moto-api/reset"


def handle(gateway: Gateway, request: HttpRequest, reply: Reply) -> object:
    """Answer one of our own paths."""
    path = request.path
    if path == "/_cumulet/health":
        services = dict.fromkeys(gateway.pipeline.services, "running")
        iam = "off" if gateway.pipeline.authority is None else "enforce"
        health = {"status": "running", "version": gateway.hooks.version, "services": services, "iam": iam}
        reply(json_response(health))
    elif path in ("/_cumulet/reset", "/moto-api/reset"):
        if request.method != "POST":
            reply(_refused(405, "Reset with POST."))
        else:
            _later(gateway, _reset(gateway), reply)
    elif path == "/_cumulet/clock":
        _clock(gateway, request, reply)
    elif path == "/_cumulet/trace":
        reply(_trace(gateway, request))
    elif path == "/_cumulet/outbox":
        reply(_outbox(gateway, request))
    elif path.startswith(("/_cumulet/console", "/_cumulet/map")):
        reply(gateway.console.answer(request))
    elif path.startswith("/_cumulet/call/"):
        return gateway.json_door(request, reply)
    else:
        known = "/_cumulet/health, reset, clock, trace, outbox, map, console and call/SERVICE/OPERATION"
        reply(_refused(404, f"There is no {path}. There are {known}."))
    return None


def _refused(status: int, message: str) -> HttpResponse:
    return json_response({"message": message}, status)


def _later(gateway: Gateway, work: Any, reply: Reply) -> None:
    task = asyncio.get_running_loop().create_task(work)
    gateway.tasks.add(task)

    def done(task: asyncio.Task[Any]) -> None:
        gateway.tasks.discard(task)
        if task.cancelled():
            reply(_refused(503, "The server is stopping."))
        elif task.exception() is not None:
            gateway.log.error("%s", task.exception(), exc_info=task.exception())
            reply(_refused(500, str(task.exception())))
        else:
            reply(json_response(task.result()))

    task.add_done_callback(done)


async def _reset(gateway: Gateway) -> dict[str, str]:
    await gateway.hooks.reset()
    return {"status": "empty"}


def _state(gateway: Gateway) -> dict[str, Any]:
    clock = gateway.pipeline.clock
    mode = "real" if not clock.virtual else "jumping" if clock.jumping else "frozen"
    return {"now": clock.now(), "mode": mode}


async def _advance(gateway: Gateway, seconds: float) -> dict[str, Any]:
    await gateway.pipeline.advance(seconds)
    return _state(gateway)


def _clock(gateway: Gateway, request: HttpRequest, reply: Reply) -> None:
    clock = gateway.pipeline.clock
    if request.method == "GET":
        reply(json_response(_state(gateway)))
        return
    try:
        order = read_json(request.read_body() or b"{}")
    except NotJson as error:
        reply(_refused(400, f"The body is not JSON: {error}"))
        return
    known = {"advance", "freeze", "jump", "real"}
    if not isinstance(order, dict) or len(order) != 1 or not known.issuperset(order):
        reply(_refused(400, 'Send one of {"advance": seconds}, {"freeze": true}, {"jump": true}, {"real": true}.'))
        return
    if "advance" in order:
        seconds = order["advance"]
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= _MOST_S:
            reply(
                _refused(400, f"advance takes a number of seconds, 0 or more, and {_MOST_S} (a hundred years) at most.")
            )
        elif not clock.virtual:
            remedy = 'Freeze it first (cumulet clock freeze, or {"freeze": true}), or start with --clock virtual.'
            reply(_refused(409, f"The clock is real. {remedy}"))
        else:
            _later(gateway, _advance(gateway, float(seconds)), reply)
        return
    if order.get("freeze"):
        clock.freeze()
    elif order.get("jump"):
        gateway.pipeline.jump()
    elif order.get("real"):
        gateway.pipeline.real_time()
    reply(json_response(_state(gateway)))


def _trace(gateway: Gateway, request: HttpRequest) -> HttpResponse:
    query = parse_qs(request.query)
    tracer = gateway.pipeline.tracer
    if "id" in query:
        return json_response({"spans": tracer.spans(query["id"][0])})
    limit = query.get("limit", ["20"])[0]
    if not limit.isdigit():
        return _refused(400, "limit takes a whole number.")
    return json_response({"traces": tracer.traces(int(limit), idle=query.get("idle", ["yes"])[0] != "no")})


def _outbox(gateway: Gateway, request: HttpRequest) -> HttpResponse:
    """Emails and text messages that people would have got; `?to=`, `?account=` and `?region=` pick some."""
    query = {name: values[0] for name, values in parse_qs(request.query).items()}
    account, region = query.get("account", gateway.account), query.get("region", DEFAULT_REGION)
    wanted = {"To": query["to"]} if "to" in query else {}
    return json_response(gateway.pipeline.ask(Call("sns", "cumulet:Outbox", wanted, account, region, "-")))


def error_response(error: AwsError, request_id: str) -> HttpResponse:
    """An error of the JSON door."""
    value = {"__type": error.wire_code, "message": error.message, **({"hint": error.hint} if error.hint else {})}
    return json_response(value, error.http_status, request_id)
