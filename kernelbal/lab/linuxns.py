"""Named network namespaces and mounts: the few system calls that Python 3.11 does not wrap."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kernelbal.kernel.netns import (
    CLONE_NEWNET,
    OWN_NETWORK_NAMESPACE,
    checked,
    enter,
    libc,
    own_namespace,
    unshare,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/sched.h
CLONE_NEWNS = 0x00020000
# linux/mount.h
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

NAMED_NAMESPACES = Path("/run/netns")
"""Where iproute2 looks for named network namespaces."""


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Call `mount(2)`.

    Raises:
        OSError: as `mount(2)` says.
    """
    result = libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    checked(result, f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount at once; what still uses it keeps it alive.

    Raises:
        OSError: as `umount2(2)` says.
    """
    checked(libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Put the calling thread into a named network namespace until the block ends.

    Sockets and child processes made inside stay there afterwards; `/proc/sys/net` is that of the namespace.
    Not for coroutines that suspend inside the block: the event loop's thread would stay in the namespace.

    Raises:
        FileNotFoundError: there is no such namespace.
    """
    before = own_namespace()
    try:
        target = os.open(NAMED_NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(target)
        finally:
            os.close(target)
        try:
            yield
        finally:
            enter(before)
    finally:
        os.close(before)


def create_namespace(name: str) -> None:
    """Make a network namespace that `ip netns` knows by `name`.

    Raises:
        FileExistsError: the name is taken.
        OSError: no right to make one.
    """
    path = NAMED_NAMESPACES / name
    path.touch(mode=0o444, exist_ok=False)
    before = own_namespace()
    try:
        unshare(CLONE_NEWNET)
        try:
            mount(OWN_NETWORK_NAMESPACE, str(path), flags=MS_BIND)
        finally:
            enter(before)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(before)


def delete_namespace(name: str) -> None:
    """Take a namespace's name away; the kernel ends it when its last process and socket have gone."""
    path = NAMED_NAMESPACES / name
    unmount(str(path))
    path.unlink()


def enter_private_namespaces() -> None:
    """Give this process, from the calling thread on, its own network and mount namespaces.

    `/run` becomes an empty tmpfs, so that names of network namespaces made here are seen nowhere else, and
    `/sys` shows the devices of the new network namespace.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN.
    """
    unshare(CLONE_NEWNS | CLONE_NEWNET)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", "/run", "tmpfs", data="mode=755")
    mount("sysfs", "/sys", "sysfs")
    NAMED_NAMESPACES.mkdir()
