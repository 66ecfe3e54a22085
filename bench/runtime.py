"""Cold and warm invocations of a trivial Python function, without HTTP: `python bench/runtime.py`.

Prints medians and 99th percentiles in milliseconds, invocations a second at 32 in flight, and memory. One machine,
shared: run it several times and give the spread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cumulet.runtimes import FunctionSpec, Invocation, Runtimes

SOURCES = {
    "plain": "def handler(event, context):\n    return event\n",
    "import boto3": "import boto3\ndef handler(event, context):\n    return event\n",
    "boto3.client": "import boto3\nboto3.client('dynamodb')\ndef handler(event, context):\n    return event\n",
}
EVENT = b'{"data": "' + b"x" * 1000 + b'"}'


def spec_for(folder: Path, source: str, name: str) -> FunctionSpec:
    code = folder / name
    code.mkdir(exist_ok=True)
    (code / "app.py").write_text(source)
    return FunctionSpec(
        f"arn:{name}", name, "$LATEST", "python3.12", "app.handler", code, credentials=("a", "b", "c"), timeout_s=30
    )


def pss_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def show(name: str, times_s: list[float]) -> None:
    times = sorted(each * 1000 for each in times_s)
    print(
        f"{name:32} median {statistics.median(times):7.2f}  p99 {times[int(len(times) * 0.99)]:7.2f} ms  (n={len(times)})"
    )


async def main() -> None:
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()
    runtimes = Runtimes(folder / "scratch")
    await runtimes.start()
    started = time.perf_counter() - begun
    await runtimes.warm()
    print(f"start() {started * 1000:.1f} ms, blank ready after {(time.perf_counter() - begun) * 1000:.0f} ms")
    zygote = runtimes._starter._process.pid
    print(f"PSS: this process {pss_kb(os.getpid()) / 1024:.1f} MB, zygote {pss_kb(zygote) / 1024:.1f} MB")
    for label, source in SOURCES.items():
        for wait, mode in ((True, "pre-forked"), (False, "forked on demand")):
            times = []
            for number in range(60):
                spec = spec_for(folder, source, f"{label.replace(' ', '')}{mode[:3]}{number}")
                if wait:
                    await runtimes.warm()
                else:
                    runtimes._blanks.clear()
                begun = time.perf_counter()
                result = await runtimes.invoke(spec, Invocation("r", EVENT))
                times.append(time.perf_counter() - begun)
                assert result.status == "ok", result
                runtimes.retire(spec.function_arn)
            show(f"cold, {label}, {mode}", times)
    spec = spec_for(folder, SOURCES["plain"], "warm")
    times = []
    for _ in range(3000):
        begun = time.perf_counter()
        await runtimes.invoke(spec, Invocation("r", EVENT))
        times.append(time.perf_counter() - begun)
    show("warm", times)

    async def client(count: int) -> None:
        for _ in range(count):
            await runtimes.invoke(spec, Invocation("r", EVENT))

    await asyncio.gather(*(client(10) for _ in range(32)))
    begun = time.perf_counter()
    await asyncio.gather(*(client(200) for _ in range(32)))
    print(f"32 in flight: {32 * 200 / (time.perf_counter() - begun):.0f} invocations/s")
    idle = [each._pid for each in runtimes._all.values() if each.spec is spec]
    print(f"idle environments: {len(idle)}, PSS {statistics.mean(map(pss_kb, idle)) / 1024:.1f} MB each")
    await runtimes.close()


with contextlib.suppress(ImportError):
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main())
