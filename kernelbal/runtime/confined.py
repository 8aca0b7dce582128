"""Programs of a site: check scripts and hooks run as somebody, within limits, and leave nothing behind.

Each run has a user id of its own, unless the document names a user. So `kill -9 -1` in a script hits nobody
else, its limit on processes counts only what it started itself, and one signal to that id ends all of it,
whatever it has done to get away. Programs of a named user are ended with their process group; what has left
the group is ended when its parent is gone (`PR_SET_CHILD_SUBREAPER`) and no program of that user runs.

To send signals we take the id of who gets them for a moment (`acting_as`). That needs CAP_SETUID, which
starting the program needs as well, and no CAP_KILL.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import platform
import pwd
import resource
import signal
import stat
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from kernelbal.model.program import ProgramSettings

FIRST_ID: Final = 0x70000000
"""First of 2^28 ids that belong to nobody (systemd's `UIDS-GIDS.md`)."""
RUNS: Final = 64
"""Most programs at a time."""
MAX_DESCRIPTORS: Final = 256
_RUN_BITS: Final = 7
_OWNER_MASK: Final = (1 << 21) - 1
_NEUTRAL_ID: Final = FIRST_ID
"""Id of no program (runs count from 1): who acts as another cannot be sent signals by them."""
_SETRESUID: Final = {"x86_64": 117, "aarch64": 147, "riscv64": 147, "ppc64le": 164, "s390x": 208}
"""Numbers of the system call, which changes this thread alone; `setresuid(3)` would change all of them."""
_PR_SET_CHILD_SUBREAPER: Final = 36
_MIB: Final = 1024 * 1024
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Account(NamedTuple):
    """As whom a program runs.

    Attributes:
        uid: and group id; None: as we do.
        run: number of the run that the id is for; 0 for a named user, whose programs share theirs.
    """

    uid: int | None
    gid: int | None
    run: int = 0


class Accounts:
    """Who runs programs at present."""

    def __init__(self) -> None:
        self._free = deque(range(1, RUNS + 1))
        self._running: Counter[int] = Counter()
        self._left: set[int] = set()
        self._adopting = False

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return not self._free

    def take(self, user: str | None, owner: str) -> Account:
        """Return as whom a program runs; `end` gives it back.

        Args:
            user: the one that the document names, or None.
            owner: such as a virtual service; programs of another cannot read what these leave in files.

        Raises:
            KeyError: there is no such user.
        """
        if user is None:
            run = self._free.popleft()
            uid = FIRST_ID + ((zlib.crc32(owner.encode()) & _OWNER_MASK) << _RUN_BITS | run)
            self._running[uid] += 1
            return Account(uid, uid, run)
        entry = pwd.getpwnam(user)
        if entry.pw_uid == os.geteuid():
            return Account(None, None)
        self._running[entry.pw_uid] += 1
        if not self._adopting:
            self._adopting = True
            _adopt_orphans()
        return Account(entry.pw_uid, entry.pw_gid)

    def give_back(self, account: Account) -> None:
        """Free the id of a program that is gone."""
        if account.run:
            self._free.append(account.run)
        if account.uid is not None:
            self._running[account.uid] -= 1
            if not self._running[account.uid]:
                del self._running[account.uid]
                self._left.add(account.uid)

    def end_orphans(self) -> None:
        """End and reap what programs have left behind, of users that none runs of."""
        if not self._adopting:
            self._left.clear()
        for uid in self._left - self._running.keys():
            ended = [_end_orphan(pid, uid) for pid in _children()]
            if not any(ended):
                self._left.discard(uid)


def end(account: Account, group: int) -> None:
    """Kill a program with what it has started.

    Args:
        account: as whom it runs.
        group: its process group; that of a program that was reaped must not be given, as another may have it.
    """
    with acting_as(account.uid), contextlib.suppress(ProcessLookupError, PermissionError):
        if account.run and os.geteuid() == account.uid and _is_powerless():
            os.kill(-1, signal.SIGKILL)  # nobody else has this id, and nobody forks with a signal pending
        else:
            os.killpg(group, signal.SIGKILL)


def _is_powerless() -> bool:
    """Return whether this thread can send no signal to process 1: securebits may leave CAP_KILL to a user."""
    try:
        os.kill(1, 0)
    except PermissionError:
        return True
    return False


@contextlib.contextmanager
def acting_as(uid: int | None) -> Iterator[None]:
    """Send signals as a user, out of reach of theirs; only root can, and must not wait meanwhile.

    Raises:
        OSError: EPERM without CAP_SETUID.
    """
    if uid is None or os.geteuid() != 0:
        yield
        return
    _set_ids(_NEUTRAL_ID, uid, 0)
    try:
        yield
    finally:
        _set_ids(0, 0, 0)


def _adopt_orphans() -> None:
    """Become the parent of what our children leave behind (`prctl(2)`)."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def arguments(account: Account, settings: ProgramSettings, seconds: int) -> dict[str, Any]:
    """Return what `subprocess.Popen` takes to confine a program.

    Args:
        account: as whom it runs.
        settings: what it may use.
        seconds: of processor time, for each of its processes.
    """
    return {
        "user": account.uid,
        "group": account.gid,
        "extra_groups": None if account.uid is None else [],
        "start_new_session": True,
        "cwd": "/",
        "umask": 0o077,
        "preexec_fn": _limiter(settings, seconds),
    }


def why_refused(program: str, settings: ProgramSettings, account: Account) -> str:
    """Return why a program must not run, with the remedy; empty when it may.

    Raises:
        OSError: it is not there.
    """
    uid = os.geteuid() if account.uid is None else account.uid
    if uid == 0 and not settings.allow_root:
        return f"{program} would run as root: name another `user`, or `allow_root: true`"
    found = "" if settings.allow_writable else _writable_by_others(Path(program), uid)
    if found:
        return f"others can write {found}: `chmod go-w {found}`, give it to root, or `allow_writable: true`"
    return ""


def _writable_by_others(program: Path, uid: int) -> str:
    """Return the first of a program and the directories above it that other users can write; or nothing."""
    path = program.resolve(strict=True)
    owners = {0, os.geteuid(), uid}
    for each in (path, *path.parents):
        found = each.stat()
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        by_group = found.st_mode & stat.S_IWGRP and _has_members(found.st_gid)
        if found.st_uid not in owners or ((by_group or found.st_mode & stat.S_IWOTH) and not sticky):
            return str(each)
    return ""


def _has_members(group: int) -> bool:
    """Return whether a group has members; Debian's `staff`, which may write /usr/local, has none at first."""
    try:
        return bool(group and grp.getgrgid(group).gr_mem)
    except KeyError:
        return True


def _limiter(settings: ProgramSettings, seconds: int) -> Callable[[], None]:
    """Return a function that sets the limits in the child, before the program replaces it."""
    most = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, settings.memory_mib * _MIB),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_NPROC, settings.processes),
    )

    def limit() -> None:
        for kind, value in most:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))

    return limit


def _set_ids(real: int, effective: int, saved: int) -> None:
    number = _SETRESUID.get(platform.machine())
    if number is None:
        os.setresuid(real, effective, saved)
    elif _LIBC.syscall(number, real, effective, saved):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _end_orphan(pid: int, uid: int) -> bool:
    """Kill a child of ours if it is a user's, and reap it; return whether it was one."""
    try:
        with acting_as(uid):
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True


def _children(proc: Path = Path("/proc")) -> Iterable[int]:
    """Return our children; by a list of the kernel's where it keeps one (CONFIG_PROC_CHILDREN)."""
    own = str(os.getpid())
    try:
        return [int(pid) for pid in (proc / "self/task" / own / "children").read_text().split()]
    except OSError:
        return [int(pid.name) for pid in proc.iterdir() if pid.name.isdigit() and _parent(pid) == own]


def _parent(process: Path) -> str:
    try:
        return (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
    except (OSError, IndexError):
        return ""
