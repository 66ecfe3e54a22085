"""The server's side of one execution environment: its socket, its output pipe, its invocation in progress.

States: blank (a process without a function) -> initialising -> ready <-> busy -> gone. Crash safety: everything
here is memory about a process. When that process ends, the zygote says so (`exited`), which fails the invocation in
progress; when the server ends, the process is killed (see `inside/zygote.py`). What an invocation did before it was
cut short is the caller's to repeat or not.

Memory used is the process's resident high-water mark, less what the preloaded SDK had put into the blank. It is
compared with the function's memory size every 50 ms while an invocation runs, and once more, exactly, when it ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from . import frames, report
from .model import INIT_LIMIT_S, FunctionSpec, Invocation, InvocationResult
from .output import Log, Output
from .starter import Starter

_READ_BYTES = 256 * 1024
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
SPEC_FIELDS = (
    "function_name",
    "version",
    "runtime",
    "handler",
    "environment",
    "memory_mb",
    "timeout_s",
    "tmp_mb",
    "region",
    "credentials",
    "endpoint_url",
    "log_group",
    "log_format",
    "application_log_level",
    "initialization_type",
)


class Owner(Protocol):
    """The pool, as an environment sees it."""

    def blank_ready(self, environment: Environment) -> None: ...
    def tmp_dir(self, ident: int) -> Path: ...
    def bytecode_dir(self, spec: FunctionSpec) -> Path: ...


class InitTimedOut(Exception):
    """The init phase passed its limit; Lambda then repeats it within the invocation. Carries the log so far."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log


@dataclass(slots=True)
class Run:
    """One invocation in progress."""

    invocation: Invocation
    done: asyncio.Future[InvocationResult]
    started: float
    with_init: bool = False
    cold: bool = False
    ahead: bool = False  # the init phase alone, for an invocation that is still to come
    killed_for: str = ""
    log: Log = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Environment:
    """One process that is, or will be, a function."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ident: int, starter: Starter, owner: Owner) -> None:
        self.ident = ident
        self.spec: FunctionSpec | None = None
        self.log_stream = ""
        self.idle_since = 0.0
        self.retired = False
        self.gone = False
        self.ready = False
        self.ended = asyncio.Event()
        self.run: Run | None = None
        self._loop = loop
        self._starter = starter
        self._owner = owner
        self._pid = 0
        self._blank_kb = 0
        self.inited = False
        self._init_s: float | None = None
        self._peak_kb = 0
        self._virtual: tuple[float, float] | None = None
        self._unsent = bytearray()
        self._reader = frames.Reader()
        self._output = Output(self.now)
        self._platform: report.Platform | None = None
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._pipe, their_pipe = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        starter.fork(ident, theirs.detach(), their_pipe)
        loop.add_reader(self._socket.fileno(), self._on_channel)
        loop.add_reader(self._pipe, self._drain)

    def now(self) -> float:
        """Epoch seconds on the function's clock."""
        if self._virtual is None:
            return time.time()
        return self._virtual[0] + time.monotonic() - self._virtual[1]

    def invoke(
        self, spec: FunctionSpec, invocation: Invocation, with_init: bool = False
    ) -> asyncio.Future[InvocationResult]:
        """Run one invocation; on a blank, the init phase first (`with_init`: within the function's own time limit)."""
        assert self.run is None and not self.gone
        run = self.run = Run(invocation, self._loop.create_future(), time.monotonic(), with_init)
        if invocation.now is not None:
            self._virtual = (invocation.now, time.monotonic())
        data = b""
        if self.spec is None:
            run.cold = True
            data = self._init_frame(spec, invocation)
        else:
            assert self._platform is not None
            self._output.add(self._platform.start(self.now(), invocation))
        limit_s = INIT_LIMIT_S if run.cold and not with_init else spec.timeout_s
        run.timer = self._loop.call_later(
            limit_s, self._expire, "init-timeout" if run.cold and not with_init else "timeout"
        )
        meta = {
            "request_id": invocation.request_id,
            "trace_id": invocation.trace_id,
            "arn": invocation.invoked_arn or spec.function_arn,
            "client_context": invocation.client_context,
            "identity": invocation.cognito_identity,
            "tenant_id": invocation.tenant_id,
            "now": invocation.now,
            "with_init": with_init,
        }
        self._send(data + frames.pack(frames.INVOKE, json.dumps(meta).encode(), invocation.payload))
        return run.done

    def initialise(self, spec: FunctionSpec, now: float | None) -> asyncio.Future[InvocationResult]:
        """Run the init phase of a blank ahead of any invocation; the result is about that phase."""
        assert self.run is None and self.spec is None and not self.gone
        invocation = Invocation("", b"", now=now)
        run = self.run = Run(invocation, self._loop.create_future(), time.monotonic(), cold=True, ahead=True)
        if now is not None:
            self._virtual = (now, time.monotonic())
        run.timer = self._loop.call_later(INIT_LIMIT_S, self._expire, "init-timeout")
        self._send(self._init_frame(spec, invocation))
        return run.done

    def _init_frame(self, spec: FunctionSpec, invocation: Invocation) -> bytes:
        self.spec = spec
        self._platform = report.Platform(spec)
        day = time.strftime("%Y/%m/%d", time.gmtime(self.now()))
        self.log_stream = f"{day}/[{spec.version}]{secrets.token_hex(16)}"
        self._output.add(self._platform.init_start(self.now()))
        marker = secrets.token_hex(16)
        self._output.expect(marker.encode(), self._begin_cold)
        values: dict[str, Any] = {name: getattr(spec, name) for name in SPEC_FIELDS}
        values["code_dir"] = str(spec.code_dir)
        values["layer_dirs"] = [str(path) for path in spec.layer_dirs]
        head = {
            "spec": values,
            "log_stream": self.log_stream,
            "marker": marker,
            "now": invocation.now,
            "tmp_dir": str(self._owner.tmp_dir(self.ident)),
            "bytecode_dir": str(self._owner.bytecode_dir(spec)),
        }
        return frames.pack(frames.INIT, json.dumps(head).encode())

    def _begin_cold(self) -> None:
        if self.run is not None and not self.run.ahead and self._platform is not None:
            self._output.add(self._platform.start(self.now(), self.run.invocation))

    def kill(self, reason: str = "") -> None:
        """Have the process group killed, and count it no more among those that stand ready; `exited` follows."""
        if self.run is not None and not self.run.killed_for:
            self.run.killed_for = reason
        self.retired = True
        if not self.gone:
            self._starter.kill(self.ident)

    def _expire(self, reason: str) -> None:
        """Time is up, unless the answer came in time and only we had none to read it: some loops look at timers first."""
        run, timer = self.run, self.run.timer if self.run is not None else None
        self._on_channel()
        if self.run is run and run is not None and run.timer is timer:
            self.kill(reason)

    def forked(self, pid: int) -> None:
        """The zygote made the process."""
        self._pid = pid

    def check_memory(self) -> None:
        """Kill the process if it holds more memory than its function may.

        Until it is ready it is not known how much of that is preloaded, and no code of the function runs.
        """
        if self._pid == 0 or self.spec is None or self.gone or not self.ready:
            return
        try:
            with open(f"/proc/{self._pid}/statm", "rb", buffering=0) as statm:
                resident_kb = int(statm.read().split()[1]) * _PAGE_KB
        except (OSError, IndexError):
            return  # it is ending: `exited` says how
        if self._used_mb(resident_kb) > self.spec.memory_mb:
            self.kill("memory")

    def _used_mb(self, resident_kb: int) -> int:
        preloaded_kb = max(0, self._blank_kb - self._starter.bare_kb)
        self._peak_kb = max(self._peak_kb, resident_kb - preloaded_kb)
        return max(1, -(-self._peak_kb // 1024))

    # -- what the process says ------------------------------------------------------------------------------------

    def _on_channel(self) -> None:
        while not self.gone:
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._loop.remove_reader(self._socket.fileno())
                return  # the process has closed its end, so it is ending: `exited` follows
            try:
                arrived = self._reader.feed(data)
            except ValueError:
                self.kill("protocol")
                return
            for kind, head, payload in arrived:
                self._on_frame(kind, json.loads(head), payload)
            if len(data) < _READ_BYTES:
                return

    def _on_frame(self, kind: int, head: dict[str, Any], payload: bytes) -> None:
        if kind == frames.READY:
            self._blank_kb = head["rss"]
            self.ready = True
            self._owner.blank_ready(self)
            return
        run = self.run
        if run is None or run.killed_for:
            return
        self._drain()
        peak_kb, self._blank_kb = head["rss"]
        used_mb = self._used_mb(peak_kb)
        if kind == frames.INITED:
            self._init_done(run, head, payload)
        elif head["timeout"]:
            self.kill("timeout")
        elif self.spec is not None and used_mb > self.spec.memory_mb:
            self.kill("memory")
        else:
            error = head["error"]
            self._finish(run, payload, head["s"] * 1000, "error" if error else "ok", error)

    def _init_done(self, run: Run, head: dict[str, Any], payload: bytes) -> None:
        assert self.spec is not None and self._platform is not None
        if head["error"]:
            body = json.loads(payload)
            body["requestId"] = run.invocation.request_id
            self._output.add(self._platform.init_report(self.now(), head["s"] * 1000, "error", head["error"]))
            self._begin_cold()
            self.retired = True
            self._finish(
                run, json.dumps(body, ensure_ascii=False).encode(), head["s"] * 1000, "init-error", head["error"]
            )
            return
        self.inited = True
        if run.ahead:
            self._init_s = head["s"]
            self._finish(run, b"", head["s"] * 1000, "ok", None)
        elif not run.with_init:
            self._init_s = head["s"]
            if run.timer is not None:
                run.timer.cancel()
            run.timer = self._loop.call_later(self.spec.timeout_s, self._expire, "timeout")

    def exited(self, status: int, max_rss_kb: int) -> None:
        """The process is gone: fail what it was doing."""
        if self.gone:
            return
        self._on_channel()
        self._drain()
        self.gone = True
        self.ended.set()
        for descriptor in (self._socket.fileno(), self._pipe):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        os.close(self._pipe)
        run = self.run
        if run is None:
            return
        self._output.flush()
        self._used_mb(max_rss_kb)
        if run.killed_for == "init-timeout":
            self._init_timed_out(run)
        else:
            self._fail(run, status)

    def fail(self, error: Exception) -> None:
        """The process never came to be, or everything is being closed: fail what waits for it."""
        run = self.run
        self.run = None
        if run is not None:
            self._settle(run)
            if not run.done.done():
                run.done.set_exception(error)

    def _init_timed_out(self, run: Run) -> None:
        assert self._platform is not None
        self._output.add(self._platform.init_report(self.now(), INIT_LIMIT_S * 1000, "timeout", None))
        self._settle(run)
        self.run = None
        if not run.done.done():
            run.done.set_exception(InitTimedOut(self._output.take()))

    def _fail(self, run: Run, status: int) -> None:
        spec, request_id = self.spec, run.invocation.request_id
        assert spec is not None and self._platform is not None
        if not self.inited:
            self._begin_cold()
        elapsed_ms = (time.monotonic() - run.started - (self._init_s or 0 if run.cold else 0)) * 1000
        if run.killed_for == "timeout":
            text = f"Task timed out after {spec.timeout_s:.2f} seconds"
            self._output.add(f"{report.timestamp(self.now())} {request_id} {text}")
            message = f"RequestId: {request_id} Error: {text}"
            payload = report.failure("Sandbox.Timedout", message)
            self._finish(run, payload, spec.timeout_s * 1000, "timeout", "Sandbox.Timedout")
            return
        kind = "Runtime.OutOfMemory" if run.killed_for == "memory" else "Runtime.ExitError"
        reason = "Runtime exited with error: signal: killed" if run.killed_for else report.exit_reason(status)
        message = f"RequestId: {request_id} Error: {reason}"
        self._output.add(f"{message}\n{kind}")
        if kind == "Runtime.OutOfMemory":
            self._peak_kb = spec.memory_mb * 1024
        self._finish(run, report.failure(kind, message), elapsed_ms, "crash", kind)

    # -- the answer ----------------------------------------------------------------------------------------------

    def _finish(self, run: Run, payload: bytes, duration_ms: float, status: str, error: str | None) -> None:
        assert self._platform is not None
        self._settle(run)
        self.run = None
        self._output.flush()
        init_ms = self._init_s * 1000 if run.cold and self._init_s is not None else None
        shown = {"ok": "success", "timeout": "timeout"}.get(status, "error")
        billed = report.billed_ms(duration_ms + (init_ms or 0.0))
        figures = report.Figures(duration_ms, billed, init_ms, self._used_mb(0), shown, error)
        if not run.ahead:
            end = self._platform.end(run.invocation)
            if end is not None:
                self._output.add(end)
            self._output.add(self._platform.report(self.now(), run.invocation, figures))
        result = InvocationResult(
            payload=payload,
            function_error="Unhandled" if error else None,
            log=self._output.take(),
            log_stream=self.log_stream,
            duration_ms=duration_ms,
            billed_ms=billed,
            init_ms=init_ms,
            max_memory_mb=figures.max_memory_mb,
            status=status,
        )
        if not run.done.done():
            run.done.set_result(result)

    @staticmethod
    def _settle(run: Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    def _drain(self) -> None:
        """Read what is in the pipe now; a process that keeps printing cannot hold the server here."""
        for _ in range(32):
            try:
                data = os.read(self._pipe, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._pipe)
                return
            self._output.feed(data)

    def _send(self, data: bytes) -> None:
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # it is ending: `exited` follows
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._write_more)
        self._unsent += data

    def _write_more(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())
