"""The packets that a probe sends, and the answers that it parses.

RFC 791 and RFC 8200 (IP), RFC 9293 (TCP), RFC 768 (UDP), RFC 792 and RFC 4443 (ICMP), RFC 2784 (GRE),
draft-ietf-intarea-gue (GUE variant 0). Left out: IP options, extension headers, fragments.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from kernelbal.kernel.neighbour_frames import (
    ARP,
    ARP_KIND,
    ETH_P_IPV6,
    ETHERNET,
    HOP_LIMIT,
    IPPROTO_ICMPV6,
    IPV6,
    read_advertisement,
    solicitation,
    solicited_node,
)
from kernelbal.model.address import Address
from kernelbal.model.headers import internet_checksum, transport_checksum
from kernelbal.model.ipvs import TunnelType

ETH_P_IP: Final = 0x0800
IPPROTO_ICMP: Final = 1
IPPROTO_TCP: Final = 6
IPPROTO_UDP: Final = 17
IPPROTO_GRE: Final = 47
TCP_SYN: Final = 0x02
TCP_RST: Final = 0x04
TCP_ACK: Final = 0x10
ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2

_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_UDP: Final = struct.Struct("!HHHH")
_HOPS: Final = 64
_WINDOW_BYTES: Final = 65535
_MSS_OPTION: Final = 2
_FRAGMENT_OFFSET: Final = 0x1FFF
_ICMP_UNREACHABLE: Final = {4: 3, 16: 1}
_SHORTEST_HEADER: Final = {4: _IPV4.size, 16: IPV6.size}
_INNER_PROTOCOL: Final = {4: 4, 16: 41}
_ETHER_TYPE: Final = {4: ETH_P_IP, 16: ETH_P_IPV6}


class ArpPacket(NamedTuple):
    """An ARP packet: sender (MAC and address) and target address."""

    operation: int
    hardware: bytes
    sender: Address
    target: Address


class NeighbourAdvertisement(NamedTuple):
    """A neighbour advertisement: the MAC address that is claimed for an IPv6 address."""

    target: Address
    hardware: bytes


class TcpSegment(NamedTuple):
    """A TCP segment; `mss_bytes` is 0 where it names none."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    flags: int
    mss_bytes: int = 0


class UnreachableError(NamedTuple):
    """An ICMP message that a packet did not arrive, with the beginning of that packet."""

    code: int
    sender: Address
    destination: Address
    source_port: int
    destination_port: int


ProbeAnswer = ArpPacket | NeighbourAdvertisement | TcpSegment | UnreachableError


class FlowEnds(NamedTuple):
    """Both ends of a flow, as its first packet names them."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int


# --- packing ---


def tcp_syn(ends: FlowEnds, sequence: int, mss_bytes: int) -> bytes:
    """Return the IP packet with a SYN."""
    option = struct.pack("!BBH", _MSS_OPTION, 4, mss_bytes)
    return _ip(ends, IPPROTO_TCP, _tcp(ends, sequence, TCP_SYN, option))


def tcp_reset(ends: FlowEnds, sequence: int) -> bytes:
    """Return the IP packet with a RST after `tcp_syn`."""
    return _ip(ends, IPPROTO_TCP, _tcp(ends, sequence, TCP_RST, b""))


def datagram(ends: FlowEnds, data: bytes = b"") -> bytes:
    """Return the IP packet of a UDP datagram."""
    return _ip(ends, IPPROTO_UDP, _udp(ends, data))


def wrap(packet: bytes, kind: TunnelType, port: int, source: Address, destination: Address) -> bytes:
    """Return a packet inside another one, as the director sends it through a tunnel.

    Args:
        packet: the inner IP packet.
        kind: encapsulation.
        port: UDP port of GUE.
        source: outer source address.
        destination: outer destination address.
    """
    inner = 4 if packet[0] >> 4 == 4 else 16
    ends = FlowEnds(source, destination, port, port)
    match kind:
        case TunnelType.GRE:
            return _ip(ends, IPPROTO_GRE, struct.pack("!HH", 0, _ETHER_TYPE[inner]) + packet)
        case TunnelType.GUE:
            header = struct.pack("!BBH", 0, _INNER_PROTOCOL[inner], 0)
            return _ip(ends, IPPROTO_UDP, _udp(ends, header + packet))
        case _:
            return _ip(ends, _INNER_PROTOCOL[inner], packet)


def frame(destination: bytes, source: bytes, packet: bytes) -> bytes:
    """Return the Ethernet frame around an IP packet."""
    kind = ETH_P_IP if packet[0] >> 4 == 4 else ETH_P_IPV6
    return ETHERNET.pack(destination, source, kind) + packet


def solicitation_frame(hardware: bytes, source: Address, address: Address) -> bytes:
    """Return the Ethernet frame that solicits the holder of an IPv6 address; answers go to `source`."""
    group = solicited_node(address)
    message = solicitation(hardware, address)
    checksum = transport_checksum(source, group, IPPROTO_ICMPV6, message)
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    packet = IPV6.pack(6 << 28, len(message), IPPROTO_ICMPV6, HOP_LIMIT, source, group) + message
    return frame(b"\x33\x33" + group[-4:], hardware, packet)


def _ip(ends: FlowEnds, protocol: int, payload: bytes) -> bytes:
    if len(ends.source) == 16:
        head = IPV6.pack(6 << 28, len(payload), protocol, _HOPS, ends.source, ends.destination)
        return head + payload
    fields = [0x45, 0, _IPV4.size + len(payload), 0, 0, _HOPS, protocol, 0, ends.source, ends.destination]
    fields[7] = internet_checksum(_IPV4.pack(*fields))
    return _IPV4.pack(*fields) + payload


def _tcp(ends: FlowEnds, sequence: int, flags: int, options: bytes) -> bytes:
    offset = (_TCP.size + len(options)) << 2
    fields = [ends.source_port, ends.destination_port, sequence, 0, offset, flags, _WINDOW_BYTES, 0, 0]
    fields[7] = transport_checksum(ends.source, ends.destination, IPPROTO_TCP, _TCP.pack(*fields) + options)
    return _TCP.pack(*fields) + options


def _udp(ends: FlowEnds, data: bytes) -> bytes:
    head = (ends.source_port, ends.destination_port, _UDP.size + len(data))
    checksum = transport_checksum(ends.source, ends.destination, IPPROTO_UDP, _UDP.pack(*head, 0) + data)
    return _UDP.pack(*head, checksum or 0xFFFF) + data


# --- parsing ---


def parse_frame(data: bytes) -> ProbeAnswer | None:
    """Return the answer in an Ethernet frame; None when it is none that a probe waits for."""
    if len(data) < ETHERNET.size:
        return None
    kind = ETHERNET.unpack_from(data)[2]
    payload = data[ETHERNET.size :]
    try:
        match kind:
            case 0x0806:
                return _arp(payload)
            case 0x0800:
                return _ipv4(payload)
            case 0x86DD:
                return _ipv6(payload)
            case _:
                return None
    except (struct.error, IndexError):  # cut off
        return None


def _arp(data: bytes) -> ArpPacket | None:
    *kinds, operation, hardware, sender, _, target = ARP.unpack_from(data)
    if tuple(kinds) != ARP_KIND:
        return None
    return ArpPacket(operation, hardware, Address(sender), Address(target))


def _ipv4(data: bytes) -> ProbeAnswer | None:
    first, _, _, _, fragment, _, protocol, _, source, destination = _IPV4.unpack_from(data)
    head = (first & 0x0F) * 4
    if first >> 4 != 4 or head < _IPV4.size or fragment & _FRAGMENT_OFFSET:
        return None
    if protocol == IPPROTO_ICMP:
        return _unreachable(data[head:], Address(source))
    if protocol != IPPROTO_TCP:
        return None
    return _segment(data[head:], Address(source), Address(destination))


def _ipv6(data: bytes) -> ProbeAnswer | None:
    first, _, protocol, hops, source, destination = IPV6.unpack_from(data)
    if first >> 28 != 6:
        return None
    payload = data[IPV6.size :]
    if protocol == IPPROTO_ICMPV6:
        claim = read_advertisement(payload, hops)
        return _unreachable(payload, Address(source)) if claim is None else NeighbourAdvertisement(*claim)
    if protocol != IPPROTO_TCP:
        return None
    return _segment(payload, Address(source), Address(destination))


def _segment(data: bytes, source: Address, destination: Address) -> TcpSegment:
    source_port, destination_port, _, _, offset, flags, *_ = _TCP.unpack_from(data)
    mss_bytes = _mss_bytes(data[_TCP.size : (offset >> 4) * 4])
    return TcpSegment(source, destination, source_port, destination_port, flags, mss_bytes)


def _mss_bytes(options: bytes) -> int:
    """Return the maximum segment size (RFC 9293, 3.7.1); 0 where none is named."""
    at = 0
    while at + 1 < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        if options[at] == _MSS_OPTION:
            return int.from_bytes(options[at + 2 : at + 4])
        at += max(options[at + 1], 2)
    return 0


def _unreachable(message: bytes, sender: Address) -> UnreachableError | None:
    """The packet that did not arrive follows 8 bytes of ICMP."""
    family = len(sender)
    if message[0] != _ICMP_UNREACHABLE[family]:
        return None
    inner = message[8:]
    head = (inner[0] & 0x0F) * 4 if family == 4 else IPV6.size
    if head < _SHORTEST_HEADER[family]:
        return None
    destination = Address(inner[16:20] if family == 4 else inner[24:40])
    source_port, destination_port = struct.unpack_from("!HH", inner, head)
    return UnreachableError(message[1], sender, destination, source_port, destination_port)


REFUSALS: Final[Mapping[tuple[int, int], str]] = {
    (4, 0): "network unreachable",
    (4, 1): "host unreachable",
    (4, 3): "port unreachable",
    (4, 9): "network prohibited",
    (4, 10): "host prohibited",
    (4, 13): "prohibited",
    (16, 0): "no route",
    (16, 1): "prohibited",
    (16, 3): "address unreachable",
    (16, 4): "port unreachable",
    (16, 5): "policy",
    (16, 6): "route rejected",
}
"""Words by length of the address and ICMP code (RFC 792, RFC 1812, RFC 4443)."""
PORT_UNREACHABLE: Final = {4: 3, 16: 4}
