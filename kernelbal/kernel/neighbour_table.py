"""The neighbour table: the hardware addresses that the kernel knows (`linux/neighbour.h`)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from kernelbal.kernel.netlink import attribute
from kernelbal.kernel.rtnetlink import RtNetlink, attribute_table
from kernelbal.model.address import Address, family_of

RTM_DELNEIGH: Final = 29
RTM_GETNEIGH: Final = 30
NDA_DST: Final = 1
NDA_LLADDR: Final = 2
NUD_INCOMPLETE: Final = 0x01
NUD_FAILED: Final = 0x20

NEIGHBOUR_MESSAGE: Final = struct.Struct("=BxxxiHBB")
"""`struct ndmsg`: family, interface index, state, flags, type."""


class NeighbourEntry(NamedTuple):
    """What the kernel knows of a neighbour.

    Attributes:
        ifindex: interface index.
        state: `NUD_*`.
        hardware_address: empty while it is not known.
    """

    ifindex: int
    address: Address
    state: int
    hardware_address: bytes

    @property
    def silent(self) -> bool:
        """Whether the neighbour was asked and has not answered."""
        return bool(self.state & (NUD_INCOMPLETE | NUD_FAILED))


def read_neighbours(socket: RtNetlink) -> tuple[NeighbourEntry, ...]:
    """Return all entries.

    Raises:
        KernelError: they cannot be read.
    """
    dump = socket.dump(RTM_GETNEIGH, NEIGHBOUR_MESSAGE.pack(0, 0, 0, 0, 0), "neighbours")
    return tuple(entry for data in dump if (entry := parse_neighbour(data)) is not None)


def parse_neighbour(data: bytes) -> NeighbourEntry | None:
    """Return the entry in an RTM_NEWNEIGH message; None when it is of no IP address."""
    _, ifindex, state, _, _ = NEIGHBOUR_MESSAGE.unpack_from(data)
    found: Mapping[int, bytes] = attribute_table(data, NEIGHBOUR_MESSAGE.size)
    address = found.get(NDA_DST, b"")
    if len(address) not in (4, 16):
        return None
    return NeighbourEntry(ifindex, Address(address), state, found.get(NDA_LLADDR, b""))


def forget_neighbours(socket: RtNetlink, entries: Iterable[NeighbourEntry]) -> None:
    """Remove entries; those that have gone already are no failure."""
    for entry in entries:
        head = NEIGHBOUR_MESSAGE.pack(family_of(entry.address), entry.ifindex, 0, 0, 0)
        socket.ask(RTM_DELNEIGH, head + attribute(NDA_DST, entry.address))
