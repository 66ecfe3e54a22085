"""Bodies too large for the store's rows, as files beside it.

A blob is written to `blobs/tmp/` while its transaction runs, synced and renamed to `blobs/ab/<id>` by the commit before
the rows that name it, and removed after the commit that deletes it. A crash before the commit leaves a file that no
row names: `sweep` removes it at the next start, as it does everything in `blobs/tmp/`.
"""

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from cumulet.aws.errors import InternalFailure
from cumulet.kernel.redolog import sync_folder


def not_written(why: object) -> str:
    """What a client reads when the disk did not take its write."""
    return (
        f"The store could not write ({why}). Nothing of this request was kept. "
        "Free space in the data directory and try again."
    )


class Blobs:
    """The blob folder of one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        self._unsettled: dict[str, Path] = {}

    def path(self, blob_id: str) -> Path:
        """Where the blob's bytes are now."""
        return self._unsettled.get(blob_id) or self._final(blob_id)

    def committed_path(self, blob_id: str) -> Path:
        """Where the blob's bytes are after the commit that makes it durable."""
        return self._final(blob_id)

    def _final(self, blob_id: str) -> Path:
        return self.folder / blob_id[:2] / blob_id

    def write(self, data: bytes | Iterable[bytes]) -> str:
        """A new unsettled blob with these bytes, or with those of pieces. Raises: InternalFailure (a full disk)."""
        blob_id = uuid.uuid4().hex
        path = self.tmp / blob_id
        try:
            if isinstance(data, bytes):
                path.write_bytes(data)
            else:
                with path.open("wb") as file:
                    file.writelines(data)
        except OSError as error:
            path.unlink(missing_ok=True)  # half of it may be there
            raise InternalFailure(not_written(error.strerror)) from error
        self._unsettled[blob_id] = path
        return blob_id

    def adopt(self, path: Path) -> str:
        """A new unsettled blob from a file in `tmp`; the file is moved when the transaction commits."""
        blob_id = uuid.uuid4().hex
        self._unsettled[blob_id] = path
        return blob_id

    def link(self, blob_id: str) -> str:
        """A new unsettled blob that shares another one's bytes. Raises: InternalFailure (a full disk)."""
        copy_id = uuid.uuid4().hex
        path = self.tmp / copy_id
        try:
            try:
                os.link(self.path(blob_id), path)
            except FileNotFoundError:  # the commit's thread has just moved it to its place
                os.link(self._final(blob_id), path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InternalFailure(not_written(error.strerror)) from error
        self._unsettled[copy_id] = path
        return copy_id

    def settle(self, blob_ids: Iterable[str]) -> None:
        """Sync and rename; called by the commit, in its thread, before the rows are committed."""
        folders = set()
        for blob_id in blob_ids:
            source, target = self._unsettled[blob_id], self._final(blob_id)
            target.parent.mkdir(exist_ok=True)
            descriptor = os.open(source, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(source, target)
            folders.add(target.parent)
        for folder in (*folders, self.folder):
            sync_folder(folder)

    def settled(self, blob_ids: Iterable[str]) -> None:
        """The commit is on disk."""
        for blob_id in blob_ids:
            self._unsettled.pop(blob_id, None)

    def drop(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs: of a failed transaction, or deleted by a committed one. One that stays is swept at the next start."""
        for blob_id in blob_ids:
            for path in (self._unsettled.pop(blob_id, None), self._final(blob_id)):
                if path is not None:
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)

    def sweep(self, known: set[str]) -> None:
        """At the start: empty `tmp`, remove blobs that no row names."""
        for path in self.tmp.iterdir():
            path.unlink(missing_ok=True)
        for folder in self.folder.iterdir():
            if folder != self.tmp and folder.is_dir():
                for path in folder.iterdir():
                    if path.name not in known:
                        path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all; what stays is swept at the next start."""
        self._unsettled.clear()
        with contextlib.suppress(OSError):
            self.sweep(set())
