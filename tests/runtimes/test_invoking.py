"""Invocations as a caller sees them: results, reuse, concurrency, context, environment."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cumulet.runtimes import FunctionSpec, Invocation, Runtimes, RuntimesClosed, UnsupportedRuntime

if TYPE_CHECKING:
    from .conftest import Cloud

ECHO = "def handler(event, context):\n    return event\n"
COUNT = """
    import os
    seen = []
    def handler(event, context):
        seen.append(event)
        return {"seen": len(seen), "pid": os.getpid()}
"""


def answer(result):
    return json.loads(result.payload)


def test_a_function_answers_with_what_its_handler_returns(cloud: Cloud):
    spec = cloud.function(ECHO)
    result = cloud.invoke(spec, {"text": "grüße", "n": [1, 2.5, None, True]})
    assert result.payload == '{"text": "grüße", "n": [1, 2.5, null, true]}'.encode()
    assert (result.function_error, result.status) == (None, "ok")


def test_a_cold_start_reports_its_init_phase_and_a_warm_one_does_not(cloud: Cloud):
    spec = cloud.function("import time\ntime.sleep(0.05)\n" + ECHO)
    cold, warm = cloud.invoke(spec), cloud.invoke(spec)
    assert cold.init_ms is not None and 50 <= cold.init_ms < 30_000
    assert warm.init_ms is None
    assert cold.log_stream == warm.log_stream
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", cold.log_stream)


def test_init_time_is_billed_with_the_first_invocation(cloud: Cloud):
    cold = cloud.invoke(cloud.function("import time\ntime.sleep(0.03)\n" + ECHO))
    assert cold.init_ms is not None
    assert cold.billed_ms - 1 < cold.duration_ms + cold.init_ms <= cold.billed_ms


@pytest.mark.usefixtures("mounts")
def test_globals_and_temporary_files_survive_between_invocations(cloud: Cloud):
    spec = cloud.function(
        """
        import os
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            before = [name for name in os.listdir("/tmp") if os.path.isfile(f"/tmp/{name}")]
            open(f"/tmp/file{calls}", "w").close()
            return [calls, sorted(before)]
        """
    )
    assert answer(cloud.invoke(spec)) == [1, []]
    assert answer(cloud.invoke(spec)) == [2, ["file1"]]


def test_two_functions_never_share_an_environment(cloud: Cloud):
    one, two = cloud.function(COUNT), cloud.function(COUNT)
    assert answer(cloud.invoke(one))["pid"] != answer(cloud.invoke(two))["pid"]


def test_a_new_revision_gets_a_new_environment_and_the_old_one_is_retired(cloud: Cloud):
    old = cloud.function(COUNT, revision="1")
    first = answer(cloud.invoke(old))
    watch = os.pidfd_open(first["pid"])
    cloud.runtimes.retire(old.function_arn)
    cloud.run(readable(watch))
    new = FunctionSpec(**{name: getattr(old, name) for name in FunctionSpec.__slots__} | {"revision": "2"})
    assert answer(cloud.invoke(new))["seen"] == 1


def test_a_retired_environment_finishes_the_invocation_it_is_in(cloud: Cloud):
    spec = cloud.function(
        """
        import os, time
        def handler(event, context):
            print("begun", flush=True)
            time.sleep(0.1)
            return os.getpid()
        """
    )

    async def retire_while_busy():
        running = asyncio.ensure_future(cloud.start(spec))
        await asyncio.sleep(0)  # lets it begin
        assert cloud.runtimes.stats()["busy"] == 1
        cloud.runtimes.retire(spec.function_arn)
        return await running

    first = cloud.run(retire_while_busy())
    assert first.status == "ok"
    assert answer(cloud.invoke(spec)) != answer(first)


async def readable(descriptor: int) -> None:
    """Wait until a descriptor is readable (a pidfd is when its process has ended), then close it."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ready.set)
    try:
        await asyncio.wait_for(ready.wait(), 60)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def test_concurrent_invocations_each_have_an_environment_of_their_own(cloud: Cloud):
    spec = cloud.function(
        """
        import os, time
        def handler(event, context):
            time.sleep(0.3)
            return os.getpid()
        """,
        timeout_s=30,
    )

    async def burst():
        return await asyncio.gather(*(cloud.start(spec) for _ in range(16)))

    pids = {answer(result) for result in cloud.run(burst())}
    assert len(pids) == 16  # more idle ones than that would be thinned out after two seconds
    again = {answer(result) for result in cloud.run(burst())}
    assert again == pids


def test_the_environment_used_last_is_used_first(cloud: Cloud):
    spec = cloud.function(COUNT)

    async def pair():
        return await asyncio.gather(cloud.start(spec), cloud.start(spec))

    pids = {answer(result)["pid"] for result in cloud.run(pair())}
    assert len(pids) == 2
    last = answer(cloud.invoke(spec))["pid"]
    assert [answer(cloud.invoke(spec))["pid"] for _ in range(3)] == [last] * 3


def test_idle_environments_end_after_a_while_and_above_a_number(tmp_path: Path):
    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch", idle_s=0.2, idle_limit=2)
        await runtimes.start()
        code = tmp_path / "code"
        code.mkdir()
        (code / "app.py").write_text(
            "import os, time\ndef handler(e, c):\n    time.sleep(0.2)\n    return os.getpid()\n"
        )
        spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", code)
        got = await asyncio.gather(*(runtimes.invoke(spec, Invocation(str(n), b"{}")) for n in range(4)))
        assert runtimes.stats()["idle"] <= 2
        for result in got:
            with contextlib.suppress(ProcessLookupError):  # the two above the limit may be gone
                await readable(os.pidfd_open(int(result.payload)))
        assert runtimes.stats()["idle"] == 0
        await runtimes.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("virtual", [False, True])
def test_when_the_clock_changes_what_was_made_for_the_other_one_ends(cloud: Cloud, virtual: bool):
    """A function that may run once has one environment, and its connection to a database is its only one."""
    here, other = (1e9, None) if virtual else (None, 1e9)
    spec, busy = (
        cloud.function(COUNT),
        cloud.function("import os, time\ndef handler(e, c):\n    time.sleep(0.2)\n    return os.getpid()"),
    )
    first = answer(cloud.invoke(spec, now=here))["pid"]
    ended = os.pidfd_open(first)
    assert answer(cloud.invoke(spec, now=other))["pid"] != first
    cloud.run(readable(ended))

    async def both():
        running = asyncio.ensure_future(cloud.start(busy, now=other))
        await asyncio.sleep(0)
        return [await cloud.start(spec, now=here), await running]

    late = answer(cloud.run(both())[1])
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        cloud.run(readable(os.pidfd_open(late)))


def test_environments_that_stand_ready_are_made_anew_when_the_clock_changes(cloud: Cloud):
    spec = cloud.function(COUNT, initialization_type="provisioned-concurrency")
    cloud.run(cloud.runtimes.provision(spec, 1, None))
    (pid,) = {answer(cloud.invoke(spec))["pid"] for _ in range(2)}
    ended = os.pidfd_open(pid)
    moved = {answer(cloud.invoke(spec, now=1e9))["pid"] for _ in range(3)}
    cloud.run(readable(ended))
    assert pid not in moved and len(moved) <= 2  # the invocation's own, until the one that stands ready is there
    assert cloud.runtimes.stats()["provisioned"] == 1
    cloud.run(cloud.runtimes.provision(spec, 0, 1e9))


def test_what_cannot_be_initialised_is_not_tried_again_and_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    spec = cloud.function("raise RuntimeError('no')\n", initialization_type="provisioned-concurrency")
    runtimes, gone, exited = cloud.runtimes, asyncio.Event(), cloud.runtimes.exited

    def told(ident: int, status: int, max_rss_kb: int):
        ours = runtimes._all[ident].spec == spec
        exited(ident, status, max_rss_kb)
        if ours:
            gone.set()

    monkeypatch.setattr(runtimes, "exited", told)
    (failed,) = cloud.run(runtimes.provision(spec, 1, None))
    assert failed.function_error
    cloud.run(gone.wait())
    assert not [task for task in runtimes._tasks if "_replace" in repr(task)]
    cloud.run(runtimes.provision(spec, 0, None))


def test_how_many_stand_ready_is_what_was_asked_for_last(cloud: Cloud):
    spec, runtimes = cloud.function(COUNT, initialization_type="provisioned-concurrency"), cloud.runtimes

    async def both(first: int, last: int):
        begun = asyncio.ensure_future(runtimes.provision(spec, first, None))
        await asyncio.sleep(0)
        await runtimes.provision(spec, last, None)
        await asyncio.wait_for(begun, 120)
        return runtimes.stats()["provisioned"]

    assert cloud.run(both(4, 1)) == 1
    assert cloud.run(both(2, 3)) == 3
    assert cloud.run(both(0, 2)) == 2  # those that are being ended do not count


def test_what_is_to_stand_ready_is_not_begun_any_more_while_all_is_closed(tmp_path: Path):
    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        await runtimes.warm()
        code = tmp_path / "code"
        code.mkdir()
        (code / "app.py").write_text("def handler(e, c):\n    pass\n")
        spec = FunctionSpec("arn:f", "f", "1", "python3.12", "app.handler", code)
        provisioning = asyncio.ensure_future(runtimes.provision(spec, 2, None))
        await asyncio.sleep(0)  # it has environments, and has not asked them yet
        await runtimes.close()
        with pytest.raises(RuntimesClosed):
            await provisioning

    asyncio.run(scenario())


def test_after_a_burst_the_environments_that_nobody_wants_end_but_for_some(tmp_path: Path):
    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch", surplus_over=1, surplus_s=0.1)
        await runtimes.start()
        code = tmp_path / "code"
        code.mkdir()
        (code / "app.py").write_text(
            "import os, time\ndef handler(e, c):\n    time.sleep(0.1)\n    return os.getpid()\n"
        )
        spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", code)
        got = await asyncio.gather(*(runtimes.invoke(spec, Invocation(str(n), b"{}")) for n in range(4)))
        kept = set()
        for result in got:
            with contextlib.suppress(ProcessLookupError):  # it has ended before the last one of the burst was done
                kept.add(asyncio.create_task(readable(os.pidfd_open(int(result.payload)))))
        while len(kept) > 1:
            _, kept = await asyncio.wait(kept, return_when=asyncio.FIRST_COMPLETED)
        assert runtimes.stats()["idle"] == 1
        for task in kept:
            task.cancel()
        await runtimes.close()

    asyncio.run(scenario())


def test_the_context_tells_about_the_invocation(cloud: Cloud):
    spec = cloud.function(
        """
        def handler(event, context):
            names = ["function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb", "aws_request_id",
                     "log_group_name", "log_stream_name", "tenant_id"]
            context.log("by context.log")
            return {
                **{name: getattr(context, name) for name in names},
                "remaining": context.get_remaining_time_in_millis(),
                "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
                "client": context.client_context and [
                    context.client_context.client.installation_id, context.client_context.client.app_title,
                    context.client_context.custom, context.client_context.env],
            }
        """,
        memory_mb=256,
        timeout_s=70,
        version="3",
    )
    client = {"client": {"installation_id": "i-1", "app_title": "shop"}, "custom": {"a": "b"}, "env": {"locale": "de"}}
    result = cloud.invoke(
        spec,
        request_id="abc",
        invoked_arn=spec.function_arn + ":live",
        client_context=json.dumps(client),
        cognito_identity=json.dumps({"cognitoIdentityId": "us-east-1:1", "cognitoIdentityPoolId": "us-east-1:2"}),
        tenant_id="blue",
    )
    got = answer(result)
    assert 10_000 < got.pop("remaining") <= 70_000
    assert got == {
        "function_name": spec.function_name,
        "function_version": "3",
        "invoked_function_arn": spec.function_arn + ":live",
        "memory_limit_in_mb": "256",
        "aws_request_id": "abc",
        "log_group_name": spec.log_group,
        "log_stream_name": result.log_stream,
        "tenant_id": "blue",
        "identity": ["us-east-1:1", "us-east-1:2"],
        "client": ["i-1", "shop", {"a": "b"}, {"locale": "de"}],
    }
    assert "by context.log" in [text for _, text in result.log]
    assert answer(cloud.invoke(spec))["client"] is None


@pytest.mark.usefixtures("mounts")
def test_the_environment_is_lambdas_and_nothing_of_the_servers(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SERVER_SECRET", "do not show")
    spec = cloud.function(
        "import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        environment=(("TABLE", "orders"), ("PATH", "/custom")),
        credentials=("AKIA", "secret", "token"),
        endpoint_url="http://127.0.0.1:4566",
        region="eu-west-1",
    )
    result = cloud.invoke(spec, trace_id="Root=1-2-3;Sampled=1")
    got = answer(result)
    expected = {
        "TABLE": "orders",
        "PATH": "/custom",
        "_HANDLER": "app.handler",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_NAME": spec.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": result.log_stream,
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "PYTHONPATH": "/var/runtime",
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "HOME": "/tmp",
        "_X_AMZN_TRACE_ID": "Root=1-2-3;Sampled=1",
    }
    assert expected == {name: value for name, value in got.items() if name != "LD_LIBRARY_PATH"}
    assert "_X_AMZN_TRACE_ID" not in answer(cloud.invoke(spec))


def test_what_botocore_sends_carries_the_trace_of_the_invocation(cloud: Cloud):
    spec = cloud.function(
        """
        import boto3
        headers = []
        client = boto3.client("sqs")
        def stop(request, **_):
            headers.append(request.headers.get("X-Amzn-Trace-Id"))
            raise KeyError("stopped")
        client.meta.events.register("before-send.sqs", stop)
        def handler(event, context):
            try:
                client.list_queues()
            except KeyError:
                return str(headers.pop(), "ascii") if isinstance(headers[-1], bytes) else headers.pop()
        """,
        credentials=("a", "b", "c"),
        timeout_s=20,
    )
    for trace in ("Root=1-a-b;Sampled=1", "Root=1-c-d;Sampled=0"):
        assert answer(cloud.invoke(spec, trace_id=trace)) == trace


@pytest.mark.usefixtures("mounts")
def test_layers_are_merged_below_opt_and_the_last_one_wins(cloud: Cloud):
    for number in (1, 2):
        python = cloud.folder / f"layer{number}" / "python"
        site = python / "lib" / "python3.12" / "site-packages"
        site.mkdir(parents=True)
        (python / "both.py").write_text(f"number = {number}\n")
        (site / f"only{number}.py").write_text(f"number = {number}\n")
    spec = cloud.function(
        """
        import both, only1, only2, os
        def handler(event, context):
            return [both.number, only1.number, only2.number, sorted(os.listdir("/opt/python"))]
        """,
        layer_dirs=(cloud.folder / "layer1", cloud.folder / "layer2"),
    )
    got = answer(cloud.invoke(spec))
    assert got[:3] == [2, 1, 2]
    assert {"both.py", "lib"} <= set(got[3])
    alone = cloud.function(
        "import only1\ndef handler(e, c):\n    return only1.__file__\n", layer_dirs=spec.layer_dirs[:1]
    )
    assert answer(cloud.invoke(alone)) == "/opt/python/lib/python3.12/site-packages/only1.py"


@pytest.mark.parametrize("handler", ["pkg/mod.main", "pkg.mod.main"])
def test_a_handler_may_be_in_a_package(cloud: Cloud, handler: str):
    files = {"pkg/__init__.py": "", "pkg/mod.py": "def main(event, context):\n    return __name__\n"}
    assert answer(cloud.invoke(cloud.function(ECHO, files, handler=handler))) == "pkg.mod"


def test_a_response_may_have_six_megabytes_and_no_byte_more(cloud: Cloud):
    spec = cloud.function("def handler(size, context):\n    return 'x' * size\n", timeout_s=30)
    limit = 6_291_556
    whole = cloud.invoke(spec, limit - 2)
    assert (len(whole.payload), whole.function_error) == (limit, None)
    over = cloud.invoke(spec, limit - 1)
    assert over.function_error == "Unhandled"
    assert answer(over)["errorType"] == "Function.ResponseSizeTooLarge"
    assert answer(over)["errorMessage"] == (
        "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    )


def test_a_large_event_arrives_whole(cloud: Cloud):
    spec = cloud.function(
        "import hashlib\ndef handler(e, c):\n    return [len(e), hashlib.md5(e.encode()).hexdigest()]\n"
    )
    text = base64.b64encode(os.urandom(4_000_000)).decode()
    assert answer(cloud.invoke(spec, text))[0] == len(text)


def test_other_runtimes_are_refused_by_name(cloud: Cloud):
    for runtime in ("nodejs20.x", "python2.7", "python3.5", "python3.15"):
        with pytest.raises(UnsupportedRuntime, match=re.escape(runtime)):
            cloud.invoke(cloud.function(ECHO, runtime=runtime))


def test_it_runs_under_uvloop_too(tmp_path: Path):
    uvloop = pytest.importorskip("uvloop")
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("def handler(event, context):\n    print('seen')\n    return event\n")
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", code)

    async def scenario():
        runtimes = Runtimes(tmp_path / "scratch")
        await runtimes.start()
        got = await asyncio.gather(*(runtimes.invoke(spec, Invocation(str(n), b"%d" % n)) for n in range(8)))
        await runtimes.close()
        return got

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(scenario())
    assert [json.loads(result.payload) for result in results] == list(range(8))
    assert all("seen" in [text for _, text in result.log] for result in results)
