"""Frames and messages of ARP and IPv6 neighbour discovery.

RFC 826 and RFC 5227 for ARP, RFC 4861 sections 4.3, 4.4, 7.1.2 and 7.2 for neighbour discovery.

Left out: SEND (RFC 3971), and hardware addresses that are not 6 bytes long.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from kernelbal.model.address import Address
from kernelbal.model.headers import transport_checksum

ETH_P_ARP: Final = 0x0806
ETH_P_IPV6: Final = 0x86DD
IPPROTO_ICMPV6: Final = 58

_BROADCAST: Final = b"\xff" * 6
_ALL_NODES: Final = Address(bytes.fromhex("ff020000000000000000000000000001"))
_ALL_NODES_HARDWARE: Final = bytes.fromhex("333300000001")
_SOLICITED_NODE: Final = bytes.fromhex("ff0200000000000000000001ff")
UNSPECIFIED: Final = Address(bytes(4))
HOP_LIMIT: Final = 255
NEIGHBOUR_SOLICITATION: Final = 135
NEIGHBOUR_ADVERTISEMENT: Final = 136
_ROUTER_FLAG: Final = 0x80000000
_OVERRIDE_FLAG: Final = 0x20000000
_SOURCE_LINK_LAYER_ADDRESS: Final = 1
_TARGET_LINK_LAYER_ADDRESS: Final = 2
_OPTION_BYTES: Final = 8

ETHERNET: Final = struct.Struct("!6s6sH")
ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
ARP_KIND: Final = (1, 0x0800, 6, 4)
"""Ethernet and IPv4, with the lengths of their addresses: the first fields of an ARP packet."""
IPV6: Final = struct.Struct("!IHBB16s16s")
_ADVERTISEMENT: Final = struct.Struct("!BBHI16sBB6s")
"""Also the form of a solicitation."""


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
    arp = ARP.pack(*ARP_KIND, form, hardware, address, _BROADCAST, address)
    return ETHERNET.pack(_BROADCAST, hardware, ETH_P_ARP) + arp


def unsolicited_advertisement(hardware: bytes, address: Address, *, router: bool) -> bytes:
    """Return the Ethernet frame that announces an IPv6 address to all nodes, with the override flag.

    Args:
        hardware: the 6 bytes of the device's (or virtual) MAC address.
        address: 16 bytes; source and target.
        router: whether the host forwards on this device.
    """
    flags = _OVERRIDE_FLAG | (_ROUTER_FLAG if router else 0)
    option = (_TARGET_LINK_LAYER_ADDRESS, 1, hardware)
    unsummed = _ADVERTISEMENT.pack(NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address, *option)
    checksum = transport_checksum(address, _ALL_NODES, IPPROTO_ICMPV6, unsummed)
    message = _ADVERTISEMENT.pack(NEIGHBOUR_ADVERTISEMENT, 0, checksum, flags, address, *option)
    header = IPV6.pack(6 << 28, len(message), IPPROTO_ICMPV6, HOP_LIMIT, address, _ALL_NODES)
    return ETHERNET.pack(_ALL_NODES_HARDWARE, hardware, ETH_P_IPV6) + header + message


def arp_request(hardware: bytes, address: Address, sender: Address = UNSPECIFIED) -> bytes:
    """Return the Ethernet frame that asks all neighbours for the holder of an IPv4 address.

    Args:
        hardware: the 6 bytes of the device's MAC address; answers go there.
        address: 4 bytes.
        sender: 4 bytes; `0.0.0.0` makes it a probe (RFC 5227 section 1.1), which updates no neighbour table.
    """
    arp = ARP.pack(*ARP_KIND, ArpForm.REQUEST, hardware, sender, bytes(6), address)
    return ETHERNET.pack(_BROADCAST, hardware, ETH_P_ARP) + arp


def read_arp_reply(frame: bytes) -> tuple[Address, bytes] | None:
    """Return an IPv4 address and the MAC address that an ARP reply claims for it; None for anything else."""
    if len(frame) < ETHERNET.size + ARP.size or ETHERNET.unpack_from(frame)[2] != ETH_P_ARP:
        return None
    *kinds, operation, hardware, address, _, _ = ARP.unpack_from(frame, ETHERNET.size)
    if tuple(kinds) != ARP_KIND or operation != ArpForm.REPLY:
        return None
    return Address(address), hardware


def solicitation(hardware: bytes, address: Address) -> bytes:
    """Return the ICMPv6 message that solicits the holder of an IPv6 address; the kernel adds the checksum.

    Args:
        hardware: the 6 bytes of the device's MAC address.
        address: 16 bytes.
    """
    option = (_SOURCE_LINK_LAYER_ADDRESS, 1, hardware)
    return _ADVERTISEMENT.pack(NEIGHBOUR_SOLICITATION, 0, 0, 0, address, *option)


def solicited_node(address: Address) -> Address:
    """Return the multicast address at which the holder of an address listens (RFC 4291 section 2.7.1)."""
    return Address(_SOLICITED_NODE + address[-3:])


def read_advertisement(message: bytes, hop_limit: int) -> tuple[Address, bytes] | None:
    """Return an IPv6 address and the MAC address that an advertisement claims for it; None for anything else.

    Args:
        message: ICMPv6, whose checksum the kernel has verified.
        hop_limit: what arrived; less than 255 comes from another segment (RFC 4861 section 7.1.2).
    """
    fixed = _ADVERTISEMENT.size - _OPTION_BYTES
    if len(message) < fixed or hop_limit != HOP_LIMIT or message[:2] != bytes((NEIGHBOUR_ADVERTISEMENT, 0)):
        return None
    target, at = Address(message[fixed - 16 : fixed]), fixed
    while at + _OPTION_BYTES <= len(message):
        kind, length = message[at], message[at + 1] * _OPTION_BYTES
        if kind == _TARGET_LINK_LAYER_ADDRESS and length == _OPTION_BYTES:
            return target, message[at + 2 : at + _OPTION_BYTES]
        if not length:
            break
        at += length
    return None
