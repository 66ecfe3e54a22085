"""Linux system calls of an execution environment: a private file tree, limits, and death together with its parent.

The zygote moves once into a root of its own: a small tmpfs that shows every directory of the machine and adds the
mount points `/var/task`, `/var/runtime`, `/var/bytecode` and `/opt`. Each environment then copies that mount
namespace and binds its code, layers and a tmpfs of its own on `/tmp` over it. Everything vanishes with the last
process inside; nothing is left to clean up.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_NOATIME, _MS_NODIRATIME, _MS_BIND, _MS_REC, _MS_SLAVE, _MS_RELATIME = 1024, 2048, 4096, 16384, 1 << 19, 1 << 21
_MS_UNBINDABLE, _MS_PRIVATE = 1 << 17, 1 << 18
_KEPT_FLAGS = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOATIME | _MS_NODIRATIME | _MS_RELATIME
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _MNT_DETACH = 1, 36, 2
_STACK_AND_ARENAS_BYTES = 512 << 20  # address space that thread stacks and allocator arenas reserve without touching it


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _check(result, f"mount {source} on {target}")


def die_with_parent(parent: int) -> None:
    """Have this process killed when the process that forked it (`parent`) ends, however that happens."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found and killed."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def unshare_mounts() -> None:
    """Give this process a copy of its mount namespace."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")


def _unshare_with_rights() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        unshare_mounts()
        return
    _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as out:
            out.write(text)


def _mirror(source: str, target: str, skip: frozenset[str]) -> None:
    """Show every entry of the directory `source` in the empty directory `target`."""
    for entry in os.scandir(source):
        if entry.name in skip:
            continue
        path = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), path)
            continue
        if entry.is_dir():
            os.mkdir(path)
        elif entry.is_file():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        else:
            continue
        _mount(entry.path, path, None, _MS_BIND | _MS_REC)


def enter_private_root(runtime_dir: str) -> None:
    """Move this single-threaded process into a root that shows the machine plus Lambda's mount points.

    The base is mounted over /tmp because /tmp always exists; the real one is kept by a descriptor and shown again.
    Raises OSError where the kernel or a container forbids it; the process is then of no further use.
    """
    _unshare_with_rights()
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    real_tmp = os.open("/tmp", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    runtime = os.open(runtime_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _mount("cumulet", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    _mount(None, "/tmp", None, _MS_UNBINDABLE)  # else it would show again inside what is bound below
    _mirror("/", "/tmp", frozenset({"tmp", "var", "opt"}))
    for name in ("var", "var/task", "var/runtime", "var/bytecode", "opt", "tmp"):
        os.mkdir(f"/tmp/{name}", 0o755)
    if os.path.isdir("/var"):
        _mirror("/var", "/tmp/var", frozenset({"task", "runtime", "bytecode"}))
    if os.path.isdir("/opt"):
        _mount("/opt", "/tmp/opt", None, _MS_BIND | _MS_REC)
    _mount(f"/proc/self/fd/{real_tmp}", "/tmp/tmp", None, _MS_BIND | _MS_REC)
    _mount(f"/proc/self/fd/{runtime}", "/tmp/var/runtime", None, _MS_BIND | _MS_REC)
    os.close(real_tmp)
    os.close(runtime)
    os.chdir("/tmp")
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
    _mount(None, "/", None, _MS_PRIVATE)


def private_root_works(runtime_dir: str) -> bool:
    """Whether `enter_private_root` succeeds on this machine, tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            enter_private_root(runtime_dir)
            unshare_mounts()
            _mount("cumulet", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _bind_read_only(source: str, target: str) -> None:
    _mount(source, target, None, _MS_BIND)
    flags = os.statvfs(target).f_flag & _KEPT_FLAGS
    _mount(None, target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | flags)


def present(
    code_dir: str, layer_dirs: list[str], bytecode_dir: str, tmp_mb: int, kept: list[str]
) -> tuple[str, list[str]]:
    """Show the code at /var/task, the layers at /opt and an empty /tmp; return where code and layers now are.

    `kept` are paths the interpreter still needs: those under /tmp are bound again at the same place in the new /tmp.
    Layers stay at their own paths where /opt holds the interpreter or overlays are not to be had.
    """
    held = {path: os.open(path, os.O_PATH) for path in kept if path.startswith("/tmp/") and os.path.isdir(path)}
    held |= {path: os.open(path, os.O_PATH) for path in layer_dirs if path.startswith("/tmp/")}
    _bind_read_only(code_dir, "/var/task")
    _mount(bytecode_dir, "/var/bytecode", None, _MS_BIND)
    shown = layer_dirs
    if layer_dirs and not any(path.startswith("/opt/") for path in kept):
        try:
            if len(layer_dirs) == 1:
                _bind_read_only(layer_dirs[0], "/opt")
            else:
                lower = ":".join(path.replace("\\", "\\\\").replace(":", "\\:") for path in reversed(layer_dirs))
                _mount("cumulet", "/opt", "overlay", _MS_RDONLY, f"lowerdir={lower}")
            shown = ["/opt"]
        except OSError:
            pass
    _mount("cumulet", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={tmp_mb}m,mode=1777")
    for path, descriptor in held.items():
        if shown == layer_dirs or path not in layer_dirs:
            os.makedirs(path, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    return "/var/task", shown


def limit(memory_mb: int) -> None:
    """Set the limits Lambda has: 1,024 descriptors, and memory.

    RLIMIT_DATA counts address space, not use, so it is the hard wall well behind the limit: an allocation beyond it
    raises MemoryError. The limit itself is enforced by the server, which watches resident memory (see
    `environment.py`).
    """
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 1024 if descriptors == resource.RLIM_INFINITY else min(1024, descriptors)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wall = (memory_mb << 20) + _STACK_AND_ARENAS_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (wall, wall))
    os.umask(0o022)
