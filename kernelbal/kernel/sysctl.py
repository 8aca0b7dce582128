"""Sysctls below /proc/sys; those of `net/` belong to the network namespace of the calling thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.refusals import error, refused
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl

ROOT: Final = Path("/proc/sys")

_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)


def read_sysctls(paths: Collection[str], root: Path = ROOT) -> dict[str, str | None]:
    """Return the value by path; None where the kernel has no such sysctl.

    Args:
        paths: below /proc/sys, with slashes: `net/ipv4/conf/eth0.5/send_redirects`.
        root: where /proc/sys is.

    Raises:
        KernelError: one is there but cannot be read.
    """
    return {path: read_sysctl(path, root) for path in paths}


def read_sysctl(path: str, root: Path = ROOT) -> str | None:
    """Return the value as the kernel shows it, without the end of line; None when there is no such sysctl.

    Raises:
        KernelError: it is there but cannot be read.
    """
    try:
        return _file(path, root).read_text(errors="replace").rstrip("\n")
    except OSError as fault:
        number = fault.errno or errno.EIO
        if number in _ABSENT:
            return None
        raise error("read sysctl", path, number) from fault


def write_sysctl(path: str, value: str, root: Path = ROOT) -> str:
    """Write a sysctl and return what it held before.

    Raises:
        OSError: there is no such sysctl, or the kernel refuses the value.
    """
    file = _file(path, root)
    with file.open("r+", buffering=1) as handle:
        before = handle.read().rstrip("\n")
        handle.seek(0)
        handle.write(f"{value}\n")
    return before


def perform_sysctls(actions: Sequence[WriteSysctl], root: Path = ROOT) -> list[Outcome]:
    """Write sysctls; one that fails does not stop the others."""
    return [_perform(action, root) for action in actions]


def _perform(action: WriteSysctl, root: Path) -> Outcome:
    try:
        before = write_sysctl(action.path, action.value, root)
    except OSError as fault:
        return refused(action, fault.errno or errno.EIO)
    already = before.split() == action.value.split()
    return Outcome(action, Result.ALREADY if already else Result.DONE)


def _file(path: str, root: Path) -> Path:
    """A path that leaves /proc/sys names no sysctl."""
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise FileNotFoundError(errno.ENOENT, "not the path of a sysctl", path)
    return root.joinpath(*parts)


def check_writable(action: WriteSysctl, root: Path = ROOT) -> None:
    """Find out whether a sysctl could not be written, without writing it.

    Raises:
        KernelError: it could not.
    """
    path = root / action.path
    if not path.exists() or os.access(path, os.W_OK):
        return
    read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    outcome = refused(action, errno.EROFS if read_only else errno.EACCES)
    dotted = action.path.replace("/", ".")
    message = f"cannot write {dotted}: {outcome.message}"
    raise KernelError("write sysctl", dotted, outcome.errno, message, outcome.hint)


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    return found.having(SYSCTLS, read_sysctls(scope or ()))


def _perform_all(sockets: Sockets, actions: Sequence[WriteSysctl]) -> list[Outcome]:
    return perform_sysctls(actions)


def _check(sockets: Sockets, action: WriteSysctl) -> None:
    check_writable(action)


DRIVER: Final = Driver(_observe, _perform_all, _check)
