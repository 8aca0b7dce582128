"""Sysctls below /proc/sys; those of `net/` belong to the network namespace of the calling thread."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from kernelbal.kernel.network_errors import error, failure
from kernelbal.plan.actions import Outcome, Result, WriteSysctl

ROOT: Final = Path("/proc/sys")

_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)
_MODULE_OF: Final = (
    ("net/ipv4/vs/", "ip_vs"),
    ("net/netfilter/nf_conntrack", "nf_conntrack"),
    ("net/bridge/", "br_netfilter"),
)
_DEVICE_PREFIXES: Final = ("net/ipv4/conf/", "net/ipv6/conf/", "net/ipv4/neigh/", "net/ipv6/neigh/")


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
        raise error(None, "read sysctl", path, number) from fault


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
        return _refused(action, fault.errno or errno.EIO)
    already = before.split() == action.value.split()
    return Outcome(action, Result.ALREADY if already else Result.DONE)


def _refused(action: WriteSysctl, number: int) -> Outcome:
    if number in _ABSENT:
        return failure(action, errno.ENOENT)._replace(hint=_hint_for_absent(action.path))
    return failure(action, number)


def _hint_for_absent(path: str) -> str:
    for prefix, module in _MODULE_OF:
        if path.startswith(prefix):
            return f"modprobe {module}; an old kernel may lack it altogether"
    for prefix in _DEVICE_PREFIXES:
        if path.startswith(prefix):
            device = path.removeprefix(prefix).split("/")[0]
            return f"check that there is a device `{device}`: `ip link show {device}`"
    return "this kernel is too old for it, or was built without it"


def _file(path: str, root: Path) -> Path:
    """A path that leaves /proc/sys names no sysctl."""
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise FileNotFoundError(errno.ENOENT, "not the path of a sysctl", path)
    return root.joinpath(*parts)
