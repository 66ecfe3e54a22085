"""The settings of asynchronous invocation, as they are stored and as they hold for an event."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record
from cumulet.services.lambda_.model import LATEST, ROOT, Function

MAXIMUM_AGE_S = 21_600
MAXIMUM_RETRIES = 2


class EventConfig(Record):
    """What was set for one qualifier ($LATEST where none was given)."""

    account: str
    region: str
    function: str
    qualifier: str
    modified: float
    max_age_s: int | None = None
    retries: int | None = None
    on_success: str = ""
    on_failure: str = ""

    @property
    def key(self) -> Key:
        return config_key(self.account, self.region, self.function, self.qualifier)


class Settings(Record):
    """What holds for an event."""

    max_age_s: int = MAXIMUM_AGE_S
    retries: int = MAXIMUM_RETRIES
    on_success: str = ""
    on_failure: str = ""


_DEFAULT = Settings()


def settings_of(ctx: Context, function: Function, qualifier: str) -> Settings:
    """The settings of events for this qualifier."""
    if not function.event_configs:
        return _DEFAULT
    config = ctx.tx.get(config_key(function.account, function.region, function.name, qualifier or LATEST), EventConfig)
    if config is None:
        return _DEFAULT
    return Settings(
        max_age_s=MAXIMUM_AGE_S if config.max_age_s is None else config.max_age_s,
        retries=MAXIMUM_RETRIES if config.retries is None else config.retries,
        on_success=config.on_success,
        on_failure=config.on_failure,
    )


def config_key(account: str, region: str, function: str, qualifier: str) -> Key:
    """Where they are stored."""
    return (ROOT, "event-config", account, region, function, qualifier)
