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
_WAVE = 16

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
        self._kept: dict[Key, int] = {}  # how many environments are to stand ready, whoever comes
        self._virtual = False  # the clock, at the last invocation
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._warm: asyncio.Event = asyncio.Event()
        self._start_error: RuntimeStartError | None = None
        self._closed = False
        self._drained: asyncio.Event | None = None
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

    async def drain(self, within_s: float) -> None:
        """Wait until no function runs, but no longer than that."""
        self._drained = asyncio.Event()
        if self._busy:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), within_s)

    async def close(self) -> None:
        """Kill every environment and wait until they are gone. Invocations in progress fail with RuntimesClosed."""
        self._closed = True
        self._kept.clear()
        for environment in self._all.values():  # before they can say that they were killed
            environment.fail(RuntimesClosed("the server is closing"))
        for timer in self._timers.values():
            timer.cancel()
        if self._starter is not None:
            await self._starter.close()
        for environment in list(self._all.values()):
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
        if self._closed:
            raise RuntimesClosed("the server is closing")
        key = (spec, invocation.now is not None)
        if key[1] is not self._virtual:
            self._follow_clock(key[1])
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
            if self._drained is not None and not self._busy:
                self._drained.set()
            if self._closed:
                pass  # it is being killed
            elif environment.run is not None:  # the caller was cancelled
                environment.kill("cancelled")
            elif environment.retired or key[1] is not self._virtual:
                environment.kill()
            elif not environment.gone:
                self._put_idle(key, environment)

    def _follow_clock(self, virtual: bool) -> None:
        """The clock has become virtual, or real: what was initialised for the other ends, so that a function has no more
        environments than it may; what is to stand ready is so for this clock from now on."""
        self._virtual = virtual
        stale = [environment for key, waiting in self._idle.items() if key[1] is not virtual for environment in waiting]
        self._kept = {(spec, virtual): count for (spec, _), count in self._kept.items()}
        for environment in stale:
            self._drop_idle(environment)

    async def provision(self, spec: FunctionSpec, count: int, now: float | None) -> list[InvocationResult]:
        """Keep `count` environments of this very spec initialised, from now on; 0 gives them up.

        Returns how the init phases went that this took. One that fails ends it: what stood ready before stays so. So does
        another count for the same spec.
        Raises UnsupportedRuntime, RuntimeStartError, RuntimesClosed.
        """
        if not _PYTHON.fullmatch(spec.runtime):
            raise UnsupportedRuntime(spec.runtime)
        key = (spec, now is not None)
        if key[1] is not self._virtual:
            self._follow_clock(key[1])
        if count == 0:
            self._kept.pop(key, None)
            for environment in self._idle.pop(key, []):
                environment.kill()
            return []
        self._kept[key] = count
        for _ in range(self._standing(key, inited=True) - count):  # those that are not yet end when they are
            if self._idle.get(key):
                surplus = self._idle[key].pop()
                surplus.kill()
        results: list[InvocationResult] = []
        while self._kept.get(key) == count and (missing := count - self._standing(key)) > 0:
            wave = [self._initialised(self._take_blank(), key, now) for _ in range(min(missing, _WAVE))]
            results += await asyncio.gather(*wave)
            if any(result.function_error for result in results):
                break
        return results

    async def give_up(self) -> bool:
        """The cloud is emptied: end what is any function's, and wait for what was at work. Whether something was."""
        self._kept.clear()
        ending = [environment for environment in self._all.values() if environment.spec is not None]
        working = [(environment, environment.run.done) for environment in ending if environment.run is not None]
        for environment in ending:
            self._forget_idle(environment)
            environment.kill("emptied")
        for environment, done in working:
            await environment.ended.wait()
            await asyncio.wait([done])  # and who asked for it knows
        return bool(working)

    async def _initialised(self, environment: Environment, key: Key, now: float | None) -> InvocationResult:
        if self._closed:  # since it was decided
            raise RuntimesClosed("the server is closing")
        try:
            result = await environment.initialise(key[0], now)
        except InitTimedOut as late:
            return InvocationResult(b"", "Unhandled", late.log, environment.log_stream, 0.0, 0, None, 0, "timeout")
        if result.function_error or environment.gone or environment.retired or key[1] is not self._virtual:
            environment.kill()
        else:
            self._put_idle(key, environment)
        return result

    def _standing(self, key: Key, *, inited: bool = False) -> int:
        return sum(
            1 for each in self._all.values() if each.spec == key[0] and not each.retired and (each.inited or not inited)
        )

    async def _replace(self, key: Key, now: float) -> None:
        """An environment that was to stand ready has ended: start another, once."""
        with contextlib.suppress(RuntimesClosed, RuntimeStartError):
            if self._standing(key) < self._kept.get(key, 0):
                await self._initialised(self._take_blank(), key, now if key[1] else None)

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
            "provisioned": sum(len(self._idle.get(key, ())) for key in self._kept),
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
        self._idle_order.pop(environment.ident, None)
        return environment

    def _put_idle(self, key: Key, environment: Environment) -> None:
        environment.idle_since = time.monotonic()
        if environment.spec is not None and environment.spec.initialization_type != "on-demand":
            if self._standing(key) > self._kept.get(key, 0):
                environment.kill()
            else:
                self._idle.setdefault(key, []).append(environment)
            return
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
            return
        for key, waiting in self._idle.items():  # one that is to stand ready
            if environment in waiting:
                waiting.remove(environment)
                if not waiting:
                    del self._idle[key]
                return

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
        if environment.inited and not self._closed:  # what could not be initialised is not tried again and again
            for key in self._kept:
                if key[0] == environment.spec:
                    task = self._loop.create_task(self._replace(key, environment.now()))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
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
