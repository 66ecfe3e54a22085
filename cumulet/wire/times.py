"""Timestamps on the wire: epoch seconds to and from ISO 8601, RFC 822 and numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import gmtime
from typing import Any

_YEAR_1, _YEAR_10000 = -62135596800, 253402300800
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def iso8601(at: float) -> str:
    """`2026-01-02T03:04:05.678Z`: milliseconds, as AWS answers."""
    days, millis = divmod(round(at * 1000), 86_400_000)
    seconds, millis = divmod(millis, 1000)
    return f"{_day(days)}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{millis:03d}Z"


@lru_cache(maxsize=512)
def _day(days: int) -> str:
    t = gmtime(days * 86400)
    return f"{t[0]:04d}-{t[1]:02d}-{t[2]:02d}"


def rfc822(at: float) -> str:
    """`Fri, 02 Jan 2026 03:04:05 GMT`: whole seconds, cut as AWS cuts them."""
    t = gmtime(int(at))
    return f"{_DAYS[t[6]]}, {t[2]:02d} {_MONTHS[t[1]]} {t[0]:04d} {t[3]:02d}:{t[4]:02d}:{t[5]:02d} GMT"


def epoch_text(at: float) -> str:
    """Epoch seconds as text, without a fraction where there is none."""
    return str(int(at)) if at == int(at) else repr(round(at, 3))


WRITERS = {"iso8601": iso8601, "rfc822": rfc822, "unixTimestamp": epoch_text}


def parse_text(text: str) -> float:
    """Epoch seconds of any of the three forms. Raises: ValueError."""
    text = text.strip()
    if text[4:5] == "-" or text[:1] in "+-" or "T" in text[8:9]:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _finite(float(text))
    elif text[:1].isalpha():
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, IndexError, OverflowError) as e:
            raise ValueError(f"not a timestamp: {text!r}") from e
    else:
        return _finite(float(text))
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except OverflowError as e:
        raise ValueError(f"not a timestamp: {text!r}") from e


def parse_value(value: Any) -> float:
    """Epoch seconds of what a JSON or CBOR document holds. Raises: ValueError, TypeError."""
    kind = type(value)
    if kind is float or kind is int:
        return _finite(float(value))
    if kind is str:
        return parse_text(value)
    if kind is datetime:
        return float(value.timestamp())
    raise TypeError(f"a {kind.__name__} is no timestamp")


def _finite(value: float) -> float:
    if not _YEAR_1 <= value < _YEAR_10000:
        raise ValueError("a timestamp must be within the years 1 to 9999")
    return value
