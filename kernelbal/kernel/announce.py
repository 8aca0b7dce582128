"""Telling neighbours who holds an address: gratuitous ARP and unsolicited neighbour advertisements.

RFC 826 and RFC 5227 for ARP, RFC 4861 section 4.4 and 7.2.6 for neighbour advertisements. Some stacks learn
from ARP requests alone and some from replies alone, so both forms are sent. Frames are complete and leave
through AF_PACKET: neither ARP nor an IPv6 source address that is a second old suits an ordinary socket.

Left out: InfiniBand, whose hardware addresses are 20 bytes, and repetition, which is up to the caller.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from enum import IntEnum
from itertools import groupby
from typing import Final

from kernelbal.kernel import sysctl
from kernelbal.kernel.links import LinkDetail
from kernelbal.model.address import AF_INET, Address, family_of
from kernelbal.model.network import AddressKey

ETH_P_ARP: Final = 0x0806
ETH_P_IPV6: Final = 0x86DD
IPPROTO_ICMPV6: Final = 58

_BROADCAST: Final = b"\xff" * 6
_ALL_NODES: Final = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_HARDWARE: Final = bytes.fromhex("333300000001")
_HOP_LIMIT: Final = 255
_NEIGHBOUR_ADVERTISEMENT: Final = 136
_ROUTER_FLAG: Final = 0x80000000
_OVERRIDE_FLAG: Final = 0x20000000
_TARGET_LINK_LAYER_ADDRESS: Final = 2

_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_ADVERTISEMENT: Final = struct.Struct("!BBHI16sBB6s")


class ArpForm(IntEnum):
    """Operation of a gratuitous ARP packet."""

    REQUEST = 1
    REPLY = 2


def gratuitous_arp(hardware: bytes, address: Address, form: ArpForm) -> bytes:
    """Return the Ethernet frame that announces an IPv4 address; sender and target are both `address`.

    Args:
        hardware: the 6 bytes of the device's (or virtual) MAC address.
        address: 4 bytes.
        form: which of the two forms; both carry the broadcast address as target hardware address.
    """
    arp = _ARP.pack(1, 0x0800, 6, 4, form, hardware, address, _BROADCAST, address)
    return _ethernet(_BROADCAST, hardware, ETH_P_ARP) + arp


def unsolicited_advertisement(hardware: bytes, address: Address, *, router: bool) -> bytes:
    """Return the Ethernet frame that announces an IPv6 address to all nodes, with the override flag.

    Args:
        hardware: the 6 bytes of the device's (or virtual) MAC address.
        address: 16 bytes; source and target.
        router: whether the host forwards on this device.
    """
    flags = _OVERRIDE_FLAG | (_ROUTER_FLAG if router else 0)
    option = (_TARGET_LINK_LAYER_ADDRESS, 1, hardware)
    unsummed = _ADVERTISEMENT.pack(_NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address, *option)
    checksum = icmpv6_checksum(address, _ALL_NODES, unsummed)
    message = _ADVERTISEMENT.pack(_NEIGHBOUR_ADVERTISEMENT, 0, checksum, flags, address, *option)
    header = _IPV6.pack(6 << 28, len(message), IPPROTO_ICMPV6, _HOP_LIMIT, address, _ALL_NODES)
    return _ethernet(_ALL_NODES_HARDWARE, hardware, ETH_P_IPV6) + header + message


def icmpv6_checksum(source: bytes, destination: bytes, message: bytes) -> int:
    """Return the checksum of a message of even length over its pseudo-header (RFC 8200 section 8.1)."""
    data = source + destination + struct.pack("!II", len(message), IPPROTO_ICMPV6) + message
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frames(hardware: bytes, address: Address, *, router: bool) -> Iterator[bytes]:
    """Yield what announces one address of either family once."""
    if family_of(address) == AF_INET:
        yield from (gratuitous_arp(hardware, address, form) for form in ArpForm)
    else:
        yield unsolicited_advertisement(hardware, address, router=router)


def announce(keys: Sequence[AddressKey], devices: Mapping[str, LinkDetail]) -> dict[AddressKey, str]:
    """Announce addresses on their devices, once each; devices without neighbours are passed over.

    Args:
        keys: what to announce.
        devices: by name.

    Returns:
        The addresses that could not be announced, each with the reason.
    """
    silent: dict[AddressKey, str] = {}
    for device, group in groupby(sorted(keys, key=lambda key: key.device), lambda key: key.device):
        detail = devices.get(device)
        if detail is not None and detail.announces:
            silent |= _announce_on(detail, list(group))
    return silent


def _announce_on(detail: LinkDetail, keys: Sequence[AddressKey]) -> dict[AddressKey, str]:
    hardware = bytes.fromhex(detail.link.hardware_address.replace(":", ""))
    router = sysctl.read_sysctl(f"net/ipv6/conf/{detail.link.name}/forwarding") == "1"
    silent: dict[AddressKey, str] = {}
    try:
        with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)) as sock:
            sock.bind((detail.link.name, 0))
            for key in keys:
                reason = _send(sock, frames(hardware, key.address, router=router))
                if reason:
                    silent[key] = reason
    except OSError as error:
        reason = "CAP_NET_RAW is missing" if error.errno == errno.EPERM else _words(error)
        return dict.fromkeys(keys, reason)
    return silent


def _send(sock: socket.socket, packets: Iterator[bytes]) -> str:
    try:
        for packet in packets:
            sock.send(packet)
    except OSError as error:
        return _words(error)
    return ""


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _ethernet(destination: bytes, source: bytes, kind: int) -> bytes:
    return destination + source + struct.pack("!H", kind)
