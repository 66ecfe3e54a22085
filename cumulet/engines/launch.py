"""Runs in a child process: becomes an unprivileged user, ties its life to the server's, and turns into the engine.

Arguments: the server's pid, the signal to get when the server dies, uid and gid (or -1), then the engine's command.
It is run by path with `python -I -S`, so it imports nothing of this package.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def _main(server: int, last_signal: int, uid: int, gid: int, command: list[str]) -> None:
    library = _system_library()  # while we may still read the standard library
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    if library is not None:
        library.prctl(_PR_SET_PDEATHSIG, last_signal, 0, 0, 0)  # after the change of user, which would clear it
        if os.getppid() != server:  # it died before we asked to be told
            os._exit(1)
    os.execv(command[0], command)


def _system_library() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return ctypes.CDLL(None)


if __name__ == "__main__":
    server_pid, death_signal, user_id, group_id = map(int, sys.argv[1:5])
    _main(server_pid, death_signal, user_id, group_id, sys.argv[5:])
