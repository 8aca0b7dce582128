"""Which TCP segments real servers ask for, when clients connect to the virtual address."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections.abc import Mapping
from typing import Final

from kernelbal.kernel.refusals import error as kernel_error
from kernelbal.model.address import family_of
from kernelbal.model.health import Target
from kernelbal.runtime.checker.sockets import FLAGS, ProbeSetupError, prepare, socket_address

AT_A_TIME: Final = 128
"""Connections that are made at the same time."""
CONNECT_S: Final = 2.0
"""How long one may take; the real server has just answered a probe."""
_REPAIR: Final = 19
"""`TCP_REPAIR`: only in this mode `TCP_MAXSEG` is what the far end announced, not what is in use (tcp(7))."""
_REPAIR_ON: Final = 1
_REPAIR_OFF_SILENTLY: Final = -1


def segment_sizes(targets: Mapping[str, Target]) -> dict[str, int]:
    """Return the greatest segment in bytes that each far end asks for (MSS); none where it did not connect.

    Args:
        targets: where to connect, by a key of the caller.

    Raises:
        KernelError: sockets are not allowed here.
    """
    keys = list(targets)
    found: dict[str, int] = {}
    for start in range(0, len(keys), AT_A_TIME):
        found |= _batch({key: targets[key] for key in keys[start : start + AT_A_TIME]})
    return found


def _batch(targets: Mapping[str, Target]) -> dict[str, int]:
    poller = select.poll()
    waiting: dict[int, tuple[str, socket.socket]] = {}
    found: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        for key, target in targets.items():
            made = stack.enter_context(_open(target))
            if _connect(made, target):
                waiting[made.fileno()] = key, made
                poller.register(made, select.POLLOUT)
        until = time.monotonic() + CONNECT_S
        while waiting and (left_s := until - time.monotonic()) > 0:
            for descriptor, _ in poller.poll(left_s * 1000):
                key, connection = waiting.pop(descriptor)
                poller.unregister(descriptor)
                size = _size(connection)
                if size:
                    found[key] = size
    return found


def _open(target: Target) -> socket.socket:
    try:
        return socket.socket(family_of(target.address), socket.SOCK_STREAM | FLAGS, 0)
    except OSError as fault:
        raise kernel_error("open a socket", "", fault.errno or errno.EIO) from fault


def _connect(made: socket.socket, target: Target) -> bool:
    """Begin to connect by the way of a probe, but with segments of any size."""
    try:
        prepare(made, target)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 0)
        number = made.connect_ex(socket_address(target.address, target.port))
    except (OSError, ProbeSetupError):
        return False
    return number in (0, errno.EINPROGRESS)


def _size(made: socket.socket) -> int:
    """Return what the far end of a connection announced in its SYN; 0 when there is no connection."""
    if made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return 0
    try:
        made.setsockopt(socket.IPPROTO_TCP, _REPAIR, _REPAIR_ON)
        size = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        made.setsockopt(socket.IPPROTO_TCP, _REPAIR, _REPAIR_OFF_SILENTLY)
    except OSError:  # an old kernel, or the connection is gone already
        return 0
    return size
