"""Traces: what called what, when, for how long, with which outcome; the newest spans, in memory.

A trace id travels in X-Amzn-Trace-Id (`Root=1-{8 hex}-{24 hex};Parent={16 hex};Sampled=1`), which AWS SDKs inside a
function send along, so that a request is one tree from the front to the last table. What is handed on later (a message, an event)
keeps the trace; its consumer follows it (`Span.follow`). A consumer of several at once hangs under the first and links the others.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

_KEPT_SPANS = 10_000
_LINKS = 100
_ERROR_CHARACTERS = 1000
_LOOK = re.compile(r"\w+\.(cumulet:|Describe|Filter|List|Get(?!Item|Object|Records))")


# Whom a step asks: (service, account, region, what the request says), the last a name, an ARN, a URL or several names.
# Where it is an ARN anyway, the others may be "".
Subject = tuple[str, str, str, Any]


@dataclass(slots=True)
class Span:
    """One step of a trace. Times are real seconds, whatever the clock says; `at` is the clock's time at its start."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str  # "dynamodb.PutItem", "invoke shop-items", "timer lambda.event"
    kind: str  # request, call, effect, timer
    at: float
    started: float
    ended: float = 0.0
    status: str = "ok"
    detail: str = ""
    links: tuple[str, ...] = ()  # other traces that this step goes on with
    error: str = ""  # what the failed step said
    subject: Subject | None = None
    via: str = ""  # the ARN of what sent it: a rule, an alarm
    lost: bool = False  # whether it takes away what failed: a dead letter, a failure's record
    above: Span | None = field(default=None, repr=False)  # the parent, where it ran when this began

    def follow(self, headers: Sequence[str], at: str = "") -> None:
        """Hang this span under the first of these X-Amzn-Trace-Id values, and link it to the traces of the others.

        `at` is the ARN of where what is followed was taken up: a queue, a table.
        """
        if at:
            self.subject = ("", "", "", at)
        places = [place for place in map(parse, headers) if place[0] is not None]
        if not places:
            return
        root, self.parent_id = places[0]
        self.above = None
        self.trace_id = str(root)
        others = dict.fromkeys(str(other) for other, _ in places[1:] if other != root)
        self.links = tuple(islice(others, _LINKS))

    @property
    def idle(self) -> bool:
        """Whether nobody looks for this step, if it led to no other: a timer that found nothing to do, what only looked or measured."""
        if self.kind == "effect":
            return self.status == "ok" and self.name.endswith(".measure")
        return self.status == "ok" if self.kind == "timer" else _LOOK.match(self.name) is not None

    def header(self) -> str:
        return f"Root={self.trace_id};Parent={self.span_id};Sampled=1"

    def as_dict(self) -> dict[str, Any]:
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "name": self.name,
            "kind": self.kind,
            "at": self.at,
            "started": self.started,
            "duration_ms": (self.ended - self.started) * 1e3,
            "status": self.status,
            "detail": self.detail,
            "error": self.error,
            "links": list(self.links),
        }


def parse(header: str) -> tuple[str | None, str | None]:
    """(trace id, span id) of an X-Amzn-Trace-Id value; None for what is missing."""
    root = up = None
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == "Root":
            root = value
        elif key == "Parent":
            up = value
    return root, up


class Tracer:
    """Makes spans and keeps the newest finished ones."""

    def __init__(self, kept: int = _KEPT_SPANS) -> None:
        self._spans: deque[Span] = deque(maxlen=kept)
        self._bits = random.Random().getrandbits
        self._running: dict[str, Span] = {}  # effects: what a function that runs asks hangs under them
        self.ended = 0  # how many spans there were

    def begin(self, name: str, kind: str, at: float, parent: str | None = None, detail: str = "") -> Span:
        """Start a span under `parent`, an X-Amzn-Trace-Id value, or a new trace."""
        root, up = parse(parent) if parent else (None, None)
        if root is None:
            digits = self._bits(160).to_bytes(20, "big").hex()
            root, id_ = f"1-{int(at) & 0xFFFFFFFF:08x}-{digits[16:]}", digits[:16]
        else:
            id_ = self._bits(64).to_bytes(8, "big").hex()
        return Span(root, id_, up, name, kind, at, time.perf_counter(), 0.0, "ok", detail)

    def below(self, parent: Span, name: str, kind: str, at: float) -> Span:
        """Start a span under one that has not ended."""
        id_, began = self._bits(64).to_bytes(8, "big").hex(), time.perf_counter()
        span = Span(parent.trace_id, id_, parent.span_id, name, kind, at, began, above=parent)
        if kind == "effect":
            self._running[id_] = span
        return span

    def end(self, span: Span, status: str = "ok", error: str = "") -> None:
        span.ended = time.perf_counter()
        span.status = status
        if error:
            span.error = error[:_ERROR_CHARACTERS]
        if span.kind == "effect":
            self._running.pop(span.span_id, None)
        self._spans.append(span)
        self.ended += 1

    def newest(self, count: int) -> list[Span]:
        """The newest finished spans that are kept, at most `count`, oldest first."""
        return list(islice(self._spans, max(0, len(self._spans) - count), None))

    def kept(self) -> dict[str, Span]:
        """All spans that are kept or belong to an effect that runs, by id."""
        return {span.span_id: span for span in self._spans} | self._running

    def traces(self, limit: int = 20, idle: bool = True) -> list[dict[str, Any]]:
        """The newest traces: their root span, newest first; without the `idle` ones, where a call looked or a timer found nothing to do.

        Where the root is not known (it began before the last start, or with the client) the first known span stands for it.
        """
        rooted = {span.trace_id for span in self._spans if span.parent_id is None}
        first: dict[str, Span] = {}
        for span in self._spans:  # a call's caller, not yet ended, may be a poller that found nothing
            if span.trace_id not in rooted and span.kind != "call":
                first[span.trace_id] = min(first.get(span.trace_id, span), span, key=lambda each: each.started)
        roots: Iterable[Span] = (
            span for span in reversed(self._spans) if span.parent_id is None or first.get(span.trace_id) is span
        )
        if not idle:
            steps = (span for span in self._spans if span.kind != "effect" or not span.idle)
            busy = {span.parent_id for span in steps} | {link for span in self._spans for link in span.links}
            roots = (span for span in roots if span.span_id in busy or span.trace_id in busy or not span.idle)
        return [span.as_dict() for span in islice(roots, limit)]

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of one trace by start time, with those of other traces that go on with it."""
        found = [span for span in self._spans if span.trace_id == trace_id]
        for link in [span for span in self._spans if trace_id in span.links]:
            found += self._below(link)
        return [span.as_dict() for span in sorted(found, key=lambda span: span.started)]

    def _below(self, top: Span) -> list[Span]:
        """A span with its descendants."""
        children: dict[str | None, list[Span]] = {}
        for span in self._spans:
            if span.trace_id == top.trace_id:
                children.setdefault(span.parent_id, []).append(span)
        found, ahead = [], [top]
        while ahead:
            span = ahead.pop()
            found.append(span)
            ahead += children.pop(span.span_id, ())
        return found

    def clear(self) -> None:
        self._spans.clear()
        self.ended = 0
