"""How invocations fail: errors, time-outs, exits, memory, init phases."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cumulet.runtimes import FunctionSpec, Invocation, Runtimes, RuntimesClosed, RuntimeStartError
from cumulet.runtimes import model as runtime_model
from cumulet.runtimes import starter as runtime_starter

if TYPE_CHECKING:
    from .conftest import Cloud

OK = "def handler(event, context):\n    return event\n"


def answer(result):
    return json.loads(result.payload)


def texts(result):
    return [text for _, text in result.log]


@pytest.mark.usefixtures("mounts")
def test_an_exception_is_described_in_the_payload_and_the_log(cloud: Cloud):
    spec = cloud.function(
        """
        def inner():
            raise ValueError("no such order")
        def handler(event, context):
            inner()
        """
    )
    result = cloud.invoke(spec, request_id="r-1")
    assert (result.function_error, result.status) == ("Unhandled", "error")
    got = answer(result)
    trace = got.pop("stackTrace")
    assert got == {"errorMessage": "no such order", "errorType": "ValueError", "requestId": "r-1"}
    assert [entry.splitlines()[0] for entry in trace] == [
        '  File "/var/task/app.py", line 5, in handler',
        '  File "/var/task/app.py", line 3, in inner',
    ]
    entry = next(text for text in texts(result) if text.startswith("[ERROR]"))
    assert entry.startswith("[ERROR] ValueError: no such order\nTraceback (most recent call last):\n  File ")
    assert "bootstrap" not in entry
    assert cloud.invoke(spec).init_ms is None  # the environment lives on


@pytest.mark.parametrize(
    ("handler", "source", "kind", "message"),
    [
        ("none.handler", OK, "Runtime.ImportModuleError", "Unable to import module 'none': No module named 'none'"),
        (
            "app.handler",
            "import nowhere",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nowhere'",
        ),
        ("app.other", OK, "Runtime.HandlerNotFound", "Handler 'other' missing on module 'app'"),
        (
            "app",
            OK,
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "app.handler",
            "def handler(:",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        ("app.handler", "raise LookupError('at import')", "LookupError", "at import"),
    ],
)
def test_an_init_error_is_the_answer(cloud: Cloud, handler: str, source: str, kind: str, message: str):
    result = cloud.invoke(cloud.function(source, handler=handler), request_id="r-2")
    got = answer(result)
    assert (got["errorType"], got["errorMessage"], got["requestId"]) == (kind, message, "r-2")
    assert (result.function_error, result.status) == ("Unhandled", "init-error")
    assert any(text.startswith(f"[ERROR] {kind}: {message}") for text in texts(result))
    assert any(
        re.match(rf"INIT_REPORT Init Duration: .*Status: error\tError Type: {kind}$", text) for text in texts(result)
    )


def test_after_an_init_error_the_next_invocation_tries_again(cloud: Cloud):
    spec = cloud.function("import later\n" + OK)
    assert cloud.invoke(spec).status == "init-error"
    (spec.code_dir / "later.py").write_text("")
    assert cloud.invoke(spec, 7).payload == b"7"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{1, 2}", "Object of type set is not JSON serializable"),
        ("b''", "Object of type bytes is not JSON serializable"),
    ],
)
def test_what_is_not_json_cannot_be_answered(cloud: Cloud, source: str, message: str):
    result = cloud.invoke(cloud.function(f"def handler(event, context):\n    return {source}\n"))
    assert answer(result)["errorType"] == "Runtime.MarshalError"
    assert answer(result)["errorMessage"] == f"Unable to marshal response: {message}"
    assert answer(result)["stackTrace"] == []


def test_a_function_past_its_time_limit_is_killed_with_its_children(cloud: Cloud):
    spec = cloud.function(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "600"])  # while it is initialised, which may take its time
        runaway = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print("children", child.pid, runaway.pid, flush=True)
        def handler(event, context):
            child.wait()
        """,
        timeout_s=1,
    )
    result = cloud.invoke(spec, request_id="r-3")
    assert (result.function_error, result.status, result.duration_ms) == ("Unhandled", "timeout", 1000.0)
    assert answer(result) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r-3 Error: Task timed out after 1.00 seconds",
    }
    log = texts(result)
    assert any(
        re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z r-3 Task timed out after 1\.00 seconds", text) for text in log
    )
    assert log[-1].endswith("\tStatus: timeout\t")
    children = next(text for text in log if text.startswith("children")).split()[1:]
    for pid in map(int, children):
        assert cloud.run(ends(pid))


async def ends(pid: int) -> bool:
    """Wait for a process that is not ours to end."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    done = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, done.set)
    try:
        await asyncio.wait_for(done.wait(), 60)
    finally:
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)
    return True


def test_after_a_timeout_the_next_invocation_has_a_new_environment(cloud: Cloud):
    spec = cloud.function(
        """
        import threading
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            if event == "hang":
                threading.Event().wait()
            return calls
        """,
        timeout_s=60,
    )
    assert cloud.invoke(spec).payload == b"1"

    async def hangs():
        running = asyncio.ensure_future(cloud.start(spec, "hang"))
        await asyncio.sleep(0)  # lets it begin
        (environment,) = cloud.runtimes._busy.values()
        environment._expire("timeout")  # as after a minute
        return await running

    assert cloud.run(hangs()).status == "timeout"
    after = cloud.invoke(spec)
    assert after.payload == b"1"
    assert after.init_ms is not None


def test_an_answer_that_came_in_time_counts_though_the_server_had_no_time_to_read_it(cloud: Cloud):
    """A busy machine: the loop turns again when the function has answered and its time limit is over."""
    spec = cloud.function(OK, timeout_s=60)

    async def late():
        await cloud.runtimes.warm()
        running = asyncio.ensure_future(cloud.start(spec, 7))
        await asyncio.sleep(0)  # lets it begin
        (environment,) = cloud.runtimes._busy.values()
        while environment.run is not None:  # its init phase, then its answer
            assert select.select([environment._socket], [], [], 60)[0]
            environment._expire("timeout")
        return await running

    assert cloud.run(late()).payload == b"7"
    hanging = cloud.function("import threading\ndef handler(e, c):\n    threading.Event().wait()\n", timeout_s=60)

    async def over():
        running = asyncio.ensure_future(cloud.start(hanging))
        await asyncio.sleep(0)  # lets it begin
        (environment,) = cloud.runtimes._busy.values()
        environment._expire("timeout")
        return await running

    assert cloud.run(over()).status == "timeout"


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("sys.exit('over')", "Runtime exited with error: exit status 1"),
        ("sys.exit()", "Runtime exited without providing a reason"),
        ("exit(4)", "Runtime exited with error: exit status 4"),
        ("os._exit(1)", "Runtime exited with error: exit status 1"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_function_that_ends_its_process_fails_with_the_reason(cloud: Cloud, ending: str, message: str):
    spec = cloud.function(f"import os, sys\ndef handler(event, context):\n    print('before')\n    {ending}\n")
    result = cloud.invoke(spec, request_id="r-4")
    full = f"RequestId: r-4 Error: {message}"
    assert answer(result) == {"errorType": "Runtime.ExitError", "errorMessage": full}
    assert (result.function_error, result.status) == ("Unhandled", "crash")
    log = texts(result)
    assert "before" in log
    assert f"{full}\nRuntime.ExitError" in log
    assert log[-1].endswith("\tStatus: error\tError Type: Runtime.ExitError\t")


def test_a_process_that_ends_while_importing_fails_the_invocation(cloud: Cloud):
    result = cloud.invoke(cloud.function("import sys\nsys.exit(2)\n"), request_id="r-5")
    assert answer(result)["errorMessage"] == "RequestId: r-5 Error: Runtime exited with error: exit status 2"


def test_a_function_above_its_memory_is_killed_while_it_runs(cloud: Cloud):
    spec = cloud.function(
        """
        def handler(event, context):
            held = bytearray(300 << 20)
            while True:
                held[0] = 1
        """,
        timeout_s=60,
    )
    result = cloud.invoke(spec, request_id="r-6")
    assert answer(result) == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": "RequestId: r-6 Error: Runtime exited with error: signal: killed",
    }
    assert (result.status, result.max_memory_mb) == ("crash", 128)


def test_a_short_excess_of_memory_is_seen_too(cloud: Cloud):
    source = "def handler(mb, context):\n    b'x' * (mb << 20)\n"
    assert cloud.invoke(cloud.function(source, timeout_s=60), 60).status == "ok"
    assert answer(cloud.invoke(cloud.function(source, timeout_s=60), 160))["errorType"] == "Runtime.OutOfMemory"


def test_an_allocation_far_beyond_the_memory_raises_memory_error(cloud: Cloud):
    result = cloud.invoke(cloud.function("def handler(event, context):\n    bytearray(8 << 30)\n"))
    assert (answer(result)["errorType"], result.status) == ("MemoryError", "error")


def test_memory_used_is_measured(cloud: Cloud):
    source = "def handler(mb, context):\n    b'x' * (mb << 20)\n"
    small, large = (cloud.invoke(cloud.function(source, memory_mb=512, timeout_s=60), mb) for mb in (1, 101))
    assert 5 <= small.max_memory_mb <= 60
    assert 95 <= large.max_memory_mb - small.max_memory_mb <= 110


def test_memory_is_not_measured_before_it_is_known_how_much_was_preloaded(tmp_path: Path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(OK)
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", tmp_path / "code", timeout_s=60)

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        await runtimes.warm()
        usual = await runtimes.invoke(spec, Invocation("r", b"1"))
        running = [asyncio.ensure_future(runtimes.invoke(spec, Invocation(f"r{n}", b"1"))) for n in range(4)]
        while not all(each.done() for each in running):  # looks as often as the loop turns, not ten times a second
            for environment in list(runtimes._busy.values()):
                environment.check_memory()
            await asyncio.sleep(0)
        await runtimes.close()
        return usual.max_memory_mb, [each.result().max_memory_mb for each in running]

    usual, measured = asyncio.run(scenario())
    assert max(measured) <= usual + 5


def test_an_init_phase_past_its_limit_is_repeated_within_the_time_limit(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cumulet.runtimes.environment.INIT_LIMIT_S", 0.2)
    assert runtime_model.INIT_LIMIT_S == 10.0
    slow = cloud.function("import time\ntime.sleep(0.4)\n" + OK, timeout_s=60)
    result = cloud.invoke(slow, 1)
    assert result.payload == b"1"
    assert result.duration_ms >= 400
    assert "INIT_REPORT Init Duration: 200.00 ms\tPhase: init\tStatus: timeout" in texts(result)
    hanging = cloud.function("import threading\nthreading.Event().wait()\n", timeout_s=0.2)
    assert cloud.invoke(hanging).status == "timeout"


def test_a_cancelled_caller_ends_the_environment(cloud: Cloud):
    spec = cloud.function(
        """
        import os, threading
        def handler(event, context):
            if event:
                threading.Event().wait()
            return os.getpid()
        """,
        timeout_s=60,
    )
    pid = answer(cloud.invoke(spec))

    async def give_up():
        running = asyncio.ensure_future(cloud.start(spec, True))
        await asyncio.sleep(0)  # lets it begin
        assert cloud.runtimes.stats()["busy"] == 1
        running.cancel()
        await ends(pid)
        with pytest.raises(asyncio.CancelledError):
            await running

    cloud.run(give_up())
    assert answer(cloud.invoke(spec)) != pid


def test_closing_fails_what_still_runs(tmp_path: Path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("import threading\ndef handler(e, c):\n    threading.Event().wait()\n")
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", tmp_path / "code", timeout_s=60)

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        running = asyncio.ensure_future(runtimes.invoke(spec, Invocation("r", b"{}")))
        await runtimes.warm()
        await runtimes.close()
        with pytest.raises(RuntimesClosed):
            await running
        with pytest.raises(RuntimesClosed):
            await runtimes.invoke(spec, Invocation("r", b"{}"))

    asyncio.run(scenario())


def test_a_killed_zygote_fails_what_runs_and_is_replaced(tmp_path: Path):
    (tmp_path / "code").mkdir()
    source = (
        "import os, threading\n"
        "def handler(e, c):\n"
        "    if e:\n"
        "        os.kill(os.getppid(), 9)\n"
        "        threading.Event().wait()\n"
    )
    (tmp_path / "code" / "app.py").write_text(source)
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", tmp_path / "code", timeout_s=60)

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        assert (await runtimes.invoke(spec, Invocation("r1", b"0"))).status == "ok"
        assert (await runtimes.invoke(spec, Invocation("r2", b"1"))).status == "crash"
        assert (await runtimes.invoke(spec, Invocation("r3", b"0"))).status == "ok"
        assert runtimes.stats()["zygote_restarts"] == 1
        await runtimes.close()

    asyncio.run(scenario())


def test_a_zygote_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime_starter, "BOOT", "raise SystemExit(4)")
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", tmp_path)

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        with pytest.raises(RuntimeStartError, match="ended with status 4 before it was ready"):
            await runtimes.warm()
        with pytest.raises(RuntimeStartError):
            await runtimes.invoke(spec, Invocation("r", b"{}"))
        await runtimes.close()

    asyncio.run(scenario())


def test_another_system_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(RuntimeStartError, match="Linux only so far, and this is darwin"):
        runtime_starter.starter_for(None, tmp_path, None)  # type: ignore[arg-type]
