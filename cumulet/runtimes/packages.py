"""Extracted packages: each zip once, in a folder named by its SHA-256, for every environment that runs it.

A package is extracted into a temporary folder beside its place and renamed: a crash leaves a temporary folder,
which the next start removes, never half a package. Nothing of an archive lands outside its folder, and no more is
written than Lambda's limit allows, whatever the archive says of itself. What no start has asked for in two weeks is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .model import FunctionSpec

UNZIPPED_LIMIT_BYTES = 262_144_000  # Source: Lambda developer guide, "Lambda quotas" (read 2026-11).
_CHUNK = 1 << 20
_KEPT_SPECS = 1024
_BROKEN = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error, UnicodeError,
    IsADirectoryError, NotADirectoryError, FileExistsError,  # members that contradict each other
)  # fmt: skip
_UNUSED_S = 14 * 86_400.0
_TEMPORARY = ".extracting-"

Package = tuple[str, Path]  # SHA-256 in hexadecimal, the zip


class UnusablePackage(Exception):
    """A zip that cannot be extracted; the message says why."""


class Packages:
    """The folder of extracted packages. Use it from one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Path] = {}
        self._under_way: dict[str, asyncio.Future[Path]] = {}
        # by identity, because comparing specifications costs more than preparing one
        self._prepared: dict[int, tuple[FunctionSpec, FunctionSpec]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        limit = time.time() - _UNUSED_S
        for left in folder.iterdir():
            if left.name.startswith(_TEMPORARY) or left.stat().st_mtime < limit:
                shutil.rmtree(left, ignore_errors=True)

    def known(self, sha256: str) -> Path | None:
        """Where the package is, if it is extracted."""
        return self._known.get(sha256)

    async def ensure(self, sha256: str, zip_path: Path) -> Path:
        """The package's folder; extracts it the first time. Raises: UnusablePackage."""
        found = self._begin(sha256, zip_path)
        return found if isinstance(found, Path) else await asyncio.shield(found)

    def _begin(self, sha256: str, zip_path: Path) -> Path | asyncio.Future[Path]:
        found = self._known.get(sha256) or self._under_way.get(sha256)
        if found is not None:
            return found
        archive: Path | BinaryIO = zip_path
        with contextlib.suppress(FileNotFoundError):  # then it is extracted, or is found missing
            archive = zip_path.open("rb")  # now: a busy thread may come to it after the function was changed or deleted
        loop = asyncio.get_running_loop()
        running = self._under_way[sha256] = loop.run_in_executor(None, extract, archive, self._folder / sha256)
        running.add_done_callback(lambda done: self._extracted(sha256, done))
        return running

    def _extracted(self, sha256: str, done: asyncio.Future[Path]) -> None:
        self._under_way.pop(sha256, None)
        if not done.cancelled() and done.exception() is None:
            self._known[sha256] = done.result()

    async def prepare(self, spec: FunctionSpec, code: Package, layers: Sequence[Package] = ()) -> FunctionSpec:
        """`spec` with the folders of its code and its layers. Raises: UnusablePackage."""
        known = self._prepared.get(id(spec))
        if known is not None and known[0] is spec:
            return known[1]
        for package in (code, *layers):
            self._begin(*package)
        code_dir = await self.ensure(*code)
        layer_dirs = tuple([await self.ensure(*layer) for layer in layers])
        ready = dataclasses.replace(spec, code_dir=code_dir, layer_dirs=layer_dirs)
        if len(self._prepared) >= _KEPT_SPECS:
            self._prepared.clear()
        self._prepared[id(spec)] = (spec, ready)
        return ready


async def prepare(
    packages: Packages, spec: FunctionSpec, code: Package, layers: Sequence[Package] = ()
) -> FunctionSpec:
    """`spec` with the folders of its code and its layers. Raises: UnusablePackage."""
    return await packages.prepare(spec, code, layers)


def extract(archive: Path | BinaryIO, target: Path) -> Path:
    """Extract `archive` into `target`, all or nothing; a target that is there already is taken as it is. An open file is closed.

    Raises: UnusablePackage.
    """
    if isinstance(archive, Path):
        return _extract(archive, target)
    with archive:
        return _extract(archive, target)


def _extract(archive: Path | BinaryIO, target: Path) -> Path:
    if target.is_dir():
        os.utime(target)
        return target
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            _extract_all(opened, temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    except _BROKEN as error:
        raise UnusablePackage(f"Could not unzip the package: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _extract_all(archive: zipfile.ZipFile, folder: Path) -> None:
    left = UNZIPPED_LIMIT_BYTES
    links: list[tuple[Path, str]] = []
    for entry in archive.infolist():
        path = _inside(folder, entry.filename)
        if path is None:
            raise UnusablePackage(f"The package names a file outside itself: {entry.filename!r}")
        mode = entry.external_attr >> 16
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            links.append((path, os.fsdecode(archive.read(entry))))
            continue
        with archive.open(entry) as source, path.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise UnusablePackage(f"The package is larger than {UNZIPPED_LIMIT_BYTES} bytes unzipped")
                sink.write(chunk)
        # readable by the user that functions run as; write bits only for the owner
        path.chmod((stat.S_IMODE(mode) & 0o755) | 0o444 if mode else 0o644)
    for path, destination in links:  # last, so that no file is written through one
        resolved = (
            _inside(folder, str((path.parent / destination).relative_to(folder)))
            if not os.path.isabs(destination)
            else None
        )
        if resolved is None:
            raise UnusablePackage(f"The package links to a file outside itself: {destination!r}")
        path.unlink(missing_ok=True)
        path.symlink_to(destination)


def _inside(folder: Path, name: str) -> Path | None:
    """The path of an archive's member below `folder`, or None for one that leads out of it."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or "\0" in name:
        return None
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth <= 0:
            return None
    return Path(os.path.normpath(folder.joinpath(*parts)))
