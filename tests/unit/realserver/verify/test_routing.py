"""Ways in and out: unwrapping, redirection, reverse-path filter, routes."""

from dataclasses import replace

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, Preparation
from tests.unit.realserver.samples import GUE, HTTP, IPIP, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import (
    CLIENT,
    DIRECTOR,
    fails,
    good,
    judged,
    path,
    prepared_host,
    with_sysctl,
)

DIRECT, DIRECT6 = prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6, Method.LOOPBACK, None, HTTP)
TUNNELLED, REDIRECTED = prepared(VIP, Method.LOOPBACK, IPIP, HTTP), prepared(VIP, Method.REDIRECT, None, HTTP)
WRAPPED = prepared(VIP, Method.LOOPBACK, GUE, HTTP)


def test_port_that_unwraps_nothing() -> None:
    host = replace(prepared_host(WRAPPED), listeners=frozenset())
    assert fails(WRAPPED, good(WRAPPED, host=host))["gue"].message == "gue 5555/udp ipv4 is not open"


def test_redirection_that_is_missing() -> None:
    host = replace(prepared_host(REDIRECTED), tables=())
    assert "dnat" in fails(REDIRECTED, good(REDIRECTED, host=host))["redirect rule"].message


def test_redirection_that_cannot_be_read() -> None:
    found = judged(REDIRECTED, good(REDIRECTED, no_nftables="libnftables.so.1 is missing"))
    assert found["redirect rule"][0].status is ResultStatus.UNKNOWN


@pytest.mark.parametrize(
    ("everywhere", "here", "back", "fails_"),
    [
        ("0", "0", "eth1", False),
        ("0", "1", "eth0", False),
        ("0", "1", "eth1", True),
        ("1", "0", "eth1", True),
        ("1", "2", "eth1", False),
        ("2", "1", "eth1", False),
    ],
)
def test_greater_value_is_in_force(everywhere: str, here: str, back: str, *, fails_: bool) -> None:
    host = with_sysctl(DIRECT, all__rp_filter=everywhere, eth0__rp_filter=here)
    way = path(DIRECT)
    assert way.backwards is not None
    way = way._replace(backwards=way.backwards._replace(device=back))
    found = fails(DIRECT, good(DIRECT, host=host, paths={VIP: way}))
    assert ("rp_filter" in found) is fails_
    if fails_:
        assert found["rp_filter"].fix == "sysctl -w net/ipv4/conf/eth0/rp_filter=2"


def test_tunnel_device_without_an_address_drops_everything() -> None:
    made = prepared_host(TUNNELLED)
    moved = [
        each._replace(key=each.key._replace(device="lo")) if each.key.address == VIP else each
        for each in made.addresses
    ]
    found = fails(TUNNELLED, good(TUNNELLED, host=replace(made, addresses=tuple(moved))))
    assert "no IPv4 address" in found["rp_filter"].message


def test_client_that_nothing_leads_to() -> None:
    for one in (DIRECT, DIRECT6):
        evidence = good(one, paths={one.virtual: path(one, reply=None, backwards=None)})
        result = fails(one, evidence)["return route"]
        assert "stands for any client far away" in result.message
        assert "--client" in result.fix
    evidence = good(DIRECT, paths={VIP: path(DIRECT, reply=None, backwards=None)})
    assert judged(DIRECT, evidence)["rp_filter"][0].consequence_of == "return route"
    assert (
        "stands for"
        not in fails(
            DIRECT, replace(evidence, paths={VIP: path(DIRECT, reply=None, backwards=None, chosen=True)})
        )["return route"].message
    )


@pytest.mark.parametrize("one", [DIRECT, TUNNELLED, REDIRECTED])
def test_director_as_the_router(one: Preparation) -> None:
    way = path(one)
    assert way.reply is not None
    way = way._replace(reply=way.reply._replace(gateway=DIRECTOR))
    result = fails(one, good(one, paths={VIP: way}))["return route"]
    assert "drops what comes from it" in result.message
    assert fails(one, good(one, paths={VIP: way}, director=parse_address("10.0.0.2"))) == {}


def test_router_that_does_not_answer() -> None:
    evidence = good(DIRECT, paths={VIP: path(DIRECT, unanswered=True)})
    assert "10.0.0.254 does not answer on eth0" in fails(DIRECT, evidence)["return route"].message


def test_client_that_is_this_host() -> None:
    way = path(DIRECT)
    assert way.reply is not None
    way = way._replace(reply=way.reply._replace(device="lo", gateway=None))
    assert "local to this host" in fails(DIRECT, good(DIRECT, paths={VIP: way}))["return route"].message
    assert way.next_hop == CLIENT
