"""Addresses that a probe may pretend to have: nobody else's."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final

from kernelbal.model.address import Address
from kernelbal.model.network import AddressKey

FAR_CLIENTS: Final = {
    4: Address(bytes((203, 0, 113, 77))),
    16: Address(ipaddress.IPv6Address("2001:db8:77::77").packed),
}
"""Clients that stand for all those far away (RFC 5737, RFC 3849), by length of the address."""
_TRIED: Final = 64
_INTERFACE_ID: Final = bytes.fromhex("024b42fffe4b4277")


def spare_address(own: AddressKey, taken: Collection[Address]) -> Address | None:
    """Return an address of the network of `own` that nobody is known to have; None when there is none.

    Args:
        own: an address of this host with its prefix.
        taken: addresses that somebody has.
    """
    network = ipaddress.ip_network((bytes(own.address), own.prefix), strict=False)
    if network.num_addresses < 8:
        return None
    last = int(network.broadcast_address) - 1
    if len(own.address) == 16 and own.prefix <= 64:
        last = int(network.network_address) | int.from_bytes(_INTERFACE_ID)
    for number in range(last, last - min(_TRIED, network.num_addresses - 4), -1):
        address = Address(number.to_bytes(len(own.address)))
        if address not in taken and address != own.address:
            return address
    return None
