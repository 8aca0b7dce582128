"""Everything that the kernel of a prepared real server holds, and everything that was found there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kernelbal.model.address import Address, family_of
from kernelbal.model.network import (
    AddressAttributes,
    AddressKey,
    GueListener,
    Link,
    LinkState,
    ObservedAddress,
    Route,
    Sysctl,
)
from kernelbal.model.nft import NftTable
from kernelbal.plan.kind import DesiredState, Ownership
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES as NFT_TABLES
from kernelbal.realserver.preparation import Preparation

TABLE_NAME: Final = "kernelbal_realserver"
"""Name of our nftables tables; a director on the same machine has its own."""
ARP_TABLE: Final = NftTable(family="arp", name=TABLE_NAME)
INET_TABLE: Final = NftTable(family="inet", name=TABLE_NAME)
TABLES: Final = (ARP_TABLE, INET_TABLE)
"""Both tables, empty."""
LOOPBACK: Final = "lo"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the preparations come to, in the order in which it is brought up.

    Attributes:
        modules: kernel modules that bring the devices.
        links: tunnel devices that are up.
        listeners: UDP ports that unwrap GUE.
        sysctls: with a reason each.
        tables: nftables tables that are not empty.
        addresses: virtual addresses.
    """

    modules: tuple[str, ...] = ()
    links: tuple[LinkState, ...] = ()
    listeners: tuple[GueListener, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    tables: tuple[NftTable, ...] = ()
    addresses: Mapping[AddressKey, AddressAttributes] = field(default_factory=dict)

    @property
    def desired(self) -> DesiredState:
        """The same by kind, without the files that bring it back at boot."""
        return (
            DesiredState()
            .having(LINKS, self.links)
            .having(LISTENERS, dict.fromkeys(self.listeners))
            .having(SYSCTLS, self.sysctls)
            .having(ADDRESSES, self.addresses)
            .having(NFT_TABLES, {table.title: table for table in self.tables})
        )


@dataclass(frozen=True, slots=True)
class HostState:
    """The kernel of a real server as it was read.

    Attributes:
        sysctls: value by path, None where the kernel has no such sysctl.
        tables: those of our tables that exist.
        listeners: UDP ports that unwrap GUE.
    """

    links: tuple[Link, ...] = ()
    addresses: tuple[ObservedAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    tables: tuple[NftTable, ...] = ()
    listeners: frozenset[GueListener] = frozenset()

    def own_address(self, interface: str, family: int, besides: frozenset[Address]) -> Address | None:
        """Return the first address of an interface that is its own, and will be.

        None of `besides`, not link-local, not temporary, and not one that a director on this host holds.
        """
        for key, attributes, of_director in self.addresses:
            fits = key.device == interface and family_of(key.address) == family
            if (
                fits
                and key.address not in besides
                and not (attributes.deprecated or attributes.temporary or of_director)
                and not _link_local(key.address)
            ):
                return key.address
        return None

    def link(self, name: str) -> Link | None:
        """Return a device by its name."""
        return next((link for link in self.links if link.name == name), None)


def _link_local(address: Address) -> bool:
    """IPv6 link-local addresses (RFC 4291, 2.5.6) name no host to others."""
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


@dataclass(frozen=True, slots=True)
class Record:
    """What was done to this host; it outlives reboots, since files bring the rest back.

    Attributes:
        preparations: the virtual addresses that it serves.
        owned: what is ours in kernel and files, by kind.
        persist: what brings it back at boot; empty for nothing.
    """

    preparations: tuple[Preparation, ...] = ()
    owned: Ownership = field(default_factory=Ownership)
    persist: str = ""
