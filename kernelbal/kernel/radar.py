"""Listening to a segment for routers that share addresses; nothing is sent but reports of group membership.

The kernel filters (`linux/filter.h`), so that a director under load hands over the few frames that count.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.links import LinkDetail
from kernelbal.kernel.refusals import error as kernel_error
from kernelbal.vrrp.radar import Radar

SO_ATTACH_FILTER: Final = 26
ETH_P_IP: Final = 0x0800
ETH_P_IPV6: Final = 0x86DD
GROUPS_V4: Final = ("224.0.0.18", "224.0.0.2", "224.0.0.102")
"""VRRP and CARP, HSRP version 1, HSRP version 2."""
GROUPS_V6: Final = ("ff02::12", "ff02::66")
FRAME_BYTES: Final = 2048
FRAMES_AT_ONCE: Final = 64
"""Of one device, before the others have their turn."""

_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")
_ACCEPT: Final = (0x06, 0, 0, 0xFFFF)
_DROP: Final = (0x06, 0, 0, 0)
_LDB, _LDH, _JEQ, _LDXB, _LDH_X = 0x30, 0x28, 0x15, 0xB1, 0x48
# Protocol 112, or UDP to port 1985; of IPv4 behind a header of any length, of IPv6 without extensions.
FILTERS: Final[Mapping[int, Sequence[tuple[int, int, int, int]]]] = {
    ETH_P_IP: (
        (_LDB, 0, 0, 14 + 9),
        (_JEQ, 4, 0, 112),
        (_JEQ, 0, 4, 17),
        (_LDXB, 0, 0, 14),
        (_LDH_X, 0, 0, 14 + 2),
        (_JEQ, 0, 1, 1985),
        _ACCEPT,
        _DROP,
    ),
    ETH_P_IPV6: (
        (_LDB, 0, 0, 14 + 6),
        (_JEQ, 3, 0, 112),
        (_JEQ, 0, 3, 17),
        (_LDH, 0, 0, 14 + 40 + 2),
        (_JEQ, 0, 1, 2029),
        _ACCEPT,
        _DROP,
    ),
}


def listen(devices: Sequence[LinkDetail], duration_s: float) -> dict[str, Radar]:
    """Return what was heard behind devices, by their names.

    Args:
        devices: Ethernet devices that are up.
        duration_s: how long to listen, in seconds.

    Raises:
        KernelError: packet sockets are not allowed here, or a device is gone.
    """
    radars = {device.link.name: Radar() for device in devices}
    with ExitStack() as stack:
        sockets: dict[int, tuple[socket.socket, Radar]] = {}
        for device in devices:
            try:
                opened = _open(stack, device)
            except OSError as fault:
                raise _refused(device, fault) from fault
            sockets.update((sock.fileno(), (sock, radars[device.link.name])) for sock in opened)
        _hear(sockets, time.monotonic() + duration_s)
    return radars


def _refused(device: LinkDetail, fault: OSError) -> KernelError:
    return kernel_error("listen for routers", device.link.name, fault.errno or errno.EIO)


def _open(stack: ExitStack, device: LinkDetail) -> list[socket.socket]:
    """Join the groups, so that switches send them here, and open a socket for each family."""
    _join(stack, device.link.ifindex)
    opened = []
    for protocol, program in FILTERS.items():
        sock = stack.enter_context(
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        )
        _attach(sock, program)
        sock.bind((device.link.name, protocol))
        opened.append(sock)
    return opened


def _join(stack: ExitStack, index: int) -> None:
    v4 = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
    for group in GROUPS_V4:
        request = struct.pack("=4s4si", socket.inet_aton(group), bytes(4), index)
        v4.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    try:
        v6 = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
        for group in GROUPS_V6:
            request = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, group), index)
            v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    except OSError as fault:
        if fault.errno not in (errno.EAFNOSUPPORT, errno.ENODEV, errno.EADDRNOTAVAIL):
            raise  # the others: no IPv6 on this device


def _attach(sock: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM.pack(len(program), ctypes.addressof(code)))


def _hear(sockets: Mapping[int, tuple[socket.socket, Radar]], until: float) -> None:
    poller = select.poll()
    for descriptor in sockets:
        poller.register(descriptor, select.POLLIN)
    while (left_s := until - time.monotonic()) > 0:
        for descriptor, _ in poller.poll(left_s * 1000):
            sock, radar = sockets[descriptor]
            for _ in range(FRAMES_AT_ONCE):
                try:
                    radar.hear(sock.recv(FRAME_BYTES))
                except BlockingIOError:
                    break
