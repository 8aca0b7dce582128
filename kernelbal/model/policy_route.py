"""Policy routes: rules that choose a routing table, and the routes in such tables (ip-rule(8))."""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.model.address import AF_INET, Address, format_address

PROTOCOL_KERNELBAL = 0x4B
"""Routing protocol number (`FRA_PROTOCOL`, `rtm_protocol`) of rules and routes that are ours.

`linux/rtnetlink.h` and iproute2's `rt_protos` give it to nobody else.
"""

ANYWHERE = {2: Address(bytes(4)), 10: Address(bytes(16))}
"""The destination of a default route, by address family."""


class Rule(NamedTuple):
    """A routing rule; all of it is its identity.

    Attributes:
        priority: rules are tried from the lowest on.
        source, source_prefix: packets from here; a prefix of 0 is anywhere.
        destination, destination_prefix: packets to there; a prefix of 0 is anywhere.
    """

    family: int
    priority: int
    table: int
    source: Address
    source_prefix: int
    destination: Address
    destination_prefix: int

    def __str__(self) -> str:
        from_, to = _block(self.source, self.source_prefix), _block(self.destination, self.destination_prefix)
        family = "" if self.family == AF_INET else "-6 "
        return f"{family}{self.priority}: from {from_} to {to} lookup {self.table}"


class TableRouteKey(NamedTuple):
    """Identity of a route in a table of its own."""

    table: int
    destination: Address
    prefix: int

    def __str__(self) -> str:
        block = f"{format_address(self.destination)}/{self.prefix}"
        default = "default" if len(self.destination) == 4 else "-6 default"
        return f"{block if self.prefix else default} table {self.table}"


class NextHop(NamedTuple):
    """Where a route leads; without gateway, the destination is on the link."""

    gateway: Address | None
    device: str

    def __str__(self) -> str:
        via = f"via {format_address(self.gateway)} " if self.gateway is not None else ""
        return f"{via}dev {self.device}"


TableRoutes = dict[TableRouteKey, NextHop]
"""Where each route of ours leads."""


def _block(address: Address, prefix: int) -> str:
    return f"{format_address(address)}/{prefix}" if prefix else "all"
