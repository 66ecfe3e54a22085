"""Operations on the settings of asynchronous invocation: retries, age, destinations, per function version or alias."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import InvalidParameterValueException, ResourceNotFoundException
from cumulet.services.lambda_.eventsettings import EventConfig, config_key
from cumulet.services.lambda_.model import LATEST, ROOT, Function, function_arn
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.pages import page, start_of

Json = dict[str, Any]

_SETTINGS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
_SUCCESS = frozenset({"sqs", "sns", "lambda", "events"})
_FAILURE = _SUCCESS | {"s3"}


def put_function_event_invoke_config(ctx: Context, req: Json) -> Json:
    """Set how events of a function, version or alias are retried and where their records go; replaces all that was set.

    Limits: 60-21600 s, 0-2 retries; destinations: SQS, SNS, Lambda, EventBridge, on failure also S3.
    Raises: ResourceNotFoundException, InvalidParameterValueException.
    Source: Lambda API_PutFunctionEventInvokeConfig (read 2026-11).
    """
    where, function = _where(ctx, req)
    if not any(setting in req for setting in _SETTINGS):
        raise InvalidParameterValueException("You must specify at least one of error handling or destination setting.")
    config = EventConfig(
        account=where.account, region=where.region, function=where.name, qualifier=where.qualifier, modified=ctx.now
    )
    return _kept(ctx, function, _changed(config, req))


def update_function_event_invoke_config(ctx: Context, req: Json) -> Json:
    """Change some of the settings of asynchronous invocation; what the request does not name stays.

    Raises: ResourceNotFoundException (also where nothing was set before), InvalidParameterValueException.
    Source: Lambda API_UpdateFunctionEventInvokeConfig (read 2026-11).
    """
    where, function = _where(ctx, req)
    if not any(setting in req for setting in _SETTINGS):
        raise InvalidParameterValueException("You must specify at least one of error handling or destination setting.")
    return _kept(ctx, function, replace(_changed(_found(ctx, where), req), modified=ctx.now))


def get_function_event_invoke_config(ctx: Context, req: Json) -> Json:
    """The settings of asynchronous invocation.

    Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionEventInvokeConfig (read 2026-11).
    """
    return _shown(_found(ctx, _where(ctx, req)[0]))


def list_function_event_invoke_configs(ctx: Context, req: Json) -> Json:
    """The settings of a function's versions and aliases, 50 at a time.

    Raises: ResourceNotFoundException. Source: Lambda API_ListFunctionEventInvokeConfigs (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).function(ctx)
    prefix = (ROOT, "event-config", function.account, function.region, function.name)
    shown, marker = page(ctx.tx.scan(prefix, EventConfig, start=start_of(req)), req, _shown)
    return {"FunctionEventInvokeConfigs": shown, **marker}


def delete_function_event_invoke_config(ctx: Context, req: Json) -> Json:
    """Back to the defaults: two retries, six hours, no destinations.

    Raises: ResourceNotFoundException. Source: Lambda API_DeleteFunctionEventInvokeConfig (read 2026-11).
    """
    where, function = _where(ctx, req)
    config = _found(ctx, where)
    ctx.tx.delete(config.key)
    ctx.tx.put(function.key, replace(function, event_configs=function.event_configs - 1))
    return {}


def _where(ctx: Context, req: Json) -> tuple[Ref, Function]:
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    where.version(ctx)
    return Ref(where.account, where.region, where.name, where.qualifier or LATEST), where.function(ctx)


def _found(ctx: Context, where: Ref) -> EventConfig:
    found = ctx.tx.get(config_key(where.account, where.region, where.name, where.qualifier), EventConfig)
    if found is None:
        raise ResourceNotFoundException(f"The function {where.arn} doesn't have an EventInvokeConfig")
    return found


def _changed(config: EventConfig, req: Json) -> EventConfig:
    changes: Json = {}
    if "MaximumRetryAttempts" in req:
        changes["retries"] = req["MaximumRetryAttempts"]
    if "MaximumEventAgeInSeconds" in req:
        changes["max_age_s"] = req["MaximumEventAgeInSeconds"]
    if "DestinationConfig" in req:
        destinations = req["DestinationConfig"]
        for member, field, services in (("OnSuccess", "on_success", _SUCCESS), ("OnFailure", "on_failure", _FAILURE)):
            if member in destinations:
                target = destinations[member].get("Destination", "")
                _check(config, target, services, destinations)
                changes[field] = target
    return replace(config, **changes)


def _check(config: EventConfig, target: str, services: frozenset[str], destinations: Json) -> None:
    """Raises: InvalidParameterValueException for what cannot be a destination."""
    if not target:
        return
    try:
        arn = Arn.parse(target)
    except ValueError:
        arn = None
    fifo = arn is not None and arn.service in ("sqs", "sns") and arn.resource.endswith(".fifo")
    if arn is None or arn.service not in services or fifo:
        parts = [
            f"{member[0].lower()}{member[1:]}="
            + (f"{member}(destination={destinations[member].get('Destination')})" if member in destinations else "null")
            for member in ("OnSuccess", "OnFailure")
        ]
        raise InvalidParameterValueException(
            f"The provided destination config DestinationConfig({', '.join(parts)}) is invalid."
        )
    own = function_arn(config.account, config.region, config.function)
    if target == own or target.startswith(f"{own}:"):
        raise InvalidParameterValueException("You can't specify the function as a destination for itself.")


def _kept(ctx: Context, function: Function, config: EventConfig) -> Json:
    if ctx.tx.get(config.key, EventConfig) is None:
        ctx.tx.put(function.key, replace(function, event_configs=function.event_configs + 1))
    ctx.tx.put(config.key, config)
    return _shown(config)


def _shown(config: EventConfig) -> Json:
    arn = f"{function_arn(config.account, config.region, config.function)}:{config.qualifier}"
    shown: Json = {"LastModified": config.modified, "FunctionArn": arn}
    if config.retries is not None:
        shown["MaximumRetryAttempts"] = config.retries
    if config.max_age_s is not None:
        shown["MaximumEventAgeInSeconds"] = config.max_age_s
    shown["DestinationConfig"] = {
        "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
        "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
    }
    return shown
