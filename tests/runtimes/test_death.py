"""When the server is killed, nothing it started may go on."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = """
import asyncio, os, sys
from pathlib import Path
from cumulet.runtimes import FunctionSpec, Invocation, Runtimes

async def main(folder):
    runtimes = Runtimes(folder / "scratch")
    await runtimes.start()
    spec = FunctionSpec("arn:f", "f", "$LATEST", "python3.12", "app.handler", folder / "code", timeout_s=600)
    idle = await runtimes.invoke(spec, Invocation("r1", b'"idle"'))
    busy = asyncio.ensure_future(runtimes.invoke(spec, Invocation("r2", b'"busy"')))
    await runtimes.warm()
    zygote = runtimes._starter._process.pid
    while not (blank := runtimes._blanks[0]._pid):  # it may be ready before the zygote has said who it is
        await asyncio.sleep(0)
    print(zygote, blank, idle.payload.decode(), flush=True)
    await busy

asyncio.run(main(Path(sys.argv[1])))
"""
FUNCTION = """
import os, pathlib, subprocess
def handler(event, context):
    if event == "busy":
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        os.write(os.open("/work_fifo", os.O_WRONLY), f"{os.getpid()} {child.pid}\\n".encode())
        while True:
            pass
    return os.getpid()
"""


@pytest.mark.crash
def test_a_killed_server_leaves_no_process_behind(tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "code").mkdir()
    seen = f"/proc/{os.getpid()}/root{fifo}"  # the function's own /tmp hides ours
    (tmp_path / "code" / "app.py").write_text(FUNCTION.replace("/work_fifo", seen))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        with open(fifo) as busy:
            pids = [int(pid) for pid in busy.readline().split()]
        pids += [int(pid) for pid in server.stdout.readline().split()]
        assert len(set(pids)) == 4  # the environment (reused), its child, the zygote, the blank
        watches = {os.pidfd_open(pid): pid for pid in set(pids)}
        server.kill()
    for watch, pid in watches.items():
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        assert poll.poll(60_000), f"process {pid} outlived the server"
        os.close(watch)
