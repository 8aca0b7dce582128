"""Asks a segment who has an IPv4 address, and hears every answer (RFC 826)."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kernelbal.lab.namespaces import Host

LISTEN_S: Final = 0.5
"""How long answers may take; on a segment of the lab they come within milliseconds."""
_ETH_P_ARP: Final = 0x0806
_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_BROADCAST: Final = b"\xff" * 6
_UNKNOWN: Final = bytes(6)


def who_has(host: Host, address: str, *, device: str = "eth0") -> list[str]:
    """Return the hardware address in each answer, in the order of their coming.

    Raises:
        OSError: no such device, or no right to open packet sockets.
    """
    with host.inside():
        asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))
    with asking:
        asking.bind((device, _ETH_P_ARP))
        own: bytes = asking.getsockname()[4]
        asking.send(request(own, host.address(4, device), address))
        return _answers(asking, address)


def _answers(asking: socket.socket, address: str) -> list[str]:
    found = []
    until = time.monotonic() + LISTEN_S
    while (left_s := until - time.monotonic()) > 0:
        asking.settimeout(left_s)
        try:
            frame = asking.recv(2048)
        except TimeoutError:
            break
        sender = sender_of_reply(frame, address)
        if sender is not None:
            found.append(sender)
    return found


def request(own_hardware: bytes, own_address: str, wanted: str) -> bytes:
    """Return the Ethernet frame that asks for `wanted`."""
    addresses = (own_hardware, socket.inet_aton(own_address), _UNKNOWN, socket.inet_aton(wanted))
    return _ETHERNET.pack(_BROADCAST, own_hardware, _ETH_P_ARP) + _ARP.pack(
        1, 0x0800, 6, 4, _REQUEST, *addresses
    )


def sender_of_reply(frame: bytes, wanted: str) -> str | None:
    """Return the hardware address that a frame claims for `wanted`; None when it is no reply about it."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    fields = _ARP.unpack_from(frame, _ETHERNET.size)
    operation, hardware, address = fields[4], fields[5], fields[6]
    if operation != _REPLY or address != socket.inet_aton(wanted):
        return None
    return ":".join(f"{byte:02x}" for byte in hardware)
