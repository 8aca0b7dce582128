"""The neighbour table, against a scripted kernel."""

from collections.abc import Iterable

from kernelbal.kernel.neighbour_table import (
    NEIGHBOUR_MESSAGE,
    RTM_DELNEIGH,
    RTM_GETNEIGH,
    NeighbourEntry,
    forget_neighbours,
    parse_neighbour,
    read_neighbours,
)
from kernelbal.kernel.netlink import attribute
from kernelbal.model.address import parse_address
from tests.unit.kernel.fake_netlink import Reply
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink

A, B = parse_address("10.0.0.254"), parse_address("fd00::254")
MAC = bytes.fromhex("525400000001")


def message(address: bytes, state: int, hardware: bytes = b"") -> bytes:
    known = attribute(2, hardware) if hardware else b""
    return NEIGHBOUR_MESSAGE.pack(2, 7, state, 0, 1) + attribute(1, address) + known


def kernel(request: RouteRequest) -> Iterable[Reply]:
    if request.kind == RTM_GETNEIGH:
        return request.answer(message(A, 0x02, MAC), message(B, 0x20), message(b"\1\2", 0x40))
    return request.verdict()


def test_entries() -> None:
    socket, _ = rtnetlink(kernel)
    assert read_neighbours(socket) == (NeighbourEntry(7, A, 2, MAC), NeighbourEntry(7, B, 0x20, b""))


def test_silent_neighbours() -> None:
    states = {0x01: True, 0x20: True, 0x02: False, 0x04: False, 0x40: False}
    for state, silent in states.items():
        entry = parse_neighbour(message(A, state))
        assert entry is not None
        assert entry.silent is silent


def test_entries_are_removed() -> None:
    socket, fake = rtnetlink(kernel)
    forget_neighbours(socket, [NeighbourEntry(7, B, 0x20, b"")])
    (request,) = fake.asked
    assert request.kind == RTM_DELNEIGH
    assert request.payload == NEIGHBOUR_MESSAGE.pack(10, 7, 0, 0, 0) + attribute(1, B)
