"""`cumulet patterns run`: each pattern deploys and drives itself, and does so again on a cloud where it was run before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cumulet.testing.process import ServerProcess

PATTERNS = sorted(path.name for path in (Path(__file__).parents[1] / "patterns").glob("[0-9][0-9]-*"))
EVIDENCE = {  # what is said anew each time
    "02-scalable-webhook": "300 calls accepted",
    "05-internal-handoff": "shipped: ",
    "06-aggregator": '"incomplete": ["shipping"]',
    "07-notifier": "ledger heard ['i1', 'i2', 'i3'], dunning heard ['i2']",
    "08-fifoer": "eve: [",
    "12-router": "e3: reminder",
    "14-frugal-consumer": "stored: {",
    "16-fan-out-fan-in": '"total": 332833500',
    "17-eventually-consistent": "mended and replayed: {'replayed': 1, 'kept': []}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = ServerProcess(tmp_path_factory.mktemp("patterns") / "data").start()
    yield started
    started.stop()


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_drives_itself_and_does_so_again(server, name):
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "cumulet.cli.main", "patterns", "run", name, "--endpoint-url", server.endpoint],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert EVIDENCE.get(name, "") in done.stdout
        assert "Traceback" not in done.stderr
