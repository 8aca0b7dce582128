"""Sockets on which VRRP is spoken: one for each device and family (RFC 9568 5.1).

Sources are given with each packet, and not chosen by the kernel: partners know a router by its address, and a
raw socket of IPv4 that is bound to one receives no multicast (`raw_v4_match`).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import Final, Self

from kernelbal.kernel.refusals import error as kernel_error
from kernelbal.model.address import AF_INET, AF_INET6, Address, format_address
from kernelbal.vrrp.ip import IPPROTO_VRRP, IpPacket, NotIp, parse_ip
from kernelbal.vrrp.packet import GROUPS, TTL

PACKETS_AT_ONCE: Final = 32
"""Most that are read of one socket before timers have their turn: a flood delays no advertisement."""
_READ_BYTES: Final = 2048
_INTERNETWORK_CONTROL: Final = 0xC0
"""Traffic class CS6 (RFC 4594 3.1)."""
IP_PKTINFO: Final = 8
_PKTINFO4: Final = struct.Struct("=i4s4s")
"""`struct in_pktinfo`: interface index, source, destination (`linux/in.h`)."""
_INT: Final = struct.Struct("=i")
_PKTINFO6: Final = struct.Struct("=16sI")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_INT.size) + socket.CMSG_SPACE(_PKTINFO6.size)


class VrrpWire:
    """One socket.

    Attributes:
        family: `AF_INET` or `AF_INET6`.
        source: of what it sends.
        ifindex: of its device.
    """

    def __init__(self, sock: socket.socket, family: int, source: Address, ifindex: int) -> None:
        self._sock = sock
        self.family = family
        self.source = source
        self.ifindex = ifindex

    @classmethod
    def open(cls, device: str, ifindex: int, source: Address) -> Self:
        """Open a socket and join the group.

        Args:
            device: its name.
            ifindex: its index.
            source: address of the device, of the family that is spoken; link-local for IPv6.

        Raises:
            KernelError: raw sockets are not allowed here, or the device is gone.
        """
        family = AF_INET if len(source) == 4 else AF_INET6
        sock = socket.socket(
            family, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, IPPROTO_VRRP
        )
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
            (_set_up_v4 if family == AF_INET else _set_up_v6)(sock, ifindex)
        except OSError as fault:
            sock.close()
            raise kernel_error("speak VRRP", device, fault.errno or errno.EIO) from fault
        return cls(sock, family, source, ifindex)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket, and leave the group."""
        self._sock.close()

    def send(self, payload: bytes, destination: Address) -> None:
        """Send one advertisement.

        Raises:
            OSError: it cannot be sent, as while the device is down.
        """
        text = format_address(destination)
        if self.family == AF_INET:
            info = _PKTINFO4.pack(self.ifindex, self.source, bytes(4))
            self._sock.sendmsg([payload], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, (text, 0))
        else:
            info = _PKTINFO6.pack(self.source, self.ifindex)
            control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
            self._sock.sendmsg([payload], control, 0, (text, 0, 0, self.ifindex))

    def receive(self) -> Iterator[IpPacket]:
        """Yield what waits, up to a bound; what is no whole packet is passed over."""
        for _ in range(PACKETS_AT_ONCE):
            try:
                data, ancillary, _, sender = self._sock.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
            except OSError as fault:
                if fault.errno not in (errno.EAGAIN, errno.ENETDOWN, errno.ENOBUFS):
                    raise
                return
            if self.family == AF_INET6:
                yield _packet6(data, ancillary, sender[0])
                continue
            try:
                yield parse_ip(data)
            except NotIp:
                continue


def _set_up_v4(sock: socket.socket, ifindex: int) -> None:
    membership = struct.pack("=4s4si", GROUPS[AF_INET], bytes(4), ifindex)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, TTL)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _INTERNETWORK_CONTROL)


def _set_up_v6(sock: socket.socket, ifindex: int) -> None:
    v6 = socket.IPPROTO_IPV6
    sock.setsockopt(v6, socket.IPV6_JOIN_GROUP, struct.pack("=16si", GROUPS[AF_INET6], ifindex))
    sock.setsockopt(v6, socket.IPV6_MULTICAST_IF, ifindex)
    sock.setsockopt(v6, socket.IPV6_MULTICAST_HOPS, TTL)
    sock.setsockopt(v6, socket.IPV6_MULTICAST_LOOP, 0)
    sock.setsockopt(v6, socket.IPV6_UNICAST_HOPS, TTL)
    sock.setsockopt(v6, socket.IPV6_TCLASS, _INTERNETWORK_CONTROL)
    sock.setsockopt(v6, socket.IPV6_RECVHOPLIMIT, 1)
    sock.setsockopt(v6, socket.IPV6_RECVPKTINFO, 1)


def _packet6(data: bytes, ancillary: list[tuple[int, int, bytes]], sender: str) -> IpPacket:
    """Return a packet whose header the kernel has read; raw sockets of IPv6 show none (RFC 3542 3)."""
    found = {kind: value for level, kind, value in ancillary if level == socket.IPPROTO_IPV6}
    hops = _INT.unpack(found.get(socket.IPV6_HOPLIMIT, bytes(4)))[0]
    destination, _ = _PKTINFO6.unpack(found.get(socket.IPV6_PKTINFO, bytes(_PKTINFO6.size)))
    source = Address(socket.inet_pton(socket.AF_INET6, sender.partition("%")[0]))
    return IpPacket(AF_INET6, source, Address(destination), hops, IPPROTO_VRRP, data)
