"""How options come to requests."""

from dataclasses import replace
from typing import Any

import pytest
import typer

from kernelbal.cli.realserver_options import Asked, address
from kernelbal.model.address import parse_address
from kernelbal.model.choices import ForwardingName, TunnelTypeName
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from tests.support.realserver_host import GRE, GUE, HTTP, IPIP, VIP, VIP6, prepared

NOTHING = Asked(["10.0.0.80"], None, None, None, "", None, None, 0, 0)


def asked(*virtual: str, real: str = "") -> Asked:
    return replace(
        NOTHING, virtual=[*virtual], method=Method.ARP, interface=["eth0"], real=real, port=["80", "53/udp"]
    )


def through(*virtual: str, real: str = "") -> Asked:
    return replace(
        asked(*virtual, real=real),
        forwarding=ForwardingName.TUNNEL,
        tunnel=TunnelTypeName.GUE,
        tunnel_port=5555,
    )


def test_one_request_per_address() -> None:
    first, second = asked("10.0.0.80", "fd00::80").requests()
    assert (first.virtual, second.virtual) == (parse_address("10.0.0.80"), parse_address("fd00::80"))
    assert (first.method, first.tunnel, first.interfaces) == (Method.ARP, None, ("eth0",))
    assert first.ports == (PortMap(6, 80, 80), PortMap(17, 53, 53))


def test_what_is_left_out_is_dsr_by_the_loopback_device_and_a_tunnel_is_ipip() -> None:
    (request,) = NOTHING.requests()
    assert (request.method, request.tunnel) == (Method.LOOPBACK, None)
    (request,) = replace(NOTHING, forwarding=ForwardingName.TUNNEL).requests()
    assert request.tunnel == IPIP
    (request,) = through("10.0.0.80").requests()
    assert request.tunnel == GUE


@pytest.mark.parametrize("forwarding", [None, ForwardingName.DSR])
@pytest.mark.parametrize(
    ("option", "typed"),
    [("--tunnel", {"tunnel": TunnelTypeName.IPIP}), ("--tunnel-port", {"tunnel_port": 5555})],
)
def test_encapsulation_without_a_tunnel_is_refused(
    forwarding: ForwardingName | None, option: str, typed: dict[str, Any]
) -> None:
    with pytest.raises(typer.BadParameter, match="add --forwarding tunnel") as caught:
        replace(NOTHING, forwarding=forwarding, **typed).requests()
    assert caught.value.param_hint == option


@pytest.mark.parametrize(
    ("known", "typed", "changes"),
    [
        (prepared(VIP, Method.ARP, GUE, HTTP), {}, {}),
        (prepared(VIP, Method.ARP, GUE, HTTP), {"forwarding": ForwardingName.TUNNEL}, {}),
        (prepared(interfaces=("eth0", "eth1")), {"interface": ["eth1", "eth0"]}, {}),
        (prepared(VIP6), {"real": "fd00::11", "forwarding": ForwardingName.DSR}, {}),
        (prepared(VIP, Method.ARP, GUE), {"forwarding": ForwardingName.DSR}, {"tunnel": None}),
        (prepared(VIP, Method.ARP, GUE), {"forwarding": ForwardingName.TUNNEL, "tunnel": TunnelTypeName.GRE},
         {"tunnel": GRE}),
        (prepared(), {"forwarding": ForwardingName.TUNNEL}, {"tunnel": IPIP}),
        (prepared(), {"method": Method.REDIRECT, "mtu": 1400},
         {"method": Method.REDIRECT, "mtu_bytes": 1400}),
        (prepared(), {"interface": ["eth1"], "port": ["80"]}, {"interfaces": ("eth1",), "ports": (HTTP,)}),
        (prepared(), {"real": "10.0.0.12"}, {"real": parse_address("10.0.0.12")}),
    ],
)  # fmt: skip
def test_what_was_typed_goes_over_what_is_known(
    known: Preparation, typed: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert replace(NOTHING, **typed).over(known) == replace(known, **changes)


def test_real_address_is_for_its_own_family_but_a_tunnel_takes_it_for_all() -> None:
    both = asked("10.0.0.80", "fd00::80", real="10.0.0.11").requests()
    assert [request.real for request in both] == [parse_address("10.0.0.11"), None]
    both = through("10.0.0.80", "fd00::80", real="10.0.0.11").requests()
    assert {request.real for request in both} == {parse_address("10.0.0.11")}


def test_no_address() -> None:
    with pytest.raises(typer.BadParameter, match="not an IP address"):
        address("x", "VIP")


@pytest.mark.parametrize(
    "options", [{"method": Method.ARP}, {"real": "10.0.0.11"}, {"mtu": 1400}, {"interface": ["eth0"]}]
)
def test_options_without_an_address_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter, match="name the virtual address that the options are for"):
        replace(NOTHING, virtual=[], **options).requests()
    assert replace(NOTHING, virtual=[]).requests() == ()
