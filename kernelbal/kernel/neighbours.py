"""Who holds an address on a segment: every answer, not only the first as for the kernel.

IPv4 addresses are queried by ARP probes, which update no neighbour table (RFC 5227 section 1.1). IPv6
addresses are queried by solicitations from the device's own address: those without one are answered to all
nodes, which would then use a wrong host.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.health.checks.icmp import FILTER_OPTION, type_filter
from kernelbal.kernel.links import LinkDetail
from kernelbal.kernel.neighbour_frames import (
    ETH_P_ARP,
    HOP_LIMIT,
    IPPROTO_ICMPV6,
    NEIGHBOUR_ADVERTISEMENT,
    arp_request,
    read_advertisement,
    read_arp_reply,
    solicitation,
    solicited_node,
)
from kernelbal.kernel.refusals import error as kernel_error
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address

ROUNDS: Final = 3
"""Queries per address: a frame can get lost."""
ROUND_S: Final = 0.3
"""How long one round of answers may take; neighbours answer within milliseconds."""
_BATCH: Final = 64
"""Queries between two reads of answers."""
_READ_BYTES: Final = 2048
_INT: Final = struct.Struct("=i")

Claims = dict[Address, tuple[str, ...]]
"""MAC addresses by the address that they claim, in the order of their answers."""


def address_holders(
    device: LinkDetail, addresses: Collection[Address], *, rounds: int = ROUNDS, round_s: float = ROUND_S
) -> Claims:
    """Return all MAC addresses that answer for addresses on the segment behind a device.

    Args:
        device: an Ethernet device that is up.
        addresses: of either family; those without an answer are missing in the result.
        rounds: number of queries per address.
        round_s: how long to listen after each time, in seconds.

    Raises:
        KernelError: packet sockets are not allowed here, or the device is gone.
    """
    if not addresses or not device.announces:
        return {}
    try:
        with _Segment(device, addresses) as segment:
            for _ in range(rounds):
                segment.query()
                segment.listen(round_s)
    except OSError as fault:
        raise _refused(device, fault) from fault
    return {address: tuple(found) for address, found in segment.claims.items() if found}


def _refused(device: LinkDetail, fault: OSError) -> KernelError:
    return kernel_error("query neighbours", device.link.name, fault.errno or errno.EIO)


class _Segment:
    """Sockets to one segment, and the answers."""

    def __init__(self, device: LinkDetail, addresses: Collection[Address]) -> None:
        self._device = device.link
        self._hardware = bytes.fromhex(device.link.hardware_address.replace(":", ""))
        self._addresses = tuple(addresses)
        self.claims: dict[Address, dict[str, None]] = {address: {} for address in addresses}
        self._stack = ExitStack()
        self._arp: socket.socket | None = None
        self._discovery: socket.socket | None = None
        self._poller = select.poll()

    def __enter__(self) -> _Segment:
        with self._stack:
            if any(family_of(address) == AF_INET for address in self._addresses):
                self._arp = self._open(_arp_socket(self._device.name))
            if any(family_of(address) != AF_INET for address in self._addresses):
                self._discovery = self._open(_discovery_socket(self._device.ifindex))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, sock: socket.socket) -> socket.socket:
        self._stack.enter_context(sock)
        sock.setblocking(False)
        self._poller.register(sock, select.POLLIN)
        return sock

    def query(self) -> None:
        """Query every address once; answers are read meanwhile, so that none is dropped."""
        for start in range(0, len(self._addresses), _BATCH):
            for address in self._addresses[start : start + _BATCH]:
                self._query(address)
            self.listen(0.0)

    def _query(self, address: Address) -> None:
        try:
            if family_of(address) == AF_INET:
                if self._arp is not None:
                    self._arp.send(arp_request(self._hardware, address))
            elif self._discovery is not None:
                group = format_address(solicited_node(address))
                message = solicitation(self._hardware, address)
                self._discovery.sendto(message, (group, 0, 0, self._device.ifindex))
        except BlockingIOError:  # the queue is full; the next round repeats it
            return
        except OSError as fault:
            if fault.errno not in (errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENETUNREACH):
                raise  # the others: no IPv6 address on this device, so that none could be answered

    def listen(self, duration_s: float) -> None:
        """Take answers until the time is over."""
        until = time.monotonic() + duration_s
        while True:
            left_s = max(until - time.monotonic(), 0.0)
            if not self._poller.poll(left_s * 1000):
                return
            for address, hardware in self._answers():
                if address in self.claims:
                    self.claims[address][hardware.hex(":")] = None

    def _answers(self) -> Iterator[tuple[Address, bytes]]:
        if self._arp is not None and (frame := _receive(self._arp)) is not None:
            yield from _known(read_arp_reply(frame[0]))
        if self._discovery is not None and (message := _receive(self._discovery)) is not None:
            yield from _known(read_advertisement(*message))


def _known(claim: tuple[Address, bytes] | None) -> Iterator[tuple[Address, bytes]]:
    if claim is not None:
        yield claim


def _receive(sock: socket.socket) -> tuple[bytes, int] | None:
    """Return a message with its hop limit (0 where there is none); None when there is no message."""
    try:
        data, ancillary, _, _ = sock.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_INT.size))
    except BlockingIOError:
        return None
    limits = [
        value
        for level, kind, value in ancillary
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
    ]
    return data, _INT.unpack(limits[0][: _INT.size])[0] if limits else 0


def _arp_socket(device: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    sock.bind((device, ETH_P_ARP))
    return sock


def _discovery_socket(index: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, IPPROTO_ICMPV6)
    sock.setsockopt(*FILTER_OPTION[AF_INET6], type_filter(AF_INET6, (NEIGHBOUR_ADVERTISEMENT,)))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return sock
