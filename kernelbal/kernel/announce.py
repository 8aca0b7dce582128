"""Telling neighbours who holds an address: gratuitous ARP and unsolicited neighbour advertisements.

Some stacks learn from ARP requests alone and some from replies alone, so both forms are sent. Frames are
complete and leave through AF_PACKET: neither ARP nor an IPv6 source address that is a second old suits an
ordinary socket.

Left out: InfiniBand, whose hardware addresses are 20 bytes, and repetition, which is up to the caller.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby

from kernelbal.kernel import sysctl
from kernelbal.kernel.links import LinkDetail
from kernelbal.kernel.neighbour_frames import ArpForm, gratuitous_arp, unsolicited_advertisement
from kernelbal.model.address import AF_INET, Address, family_of
from kernelbal.model.network import AddressKey


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
