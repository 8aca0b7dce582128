"""What an operator writes for ports, and how preparations come together."""

from dataclasses import replace

import pytest

from kernelbal.realserver.preparation import MAX_RANGE, Method, PortMap, merged, parse_ports
from tests.support.realserver_host import GUE, OTHER, VIP6, prepared


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80", PortMap(6, 80, 80)),
        ("53/udp", PortMap(17, 53, 53)),
        ("80:8080/tcp", PortMap(6, 80, 8080)),
        ("36412/SCTP", PortMap(132, 36412, 36412)),
    ],
)
def test_ports(text: str, port: PortMap) -> None:
    assert parse_ports(text) == (port,)
    assert parse_ports(str(port)) == (port,)


@pytest.mark.parametrize(
    "text", ["", "http", "0", "65536", "80/icmp", "80:0", "90-80", "80-90:1", "-1", "80/tcp/udp"]
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a port"):
        parse_ports(text)


def test_new_ones_join_and_replace() -> None:
    first, second = prepared(), prepared(OTHER)
    changed = replace(first, method=Method.ARP)
    assert merged((first,), (second,)) == (first, second)
    assert merged((first, second), (changed,)) == (changed, second)


def test_words() -> None:
    assert str(prepared()) == "10.0.0.80/32 dsr loopback"
    assert str(prepared(VIP6, Method.REDIRECT, GUE)) == "fd00::80/128 tunnel gue port 5555 redirect"
    assert prepared().forwarding == "dsr"
    assert prepared(tunnel=GUE).forwarding == "tunnel"
    assert not prepared(method=Method.REDIRECT).holds_address


def test_ranges_are_bounded() -> None:
    assert parse_ports("8000-8002/udp") == tuple(PortMap(17, port, port) for port in (8000, 8001, 8002))
    assert len(parse_ports(f"1-{MAX_RANGE}")) == MAX_RANGE
    with pytest.raises(ValueError, match="all ports are meant"):
        parse_ports(f"1-{MAX_RANGE + 1}")
