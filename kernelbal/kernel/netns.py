"""Network namespaces by descriptor: the system calls that Python 3.11 does not wrap.

`setns(2)` and `unshare(2)` act on the calling thread, so that one process can hold sockets in many network
namespaces: a socket stays in the namespace that it was made in.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

# linux/sched.h
CLONE_NEWNET: Final = 0x40000000
OWN_NETWORK_NAMESPACE: Final = "/proc/thread-self/ns/net"

libc: Final = ctypes.CDLL(None, use_errno=True)
_Made = TypeVar("_Made")


def checked(result: int, what: str) -> None:
    """Raise what a system call of `libc` left in errno.

    Raises:
        OSError: `result` is not 0.
    """
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (`CLONE_NEW*`).

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN.
    """
    checked(libc.unshare(flags), "unshare")


def enter(descriptor: int) -> None:
    """Move the calling thread into the network namespace behind a descriptor.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN.
    """
    checked(libc.setns(descriptor, CLONE_NEWNET), "setns")


def own_namespace() -> int:
    """Return a descriptor of the calling thread's network namespace; the caller closes it."""
    return os.open(OWN_NETWORK_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def scratch_namespace() -> Iterator[int]:
    """Yield a descriptor of a new network namespace without a name.

    The kernel ends it, with the devices in it, when the descriptor and the sockets made there are closed:
    also when this process is killed.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN.
    """

    def make() -> int:
        unshare(CLONE_NEWNET)
        return own_namespace()

    descriptor = _in_a_thread(make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def inside(descriptor: int, action: Callable[[], _Made]) -> _Made:
    """Run `action` in the network namespace behind a descriptor and return its result.

    It runs in a thread of its own, so that neither a signal nor an error leaves the caller's thread there.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN; and whatever `action` raises.
    """

    def run() -> _Made:
        enter(descriptor)
        return action()

    return _in_a_thread(run)


def _in_a_thread(action: Callable[[], _Made]) -> _Made:
    with ThreadPoolExecutor(1, "namespace") as threads:
        return threads.submit(action).result()
