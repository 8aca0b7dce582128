"""IP addresses as packed bytes: 4 for IPv4, 16 for IPv6, network byte order.

Packed bytes are what the kernel speaks, hash and compare at C speed, and sort by family; a site may hold
100,000 of them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final


class Address(bytes):
    """A packed IPv4 (4 bytes) or IPv6 (16 bytes) address.

    A class of its own, so that records and messages show it as text (`kernelbal.store.codec`).
    """

    __slots__ = ()


MAY_BE_EMPTY: Final = "may be empty"
AddressOrEmpty = Annotated[Address, MAY_BE_EMPTY]
"""An address that may be empty: no bytes, where there is none."""

AF_INET = 2
"""Address family of IPv4 (`linux/socket.h`)."""
AF_INET6 = 10
"""Address family of IPv6 (`linux/socket.h`)."""

_DOTTED_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")


def parse_address(text: str) -> Address:
    """Return the packed form of a numeric IPv4 or IPv6 address.

    Zone identifiers and octets with leading zeros are refused.

    Raises:
        ValueError: `text` is not an address; the message says why.
    """
    if _DOTTED_QUAD.fullmatch(text):
        try:
            return Address(bytes(map(int, text.split("."))))
        except ValueError:
            raise ValueError(f"`{text}` is not an IPv4 address: an octet is above 255") from None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"`{text}` is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f"`{text}` has a zone identifier; write the address without `%`")
    return Address(address.packed)


def format_address(address: Address) -> str:
    """Return the canonical text (RFC 5952 for IPv6)."""
    if len(address) == 4:
        return ".".join(map(str, address))
    return ipaddress.IPv6Address(bytes(address)).compressed


def family_of(address: Address) -> int:
    """Return `AF_INET` or `AF_INET6`."""
    return AF_INET if len(address) == 4 else AF_INET6


def host_prefix(address: Address) -> int:
    """Return the prefix length of a single host: 32 or 128."""
    return len(address) * 8


def with_port(host: str, port: int) -> str:
    """Return `192.0.2.1:80` or `[2001:db8::1]:80`; the host alone when `port` is 0."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def format_endpoint(address: Address, port: int) -> str:
    """Return `192.0.2.1:80` or `[2001:db8::1]:80`; port 0 is printed as `*`."""
    text = format_address(address)
    shown = str(port) if port else "*"
    return f"{text}:{shown}" if len(address) == 4 else f"[{text}]:{shown}"


def in_network(address: Address, network: Address, prefix: int) -> bool:
    """Return whether `address` lies in `network`/`prefix`; False when the families differ."""
    if len(address) != len(network):
        return False
    shift = len(address) * 8 - prefix
    return int.from_bytes(address) >> shift == int.from_bytes(network) >> shift
