"""Dumps of the kernel, parsed: fast where the layout is the usual one, and the same where it is not."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.ipvs.read import Counters, DestinationReader, ServiceReader
from kernelbal.kernel.netlink import attribute
from kernelbal.model.address import AF_INET, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
)
from tests.unit.kernel.ipvs import kernel_dump
from tests.unit.kernel.ipvs import strategies as some

PLACE = DestinationKey(parse_address("10.0.0.11"), 80)
NAT = DestinationAttributes(0, 1)
UNKNOWN_ATTRIBUTE = kernel_dump.u32(99, 7)

counts = st.builds(DestinationCounters, *[some.numbers] * 3, *[st.integers(0, 2**64 - 1)] * 5)


@given(st.data(), st.lists(some.service_keys(), unique=True, max_size=6))
def test_services_are_read_as_they_are(data: st.DataObject, keys: list[ServiceKey]) -> None:
    wanted = {key: data.draw(some.service_attributes(key.family)) for key in keys}
    bodies = [kernel_dump.service(key, values) for key, values in wanted.items()]
    parts = [kernel_dump.datagram(bodies[:2]), kernel_dump.datagram(bodies[2:])]
    assert ServiceReader().parse([part for part in parts if part]) == wanted


def test_hashed_flag_is_the_kernels_own() -> None:
    key = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
    values = ServiceAttributes("sh", int(ServiceFlag.PERSISTENT | ServiceFlag.SCHED2), 300, 24, "")
    body = kernel_dump.service(key, values)
    assert struct.pack("=HHII", 12, 7, 0x13, 0xFFFFFFFF) in body
    assert ServiceReader().parse([kernel_dump.datagram([body])])[key].flags == 0x11


def test_same_attributes_are_one_object() -> None:
    values = ServiceAttributes("wlc", 0, 0, 32, "")
    keys = [ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), port) for port in (80, 81)]
    parts = [kernel_dump.datagram([kernel_dump.service(key, values) for key in keys])]
    first, second = ServiceReader().parse(parts).values()
    assert first is second


@given(
    st.dictionaries(some.destination_keys, st.tuples(some.destination_attributes, counts), max_size=6),
    st.sampled_from([b"", UNKNOWN_ATTRIBUTE]),
)
def test_destinations_are_read_as_they_are(
    wanted: dict[DestinationKey, tuple[DestinationAttributes, DestinationCounters]], extra: bytes
) -> None:
    bodies = [kernel_dump.destination(key, *both, extra=extra) for key, both in wanted.items()]
    parts = [kernel_dump.datagram(row) for row in (bodies[:4], bodies[4:]) if row]
    attributes = {key: values for key, (values, _) in wanted.items()}
    read = DestinationReader().parse(parts)
    assert read == attributes
    assert {type(key.address) for key in read} <= {Address}
    found: Counters = {}
    assert DestinationReader().parse(parts, found) == attributes
    assert found == {key: counted for key, (_, counted) in wanted.items()}


@pytest.mark.parametrize("extra", [b"", UNKNOWN_ATTRIBUTE])
def test_tunnel_fields_of_other_methods_are_dropped(extra: bytes) -> None:
    odd = NAT._replace(tunnel_type=1, tunnel_port=5555, tunnel_flags=1)
    parts = [kernel_dump.datagram([kernel_dump.destination(PLACE, odd, extra=extra)])]
    assert DestinationReader().parse(parts) == {PLACE: NAT}


def test_layouts_may_change_between_datagrams() -> None:
    other = PLACE._replace(port=81)
    parts = [
        kernel_dump.datagram([kernel_dump.destination(PLACE, NAT)]),
        kernel_dump.datagram([kernel_dump.destination(other, NAT, extra=UNKNOWN_ATTRIBUTE)]),
    ]
    assert DestinationReader().parse(parts) == {PLACE: NAT, other: NAT}


def test_messages_of_different_sizes_in_one_datagram() -> None:
    other = PLACE._replace(port=81)
    bodies = [
        kernel_dump.destination(PLACE, NAT),
        kernel_dump.destination(other, NAT, extra=UNKNOWN_ATTRIBUTE),
    ]
    assert DestinationReader().parse([kernel_dump.datagram(bodies)]) == {PLACE: NAT, other: NAT}


def test_sizes_that_add_up_by_chance_are_noticed() -> None:
    """Three messages whose sizes sum to a multiple of the first: a sweep would misread the second."""
    size = len(kernel_dump.datagram([kernel_dump.destination(PLACE, NAT)]))
    rows = [b"", attribute(99, bytes(36)), attribute(99, bytes(size - 44))]
    keys = [PLACE._replace(port=port) for port in (80, 81, 82)]
    bodies = [kernel_dump.destination(key, NAT, extra=row) for key, row in zip(keys, rows, strict=True)]
    data = kernel_dump.datagram(bodies)
    assert len(data) == 4 * size
    assert DestinationReader().parse([data]) == dict.fromkeys(keys, NAT)


def test_kernel_without_tunnel_types() -> None:
    body = kernel_dump.destination(PLACE, NAT)
    without = body.replace(attribute(13, b"\0") + kernel_dump.be16(14, 0) + kernel_dump.u16(15, 0), b"")
    raw = struct.pack("=H", len(without)) + without[2:]
    assert DestinationReader().parse([kernel_dump.datagram([raw])]) == {PLACE: NAT}
