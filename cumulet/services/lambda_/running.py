"""Invoking: from a version to an Effect, and from its outcome to an answer and log lines.

Decide: find the version, take a slot, put the specification together. Perform: the runtime runs the function. Settle: give
the slot back, write the log lines. A crash in between ends the function with the server: the client of a request sees its connection
close, a queued event is performed again by its timer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.runtimes.model import FunctionSpec, Invocation, InvocationResult
from cumulet.services.lambda_ import capacity, lanes, metering, pools
from cumulet.services.lambda_.acting import SERVICE_PRINCIPAL, session_of
from cumulet.services.lambda_.errors import InvalidRuntimeException, ServiceException, TooManyRequestsException
from cumulet.services.lambda_.model import Function, Version, version_key
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.packages import zip_path
from cumulet.services.lambda_.pools import Runnable
from cumulet.services.lambda_.settings import log_group
from cumulet.services.lambda_.sources import turns

log = logging.getLogger("cumulet")

_CREDENTIALS_LEFT_S = 3600.0
_KEPT_SPECS = 4096
_NOWHERE = Path()


@dataclass(slots=True, frozen=True)
class Run:
    """One invocation that is to be: which version, under which id."""

    function: Function
    version: Version
    invocation: Invocation


def chosen(ctx: Context, where: Ref) -> Version:
    """The version that an invocation of `where` runs; for a weighted alias, by lot. Raises: ResourceNotFoundException."""
    if where.qualifier:
        alias = where.alias(ctx)
        if alias is not None and alias.weights:
            lot = int(ctx.ids.hex(8), 16) / 2**32
            for label, weight in alias.weights.items():
                if lot < weight:
                    found = ctx.tx.get(version_key(where.account, where.region, where.name, int(label)), Version)
                    if found is not None:
                        return found
                lot -= weight
    return where.version(ctx)


def request_id_of(ctx: Context) -> str:
    """The id of a new invocation: the request's where a client invokes the function itself, else one of its own."""
    return ctx.request_id if ctx.span.kind == "request" else ctx.ids.uuid()


def invocation_of(
    ctx: Context,
    where: Ref,
    payload: bytes,
    request_id: str,
    client_context: str | None = None,
    trace: str | None = None,
) -> Invocation:
    """The invocation that the runtime gets; it carries the virtual time where time is virtual."""
    return Invocation(
        request_id=request_id,
        payload=payload,
        trace_id=trace or ctx.trace,
        invoked_arn=where.arn,
        client_context=client_context,
        now=ctx.now if ctx.pipeline.clock.virtual else None,
    )


def begin(
    ctx: Context, where: Ref, version: Version, invocation: Invocation,
    settle: Callable[[Context, Run, InvocationResult | EffectFailed], Any], *, queued: bool = False,
) -> Effect:  # fmt: skip
    """Take a slot and return the Effect; `settle` is called with the slot given back and the log written.

    `queued` says that it goes on with the slot for the next event by itself, and changes what has to be on disk.
    Raises: TooManyRequestsException, ResourceNotFoundException.
    """
    function = where.function(ctx)
    run = Run(function, version, invocation)
    slot = (function.account, function.region, function.name)
    pool = pools.pool_for(ctx, function, where, version)
    own = pool is not None and pools.has_room(ctx, where, pool)
    runnable = pool.runnable if pool is not None and own else runnable_of(ctx, version)
    if queued and not turns.event_may(ctx, slot):
        raise TooManyRequestsException("Rate Exceeded.", reason="CallerRateLimitExceeded")
    try:
        capacity.acquire(ctx, function, version, invocation.request_id, provisioned=own)
    except TooManyRequestsException:
        metering.count(ctx, where, "Throttles", 1.0)
        raise
    if pool is not None:
        pools.use(ctx, where, pool, invocation.request_id if own else None)

    def settled(after: Context, outcome: InvocationResult | EffectFailed) -> Any:
        capacity.release(after, slot, invocation.request_id)
        if pool is not None and own:
            pools.give_back(after, slot, pool, invocation.request_id)
        after.tx.signal(function.key)  # a poller may wait for the slot
        if not queued:
            lanes.freed(after, slot, function.account, function.region)
        if isinstance(outcome, InvocationResult):
            metering.count(after, where, "Invocations", 1.0)
            metering.count(after, where, "Errors", 0.0 if outcome.function_error is None else 1.0)
            metering.count(after, where, "Duration", outcome.duration_ms, "Milliseconds")
            if not own:
                _remember(after, version, runnable)
            if outcome.log:
                write_log(after, version, outcome)
        return settle(after, run, outcome)

    return Effect("invoke", (runnable.spec, runnable.code, runnable.layers, invocation), settled, queued)


def answered(outcome: InvocationResult | EffectFailed) -> InvocationResult:
    """The outcome, where there is one. Raises: ServiceException, InvalidRuntimeException where the machinery failed."""
    if isinstance(outcome, EffectFailed):
        if outcome.code in ("UnsupportedRuntime", "InvalidRuntimeException"):
            raise InvalidRuntimeException(outcome.message)
        raise ServiceException("Service encountered an internal error.", hint=f"{outcome.code}: {outcome.message}")
    return outcome


def write_log(ctx: Context, version: Version, outcome: InvocationResult) -> None:
    """What an environment printed, into the function's log group; lost where its role may not write there."""
    enforced = ctx.pipeline.authority is not None
    try:
        ctx.call(
            "logs", "cumulet:Append",
            {"logGroupName": log_group(version), "logStreamName": outcome.log_stream, "events": outcome.log},
            region=version.region, account=version.account,
            principal=session_of(version) if enforced else SERVICE_PRINCIPAL,
        )  # fmt: skip
    except AwsError as error:
        if not enforced:
            raise
        log.warning("the log lines of %s are lost: %s", version.arn, error.message)


def _specs(ctx: Context) -> dict[tuple[str, str], Runnable]:
    found: dict[tuple[str, str], Runnable] | None = ctx.pipeline.volatile.get("lambda.specs")
    if found is None:
        found = ctx.pipeline.volatile["lambda.specs"] = {}
    return found


def _remember(ctx: Context, version: Version, runnable: Runnable) -> None:
    """Keep the specification for the next invocation: only now is it sure that what it was made of is committed."""
    specs = _specs(ctx)
    key = (version.revision, ctx.pipeline.endpoint)
    if specs.get(key) is not runnable:
        if len(specs) >= _KEPT_SPECS:
            specs.clear()
        specs[key] = runnable


def runnable_of(ctx: Context, version: Version, pool: str = "") -> Runnable:
    """What the performer gets to run a version; with `pool`, for the environments that are provisioned under that name."""
    known = _specs(ctx).get((version.revision, ctx.pipeline.endpoint))
    if known is not None and ctx.now < known.until and not pool:
        return known
    credentials = ctx.call(
        "sts", "cumulet:RoleCredentials", {"RoleArn": version.role, "RoleSessionName": version.name},
        account=version.account, region=version.region, principal="lambda.amazonaws.com",
    )  # fmt: skip
    spec = FunctionSpec(
        function_arn=version.arn,
        function_name=version.name,
        version=version.label,
        runtime=version.runtime,
        handler=version.handler,
        code_dir=_NOWHERE,
        environment=tuple(sorted((version.environment or {}).items())),
        memory_mb=version.memory_mb,
        timeout_s=float(version.timeout_s),
        tmp_mb=version.tmp_mb,
        region=version.region,
        account=version.account,
        credentials=(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]),
        endpoint_url=ctx.pipeline.endpoint,
        log_group=log_group(version),
        log_format=version.log_format,
        application_log_level=version.log_level,
        tracing=version.tracing,
        revision=f"{version.revision} {pool}" if pool else version.revision,
        initialization_type="provisioned-concurrency" if pool else "on-demand",
    )
    return Runnable(
        spec=spec,
        code=(version.code_sha256, zip_path(ctx, version.account, version.code_sha256)),
        layers=tuple((layer.sha256, zip_path(ctx, version.account, layer.sha256)) for layer in version.layers),
        until=float(credentials["Expiration"]) - _CREDENTIALS_LEFT_S,
    )
