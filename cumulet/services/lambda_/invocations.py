"""Operations that invoke."""

from __future__ import annotations

import base64
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.jsontext import NotJson, check_json
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed, then
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import events
from cumulet.services.lambda_.errors import InvalidRequestContentException, RequestTooLargeException
from cumulet.services.lambda_.names import ref
from cumulet.services.lambda_.running import Run, answered, begin, chosen, invocation_of, request_id_of

_SYNC_LIMIT_BYTES = 6_291_456
_ASYNC_LIMIT_BYTES = 1_048_576
_OLD_ASYNC_LIMIT_BYTES = 262_144
_TAIL_BYTES = 4096

Json = dict[str, Any]


def invoke(ctx: Context, req: Json) -> Json | Effect:
    """Run a function and answer what it returned (RequestResponse), queue the event durably (Event), or check (DryRun).

    Limits: payload 6 MB, 1 MB for events. A queued event is run at least once; see events.py for its retries.
    Raises: ResourceNotFoundException, InvalidRequestContentException, RequestTooLargeException, TooManyRequestsException.
    Source: Lambda API_Invoke; developer guide, "Lambda quotas" (read 2026-11).
    """
    for setting in ("DurableExecutionName", "TenantId"):
        if setting in req:
            raise NotImplementedOnCumulet(f"Lambda's setting {setting} is not implemented by Cumulet.")
    kind = req.get("InvocationType", "RequestResponse")
    payload = bytes(req.get("Payload", b"")) or b"{}"
    _check(payload, _ASYNC_LIMIT_BYTES if kind == "Event" else _SYNC_LIMIT_BYTES)
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    version = chosen(ctx, where)
    if kind == "DryRun":
        return {"StatusCode": 204}
    if kind == "Event":
        events.enqueue(ctx, where, payload)
        return {"StatusCode": 202}
    tail = req.get("LogType") == "Tail"
    context = _client_context(req["ClientContext"]) if "ClientContext" in req else None
    invocation = invocation_of(ctx, where, payload, request_id_of(ctx), context)

    def settle(after: Context, run: Run, outcome: InvocationResult | EffectFailed) -> Json:
        result = answered(outcome)
        answer: Json = {"StatusCode": 200, "ExecutedVersion": run.version.label, "Payload": result.payload}
        if result.function_error is not None:
            answer["FunctionError"] = result.function_error
        if tail:
            answer["LogResult"] = _tail(result)
        return answer

    return begin(ctx, where, version, invocation, settle)


def invoke_with_response_stream(ctx: Context, req: Json) -> Json | Effect:
    """Run a function and answer as an event stream: what it returned as one chunk, then the end with error and log.

    Functions here return their answer as a whole, as Python functions do on Lambda.
    Limits: payload 6 MB. Raises: as Invoke. Source: Lambda API_InvokeWithResponseStream (read 2026-11).
    """
    outcome = invoke(ctx, req)

    def streamed(after: Context, answer: Json) -> Json:
        if "ExecutedVersion" not in answer:  # a dry run
            return answer
        complete: Json = {"LogResult": answer["LogResult"]} if "LogResult" in answer else {}
        events: list[Json] = []
        if "FunctionError" in answer:
            complete |= {
                "ErrorCode": answer["FunctionError"],
                "ErrorDetails": answer["Payload"].decode("utf-8", "replace"),
            }
        else:
            events.append({"PayloadChunk": {"Payload": answer["Payload"]}})
        events.append({"InvokeComplete": complete})
        return {"StatusCode": 200, "ExecutedVersion": answer["ExecutedVersion"], "EventStream": events}

    answer: Json | Effect = then(ctx, outcome, streamed)
    return answer


def invoke_async(ctx: Context, req: Json) -> Json:
    """Queue an event; the old form of Invoke with InvocationType Event, for up to 256 KB.

    Raises: ResourceNotFoundException, InvalidRequestContentException, RequestTooLargeException.
    Source: Lambda API_InvokeAsync (read 2026-11).
    """
    payload = bytes(req["InvokeArgs"]) or b"{}"
    _check(payload, _OLD_ASYNC_LIMIT_BYTES)
    where = ref(ctx, req["FunctionName"])
    where.version(ctx)
    events.enqueue(ctx, where, payload)
    return {"Status": 202}


def _check(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        raise RequestTooLargeException(f"Request must be smaller than {limit} bytes for the InvokeFunction operation")
    try:
        check_json(payload)
    except NotJson as error:
        raise InvalidRequestContentException(
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        ) from error


def _client_context(text: str) -> str:
    """The ClientContext header, decoded. Raises: InvalidRequestContentException."""
    try:
        decoded = base64.b64decode(text, validate=True)
        check_json(decoded)
        return decoded.decode()
    except ValueError as error:
        raise InvalidRequestContentException("Client context must be a valid Base64-encoded JSON object.") from error


def _tail(result: InvocationResult) -> str:
    """The last 4 KB of the log, Base64."""
    text = "\n".join(line for _, line in result.log).encode() + b"\n"
    return base64.b64encode(text[-_TAIL_BYTES:]).decode()
