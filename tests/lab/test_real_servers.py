"""Real servers are prepared step by step, and each step is visible in the kernel."""

import json

import pytest

from kernelbal.lab.errors import LabError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.real_servers import (
    accept_direct,
    accept_tunnelled,
    hold_address,
    loosen_reverse_path,
    open_tunnel,
    silence_arp,
)

pytestmark = pytest.mark.needs_ipvs

ADDRESSES = ("10.0.0.80", "fd00::80")


@pytest.fixture
def server(lab: LabFactory) -> Host:
    """A real server that nobody has prepared yet."""
    return lab("one-arm")["rs1"]


def held(host: Host) -> set[str]:
    """Addresses of the loopback device, with their prefix lengths."""
    (device,) = json.loads(host.run(["ip", "-json", "address", "show", "lo"]).stdout)
    return {f"{info['local']}/{info['prefixlen']}" for info in device["addr_info"]}


def is_up(host: Host, device: str) -> bool:
    """Whether a device of the host is up."""
    (link,) = json.loads(host.run(["ip", "-json", "link", "show", device]).stdout)
    return "UP" in link["flags"]


def test_silence_arp(server: Host) -> None:
    silence_arp(server)
    assert server.sysctl("net.ipv4.conf.all.arp_ignore") == "1"
    assert server.sysctl("net.ipv4.conf.all.arp_announce") == "2"


def test_hold_address(server: Host) -> None:
    before = held(server)
    for address in ADDRESSES:
        hold_address(server, address)
    assert held(server) - before == {"10.0.0.80/32", "fd00::80/128"}


def test_address_that_is_held_already(server: Host) -> None:
    hold_address(server, "10.0.0.80")
    with pytest.raises(LabError, match=r"rs1 cannot hold 10\.0\.0\.80"):
        hold_address(server, "10.0.0.80")


def test_open_tunnel(server: Host) -> None:
    assert not is_up(server, "tunl0")
    open_tunnel(server, "tunl0", "ipip")
    assert is_up(server, "tunl0")


def test_open_tunnel_makes_the_device(server: Host) -> None:
    open_tunnel(server, "extra0", "dummy")
    assert is_up(server, "extra0")


def test_tunnel_that_exists_under_another_name(server: Host) -> None:
    with pytest.raises(LabError, match="rs1 has no device t6"):
        open_tunnel(server, "t6", "ip6tnl")


def test_unknown_tunnel(server: Host) -> None:
    with pytest.raises(LabError, match="rs1 cannot have a tunnel t9"):
        open_tunnel(server, "t9", "no-such-kind")


def test_loosen_reverse_path(server: Host) -> None:
    for name in ("all", "eth0"):
        server.sysctl(f"net.ipv4.conf.{name}.rp_filter", 1)
    loosen_reverse_path(server, "eth0")
    assert server.sysctl("net.ipv4.conf.all.rp_filter") == "0"
    assert server.sysctl("net.ipv4.conf.eth0.rp_filter") == "0"


def test_accept_direct(server: Host) -> None:
    accept_direct(server, ADDRESSES)
    assert held(server) >= {"10.0.0.80/32", "fd00::80/128"}
    assert server.sysctl("net.ipv4.conf.all.arp_ignore") == "1"
    assert not is_up(server, "tunl0")


def test_accept_tunnelled(server: Host) -> None:
    accept_tunnelled(server, ADDRESSES)
    assert held(server) >= {"10.0.0.80/32", "fd00::80/128"}
    assert is_up(server, "tunl0")
    assert is_up(server, "ip6tnl0")
    assert server.sysctl("net.ipv4.conf.tunl0.rp_filter") == "0"
