"""The AWS SDK for JavaScript's document client and ElectroDB, unmodified: the journeys of tests/clients, run by Node.

They run where node and npm are there and npm installs the pinned packages in time; they stay in a folder of the system's temporary one,
as long as nobody cleans up there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"
JOURNEYS = {
    "document.mjs": ["table", "values", "changes", "pages", "transactions", "statements"],
    "electro.mjs": ["create", "items", "updates", "queries", "collections", "transactions", "expiry"],
}
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0")
WHOLE = "whole.txt"  # what was installed, a file a line
INSTALLING_S, NODE = 15, 20  # more would hold up machines without the registry; the oldest Node that the SDK runs on


def is_whole(folder: Path, user: int) -> bool:
    """Whether the packages are there: systems remove files from the temporary folder that are old."""
    try:
        ours = folder.stat().st_uid == user
        return ours and all((folder / name).is_file() for name in (folder / WHOLE).read_text().splitlines())
    except OSError:
        return False


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder of the installed packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"node does not run: {error}")
    if int(version.lstrip("v").partition(".")[0]) < NODE:
        pytest.skip(f"node is older than {NODE}: {version.strip()}")
    lock = CLIENTS / "package-lock.json"
    user = os.getuid()
    name = f"cumulet-clients-{user}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    there = Path(tempfile.gettempdir()) / name
    if is_whole(there, user):
        return there
    shutil.rmtree(there, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    for file in (lock, CLIENTS / "package.json"):
        shutil.copy(file, making)
    try:
        subprocess.run([npm, *NPM_CI], cwd=making, capture_output=True, check=True, timeout=INSTALLING_S)
        files = [str(path.relative_to(making)) for path in making.rglob("*") if path.is_file()]
        (making / WHOLE).write_text("\n".join(files))
        making.rename(there)
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(making, ignore_errors=True)
        if not is_whole(there, user):  # another process was not quicker either
            pytest.skip(f"npm cannot install the packages: {error}")
    return there


def test_the_javascript_clients_run_unmodified(
    packages: Path, cloud: Any, aws: Any, clock: Any, tmp_path: Path
) -> None:
    for name in JOURNEYS:
        shutil.copy(CLIENTS / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    environment = {**os.environ, "ENDPOINT": cloud.endpoint, "NOW": str(int(clock.now())), "NODE_NO_WARNINGS": "1"}
    running = {
        name: subprocess.Popen(
            ["node", name], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name in JOURNEYS
    }
    try:
        said = {name: process.communicate(timeout=120)[0] for name, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    for name, parts in JOURNEYS.items():
        assert said[name].splitlines() == [*(f"{part} ok" for part in parts), "done"], said[name]
    db = aws("dynamodb")
    assert db.list_tables()["TableNames"] == ["app"]
    clock.advance(120)  # over the expiry of one of ElectroDB's items
    left = db.scan(TableName="app", FilterExpression="attribute_exists(#t)", ExpressionAttributeNames={"#t": "ttl"})
    assert [item["id"] for item in left["Items"]] == [{"S": "later"}]
