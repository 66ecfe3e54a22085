"""The one clock: real, or virtual (frozen, advanced by hand, or jumping to the next timer when nothing is in flight)."""

import time

_OR_LATER = b" or later"


def _minute() -> float:
    return time.time() // 60 * 60


class Clock:
    """`now()` in epoch seconds. Virtual time never goes back, over restarts either, except when the cloud is emptied.

    Without a `start` it begins with the present minute, so that a story which is told again crosses the same ends of minutes. While a
    server is down it stands still.
    """

    def __init__(self, virtual: bool = False, start: float | None = None) -> None:
        self.virtual = virtual
        self.jumping = False
        self.untold = virtual  # the store does not know where it is; of a clock that was always real nobody asks
        self._start = start
        self._now = _minute() if start is None else start

    def now(self) -> float:
        return self._now if self.virtual else time.time()

    def freeze(self) -> None:
        """From now on time stands still and is moved by `set` alone."""
        if not self.virtual:
            self._now = time.time()
            self.virtual = self.untold = True
        self.jumping = False

    def thaw(self) -> None:
        """Back to real time."""
        self.untold = self.untold or self.virtual
        self.virtual = self.jumping = False

    def restart(self) -> None:
        """A virtual clock begins anew, at its start or the present minute: clients outside sign requests in real time."""
        self._now = _minute() if self._start is None else self._start
        self.untold = self.virtual

    def tell(self) -> bytes:
        """Where it is, for those who start again on what is written now."""
        self.untold = False
        return repr(self.now()).encode() + (b"" if self.virtual else _OR_LATER)

    def resume(self, told: bytes | None) -> None:
        """Go on with data that is there: where a virtual clock was when it was written; but not before its `start`, nor, if the real
        clock took over since, before the present minute."""
        if told is None:
            return
        self.untold = True
        if self.virtual:
            at = float(told.removesuffix(_OR_LATER))
            self._now = at if self._start is None and not told.endswith(_OR_LATER) else max(self._now, at)

    def set(self, at: float) -> None:
        """Raises: ValueError on a real clock."""
        if not self.virtual:
            raise ValueError("The clock is real. Freeze it first, or start with --clock virtual.")
        self._now = max(self._now, at)
        self.untold = True
