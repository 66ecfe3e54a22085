"""An event on its way: its fields for patterns and paths, and its text for targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

Json = dict[str, Any]
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class Event:
    """`fields` is the parsed event; `parts` gives its text, with what was not made here as the bytes that came in.

    ingested  when the bus got it (epoch seconds)
    hops      how often a rule has sent it to another bus
    """

    fields: Json
    parts: Json
    ingested: float
    hops: int = 0
    _text: bytes = field(default=b"")

    @property
    def text(self) -> bytes:
        if not self._text:
            self._text = msgspec.json.encode(self.parts)
        return self._text

    @property
    def at(self) -> float:
        """The event's own time in epoch seconds."""
        return datetime.fromisoformat(self.fields["time"]).timestamp()

    @classmethod
    def made(cls, envelope: Json, detail: Json, raw_detail: bytes, ingested: float) -> Event:
        """An event from its envelope and its detail, parsed and as text."""
        return cls({**envelope, "detail": detail}, {**envelope, "detail": msgspec.Raw(raw_detail)}, ingested)

    @classmethod
    def read(cls, text: bytes, ingested: float, hops: int = 0) -> Event:
        """An event that was stored as its text."""
        return cls(msgspec.json.decode(text), {}, ingested, hops, text)

    def replayed(self, replay: str, ingested: float) -> Event:
        """The event as a replay sends it."""
        parts: Json = {**_RAW_FIELDS.decode(self.text), "replay-name": replay}
        return Event({**self.fields, "replay-name": replay}, parts, ingested)


def iso(at: float) -> str:
    """A time as events have it: whole seconds, UTC. Raises: ValueError for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError) as error:
        raise ValueError(f"not a time: {at}") from error
