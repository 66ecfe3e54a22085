"""The records of event source mappings, and their keys.

A mapping's states (`STATES`): an operation puts it into one that ends in -ing, and the timer `lambda.source` takes it on from there.
Only a mapping that `reads` is polled. `Pollers` and `Taken` belong to those who read a queue (see queues.py); the records of those who
read a stream are in progress.py.
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.lambda_.model import ROOT
from cumulet.services.lambda_.names import Ref

USER = "USER_INITIATED"
STREAM_USER = "User action"
NOTHING_YET = "No records processed"

# (state, whether it is meant to be enabled) -> what becomes of it; "" is gone
STATES = {
    ("Creating", True): "Enabled",
    ("Creating", False): "Disabled",
    ("Enabling", True): "Enabled",
    ("Updating", True): "Enabled",
    ("Updating", False): "Disabled",
    ("Disabling", False): "Disabled",
    ("Deleting", True): "",
    ("Deleting", False): "",
}
SETTLED = ("Enabled", "Disabled")


class Mapping(Record):
    """One event source mapping. `kind` is the service of the source; `filters` are patterns as they were given.

    Of streams: `position` (and `position_at`) is where reading began, `factor` how many batches of a shard run at once;
    `retries` and `max_age_s` are -1 where records are tried until they expire.
    """

    account: str
    region: str
    uuid: str
    kind: str
    source_arn: str
    function: Ref
    state: str
    enabled: bool
    batch_size: int
    modified: float
    window_s: int = 0
    most: int | None = None  # ScalingConfig.MaximumConcurrency
    responses: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tags: dict[str, str] | None = None
    result: str = NOTHING_YET
    position: str = ""
    position_at: float | None = None
    factor: int = 1
    retries: int = -1
    max_age_s: int = -1
    bisect: bool = False
    tumbling_s: int = 0
    on_failure: str = ""

    @property
    def key(self) -> Key:
        return mapping_key(self.account, self.region, self.uuid)

    @property
    def pair_key(self) -> Key:
        return pair_key(self.source_arn, self.function)

    @property
    def place(self) -> Key:
        """What timers and rows of this mapping begin with."""
        return (self.account, self.region, self.uuid)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.uuid}"

    @property
    def reads(self) -> bool:
        return self.state in ("Enabled", "Updating") and self.enabled

    @property
    def stream(self) -> bool:
        return self.kind != "sqs"

    @property
    def fifo(self) -> bool:
        return self.source_arn.endswith(".fifo")

    @property
    def partial(self) -> bool:
        return "ReportBatchItemFailures" in self.responses

    @property
    def slot(self) -> tuple[str, str, str]:
        return (self.function.account, self.function.region, self.function.name)

    def moved(self, ctx: Context, state: str) -> Mapping:
        """The mapping in a state that an operation puts it into."""
        return replace(self, state=state, modified=ctx.now)


class Pollers(Record):
    """A mapping's pollers, by number: the one that listens, and those whose function runs.

    `limit` may run at once; from `grows` on it may be more, when there is still a backlog then.
    """

    listener: int = 0
    busy: tuple[int, ...] = ()
    limit: int = 0
    grows: float = 0.0


TAKEN: Key = (ROOT, "source-taken")


class Taken(Record):
    """The messages that a poller's function runs with: given back after a crash."""

    queue_arn: str
    handles: tuple[str, ...]


class Pair(Record):
    """The mapping of a source to a function: there is one."""

    uuid: str


def mapping_key(account: str, region: str, uuid: str) -> Key:
    return (ROOT, "source", account, region, uuid)


def pair_key(source_arn: str, function: Ref) -> Key:
    return (ROOT, "source-pair", source_arn, function.arn)


def pollers_key(place: Key) -> Key:
    return (ROOT, "source-pollers", *place)


def taken_key(place: Key, number: int) -> Key:
    return (*TAKEN, *place, number)


def shown(mapping: Mapping) -> dict[str, Any]:
    """The mapping as the API gives it."""
    out: dict[str, Any] = {
        "UUID": mapping.uuid,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window_s,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": mapping.function.arn,
        "LastModified": mapping.modified,
        "LastProcessingResult": mapping.result,
        "State": mapping.state,
        "StateTransitionReason": STREAM_USER if mapping.stream else USER,
        "FunctionResponseTypes": list(mapping.responses),
        "EventSourceMappingArn": mapping.arn,
    }
    if mapping.filters:
        out["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in mapping.filters]}
    if mapping.most is not None:
        out["ScalingConfig"] = {"MaximumConcurrency": mapping.most}
    if mapping.metrics:
        out["MetricsConfig"] = {"Metrics": list(mapping.metrics)}
    if mapping.stream:
        out |= _shown_stream(mapping)
    return out


def _shown_stream(mapping: Mapping) -> dict[str, Any]:
    out: dict[str, Any] = {
        "StartingPosition": mapping.position,
        "ParallelizationFactor": mapping.factor,
        "MaximumRecordAgeInSeconds": mapping.max_age_s,
        "MaximumRetryAttempts": mapping.retries,
        "BisectBatchOnFunctionError": mapping.bisect,
        "TumblingWindowInSeconds": mapping.tumbling_s,
        "DestinationConfig": {"OnFailure": {"Destination": mapping.on_failure} if mapping.on_failure else {}},
    }
    if mapping.position_at is not None:
        out["StartingPositionTimestamp"] = mapping.position_at
    return out
