"""A data directory's SQLite file: locked for one process, looked at before it is touched, opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path

from cumulet.kernel.redolog import sync_folder

_SCHEMA_VERSION = 2  # 1 had no redo log
_CHECK_WHOLE_BELOW_BYTES = 32 * 1024 * 1024


class StoreUnavailable(Exception):
    """The store cannot start or cannot write; the message says what, why, and what to do."""


def connect(path: str, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    for pragma in (
        "page_size = 8192",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # the database is synced when it takes over the redo log, not at each COMMIT
        f"cache_size = -{cache_kib}",
        "wal_autocheckpoint = 0",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def make(folder: Path) -> None:
    """The data directory and what leads to it, their names on disk. Raises: StoreUnavailable."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)
    except OSError as error:
        raise StoreUnavailable(unusable(folder, error)) from error


def unusable(folder: Path, error: OSError) -> str:
    return f"Cannot use {folder} as data directory: {error.strerror}. Choose another with --data."


def unopened(path: Path, error: sqlite3.DatabaseError) -> StoreUnavailable:
    """Why the database at `path` could not be opened: its content is wrong, or the disk refuses."""
    if not isinstance(error, sqlite3.OperationalError):
        return corrupt(path, str(error))
    return StoreUnavailable(
        f"{path} cannot be opened ({error}). Nothing was changed. Most likely the disk is full or the folder cannot be written: "
        "free space in the data directory and start again."
    )


def create(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == _SCHEMA_VERSION:
        return
    if version not in (0, 1):
        raise StoreUnavailable(
            f"The data directory was written by another version of Cumulet (schema {version}, this one reads {_SCHEMA_VERSION}). "
            "Start that version, or choose another directory with --data."
        )
    connection.execute("CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL)")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def lock(folder: Path) -> int:
    """Take the directory for this process. Raises: StoreUnavailable with the pid that has it."""
    path = folder / "cumulet.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreUnavailable(unusable(folder, error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreUnavailable(
            f"{folder} is in use by another Cumulet, pid {pid}. Stop it (cumulet down), or choose another directory with --data."
        ) from error
    with contextlib.suppress(OSError):  # a full disk: then a second server cannot name us
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def check(path: Path) -> None:
    """Look at an existing database through a read-only connection. Raises: StoreUnavailable; touches nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            pragma = "quick_check(1)" if path.stat().st_size < _CHECK_WHOLE_BELOW_BYTES else "schema_version"
            answer = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            connection.execute("SELECT 1 FROM kv LIMIT 1").fetchall() if _has_table(connection) else None
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise unopened(path, error) from error
    if isinstance(answer, str) and answer != "ok":
        raise corrupt(path, answer)


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'kv'").fetchone() is not None


def corrupt(path: Path, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} is not a sound database ({why}). Nothing was changed. Restore the whole folder from a copy, or move the folder away "
        "and start with an empty one (--data)."
    )
