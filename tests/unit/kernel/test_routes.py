"""Routes, from messages as the kernel sends them."""

import errno
import struct
from collections.abc import Iterable

import pytest

from kernelbal.kernel.netlink import attribute
from kernelbal.kernel.routes import observe_routes, parse_routes, route_to
from kernelbal.kernel.rtnetlink import ROUTE_MESSAGE, U32
from kernelbal.model.address import parse_address
from kernelbal.model.network import Link, Route
from tests.unit.kernel.fake_netlink import Reply
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink

DEVICES = {2: "eth0", 3: "eth1"}
LINKS = [Link(name, index, True, "", 1500, "") for index, name in DEVICES.items()]
NET, GATEWAY, OTHER = (parse_address(text) for text in ("198.51.100.0", "192.0.2.1", "192.0.2.2"))
MAIN, UNICAST, LOCAL, BLACKHOLE = 254, 1, 2, 6


def route(
    *attributes: bytes,
    prefix: int = 24,
    table: int = MAIN,
    kind: int = UNICAST,
    flags: int = 0,
    protocol: int = 3,
) -> bytes:
    return ROUTE_MESSAGE.pack(2, prefix, 0, 0, table, protocol, 0, kind, flags) + b"".join(attributes)


def number(kind: int, value: int) -> bytes:
    return attribute(kind, U32.pack(value))


TO_NET, VIA, BY_ETH0 = attribute(1, NET), attribute(5, GATEWAY), number(4, 2)


def next_hop(index: int, *attributes: bytes, flags: int = 0) -> bytes:
    inner = b"".join(attributes)
    return struct.pack("=HBBi", 8 + len(inner), flags, 0, index) + inner


def test_route_through_a_gateway() -> None:
    data = route(TO_NET, VIA, BY_ETH0, number(6, 50), number(15, MAIN))
    assert list(parse_routes(data, DEVICES)) == [Route(NET, 24, GATEWAY, "eth0", 50)]


def test_route_of_a_router_advertisement() -> None:
    (found,) = parse_routes(route(VIA, BY_ETH0, prefix=0, protocol=9), DEVICES)
    assert found.advertised


def test_default_route_and_on_link_route() -> None:
    assert list(parse_routes(route(VIA, BY_ETH0, prefix=0), DEVICES)) == [
        Route(parse_address("0.0.0.0"), 0, GATEWAY, "eth0", 0)
    ]
    assert list(parse_routes(route(TO_NET, BY_ETH0), DEVICES)) == [Route(NET, 24, None, "eth0", 0)]


def test_each_next_hop_that_lives_is_a_route() -> None:
    hops = (
        next_hop(2, attribute(5, GATEWAY))
        + next_hop(3)
        + next_hop(2, attribute(5, OTHER), flags=1)
        + next_hop(3, attribute(5, OTHER))
    )
    assert list(parse_routes(route(TO_NET, number(6, 7), attribute(9, hops)), DEVICES)) == [
        Route(NET, 24, GATEWAY, "eth0", 7),
        Route(NET, 24, None, "eth1", 7),
        Route(NET, 24, OTHER, "eth1", 7),
    ]


@pytest.mark.parametrize("hops", [struct.pack("=HBBi", 0, 0, 0, 2), b"\x08"])
def test_broken_next_hops_end_the_list(hops: bytes) -> None:
    assert list(parse_routes(route(TO_NET, attribute(9, hops)), DEVICES)) == []


def test_ipv4_route_through_an_ipv6_gateway() -> None:
    gateway = parse_address("fe80::1")
    via = attribute(18, struct.pack("=H", 10) + gateway)
    assert list(parse_routes(route(TO_NET, via, BY_ETH0), DEVICES)) == [Route(NET, 24, gateway, "eth0", 0)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(route(TO_NET, BY_ETH0, table=255), id="local table"),
        pytest.param(route(TO_NET, BY_ETH0, number(15, 1000), table=252), id="table above 255"),
        pytest.param(route(TO_NET, kind=BLACKHOLE), id="blackhole"),
        pytest.param(route(TO_NET, BY_ETH0, flags=0x200), id="cache entry"),
        pytest.param(route(TO_NET, BY_ETH0, flags=1), id="dead"),
    ],
)
def test_all_else_is_no_route(data: bytes) -> None:
    assert list(parse_routes(data, DEVICES)) == []


def test_both_families_are_read() -> None:
    socket, fake = rtnetlink(lambda r: r.answer(route(TO_NET, BY_ETH0)) if r.payload[0] == 2 else r.answer())
    assert observe_routes(socket, LINKS) == (Route(NET, 24, None, "eth0", 0),)
    assert [request.payload[0] for request in fake.asked] == [2, 10]


@pytest.mark.parametrize(
    ("kind", "attributes", "found"),
    [
        (UNICAST, VIA + BY_ETH0, Route(NET, 32, GATEWAY, "eth0", 0)),
        (UNICAST, number(4, 3), Route(NET, 32, None, "eth1", 0)),
        (LOCAL, number(4, 1), Route(NET, 32, None, "lo", 0)),
        (BLACKHOLE, b"", None),
    ],
)
def test_lookup(kind: int, attributes: bytes, found: Route | None) -> None:
    socket, fake = rtnetlink(lambda r: r.answer(route(TO_NET, attributes, prefix=32, kind=kind)))
    assert route_to(socket, NET, LINKS) == found
    assert fake.asked[0].payload == ROUTE_MESSAGE.pack(2, 32, 0, 0, 0, 0, 0, 0, 0) + TO_NET


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL])
def test_lookup_without_a_route(number: int) -> None:
    def answering(request: RouteRequest) -> Iterable[Reply]:
        return request.verdict(number)

    socket, _ = rtnetlink(answering)
    assert route_to(socket, NET, LINKS) is None
