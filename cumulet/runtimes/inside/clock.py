"""The virtual clock inside a function: `time.time`, `datetime.now` and `time.sleep` follow the server's clock.

Installed only where the server's clock is virtual, before the customer's module is imported; otherwise it costs
nothing. Sleeping returns at once and moves this environment's clock on. `time.monotonic`, `perf_counter` and
`asyncio.sleep` stay real, and sleeps in several threads add up.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any, TypeAlias

_monotonic = time.monotonic
_gmtime, _localtime, _strftime, _ctime = time.gmtime, time.localtime, time.strftime, time.ctime
_Datetime: TypeAlias = datetime.datetime
_Date: TypeAlias = datetime.date


class Clock:
    """Virtual time = the server's at the start of the invocation + real time since + what was slept."""

    def __init__(self, sleeping: Callable[[float], None]) -> None:
        self.base = 0.0
        self.since = _monotonic()
        self.slept = 0.0
        self._sleeping = sleeping

    def sync(self, now: float) -> None:
        """Begin an invocation at the virtual time `now`."""
        self.base, self.since, self.slept = now, _monotonic(), 0.0

    def time(self) -> float:
        """Replaces time.time."""
        return self.base + (_monotonic() - self.since) + self.slept

    def time_ns(self) -> int:
        """Replaces time.time_ns."""
        return int(self.time() * 1e9)

    def sleep(self, seconds: float, /) -> None:
        """Replaces time.sleep: returns at once, that many seconds later."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._sleeping(float(seconds))
        self.slept += seconds


def install(clock: Clock) -> None:
    """Patch the modules `time` and `datetime` of this process."""
    current = clock.time
    patched: Any = time
    patched.time, patched.time_ns, patched.sleep = current, clock.time_ns, clock.sleep
    patched.gmtime = lambda secs=None: _gmtime(current() if secs is None else secs)
    patched.localtime = lambda secs=None: _localtime(current() if secs is None else secs)
    patched.ctime = lambda secs=None: _ctime(current() if secs is None else secs)
    patched.strftime = lambda form, when=None: _strftime(form, _localtime(current()) if when is None else when)

    class LikeDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _Datetime)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, _Datetime)

    class LikeDate(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _Date)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, _Date)

    class VirtualDatetime(_Datetime, metaclass=LikeDatetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return cls.fromtimestamp(current(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(current(), datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(current())

    class VirtualDate(_Date, metaclass=LikeDate):
        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(current())

    for name, kind in (("datetime", VirtualDatetime), ("date", VirtualDate)):
        kind.__name__ = kind.__qualname__ = name
        kind.__module__ = "datetime"
        setattr(datetime, name, kind)
