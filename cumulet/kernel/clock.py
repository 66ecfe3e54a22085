"""The one clock: real, or virtual (frozen, advanced by hand, or jumping to the next timer when nothing is in flight)."""

import time


class Clock:
    """`now()` in epoch seconds. Virtual time never goes back, except when the cloud is emptied."""

    def __init__(self, virtual: bool = False, start: float | None = None) -> None:
        self.virtual = virtual
        self.jumping = False
        self._start = start
        self._now = time.time() if start is None else start

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
        """A virtual clock begins anew, at its start or the real time: clients outside sign requests in real time."""
        self._now = time.time() if self._start is None else self._start

    def set(self, at: float) -> None:
        """Raises: ValueError on a real clock."""
        if not self.virtual:
            raise ValueError("The clock is real. Freeze it first, or start with --clock virtual.")
        self._now = max(self._now, at)
