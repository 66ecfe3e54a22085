"""One execution environment: from blank process to a function's init phase to its invocations, one after another.

A blank waits for INIT. Its life then: present files, set variables and limits, import the handler (once), and
answer each INVOKE with a RESULT. Everything printed is flushed before a RESULT is sent, so it is in the pipe when
the server reads the answer. Crash safety: the environment holds nothing durable. If it ends between any two lines,
the zygote tells the server how, which fails the invocation in progress with Runtime.ExitError and uses another
environment for the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import gc
import importlib
import json
import os
import resource
import site
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from cumulet.runtimes import frames
from cumulet.runtimes.inside import clock, context, environ, errors, logs, namespace, sdk

RESPONSE_LIMIT_BYTES = 6_291_556
_PAGE_KB = resource.getpagesize() // 1024


@dataclasses.dataclass(frozen=True)
class Home:
    """What the zygote knows: where the SDK is, whether mounts work, paths to keep, which modules it preloaded."""

    runtime_dir: str
    isolated: bool
    kept: tuple[str, ...]
    preloaded: frozenset[str]


class Channel:
    """The environment's end of the socket, read and written whole frames at a time."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame; the process ends when the server has closed the socket."""
        head_length, payload_length, _ = frames.HEAD.unpack(self._exactly(frames.HEAD.size))
        head = json.loads(self._exactly(head_length))
        return head, self._exactly(payload_length)

    def send(self, kind: int, head: dict[str, Any], payload: bytes = b"") -> None:
        """Send one frame."""
        try:
            self.socket.sendall(frames.pack(kind, json.dumps(head).encode(), payload))
        except OSError:
            os._exit(0)

    def _exactly(self, length: int) -> bytes:
        if length == 0:
            return b""
        try:
            data = self.socket.recv(length, socket.MSG_WAITALL)
            while data and len(data) < length:
                more = self.socket.recv(length - len(data), socket.MSG_WAITALL)
                data = data + more if more else b""
        except OSError:
            data = b""
        if not data:
            os._exit(0)
        return data


def become_blank(channel: int, output: int, home: Home) -> NoReturn:
    """Turn a fresh fork of the zygote into a blank, wait, and serve the function that INIT names."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    channel = fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, 1000)
    os.closerange(3, 1000)
    os.closerange(1001, 1 << 16)
    _open_output()
    gc.enable()
    if home.isolated:
        namespace.unshare_mounts()
    resident = resident_kb()
    link = Channel(channel)
    link.send(frames.READY, {"rss": resident})
    init, _ = link.receive()
    started = time.monotonic()
    place = _prepare(init, home)
    folders = place["folders"]
    own = environ.shadowed(folders, home.preloaded)
    if environ.wants_own_interpreter(init["spec"]["environment"]) or own - set(sdk.NAMES):
        _exec_fresh(channel, {"init": init, "place": place, "started": started, "home": home})
    if own:
        sdk.forget()  # the bundled boto3 (or urllib3, ...) is imported instead of the preloaded one
    _adopt(init, place)
    Function(link, init, started, resident).serve()


def resume(channel: int, state: int) -> NoReturn:
    """Continue in a fresh interpreter that `_exec_fresh` started: nothing is preloaded here."""
    with os.fdopen(state, "rb") as stream:
        found = json.load(stream)
    os.set_inheritable(channel, False)
    _open_output()
    add_site_builtins()
    _adopt(found["init"], found["place"])
    Function(Channel(channel), found["init"], found["started"], 0).serve()


def add_site_builtins() -> None:
    """Define exit, quit, help and the like, which an interpreter started without site-packages lacks."""
    site.setquit()
    site.setcopyright()
    site.sethelper()


def _open_output() -> None:
    out = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    err = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = out, err
    setattr(sys, "__stdout__", out)  # noqa: B010  (declared final)
    setattr(sys, "__stderr__", err)  # noqa: B010


def resident_kb() -> int:
    """What this process holds in memory now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE_KB


def _prepare(init: dict[str, Any], home: Home) -> dict[str, Any]:
    """Mounts, folders and limits: what survives an exec. Returns where everything is."""
    spec = init["spec"]
    task_root, layers, tmp = spec["code_dir"], list(spec["layer_dirs"]), "/tmp"
    bytecode = init["bytecode_dir"]
    os.makedirs(bytecode, exist_ok=True)
    if home.isolated:
        task_root, layers = namespace.present(task_root, layers, bytecode, spec["tmp_mb"], list(home.kept))
        bytecode = "/var/bytecode"
    else:
        tmp = init["tmp_dir"]
        os.makedirs(tmp, exist_ok=True)
    os.chdir(task_root)
    namespace.limit(spec["memory_mb"])
    return {
        "folders": [task_root, *environ.layer_paths(layers, spec["runtime"])],
        "roots": [task_root, *layers],
        "bytecode": bytecode,
        "variables": environ.variables(init, task_root, home.runtime_dir, tmp),
        "runtime_dir": home.runtime_dir,
    }


def _exec_fresh(channel: int, state: dict[str, Any]) -> NoReturn:
    home = state.pop("home")
    memory = os.memfd_create("init", 0)
    os.write(memory, json.dumps(state).encode())
    os.lseek(memory, 0, os.SEEK_SET)
    os.set_inheritable(channel, True)
    boot = (
        "import sys, types\n"
        "for name, path in {'cumulet': %r, 'cumulet.runtimes': %r}.items():\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "    sys.modules[name].__path__ = [path]\n"
        "from cumulet.runtimes.inside import bootstrap\n"
        "bootstrap.resume(%d, %d)\n"
    )
    runtimes = home.kept[0]
    code = boot % (os.path.dirname(runtimes), runtimes, channel, memory)
    os.execve(sys.executable, [sys.executable, "-S", "-s", "-P", "-c", code], state["place"]["variables"])


def _adopt(init: dict[str, Any], place: dict[str, Any]) -> None:
    """Variables and search path: the rest of becoming the function."""
    os.environ.clear()
    os.environ.update(place["variables"])
    time.tzset()
    runtime_dir = place["runtime_dir"]
    rest = [path for path in sys.path if path not in {runtime_dir, *place["folders"]}]
    sys.path[:] = [*place["folders"], runtime_dir, *rest]
    environ.cache_bytecode(place["bytecode"], tuple(path + "/" for path in place["roots"]))
    sys.argv[:] = [runtime_dir + "/bootstrap.py"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "cumulet"]:
        del sys.modules[name]


class Function:
    """The init phase and the invocations of one function in this process."""

    def __init__(self, channel: Channel, init: dict[str, Any], started: float, resident_kb: int) -> None:
        self.channel = channel
        self.init = init
        self.started = started
        self.resident_kb = resident_kb
        self.timeout_s: float = init["spec"]["timeout_s"]
        self.context: context.LambdaContext | None = None
        self.clock: clock.Clock | None = None
        if init["now"] is not None:
            self.clock = clock.Clock(self._slept)
            self.clock.sync(init["now"])
            clock.install(self.clock)
        spec = init["spec"]
        self.log = logs.install(sys.stdout, spec["log_format"], spec["application_log_level"])

    def serve(self) -> NoReturn:
        """Init once, then answer invocations until the socket closes or the function ends the process."""
        try:
            handler = self._init()
            while True:
                meta, payload = self.channel.receive()
                self._invoke(handler, meta, payload)
        except SystemExit as end:
            _exit(end.code)
        except BaseException:  # KeyboardInterrupt, GeneratorExit: as in an interpreter, a traceback and status 1
            traceback.print_exc()
            _exit(1)

    def _init(self) -> Callable[[Any, Any], Any]:
        try:
            handler = load(self.init["spec"]["handler"])
        except Exception as error:  # whatever a customer's module raises is reported, not handled
            kind, message, trace = errors.describe(error, skip=2)
            self._log_error(kind, message, trace)
            body = errors.payload(kind, message, "", trace)
            self._flush()
            self.channel.send(frames.INITED, {"error": kind, "s": self._age(), "rss": self._rss()}, body)
            os._exit(0)
        self._flush()
        os.write(1, self.init["marker"].encode())
        self.channel.send(frames.INITED, {"error": None, "s": self._age(), "rss": self._rss()})
        return handler

    def _invoke(self, handler: Callable[[Any, Any], Any], meta: dict[str, Any], payload: bytes) -> None:
        started = self.started if meta["with_init"] else time.monotonic()
        if self.clock is not None:
            self.clock.sync(meta["now"])
        self.log.request_id = meta["request_id"]
        if meta["trace_id"]:
            os.environ["_X_AMZN_TRACE_ID"] = meta["trace_id"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        failed: str | None = None
        try:
            self.context = context.LambdaContext(meta, started + self.timeout_s)
            body = _dump(handler(_load_event(payload), self.context))
            if len(body) > RESPONSE_LIMIT_BYTES:
                limit = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT_BYTES} bytes)."
                raise errors.Fault("Function.ResponseSizeTooLarge", limit)
        except Exception as error:  # whatever a customer's handler raises is the invocation's outcome
            failed, message, trace = errors.describe(error, skip=1)
            self._log_error(failed, message, trace)
            body = errors.payload(failed, message, meta["request_id"], trace)
        self._flush()
        slept = self.clock.slept if self.clock is not None else 0.0
        spent = time.monotonic() - started + slept
        self.channel.send(frames.RESULT, {"error": failed, "s": spent, "rss": self._rss(), "timeout": False}, body)

    def _slept(self, seconds: float) -> None:
        """A virtual sleep is about to pass: past the deadline it ends the invocation as real time would."""
        if self.context is None or self.clock is None:
            return
        self.context._deadline -= seconds
        if self.context._deadline <= time.monotonic():
            self._flush()
            self.channel.send(frames.RESULT, {"error": None, "s": self.timeout_s, "rss": self._rss(), "timeout": True})
            with contextlib.suppress(OSError):
                self.channel.socket.recv(1, socket.MSG_PEEK)  # waits to be killed
            os._exit(0)

    def _log_error(self, kind: str, message: str, trace: list[str]) -> None:
        self.log.error(kind, message, trace, errors.log_text(kind, message, trace))

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):  # a customer may have put anything in place of a stream
                stream.flush()  # type: ignore[union-attr]

    def _age(self) -> float:
        return time.monotonic() - self.started

    def _rss(self) -> list[int]:
        """High-water mark, and how much of it the blank had; an exec starts the mark anew, which only /proc shows."""
        if self.resident_kb:
            return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, self.resident_kb]
        with open("/proc/self/status") as status:
            return [next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0]


def load(handler: str) -> Callable[[Any, Any], Any]:
    """Import the module of `package/module.function` and return the function."""
    try:
        module_name, name = handler.rsplit(".", 1)
    except ValueError as error:
        raise errors.Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {error}") from None
    module_name = module_name.replace("/", ".")
    try:
        if module_name in sys.builtin_module_names:
            raise ImportError(f"Cannot use built-in module {module_name} as a handler module")
        module = importlib.import_module(module_name)
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise errors.Fault("Runtime.ImportModuleError", text) from None
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        text = f"Syntax error in module '{module_name}': {error}"
        raise errors.Fault("Runtime.UserCodeSyntaxError", text, trace) from None
    try:
        found: Callable[[Any, Any], Any] = getattr(module, name)
    except AttributeError:
        text = f"Handler '{name}' missing on module '{module_name}'"
        raise errors.Fault("Runtime.HandlerNotFound", text) from None
    return found


def _load_event(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else {}
    except ValueError as error:
        raise errors.Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def _dump(result: Any) -> bytes:
    try:
        return json.dumps(result, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(result).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _exit(code: object) -> NoReturn:
    """End the process as an interpreter would, exit handlers included."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    with contextlib.suppress(Exception):  # a customer's exit handler may raise anything
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a customer may have put anything in place of a stream
            stream.flush()
    os._exit(0 if code is None else code & 0xFF if isinstance(code, int) else 1)
