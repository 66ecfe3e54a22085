"""The serverless transform (AWS::Serverless-2016-10-31) in a worker process that is kept warm for two minutes.

A crash of the worker fails the transform that it was on; the next one gets a new worker. Results are remembered by what
they were made from, so that a deployment that changes nothing but code waits for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

from cumulet.kernel.outcome import EffectFailed, EffectInterrupted
from cumulet.kernel.trace import Span

KEPT_WARM_S = 120.0
_TIMEOUT_S = 120.0
_KEPT_RESULTS = 32
_LENGTH = struct.Struct(">I")
_WORKER = Path(__file__).with_name("sam_worker.py")


class SamTransformer:
    """Transforms templates one after the other."""

    def __init__(self, kept_warm_s: float = KEPT_WARM_S) -> None:
        self._kept_warm_s = kept_warm_s
        self._worker: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._results: dict[bytes, bytes] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closing = False

    async def transform(
        self, span: Span, template: bytes, parameters: dict[str, Any], region: str, account: str
    ) -> bytes:
        """The CloudFormation template, as JSON. Raises: EffectFailed with the translator's words, EffectInterrupted."""
        request = json.dumps({"template": json.loads(template), "parameters": parameters, "region": region}).encode()
        digest = hashlib.sha256(account.encode() + request).digest()
        known = self._results.get(digest)
        if known is not None:
            span.detail = "(remembered)"
            return known
        async with self._turn:
            answer = await self._ask(request)
        if "error" in answer:
            raise EffectFailed("InvalidDocument", str(answer["error"]))
        result = json.dumps(answer["template"]).encode()
        while len(self._results) >= _KEPT_RESULTS:
            del self._results[next(iter(self._results))]
        self._results[digest] = result
        return result

    async def _ask(self, request: bytes) -> dict[str, Any]:
        if self._idle is not None:
            self._idle.cancel()
        if self._closing:
            raise EffectInterrupted("TransformFailed", "The server is stopping.")
        try:
            worker = await self._warm()
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write(_LENGTH.pack(len(request)) + request)
            async with asyncio.timeout(_TIMEOUT_S):
                await worker.stdin.drain()
                head = await worker.stdout.readexactly(_LENGTH.size)
                answer: dict[str, Any] = json.loads(await worker.stdout.readexactly(_LENGTH.unpack(head)[0]))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            await self._end()
            if self._closing:
                raise EffectInterrupted("TransformFailed", "The server is stopping.") from error
            raise EffectFailed("TransformFailed", f"The transform's process broke: {type(error).__name__}.") from error
        except asyncio.CancelledError:
            await self._end()
            raise EffectInterrupted("TransformFailed", "The server is stopping.") from None
        self._idle = asyncio.get_running_loop().call_later(self._kept_warm_s, self._cool)
        return answer

    async def _warm(self) -> asyncio.subprocess.Process:
        if self._worker is None or self._worker.returncode is not None:
            self._worker = await asyncio.create_subprocess_exec(
                sys.executable, "-P", str(_WORKER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        return self._worker

    def _cool(self) -> None:
        worker = self._killed()  # at once: a transform may begin before the task does
        if worker is not None:
            task = asyncio.get_running_loop().create_task(_gone(worker))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self) -> None:
        worker = self._killed()
        if worker is not None:
            await worker.wait()

    def _killed(self) -> asyncio.subprocess.Process | None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        return worker

    async def close(self) -> None:
        """End the worker; what it does will be done by the next server."""
        self._closing = True
        if self._idle is not None:
            self._idle.cancel()
        await self._end()
        if self._ending:
            await asyncio.wait(self._ending)


async def _gone(worker: asyncio.subprocess.Process) -> None:
    await worker.wait()
