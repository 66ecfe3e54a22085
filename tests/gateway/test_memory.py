"""Large bodies pass through a server whose memory stays flat."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SERVER = """
import asyncio, sys
from pathlib import Path
from cumulet.aws.http import FileBody, HttpResponse
from cumulet.gateway.server import Server
folder = Path(sys.argv[1])
def handler(request, reply):
    if request.method == "PUT":
        size = request.body.size
        request.body.path.rename(folder / "stored")
        reply(HttpResponse(200, (), str(size).encode()))
    else:
        reply(HttpResponse(200, (), FileBody(folder / "stored", 0, (folder / "stored").stat().st_size)))
async def main():
    print(await Server(handler, folder).start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()
import uvloop
uvloop.run(main())
"""
_MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """(port, pid)"""
    process = subprocess.Popen([sys.executable, "-c", _SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline()), process.pid
    process.kill()
    process.wait()
    process.stdout.close()


def _peak_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(("mib", "chunked"), [pytest.param(1024, False, marks=pytest.mark.slow), (256, True)])
def test_an_upload_and_a_slow_download_leave_memory_flat(server: tuple[int, int], mib: int, chunked: bool) -> None:
    import socket

    from .conftest import Reader

    port, pid = server
    block = b"0123456789abcdef" * 65536
    with socket.create_connection(("127.0.0.1", port)) as client:
        reader = Reader(client)
        before = _peak_mib(pid)
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (mib * _MIB)
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % length)
        for _ in range(mib):
            client.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        assert reader.answer()[2] == str(mib * _MIB).encode()
        client.sendall(b"GET /k HTTP/1.1\r\nHost: x\r\n\r\n")
        reader.until(b"\r\n\r\n")
        got = len(reader.buffer)
        while got < mib * _MIB:  # the client reads 64 KiB at a time, slower than a file is read
            got += len(client.recv(65536))
        assert got == mib * _MIB
        assert _peak_mib(pid) - before < 24
