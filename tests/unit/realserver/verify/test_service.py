"""Whether the service takes packets, and whether they fit."""

from dataclasses import replace

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.verify.evidence import Answer, Reaction
from tests.unit.realserver.samples import GRE, HTTP, IPIP, REAL6, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import fails, good, judged, prepared_host, wire

DIRECT, DIRECT6 = prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6, Method.LOOPBACK, None, HTTP)
MOVED = prepared(VIP, Method.REDIRECT, None, PortMap(6, 80, 8080))


def tcp(address: str, port: int = 80, **more: object) -> BoundSocket:
    return BoundSocket(Protocol.TCP, parse_address(address), port, **more)


@pytest.mark.parametrize(
    ("one", "listening"),
    [
        (DIRECT, tcp("0.0.0.0")),
        (DIRECT, tcp("10.0.0.80")),
        (DIRECT, tcp("::", only_ipv6=False)),
        (DIRECT, tcp("::")),
        (DIRECT6, tcp("::", only_ipv6=True)),
        (DIRECT6, tcp("fd00::80")),
        (MOVED, tcp("0.0.0.0", 8080)),
        (MOVED, tcp("10.0.0.11", 8080)),
    ],
)
def test_sockets_that_take_packets(one: Preparation, listening: BoundSocket) -> None:
    assert fails(one, good(one, sockets=(listening,))) == {}


@pytest.mark.parametrize(
    ("one", "listening", "says"),
    [
        (DIRECT, tcp("10.0.0.11", program="nginx (pid 7)"), "listens on 10.0.0.11:80 by nginx (pid 7) only"),
        (DIRECT, tcp("127.0.0.1"), "listens on 127.0.0.1:80 only"),
        (DIRECT, tcp("::", only_ipv6=True), "listens on [::]:80 for IPv6 alone"),
        (DIRECT6, tcp("0.0.0.0"), "listens on 0.0.0.0:80 only"),
        (DIRECT, BoundSocket(Protocol.UDP, parse_address("0.0.0.0"), 80), "nobody listens on port 80/tcp"),
        (MOVED, tcp("0.0.0.0", 80), "nobody listens on port 8080/tcp"),
        (MOVED, tcp("10.0.0.80", 8080), "listens on 10.0.0.80:8080 only"),
    ],
)
def test_sockets_that_do_not(one: Preparation, listening: BoundSocket, says: str) -> None:
    result = fails(one, good(one, sockets=(listening,)))["listening"]
    assert result.message == says
    assert result.fix


def test_no_port_is_told() -> None:
    one = prepared(VIP)
    assert judged(one, good(one))["listening"][0].status is ResultStatus.UNKNOWN


@pytest.mark.parametrize(
    ("one", "mtu_bytes", "says"),
    [
        (DIRECT, 1499, "1499, but packets of 1500"),
        (DIRECT6, 1499, "1499, but packets of 1500"),
        (replace(DIRECT6, mtu_bytes=1200), 1279, "IPv6 takes 1280 at least"),
        (prepared(VIP, Method.LOOPBACK, IPIP, HTTP, real=REAL6), 1279, "IPv6 takes 1280 at least"),
    ],
)
def test_interface_that_takes_too_little(one: Preparation, mtu_bytes: int, says: str) -> None:
    made = prepared_host(one)
    links = tuple(each._replace(mtu_bytes=mtu_bytes) if each.name == "eth0" else each for each in made.links)
    result = fails(one, good(one, host=replace(made, links=links)))["mtu"]
    assert says in result.message
    assert result.fix.startswith("ip link set eth0 mtu ")


@pytest.mark.parametrize(
    ("tunnel", "virtual", "most"), [(IPIP, VIP, 1440), (GRE, VIP, 1432), (IPIP, VIP6, 1400)]
)
def test_segments_are_judged_by_what_was_heard(tunnel: object, virtual: bytes, most: int) -> None:
    one = prepared(virtual, Method.LOOPBACK, tunnel, HTTP)
    for size, right in ((most, True), (most + 1, False)):
        heard = wire(one, Answer(HTTP, Reaction.ACCEPTED, size))
        found = fails(one, good(one, wires={one.virtual: (heard,)}))
        assert ("mss" in found) is not right


def test_segments_are_judged_by_the_rule_where_nothing_was_heard() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP, HTTP)
    evidence = good(one, wires={})
    assert fails(one, evidence) == {}
    without = replace(evidence, host=replace(evidence.host, tables=()))
    assert "maxseg" in fails(one, without)["mss"].message
    assert judged(one, replace(without, no_nftables="missing"))["mss"][0].status is ResultStatus.UNKNOWN


def test_rule_for_another_size_is_not_enough() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP, HTTP)
    evidence = good(one, wires={})
    assert "mss" in fails(replace(one, mtu_bytes=1400), evidence)


def test_udp_has_no_segments() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP, PortMap(17, 53, 53))
    assert "mss" not in judged(one, good(one, wires={}))
