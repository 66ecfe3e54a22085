"""All execution environments of the server: one for each concurrent invocation, reused, reaped, replaced.

Crash safety: nothing here is durable and nothing needs to be. If the server ends, every process ends with it; its
temporary folders are tmpfs mounts that end with their processes (or, without mount namespaces, folders below
`scratch`, emptied at the next start).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from collections import Counter, OrderedDict
from pathlib import Path

from .environment import Environment, InitTimedOut
from .model import FunctionSpec, Invocation, InvocationResult, RuntimesClosed, RuntimeStartError, UnsupportedRuntime
from .output import Log
from .starter import Starter, starter_for

_PYTHON = re.compile(r"python3\.([6-9]|1[0-4])")
_WATCH_S = 0.05
_REFILL_S = 0.02

Key = tuple[FunctionSpec, bool]


class Runtimes:
    """Runs functions. Used inside a running event loop.

    `isolate=False` does without mount namespaces, as happens by itself where the machine forbids them: code stays
    at its own path, and TMPDIR names a private folder instead of /tmp.
    """

    def __init__(
        self,
        scratch: Path | None = None,
        *,
        idle_s: float = 300.0,
        idle_limit: int = 64,
        surplus_over: int = 16,
        surplus_s: float = 2.0,
        blanks: int = 1,
        isolate: bool = True,
    ) -> None:
        self._owns_scratch = scratch is None
        self._scratch = scratch
        self._idle_s = idle_s
        self._idle_limit = idle_limit
        self._surplus_over = surplus_over
        self._surplus_s = surplus_s
        self._blank_count = blanks
        self._isolate = isolate
        self._starter: Starter | None = None
        self._next = 1
        self._all: dict[int, Environment] = {}
        self._blanks: list[Environment] = []
        self._idle: dict[Key, list[Environment]] = {}
        self._idle_order: OrderedDict[int, tuple[Key, Environment]] = OrderedDict()
        self._busy: dict[int, Environment] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._warm: asyncio.Event = asyncio.Event()
        self._start_error: RuntimeStartError | None = None
        self._closed = False
        self._counts: Counter[str] = Counter()

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to start the machinery; returns at once. Raises RuntimeStartError on a system it cannot work on."""
        self._loop = asyncio.get_running_loop()
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="cumulet-functions-"))
        else:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(parents=True)
        self._scratch = self._scratch.resolve()
        self._starter = starter_for(self._loop, self._scratch, self, self._isolate)
        self._starter.start()
        self._refill()

    async def warm(self) -> None:
        """Wait until a cold start takes no more than it must: a blank environment stands ready."""
        self._refill()
        await self._warm.wait()
        if self._start_error is not None:
            raise self._start_error

    async def close(self) -> None:
        """Kill every environment and wait until they are gone. Invocations in progress fail with RuntimesClosed."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        if self._starter is not None:
            await self._starter.close()
        for environment in list(self._all.values()):
            environment.fail(RuntimesClosed("the server is closing"))
            environment.exited(9, 0)
        for table in (self._all, self._idle, self._idle_order, self._busy):
            table.clear()
        self._blanks.clear()
        if self._scratch is not None and self._owns_scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    # -- use -----------------------------------------------------------------------------------------------------

    async def invoke(self, spec: FunctionSpec, invocation: Invocation) -> InvocationResult:
        """Run one invocation in an idle environment of this very spec, else in a new one.

        Cancelling the caller kills the environment. Raises UnsupportedRuntime, RuntimeStartError, RuntimesClosed;
        everything that goes wrong inside the function is a result.
        """
        if not _PYTHON.fullmatch(spec.runtime):
            raise UnsupportedRuntime(spec.runtime)
        key = (spec, invocation.now is not None)
        environment = self._take_idle(key) or self._take_blank()
        before: Log = []
        try:
            result = await self._run(environment, key, invocation, with_init=False)
        except InitTimedOut as late:
            before = late.log
            result = await self._run(self._take_blank(), key, invocation, with_init=True)
        if before:
            result.log[:0] = before
        return result

    async def _run(
        self, environment: Environment, key: Key, invocation: Invocation, with_init: bool
    ) -> InvocationResult:
        self._busy[environment.ident] = environment
        self._counts["invocations"] += 1
        if environment.spec is None:
            self._counts["cold_starts"] += 1
        self._watch()
        done = environment.invoke(key[0], invocation, with_init)
        try:
            return await done
        finally:
            self._busy.pop(environment.ident, None)
            if environment.run is not None:  # the caller was cancelled
                environment.kill("cancelled")
            elif environment.retired:
                environment.kill()
            elif not environment.gone:
                self._put_idle(key, environment)

    def retire(self, function_arn: str) -> None:
        """End a changed function's environments: idle ones now, busy ones after they end."""
        for environment in self._all.values():
            if environment.spec is not None and environment.spec.function_arn == function_arn:
                environment.retired = True
        for _, environment in list(self._idle_order.values()):
            if environment.retired:
                self._drop_idle(environment)

    def stats(self) -> dict[str, int]:
        """How many environments there are now, and how many invocations and cold starts there were."""
        return {
            "blank": len(self._blanks),
            "idle": len(self._idle_order),
            "busy": len(self._busy),
            "invocations": self._counts["invocations"],
            "cold_starts": self._counts["cold_starts"],
            "zygote_restarts": self._counts["zygote_restarts"],
        }

    # -- environments --------------------------------------------------------------------------------------------

    def _take_idle(self, key: Key) -> Environment | None:
        waiting = self._idle.get(key)
        if not waiting:
            return None
        environment = waiting.pop()
        if not waiting:
            del self._idle[key]
        del self._idle_order[environment.ident]
        return environment

    def _put_idle(self, key: Key, environment: Environment) -> None:
        environment.idle_since = time.monotonic()
        self._idle.setdefault(key, []).append(environment)
        self._idle_order[environment.ident] = (key, environment)
        if len(self._idle_order) > self._idle_limit:
            self._drop_idle(next(iter(self._idle_order.values()))[1])
        if len(self._idle_order) > self._surplus_over and "trim" not in self._timers:
            self._timers["trim"] = self._loop.call_later(self._surplus_s, self._trim)
        if "reap" not in self._timers:
            self._timers["reap"] = self._loop.call_later(self._idle_s, self._reap)

    def _drop_idle(self, environment: Environment) -> None:
        self._forget_idle(environment)
        environment.kill()

    def _forget_idle(self, environment: Environment) -> None:
        found = self._idle_order.pop(environment.ident, None)
        if found is not None:
            waiting = self._idle[found[0]]
            waiting.remove(environment)
            if not waiting:
                del self._idle[found[0]]

    def _reap(self) -> None:
        """End environments that were idle too long; the oldest come first."""
        del self._timers["reap"]
        limit = time.monotonic() - self._idle_s + 0.001
        while self._idle_order:
            environment = next(iter(self._idle_order.values()))[1]
            if environment.idle_since > limit:
                wait_s = environment.idle_since - limit
                self._timers["reap"] = self._loop.call_later(wait_s, self._reap)
                return
            self._drop_idle(environment)

    def _trim(self) -> None:
        """After a burst: of more than `surplus_over` idle environments, end those that nobody wanted for a while."""
        del self._timers["trim"]
        limit = time.monotonic() - self._surplus_s + 0.001
        while len(self._idle_order) > self._surplus_over:
            environment = next(iter(self._idle_order.values()))[1]
            if environment.idle_since > limit:
                self._timers["trim"] = self._loop.call_later(self._surplus_s, self._trim)
                return
            self._drop_idle(environment)

    def _take_blank(self) -> Environment:
        if self._closed or self._starter is None:
            raise RuntimesClosed("the runtimes are not started, or closed")
        environment = self._blanks.pop() if self._blanks else self._new()
        self._refill_soon()
        return environment

    def _new(self) -> Environment:
        assert self._starter is not None
        environment = Environment(self._loop, self._next, self._starter, self)
        self._all[self._next] = environment
        self._next += 1
        return environment

    def _refill_soon(self) -> None:
        """Replace a used blank a little later, off the way of the request that used it."""
        if len(self._blanks) < self._blank_count and "refill" not in self._timers and not self._closed:
            self._timers["refill"] = self._loop.call_later(_REFILL_S, self._refill)

    def _refill(self) -> None:
        self._timers.pop("refill", None)
        while not self._closed and self._starter is not None and len(self._blanks) < self._blank_count:
            self._warm.clear()
            self._start_error = None
            self._blanks.append(self._new())

    def _watch(self) -> None:
        if "watch" not in self._timers:
            self._timers["watch"] = self._loop.call_later(_WATCH_S, self._check_memory)

    def _check_memory(self) -> None:
        del self._timers["watch"]
        for environment in self._busy.values():
            environment.check_memory()
        if self._busy:
            self._watch()

    # -- what the starter and the environments tell ---------------------------------------------------------------

    def tmp_dir(self, ident: int) -> Path:
        """The temporary folder of an environment where mounts are not to be had."""
        assert self._scratch is not None
        return self._scratch / "tmp" / str(ident)

    def bytecode_dir(self, spec: FunctionSpec) -> Path:
        """Where the compiled modules of one revision of a function are kept, for as long as the server runs."""
        assert self._scratch is not None
        name = repr((spec.function_arn, spec.revision, spec.code_dir, spec.layer_dirs))
        return self._scratch / "bytecode" / hashlib.sha256(name.encode()).hexdigest()[:32]

    def blank_ready(self, environment: Environment) -> None:
        """A blank stands ready."""
        if environment in self._blanks:
            self._warm.set()

    def starter_up(self) -> None:
        """The zygote has imported everything."""

    def forked(self, ident: int, pid: int) -> None:
        """The zygote forked an environment."""
        if ident in self._all:
            self._all[ident].forked(pid)

    def exited(self, ident: int, status: int, max_rss_kb: int) -> None:
        """An environment ended."""
        environment = self._all.pop(ident, None)
        if environment is None:
            return
        with contextlib.suppress(ValueError):
            self._blanks.remove(environment)
        self._forget_idle(environment)
        environment.exited(status, max_rss_kb)
        if self._starter is not None and not self._starter.isolated:
            shutil.rmtree(self.tmp_dir(ident), ignore_errors=True)

    def starter_gone(self, error: RuntimeStartError | None) -> None:
        """The zygote ended and took every environment with it; the next invocation starts another."""
        self._counts["zygote_restarts"] += 1
        for environment in list(self._all.values()):
            if error is not None:
                environment.fail(error)
            self.exited(environment.ident, 9, 0)
        self._start_error = error
        self._warm.set()
