"""Sockets for probes: family, source address, firewall mark, and the scope of link-local addresses."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.source import source_towards
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address
from kernelbal.model.event import Topic
from kernelbal.model.health import Target
from kernelbal.runtime.checker.wire import Notice

FLAGS: Final = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_LINK_LOCAL: Final = b"\xfe\x80"
_SO_MARK: Final = 36
_IP_BIND_ADDRESS_NO_PORT: Final = 24
_SMALL_SEGMENT_BYTES: Final = 1200
"""Fits through any tunnel; the route of an active director to an address of its own allows far more."""
_HOPS: Final = {
    AF_INET: (socket.IPPROTO_IP, socket.IP_TTL),
    AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}


SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""What `connect` takes."""


class ProbeSetupError(Exception):
    """A probe cannot be run as configured; the notice says why."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.message)
        self.notice = notice


def socket_address(address: Address, port: int) -> SocketAddress:
    """Return what `connect` and `bind` take."""
    text = format_address(address)
    if family_of(address) == AF_INET:
        return text, port
    return text, port, 0, _scope() if address[:2] == _LINK_LOCAL else 0


def _scope() -> int:
    """Return the index of the one device that a link-local address can be on; 0 if there are several."""
    devices = [index for index, name in socket.if_nameindex() if name != "lo"]
    return devices[0] if len(devices) == 1 else 0


def prepare(sock: socket.SocketType, target: Target) -> None:
    """Give a socket the source address, the firewall mark and the number of hops of a target.

    Raises:
        Obstacle: this machine does not allow it.
        OSError: it ran out of something.
    """
    if target.mark:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, target.mark)
        except PermissionError:
            message = "probes with a firewall mark need CAP_NET_ADMIN"
            raise ProbeSetupError(_unable(message, "add it to AmbientCapabilities= of the service")) from None
    if target.through and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SMALL_SEGMENT_BYTES)
    if target.hops:
        level, option = _HOPS[family_of(target.address)]
        sock.setsockopt(level, option, target.hops)
    source = target.source or (_source_through(target) if target.through else None)
    if source:
        if sock.type != socket.SOCK_RAW:
            # Only now a port would be taken; with this option that is left to `connect`, which knows more.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind(socket_address(source, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            message = f"source address {format_address(source)} of a check is not configured on this machine"
            raise ProbeSetupError(_unable(message, "correct `source`, or add the address")) from None


def _source_through(target: Target) -> Address:
    """Return where a probe through a virtual address leaves from; this director may hold that one itself."""
    try:
        source = source_towards(target.server, target.address)
    except KernelError as error:
        raise ProbeSetupError(_unable(error.message, error.hint or "")) from error
    if source is None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
    return source


def _unable(message: str, hint: str) -> Notice:
    return Notice(Topic.CHECKER_UNABLE, message, hint)
