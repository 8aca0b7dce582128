"""Whether something in front of the director hides the clients' addresses from it.

Source NAT in a firewall or router makes all clients one: persistence by source address keeps everybody on one
real server, hashes have nothing to spread, and GEO places everybody where the firewall is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelbal.model.address import Address, format_address
from kernelbal.model.units import counted

SAMPLE: Final = 20_000
"""Entries of the connection table that are looked at; it is in the order of hashes, so these are like all."""
MIN_CONNECTIONS: Final = 200
"""Fewer connections prove nothing."""
FEW: Final = 4
"""That many source addresses may be one firewall, or a cluster of them."""
NEARLY_ALL: Final = 0.95
"""The share of connections that these addresses have when clients are hidden."""

HINT: Final = (
    "let the device in front of the director translate destinations only, "
    "unless these are all clients there are"
)


def hidden_clients(connections: Mapping[Address, int]) -> str:
    """Return a warning that clients seem to be hidden; empty when they are not.

    Args:
        connections: how many connections each source address has, without those of the director itself.
    """
    total = sum(connections.values())
    if total < MIN_CONNECTIONS:
        return ""
    most = sorted(connections.items(), key=lambda item: (-item[1], item[0]))[:FEW]
    shown: list[str] = []
    seen = 0
    for address, count in most:
        shown.append(format_address(address))
        seen += count
        if seen >= total * NEARLY_ALL:
            from_few = f"from {counted(len(shown), 'address', 'addresses')} ({', '.join(shown)})"
            return (
                f"{seen} of {total} connections come {from_few}: source NAT in front of this director seems"
                " to hide the clients; persistence, hashes and GEO see them as one"
            )
    return ""
