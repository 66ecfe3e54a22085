"""Schedule expressions: rate(...), cron(...) and at(...), and when they are due next.

Cron expressions have AWS's six fields: minutes, hours, day of month, month, day of week (1 is Sunday), year. They count in
UTC or in a time zone. Local times that a change of the clock leaves out are skipped, those that it repeats count once.

Source: EventBridge user guide, "Setting a schedule pattern for scheduled rules"; Scheduler user guide, "Schedule types"
(read 2026-11).
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

_RATE = re.compile(r"rate\(\s*(\d{1,12})\s+(minutes?|hours?|days?)\s*\)")
_CRON = re.compile(r"cron\((.*)\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}

_MONTH_NAMES = {name.upper(): index for index, name in enumerate(calendar.month_abbr) if name}
_DAY_NAMES = {name: index for index, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class InvalidSchedule(ValueError):
    """An expression that is none of AWS's."""


@dataclass(frozen=True)
class Rate:
    """Every `period_s` seconds, counted from a start."""

    period_s: float

    def next(self, after: float, start: float | None = None) -> float:
        begin = after if start is None else start
        due = begin + self.period_s * max(1.0, math.floor((after - begin) / self.period_s) + 1.0)
        return due if due > after else due + self.period_s  # the quotient may have been rounded down


@dataclass(frozen=True)
class At:
    """Once."""

    at: float

    def next(self, after: float, start: float | None = None) -> float | None:
        return self.at if self.at > after else None


@dataclass(frozen=True)
class Cron:
    """At the minutes that six fields select."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[str, ...]  # of the month: "7", "L", "LW", "15W"; () where the day of the week decides
    months: frozenset[int]
    weekdays: tuple[str, ...]  # "2", "6L", "6#3"
    years: frozenset[int]
    zone: timezone | ZoneInfo

    def next(self, after: float, start: float | None = None) -> float | None:
        """The first due time behind `after`, or None when there is none any more."""
        if after < 0:
            after = 0.0
        try:
            local = datetime.fromtimestamp(after, self.zone)
        except (OverflowError, ValueError):
            return None
        begin = local.replace(tzinfo=None)  # no later instant has an earlier local time that counts
        today = (begin.year, begin.month, begin.day)
        for year, month, day in self._dates(begin):
            for hour in self.hours:
                if hour < begin.hour and (year, month, day) == today:
                    continue
                for minute in self.minutes:
                    due = self._instant(datetime(year, month, day, hour, minute))  # noqa: DTZ001 - the zone follows
                    if due is not None and due > after:
                        return due
        return None

    def _dates(self, begin: datetime) -> Iterator[tuple[int, int, int]]:
        for year in range(begin.year, _LAST_YEAR + 1):
            if year not in self.years:
                continue
            for month in range(1, 13):
                if month not in self.months or (year, month) < (begin.year, begin.month):
                    continue
                for day in self._days_of(year, month):
                    if (year, month, day) >= (begin.year, begin.month, begin.day):
                        yield year, month, day

    def _days_of(self, year: int, month: int) -> list[int]:
        first, count = calendar.monthrange(year, month)  # first: 0 is Monday
        found: set[int] = set()
        for day in self.days:
            if day == "L":
                found.add(count)
            elif day == "LW":
                found.add(_near_weekday(year, month, count, count))
            elif day.endswith("W"):
                if int(day[:-1]) <= count:
                    found.add(_near_weekday(year, month, int(day[:-1]), count))
            elif int(day) <= count:
                found.add(int(day))
        for weekday in self.weekdays:
            number = int(weekday[0])
            days = list(range(1 + (number - 2 - first) % 7, count + 1, 7))
            if weekday.endswith("L"):
                found.add(days[-1])
            elif "#" in weekday:
                found.update(days[int(weekday[2]) - 1 : int(weekday[2])])
            else:
                found.update(days)
        return sorted(found)

    def _instant(self, local: datetime) -> float | None:
        """The first instant with this local time, or None where the clock leaves it out."""
        aware = local.replace(tzinfo=self.zone)
        if datetime.fromtimestamp(aware.timestamp(), self.zone).replace(tzinfo=None) != local:
            return None
        return aware.timestamp()


Schedule = Rate | Cron | At


def _near_weekday(year: int, month: int, day: int, count: int) -> int:
    """The weekday nearest to a day, within the month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < count else day - 2
    return day


@lru_cache(maxsize=1024)
def parse(expression: str, zone: str = "UTC", *, once: bool = False) -> Schedule:
    """The schedule; `once` allows at(...), which EventBridge's rules do not know.

    Raises: InvalidSchedule for a wrong expression, ZoneInfoNotFoundError or ValueError for an unknown time zone.
    """
    tz: timezone | ZoneInfo = UTC if zone == "UTC" else ZoneInfo(zone)
    if match := _RATE.fullmatch(expression):
        value, unit = int(match[1]), match[2]
        if value == 0 or (value == 1) == unit.endswith("s"):
            raise InvalidSchedule(f"not a rate: {expression}")
        return Rate(value * _UNITS[unit.removesuffix("s")])
    if match := _CRON.fullmatch(expression):
        return _cron(match[1].split(), tz)
    if once and (match := _AT.fullmatch(expression)):
        try:
            return At(datetime.fromisoformat(match[1]).replace(tzinfo=tz).timestamp())
        except ValueError as error:
            raise InvalidSchedule(f"not a time: {expression}") from error
    raise InvalidSchedule(f"not a schedule: {expression}")


def next_fire(expression: str, after: float, start: float | None = None, zone: str = "UTC") -> float | None:
    """When `expression` is due first behind `after` (epoch seconds); None: never again.

    A rate counts from `start`, or from `after`. Raises: InvalidSchedule.
    """
    return parse(expression, zone).next(after, start)


def _cron(fields: list[str], zone: timezone | ZoneInfo) -> Cron:
    if len(fields) != 6:
        raise InvalidSchedule("a cron expression has six fields")
    minutes, hours, day, month, weekday, year = (field.upper() for field in fields)
    if (day == "?") == (weekday == "?"):
        raise InvalidSchedule("one of day-of-month and day-of-week must be ?, and not both")
    return Cron(
        minutes=tuple(sorted(_numbers(minutes, 0, 59))),
        hours=tuple(sorted(_numbers(hours, 0, 23))),
        days=() if day == "?" else tuple(_days(day)),
        months=frozenset(_numbers(month, 1, 12, _MONTH_NAMES)),
        weekdays=() if weekday == "?" else tuple(_weekdays(weekday)),
        years=frozenset(_numbers(year, _FIRST_YEAR, _LAST_YEAR)),
        zone=zone,
    )


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None, steps: bool = True) -> set[int]:
    """The numbers that a list of `*`, `n`, `a-b`, each with `/step`, selects."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        if slash and not (steps and step_text.isascii() and step_text.isdigit() and 1 <= int(step_text) <= high):
            raise InvalidSchedule(f"not an increment: {part}")
        step = int(step_text) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        else:
            first = _number(first_text, low, high, names)
            last = _number(last_text, low, high, names) if dash else (high if slash else first)
        if first > last:  # over the end: 20-2 is 20 to 23 and 0 to 2
            last += high - low + 1
        found.update((number - low) % (high - low + 1) + low for number in range(first, last + 1, step))
    return found


def _number(text: str, low: int, high: int, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise InvalidSchedule(f"not between {low} and {high}: {text}")
    return int(text)


def _days(field: str) -> Iterator[str]:
    for part in field.split(","):
        if part in ("L", "LW"):
            yield part
        elif part.endswith("W"):
            yield f"{_number(part[:-1], 1, 31, None)}W"
        else:
            yield from map(str, sorted(_numbers(part, 1, 31)))


def _weekdays(field: str) -> Iterator[str]:
    if "#" in field:  # alone: a list of them is refused
        day, _, nth = field.partition("#")
        yield f"{_number(day, 1, 7, _DAY_NAMES)}#{_number(nth, 1, 5, None)}"
        return
    for part in field.split(","):
        if part == "L":
            yield "7"
        elif part.endswith("L"):
            yield f"{_number(part[:-1], 1, 7, _DAY_NAMES)}L"
        else:
            yield from map(str, sorted(_numbers(part, 1, 7, _DAY_NAMES, steps=False)))
