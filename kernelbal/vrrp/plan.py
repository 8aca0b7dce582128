"""The role plan: what one node does to share addresses with its partner, compiled from the documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kernelbal.model.address import AF_INET, AF_INET6, Address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.vrrp.machine import Router
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.receive import VirtualRouter

PLAN_VERSION: Final = 1
"""Of the layout."""


@dataclass(frozen=True, slots=True)
class RoleInstance:
    """One virtual router on one network.

    Attributes:
        name: of the network, and its family where it has both.
        device: on which it speaks.
        source: address of the device; link-local for IPv6.
        addresses: that are advertised, in their order; link-local first for IPv6.
        holds: addresses that the active node has, with their attributes.
    """

    name: str
    device: str
    source: Address
    vrid: int
    addresses: tuple[Address, ...]
    holds: tuple[tuple[AddressKey, AddressAttributes], ...]
    version: int = 3
    priority: int = 100
    interval_cs: int = 100
    preempt: bool = False
    preempt_delay_ns: int = 0
    initial_wait_ns: int = 0
    checksum: ChecksumStyle = ChecksumStyle.RFC9568

    @property
    def family(self) -> int:
        """`AF_INET` or `AF_INET6`."""
        return AF_INET if len(self.source) == 4 else AF_INET6

    @property
    def router(self) -> Router:
        """What decides about its role."""
        return Router(
            self.source,
            self.version,
            self.priority,
            self.interval_cs,
            self.preempt,
            self.preempt_delay_ns,
            self.initial_wait_ns,
        )

    @property
    def receiver(self) -> VirtualRouter:
        """What decides which packets count."""
        return VirtualRouter(
            self.version, self.family, self.vrid, self.interval_cs, self.source, self.addresses
        )


@dataclass(frozen=True, slots=True)
class RolePlan:
    """All virtual routers of a node; they move together.

    Attributes:
        version: of the layout.
        node: its name.
    """

    node: str
    instances: tuple[RoleInstance, ...]
    version: int = field(default=PLAN_VERSION)
