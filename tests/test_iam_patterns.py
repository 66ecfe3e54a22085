"""The patterns deployed and driven with IAM's policies enforced: their templates grant what they use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cumulet.testing.process import ServerProcess

_PATTERNS = sorted(Path(__file__).parents[1].glob("patterns/[0-9][0-9]-*/drive.py"))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, in real time, that all of them are deployed to."""
    server = ServerProcess(tmp_path_factory.mktemp("enforced") / "data", "--iam", "enforce").start()
    yield server.endpoint
    server.stop()


@pytest.mark.parametrize("drive", _PATTERNS, ids=lambda path: path.parent.name)
def test_a_pattern_works_with_enforcement(endpoint: str, drive: Path) -> None:
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                   "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(drive), endpoint],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
