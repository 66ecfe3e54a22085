"""Fault points: named places where a test makes the platform fail or die."""

import os
import signal
from collections.abc import Callable

POINTS = (
    "store.commit",
    "store.committed",
    "store.apply",
    "store.checkpoint",
    "effect.perform",
    "effect.settle",
    "timer.fire",
)


class Faults:
    """Arms faults by point name: `arm("store.commit", action, after=3)` runs `action` at the fourth hit.

    Points: store.commit (before the log is synced; raise sqlite3.OperationalError for a full disk),
    store.committed (on disk, nobody told yet), store.apply (before SQLite commits rows of the log), store.checkpoint
    (before its pages are synced), effect.perform, effect.settle (an error raised there is the
    effect's failure), timer.fire (the timer is tried again).
    `$CUMULET_CRASH_AT=point:n` kills the process with SIGKILL at the n-th hit; crash tests use it.
    """

    def __init__(self, crash_at: str | None = None) -> None:
        self._armed: dict[str, tuple[int, Callable[[], None]]] = {}
        if crash_at:
            point, _, count = crash_at.partition(":")
            self.arm(point, _die, after=int(count or 1) - 1)

    def arm(self, point: str, action: Callable[[], None], after: int = 0) -> None:
        """Raises: ValueError when no point has that name: such a fault would never happen."""
        if point not in POINTS:
            raise ValueError(f"There is no fault point {point!r}. There are: {', '.join(POINTS)}.")
        self._armed[point] = (after, action)

    def disarm(self, point: str | None = None) -> None:
        if point is None:
            self._armed.clear()
        else:
            self._armed.pop(point, None)

    def hit(self, point: str) -> None:
        if not self._armed or point not in self._armed:
            return
        left, action = self._armed[point]
        if left > 0:
            self._armed[point] = (left - 1, action)
        else:
            action()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
