"""The one clock: real, or virtual (frozen, advanced by hand, or jumping to the next timer when nothing is in flight)."""

import time


def _minute() -> float:
    return time.time() // 60 * 60


class Clock:
    """`now()` in epoch seconds. Virtual time never goes back, over restarts either, except when the cloud is emptied.

    Without a `start` it begins with the present minute, so that a story which is told again crosses the same ends of minutes.
    """

    def __init__(self, virtual: bool = False, start: float | None = None) -> None:
        self.virtual = virtual
        self.jumping = False
        self._start = start
        self._now = _minute() if start is None else start

    def now(self) -> float:
        return self._now if self.virtual else time.time()

    def freeze(self) -> None:
        """From now on time stands still and is moved by `set` alone."""
        if not self.virtual:
            self._now = time.time()
            self.virtual = True
        self.jumping = False

    def thaw(self) -> None:
        """Back to real time."""
        self.virtual = self.jumping = False

    def restart(self) -> None:
        """A virtual clock begins anew, at its start or the present minute: clients outside sign requests in real time."""
        self._now = _minute() if self._start is None else self._start

    def resume(self, moved_to: float) -> None:
        """Go on with data that is there: not before the time that a virtual clock had when it was written."""
        if self.virtual:
            self._now = max(self._now, moved_to)

    def set(self, at: float) -> None:
        """Raises: ValueError on a real clock."""
        if not self.virtual:
            raise ValueError("The clock is real. Freeze it first, or start with --clock virtual.")
        self._now = max(self._now, at)
