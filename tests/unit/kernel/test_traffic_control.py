"""Messages of traffic control, against a scripted kernel; the rest is proved in the lab."""

import errno
import struct
from collections.abc import Iterable

import pytest

from kernelbal.errors import KernelError, NotSupported
from kernelbal.kernel.netlink import attribute, attributes, nested
from kernelbal.kernel.rtnetlink import attribute_table
from kernelbal.kernel.traffic_control import (
    CLSACT_HANDLE,
    COOKIE,
    EGRESS,
    INGRESS,
    PREFERENCE,
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    TC_H_CLSACT,
    TC_MESSAGE,
    ClsactDevice,
    add_filter,
    arp_for,
    arp_from,
    ensure_clsact,
    flow,
    insert,
    leftovers,
    redirect,
    remove_filters,
    solicitation_to,
    to_hardware,
    unreachable_to,
)
from kernelbal.model.address import parse_address
from tests.unit.kernel.fake_netlink import Reply
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink

A, B = parse_address("192.0.2.7"), parse_address("10.0.0.80")
A6, B6 = parse_address("2001:db8::7"), parse_address("fd00::80")
MAC = bytes.fromhex("024b42000001")
KEYS = to_hardware(MAC)


def inside(data: bytes, *path: int) -> bytes:
    for kind in path:
        data = {each: data[start:end] for each, start, end in attributes(data, 0, len(data))}[kind]
    return data


def test_keys() -> None:
    assert to_hardware(MAC) == ((4, MAC),)
    assert arp_from(A) == ((8, b"\x08\x06"), (57, A))
    assert arp_for(A) == ((8, b"\x08\x06"), (59, A))
    assert flow(6, A, B, 80, 20_000) == (
        (8, b"\x08\x00"), (10, A), (12, B), (9, b"\x06"), (18, b"\x00\x50"), (19, b"\x4e\x20"),
    )  # fmt: skip
    assert [key for key, _ in flow(17, A6, B6, 53, 1)] == [8, 14, 16, 9, 20, 21]
    assert unreachable_to(A) == ((8, b"\x08\x00"), (12, A), (9, b"\x01"), (51, b"\x03"))
    assert unreachable_to(A6) == ((8, b"\x86\xdd"), (16, A6), (9, b"\x3a"), (55, b"\x01"))
    assert solicitation_to(B6)[1:] == ((16, B6), (9, b"\x3a"), (55, b"\x87"))


def test_filter_that_redirects() -> None:
    payload = redirect(7, 9, KEYS, added=True)
    _, device, handle, parent, info = TC_MESSAGE.unpack_from(payload)
    assert (device, handle, parent, info >> 16) == (7, 0, EGRESS, PREFERENCE)
    assert struct.pack("=H", info & 0xFFFF) == b"\x00\x03"
    options = payload[TC_MESSAGE.size :]
    assert inside(options, 1) == b"flower\0"
    assert inside(options, 2, 4) == MAC
    mirred = struct.unpack("=IIiiiiI", inside(options, 2, 3, 1, 2, 2))
    assert (mirred[2], mirred[5], mirred[6]) == (4, 1, 9)
    assert inside(options, 2, 3, 1, 6) == COOKIE + b"+"
    assert inside(redirect(7, 9, KEYS, added=False)[TC_MESSAGE.size :], 2, 3, 1, 6) == COOKIE


def test_filter_that_inserts() -> None:
    payload = insert(9, 7)
    assert TC_MESSAGE.unpack_from(payload)[3] == INGRESS
    mirred = struct.unpack("=IIiiiiI", inside(payload[TC_MESSAGE.size :], 2, 2, 1, 2, 2))
    assert (mirred[5], mirred[6]) == (3, 7)


class Kernel:
    """Devices with a clsact or without, and their filters."""

    def __init__(self, *filters: bytes, clsact: bool = False, refuses: int = 0) -> None:
        self.filters = filters
        self.clsact = clsact
        self.refuses = refuses

    def __call__(self, request: RouteRequest) -> Iterable[Reply]:
        if request.kind == RTM_GETQDISC:
            device = TC_MESSAGE.unpack_from(request.payload)[1]
            made = TC_MESSAGE.pack(0, device, CLSACT_HANDLE, TC_H_CLSACT, 0) + attribute(1, b"clsact\0")
            other = TC_MESSAGE.pack(0, device, 0, 0xFFFFFFFF, 0) + attribute(1, b"noqueue\0")
            return request.answer(other, *([made] if self.clsact else []))
        if request.kind == RTM_GETTFILTER:
            wanted = TC_MESSAGE.unpack_from(request.payload)
            return request.answer(
                *(each for each in self.filters if TC_MESSAGE.unpack_from(each)[1:4:2] == wanted[1:4:2])
            )
        return request.verdict(self.refuses)


def test_clsact_is_added_once() -> None:
    socket, fake = rtnetlink(Kernel())
    assert ensure_clsact(socket, 7, "eth0") == ClsactDevice(7, added=True)
    (made,) = [each for each in fake.asked if each.kind == RTM_NEWQDISC]
    assert TC_MESSAGE.unpack_from(made.payload)[1:4] == (7, CLSACT_HANDLE, TC_H_CLSACT)
    socket, fake = rtnetlink(Kernel(clsact=True))
    assert ensure_clsact(socket, 7, "eth0") == ClsactDevice(7, added=False)
    assert RTM_NEWQDISC not in [each.kind for each in fake.asked]


def test_refusals_name_the_device() -> None:
    socket, _ = rtnetlink(Kernel(refuses=errno.EEXIST))
    with pytest.raises(KernelError, match="cannot add clsact to eth0"):
        ensure_clsact(socket, 7, "eth0")
    socket, _ = rtnetlink(Kernel(refuses=errno.ENOENT))
    with pytest.raises(NotSupported, match="cannot add a filter to eth0"):
        add_filter(socket, redirect(7, 9, KEYS, added=True), "eth0")


@pytest.mark.parametrize(
    ("given", "filters", "kinds"),
    [
        (ClsactDevice(7, added=True), (), [RTM_DELTFILTER, RTM_DELQDISC]),
        (ClsactDevice(7, added=False), (), [RTM_DELTFILTER]),
        (ClsactDevice(7, added=True), (insert(7, 1),), [RTM_DELTFILTER]),
    ],
)
def test_what_is_ours_is_removed(given: ClsactDevice, filters: tuple[bytes, ...], kinds: list[int]) -> None:
    socket, fake = rtnetlink(Kernel(*filters))
    remove_filters(socket, given)
    assert [each.kind for each in fake.asked if each.kind != RTM_GETTFILTER] == kinds
    (head,) = [each.payload for each in fake.asked if each.kind == RTM_DELTFILTER]
    assert TC_MESSAGE.unpack_from(head)[3:] == (EGRESS, PREFERENCE << 16)
    assert attribute_table(head, TC_MESSAGE.size) == {1: b"flower\0"}


def other(kind: bytes, action: bytes) -> bytes:
    head = TC_MESSAGE.pack(0, 7, 1, EGRESS, 1 << 16)
    return head + attribute(1, kind) + nested(2, action)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((redirect(7, 9, KEYS, added=True),), [ClsactDevice(7, added=True)]),
        ((redirect(7, 9, KEYS, added=False),), [ClsactDevice(7, added=False)]),
        ((other(b"flower\0", nested(3, nested(1, attribute(1, b"gact\0")))),), []),
        ((other(b"flower\0", b""),), []),
        ((other(b"matchall\0", attribute(3, b"\x01\0\0\0")),), []),
        ((), []),
    ],
)
def test_leftovers_are_known_by_their_cookie(filters: tuple[bytes, ...], found: list[ClsactDevice]) -> None:
    socket, _ = rtnetlink(Kernel(*filters))
    assert leftovers(socket, [1, 7]) == found
    assert RTM_NEWTFILTER == 44
