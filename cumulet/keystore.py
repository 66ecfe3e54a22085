"""What key management needs of the machine: the master key in its file, and RSA key pairs, which take too long for the event loop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from cumulet.kernel.outcome import EffectFailed

_BYTES = 32
NAME = "kms.key"


class MasterKey:
    """A random AES-256 key in a file that only the server's user may read; made when it is first asked for.

    The file is on disk, with its name, before the key is used: nothing can be committed that it does not open.
    """

    def __init__(self, folder: Path | None) -> None:
        """Without a folder the key is kept in memory."""
        self._path = folder / NAME if folder is not None else None
        self._key: bytes | None = None

    def read(self) -> bytes:
        """Raises: OSError; ValueError for a file of another length."""
        if self._key is None:
            self._key = os.urandom(_BYTES) if self._path is None else self._of(self._path)
        return self._key

    @staticmethod
    def _of(path: Path) -> bytes:
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(os.urandom(_BYTES))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        key = path.read_bytes()
        if len(key) != _BYTES:
            raise ValueError(f"{path} is damaged: {len(key)} bytes instead of {_BYTES}.")
        return key


async def rsa_pair(span: Any, bits: int) -> bytes:
    """Perform `kms.pair`: a new RSA key, PKCS #8 DER. A crash loses it together with its request."""
    span.name = f"kms.pair {bits}"
    try:
        return await asyncio.to_thread(_generate, bits)
    except RuntimeError as error:  # the executor is closed: the server is stopping
        raise EffectFailed("Stopping", str(error)) from error


def _generate(bits: int) -> bytes:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, bits)
    return key.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
