"""How options come to requests."""

import pytest
import typer

from kernelbal.cli.realserver_options import Asked, Forwarding, MethodName, TunnelName, address
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap


def asked(*virtual: str, forwarding: Forwarding = Forwarding.DSR, real: str = "") -> Asked:
    return Asked(
        list(virtual), forwarding, MethodName.ARP, ["eth0"], real, ["80", "53/udp"], TunnelName.GUE, 5555, 0
    )


def test_one_request_per_address() -> None:
    first, second = asked("10.0.0.80", "fd00::80").requests()
    assert (first.virtual, second.virtual) == (parse_address("10.0.0.80"), parse_address("fd00::80"))
    assert (first.method, first.tunnel, first.interfaces) == (Method.ARP, None, ("eth0",))
    assert first.ports == (PortMap(6, 80, 80), PortMap(17, 53, 53))


def test_tunnel_is_meant_only_with_its_forwarding_method() -> None:
    (request,) = asked("10.0.0.80", forwarding=Forwarding.TUNNEL).requests()
    assert request.tunnel == Encapsulation(TunnelType.GUE, 5555)


def test_real_address_is_for_its_own_family_but_a_tunnel_takes_it_for_all() -> None:
    both = asked("10.0.0.80", "fd00::80", real="10.0.0.11").requests()
    assert [request.real for request in both] == [parse_address("10.0.0.11"), None]
    through = asked("10.0.0.80", "fd00::80", forwarding=Forwarding.TUNNEL, real="10.0.0.11").requests()
    assert {request.real for request in through} == {parse_address("10.0.0.11")}


def test_no_address() -> None:
    with pytest.raises(typer.BadParameter, match="not an IP address"):
        address("x", "VIP")
