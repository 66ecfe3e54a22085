"""Which resource called which: counted from the steps that the tracer keeps, when somebody looks.

Nothing is done while a request runs. A look takes up the steps that ended since the last one, so that a page that looks every
second misses nothing below 10,000 steps a second; what went by unseen is said (`missed`). All of it is in memory: a reset and a
restart begin anew.

A step counts as a call of its subject by the nearest step above it that has another one. An invocation counts where the
function runs, so that each attempt at an event is a call, with its time and its error. Above the first known step is the client.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cumulet.console.resources import CLIENT, ids_of, of_arn
from cumulet.kernel.trace import Span, Tracer

_EDGES = 5_000
_DURATIONS = 512
_TRACES = 20
_WINDOW_S = 60
_DEEPEST = 64
_FAILED_KEPT = 1_000

# The answer says only that it was accepted: the work is done later, by somebody else.
_HANDED_ON = frozenset(
    (
        "sqs.SendMessage",
        "sqs.SendMessageBatch",
        "sqs.cumulet:Bury",
        "sqs.cumulet:Redrive",
        "sns.Publish",
        "sns.PublishBatch",
        "events.PutEvents",
        "events.cumulet:Emit",
        "events.cumulet:Forward",
        "lambda.InvokeAsync",
    )
)
_INVOKES = ("lambda.Invoke", "lambda.InvokeAsync", "lambda.InvokeWithResponseStream")


class Place(NamedTuple):
    """What an edge is: from whom to whom, whether the caller waits, and whether it takes away what failed."""

    origin: str
    target: str
    asynchronous: bool
    lost: bool = False


@dataclass(slots=True)
class Failure:
    """The last error on an edge."""

    code: str
    message: str
    at: float


@dataclass(slots=True)
class Seen:
    """One call of an edge, to be looked up in the traces."""

    trace_id: str
    name: str
    at: float
    duration_ms: float
    status: str


@dataclass(slots=True)
class Edge:
    """The calls from one resource to another."""

    place: Place
    count: int = 0
    errors: int = 0
    failure: Failure | None = None
    traces: deque[Seen] = field(default_factory=lambda: deque(maxlen=_TRACES))
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=_DURATIONS))
    _seconds: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def add(self, span: Span) -> None:
        duration_ms = (span.ended - span.started) * 1e3
        self.count += 1
        self._durations.append(duration_ms)
        self.traces.append(Seen(span.trace_id, span.name, span.at, duration_ms, span.status))
        if span.status != "ok":
            self.errors += 1
            self.failure = Failure(span.status, span.error, span.at)
        second = int(span.at)
        self._seconds[second] = self._seconds.get(second, 0) + 1
        while len(self._seconds) > _WINDOW_S + 1:
            self._seconds.popitem(last=False)

    def last_minute(self, now: float) -> int:
        """How many calls began in the minute before now, by the cloud's clock."""
        return sum(count for second, count in self._seconds.items() if now - _WINDOW_S < second <= now)

    def quantile(self, share: float) -> float:
        """Of the newest calls' durations, in milliseconds."""
        ordered = sorted(self._durations)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Observed:
    """The edges so far."""

    def __init__(self) -> None:
        self.edges: dict[Place, Edge] = {}
        self.since: float | None = None
        self.missed = 0
        self._taken = 0
        self._failed: OrderedDict[str, None] = OrderedDict()  # steps whose invocation ran and failed

    def forget(self, taken: int = 0) -> None:
        """Count anew, from the tracer's step `taken` on."""
        self.edges.clear()
        self.since, self.missed, self._taken = None, 0, taken
        self._failed.clear()

    def look(self, tracer: Tracer, now: float) -> None:
        """Take up what has ended since the last look."""
        fresh = tracer.newest(tracer.ended - self._taken)
        if self.since is None:
            self.since = fresh[0].at if fresh and not self._taken else now
        else:
            self.missed += tracer.ended - self._taken - len(fresh)
        self._taken = tracer.ended
        if not fresh:
            return
        kept = tracer.kept()
        for span in fresh:
            self._take(span, kept)

    def _take(self, span: Span, kept: Mapping[str, Span]) -> None:
        targets = ids_of(span.subject)
        if not targets or (span.name in _INVOKES and not self._refused(span)):
            return
        if span.kind == "effect" and span.status != "ok" and span.parent_id is not None:
            self._failed[span.parent_id] = None
            if len(self._failed) > _FAILED_KEPT:
                self._failed.popitem(last=False)
        if span.kind == "timer" and not _is_rule(targets[0]):
            return  # it goes on with what was counted where it was sent
        origin, waits = _origin(span, targets, kept)
        if span.via:
            sender = of_arn(span.via)
            if origin not in (None, CLIENT, sender) and _is_rule(sender):
                self._count(Place(str(origin), sender, True), span)
            origin, waits = sender, False
        if origin is None:
            return
        asynchronous = not waits or span.name in _HANDED_ON
        for target in targets:
            self._count(Place(origin, target, asynchronous, span.lost), span)

    def _refused(self, span: Span) -> bool:
        """Whether an Invoke did not come to an invocation, which would be counted itself."""
        return span.status != "ok" and span.span_id not in self._failed

    def _count(self, place: Place, span: Span) -> None:
        edge = self.edges.get(place)
        if edge is None:
            if len(self.edges) >= _EDGES:
                return
            edge = self.edges[place] = Edge(place)
        edge.add(span)


def _is_rule(id_: str) -> bool:
    return id_.startswith("arn:aws:events:") and ":rule/" in id_


def _origin(span: Span, targets: Iterable[str], kept: Mapping[str, Span]) -> tuple[str | None, bool]:
    """(who called, None where it is not known; whether the caller waits for the answer)."""
    waits = span.kind != "timer"
    asked = set(targets)
    for _ in range(_DEEPEST):
        up = _above(span, kept)
        if up is None:
            break
        waits = waits and up.kind != "timer"
        found = ids_of(up.subject)
        if found and (up.kind == "effect" or not asked.intersection(found)):
            return found[0], waits
        span = up
    return (CLIENT if span.kind == "request" and span.subject is not None else None), waits


def _above(span: Span, kept: Mapping[str, Span]) -> Span | None:
    if span.above is not None and span.above.span_id == span.parent_id:
        return span.above
    return kept.get(span.parent_id) if span.parent_id else None
