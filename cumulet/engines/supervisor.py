"""The supervisor of all engines of a server: starts, stops and removes them, and tells when one ends by itself.

It decides nothing: what should run is in the store, and the service that owns an engine says so with effects. Each effect
may be repeated (after a crash it is): starting what runs, stopping what does not and removing what is gone are no errors.
Effects on one engine follow one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from cumulet.engines.model import Measured, PostgresSpec, Started
from cumulet.engines.pgtools import port_is_free
from cumulet.engines.postgres import Cluster
from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.trace import Span

_AWAITED_S = 30.0

Ended = Callable[[tuple[str, ...], int], None]


class Engines:
    """`ended(owner, status)` is called when an engine ends that nobody stopped; `running` are the idents of those that run.

    `awaited` are those that ran when the server ended last and do not run yet. They come back sooner or later than the functions
    that were running then, so these wait a while (`back`): what the crash interrupted should not fail because of it.
    """

    def __init__(self, folder: Path, durable: bool, ended: Ended) -> None:
        self._folder = folder.resolve()
        self._durable = durable
        self._ended = ended
        self._clusters: dict[str, Cluster] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self.running: set[str] = set()
        self.awaited: set[str] = set()
        self._all_back = asyncio.Event()
        self._closing = False
        self._emptied = 0

    def performers(self) -> dict[str, Any]:
        """Effect kind -> coroutine function, for the pipeline."""
        return {
            "postgres.port": self.choose_port,
            "postgres.start": self.start,
            "postgres.change": self.change,
            "postgres.measure": self.measure,
            "postgres.backup": self.backup,
            "postgres.restore": self.restore,
            "postgres.stop": self.stop,
            "postgres.remove": self.remove,
        }

    def known(self) -> bool:
        """Whether there is any engine's folder."""
        return self._folder.exists()

    def expect(self, idents: Collection[str]) -> None:
        """At the server's start: engines that will be started again. Nobody waits for them longer than half a minute from now on."""
        self.awaited = set(idents)
        if idents:
            asyncio.get_running_loop().call_later(_AWAITED_S, self._expect_none)

    def _expect_none(self) -> None:
        self.awaited.clear()
        self._all_back.set()

    def _is_back(self, ident: str) -> None:
        self.awaited.discard(ident)
        if not self.awaited:
            self._all_back.set()

    async def back(self) -> None:
        """Wait until all that are expected run, or are wanted no more, or have taken too long."""
        if self.awaited:
            await self._all_back.wait()

    def _lock(self, ident: str) -> asyncio.Lock:
        return self._locks.setdefault(ident, asyncio.Lock())

    def _cluster(self, ident: str) -> Cluster:
        if ident not in self._clusters:
            self._clusters[ident] = Cluster(self._folder / "postgres" / ident, self._durable)
        return self._clusters[ident]

    async def choose_port(self, span: Span, first: int, count: int, taken: Collection[int]) -> int:
        """A free port of a range. Raises: EffectFailed (PortInUse).

        Where the search begins follows from the data directory, so that clouds on one machine seldom want the same port: an engine
        that is down for a moment finds its own still free.
        """
        start = zlib.crc32(str(self._folder).encode()) % count
        for port in (first + (start + offset) % count for offset in range(count)):
            if port not in taken and port_is_free(port):
                return port
        what = f"Port {first} is" if count == 1 else f"All ports from {first} to {first + count - 1} are"
        raise EffectFailed("PortInUse", f"{what} in use on 127.0.0.1.")

    async def start(self, span: Span, spec: PostgresSpec, restart: bool = False) -> Started:
        """Have it run and accept connections; `restart` ends a running server first. Raises: EffectFailed."""
        emptied = self._emptied
        async with self._lock(spec.ident):
            self._check_open(emptied)
            cluster = self._cluster(spec.ident)
            if restart:
                self.running.discard(spec.ident)
                await cluster.stop()
            elif cluster.child is not None and cluster.child.running:
                await cluster.change(spec, False)
                return Started((await cluster.sql("SHOW server_version")).split()[0])
            version = await cluster.start(spec)
            self.running.add(spec.ident)
            self._is_back(spec.ident)
            watch = asyncio.get_running_loop().create_task(self._watch(cluster, spec.ident, spec.owner))
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)
            span.detail = f"(PostgreSQL {version}, port {spec.port})"
            return Started(version)

    async def _watch(self, cluster: Cluster, ident: str, owner: tuple[str, ...]) -> None:
        child = cluster.child
        if child is None:
            return
        status = await child.wait()
        if cluster.child is child:
            cluster.child = None
            self.running.discard(ident)
            if not self._closing:
                self._ended(owner, status)

    async def change(self, span: Span, spec: PostgresSpec, password: bool = False) -> None:
        """Make a running engine follow its spec as far as it can without a restart. Raises: EffectFailed."""
        async with self._lock(spec.ident):
            await self._running(spec.ident).change(spec, password)

    async def measure(self, span: Span, ident: str) -> Measured:
        """How it does. Raises: EffectFailed."""
        return await self._running(ident).measure()

    def _running(self, ident: str) -> Cluster:
        cluster = self._cluster(ident)
        if cluster.child is None or not cluster.child.running:
            raise EffectFailed("EngineDown", "PostgreSQL does not run.")
        return cluster

    async def backup(self, span: Span, ident: str, target: str) -> None:
        """Copy its data, whether it runs or not, into another one's folder. Raises: EffectFailed."""
        emptied = self._emptied
        async with self._lock(ident), self._lock(target):
            self._check_open(emptied)
            await self._cluster(ident).backup(self._cluster(target))

    async def restore(self, span: Span, source: str, ident: str) -> None:
        """Make one of another one's copied data. Raises: EffectFailed."""
        emptied = self._emptied
        async with self._lock(source), self._lock(ident):
            self._check_open(emptied)
            await self._cluster(ident).restore(self._cluster(source))

    def _check_open(self, emptied: int) -> None:
        if self._closing or emptied != self._emptied:
            raise EffectFailed("EnginesClosed", "The server is stopping.")

    async def stop(self, span: Span, ident: str) -> None:
        """Have it not run; its data stays."""
        self._is_back(ident)
        async with self._lock(ident):
            self.running.discard(ident)
            await self._cluster(ident).stop()

    async def remove(self, span: Span, ident: str) -> None:
        """Have nothing of it left."""
        self._is_back(ident)
        async with self._lock(ident):
            self.running.discard(ident)
            cluster = self._cluster(ident)
            await cluster.abort()
            await cluster.remove()
            self._clusters.pop(ident, None)
        self._locks.pop(ident, None)

    async def reset(self) -> None:
        """End all engines and delete what they kept; one that is made meanwhile is not theirs."""
        self._emptied += 1
        self.running.clear()
        self._expect_none()
        clusters, self._clusters = self._clusters, {}
        locks, self._locks = self._locks, {}
        folders = {*self._folder.glob("*/*"), *(cluster.folder for cluster in clusters.values())}
        for ident, cluster in clusters.items():
            async with locks.setdefault(ident, asyncio.Lock()):  # what is under way ends first
                await cluster.abort()
                self.running.discard(ident)
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, True)
        for empty in (*{folder.parent for folder in folders}, self._folder):
            with contextlib.suppress(OSError):
                empty.rmdir()

    def retire(self) -> None:
        """The server is closing: start nothing more, and tell nobody that engines end."""
        self._closing = True
        self._expect_none()

    async def close(self) -> None:
        """Stop all engines, with time for a clean shutdown, and wait until they are gone."""
        self.retire()
        await asyncio.gather(*(cluster.stop() for cluster in self._clusters.values()))
