"""Packages local code: a folder (with its requirements.txt installed) becomes a zip named by its content."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import click

_LEFT_OUT = {
    "__pycache__",
    ".git",
    ".venv",
    "node_modules/.cache",
    ".aws-sam",
    ".cumulet",
    ".mypy_cache",
    ".pytest_cache",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zip's bytes and the SHA-256 that names it."""

    name: str
    data: bytes


def cache_dir() -> Path:
    """Where installed requirements are kept between deployments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cumulet"


def package(source: Path, *, python: bool) -> Package:
    """Zip a folder, or take a zip or a single file as it is. `python`: install the folder's requirements.txt into it.

    Raises: ClickException when the path does not exist or pip fails.
    """
    if source.is_file():
        data = source.read_bytes()
        if not zipfile.is_zipfile(io.BytesIO(data)):
            data = _zip([(source.name, source)])
    elif source.is_dir():
        files = _files(source)
        requirements = source / "requirements.txt"
        if python and requirements.is_file() and _wanted(requirements):
            installed = _files(_install(requirements))
            own = {name for name, _ in files}
            files = sorted([*files, *((name, path) for name, path in installed if name not in own)])
        data = _zip(files)
    else:
        raise click.ClickException(
            f"{source} does not exist. The template's path is relative to the template's folder."
        )
    return Package(hashlib.sha256(data).hexdigest(), data)


def _files(folder: Path) -> list[tuple[str, Path]]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in names:
            path = Path(root, name)
            if not name.endswith((".pyc", ".pyo")) and path.is_file():
                found.append((path.relative_to(folder).as_posix(), path))
    return sorted(found)


def _zip(files: list[tuple[str, Path]]) -> bytes:
    """A zip that depends on names, contents and the executable bit alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _wanted(requirements: Path) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in requirements.read_text().splitlines())


def _install(requirements: Path) -> Path:
    """The folder with what requirements.txt asks for, installed once per content and interpreter."""
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:32]
    target = cache_dir() / "requirements" / key
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    click.echo(f"  installing {requirements} ...")
    building = Path(tempfile.mkdtemp(dir=target.parent))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--target",
        str(building),
        "-r",
        str(requirements),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(building, ignore_errors=True)
        raise click.ClickException(f"pip could not install {requirements}:\n{done.stderr.strip()[-2000:]}")
    try:
        building.rename(target)
    except OSError:  # another deployment was faster
        shutil.rmtree(building, ignore_errors=True)
    return target
