"""What is found on a host when an operator leaves it out, and every reason to refuse."""

from dataclasses import replace
from typing import Any

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.model.address import parse_address
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.resolve import interfaces_towards, resolve
from kernelbal.realserver.setup import HostState
from tests.support.builders import held, link, place, route
from tests.support.realserver_host import (
    GRE,
    GUE,
    HTTP,
    IPIP,
    LINKS,
    OTHER,
    REAL,
    REAL6,
    VIP,
    VIP6,
    asked,
    host,
    prepared,
)

ELSEWHERE = parse_address("203.0.113.80")


def resolved(virtual: bytes = VIP, at: HostState | None = None, **settings: Any) -> Preparation:  # noqa: ANN401 (as a request takes it)
    (found,) = resolve([asked(virtual, **settings)], (), at or host())
    return found


def refused(virtual: bytes = VIP, at: HostState | None = None, **settings: Any) -> str:  # noqa: ANN401 (as a request takes it)
    with pytest.raises(PlanRefused) as caught:
        resolve([asked(virtual, **settings)], (), at or host())
    assert caught.value.hint
    return f"{caught.value.message} ({caught.value.hint})"


def test_interface_and_own_address_are_found() -> None:
    assert resolved() == prepared()
    assert resolved(VIP6) == prepared(VIP6)


def test_address_of_another_network_comes_by_the_default_route() -> None:
    assert resolved(ELSEWHERE).interfaces == ("eth0",)
    assert resolved(ELSEWHERE).real == REAL


def test_virtual_address_of_the_second_network_comes_in_there() -> None:
    found = resolved(parse_address("192.0.2.80"))
    assert (found.interfaces, found.real) == (("eth1",), parse_address("192.0.2.11"))


def test_real_address_names_the_interface() -> None:
    found = resolved(ELSEWHERE, real=parse_address("192.0.2.11"))
    assert found.interfaces == ("eth1",)
    assert interfaces_towards(asked(real=REAL6), host()) == ("eth0",)


def test_a_tunnel_device_with_the_real_address_is_no_interface() -> None:
    """It gets it by method `redirect`; a second run must mean the same as the first."""
    prepared_before = host(held(place("tunl0", "10.0.0.11")))
    assert interfaces_towards(asked(real=REAL), prepared_before) == ("eth0",)


def test_a_tunnel_device_alone_does_not_make_a_real_address() -> None:
    gone = host(held(place("tunl0", "10.0.0.99")))
    for interfaces in ((), ("eth0",)):
        said = refused(at=gone, real=parse_address("10.0.0.99"), interfaces=interfaces)
        assert "10.0.0.99 is no address of this host" in said


def without_ipv4() -> HostState:
    whole = host()
    return replace(whole, addresses=tuple(each for each in whole.addresses if len(each.key.address) == 16))


def test_redirection_needs_an_address_of_the_virtual_ones_family() -> None:
    """The director's packets come to another one, through the tunnel."""
    assert refused(at=without_ipv4(), real=REAL6, tunnel=IPIP, method=Method.REDIRECT) == (
        "`eth0` has no IPv4 address of its own, to which `redirect` could lead "
        "(ip address add ADDRESS/PREFIX dev eth0, or use --method loopback)"
    )
    assert resolved(at=without_ipv4(), real=REAL6, tunnel=IPIP).own is None
    assert resolved(real=REAL6, tunnel=IPIP, method=Method.REDIRECT).own == REAL


def test_tunnel_of_the_other_family_keeps_an_own_address_of_the_virtual_one() -> None:
    found = resolved(VIP, real=REAL6, tunnel=IPIP)
    assert (found.real, found.own) == (REAL6, REAL)


def test_mtu_is_that_of_the_interface_but_never_above_ethernet() -> None:
    jumbo = host(links=(*LINKS[:1], link("eth0", mtu_bytes=9000)))
    small = host(links=(*LINKS[:1], link("eth0", mtu_bytes=1400)))
    assert (resolved(at=jumbo).mtu_bytes, resolved(at=small).mtu_bytes) == (1500, 1400)
    assert resolved(at=jumbo, mtu_bytes=9000).mtu_bytes == 9000


def test_own_address_is_not_another_virtual_one() -> None:
    known = (prepared(OTHER),)
    ours = frozenset({place("eth0", "10.0.0.81", 24)})
    state = host()
    state = replace(state, addresses=(held(place("eth0", "10.0.0.81", 24)), *state.addresses))
    (found, _) = resolve([asked()], known, state, ours)
    assert found.real == REAL


@pytest.mark.parametrize(
    ("virtual", "settings", "words"),
    [
        (parse_address("224.0.0.1"), {}, "no address of a virtual service"),
        (parse_address("127.0.0.2"), {}, "no address of a virtual service"),
        (parse_address("fe80::5"), {}, "no address of a virtual service"),
        (VIP, {"real": parse_address("127.0.0.1"), "method": Method.REDIRECT}, "no address of a real server"),
        (VIP, {"real": parse_address("127.0.0.1"), "method": Method.ARP}, "no address of a real server"),
        (VIP, {"real": parse_address("224.0.0.1"), "method": Method.ARP}, "no address of a real server"),
        (VIP, {"real": parse_address("0.0.0.0"), "method": Method.ARP}, "no address of a real server"),
        (VIP6, {"real": parse_address("fe80::1")}, "fe80::1 is no address of a real server"),
        (VIP, {"real": parse_address("::1"), "tunnel": IPIP}, "::1 is no address of a real server"),
        (VIP, {"real": VIP}, "cannot be the virtual and the real address at once"),
        (VIP, {"real": REAL6}, "dsr cannot bridge"),
        (VIP, {"real": OTHER}, "10.0.0.81 is no address of this host"),
        (VIP, {"tunnel": GUE._replace(port=0)}, "needs the UDP port"),
        (VIP, {"tunnel": GRE._replace(port=5)}, "other tunnels have none"),
        (VIP, {"tunnel": GUE._replace(port=70_000)}, "70000 is no UDP port: ports are 1 to 65535"),
        (VIP, {"tunnel": GUE._replace(port=-5)}, "-5 is no UDP port"),
        (VIP, {"ports": (PortMap(6, 80, 8080),)}, "only the method `redirect`"),
        (VIP, {"mtu_bytes": 100}, "is no MTU"),
        (VIP, {"interfaces": ("eth9",)}, "there is no interface `eth9` (this host has eth0, eth1, eth2)"),
        (VIP, {"interfaces": ("lo",)}, "do not come in by `lo`"),
        (VIP, {"interfaces": ("eth2",)}, "interface `eth2` is down (ip link set eth2 up)"),
        (VIP6, {"interfaces": ("eth1",)}, "has no IPv6 address of its own"),
        (REAL, {}, "this host's own address on `eth0`"),
    ],
)
def test_what_is_refused(virtual: bytes, settings: dict[str, Any], words: str) -> None:
    assert words in refused(virtual, **settings)


def test_address_on_a_network_is_refused_with_the_command_to_remove_it() -> None:
    there = host(held(place("eth0", "10.0.0.80", 32)))
    said = refused(at=there)
    assert "10.0.0.80 is on `eth0` already, where this host answers ARP for it" in said
    assert "ip address del 10.0.0.80/32 dev eth0" in said


def test_address_on_the_loopback_may_be_used_but_not_a_network() -> None:
    assert resolved(at=host(held(place("lo", "10.0.0.80")))) == prepared()
    assert "makes a whole network local" in refused(at=host(held(place("lo", "10.0.0.80", 24))))
    assert "works without it" in refused(at=host(held(place("lo", "10.0.0.80"))), method=Method.REDIRECT)


def test_no_way_in() -> None:
    assert "no interface leads to 203.0.113.80" in refused(ELSEWHERE, host(routes=()))
    assert "no interface leads to 203.0.113.80" in refused(
        ELSEWHERE, host(routes=(route("10.9.0.0/16", "eth0"),))
    )


def test_redirected_services_cannot_share_a_port() -> None:
    first = prepared(OTHER, Method.REDIRECT, None, HTTP)
    with pytest.raises(PlanRefused, match=r"would both lead to port 80/tcp .*lose the virtual address"):
        resolve([asked(method=Method.REDIRECT, ports=(HTTP,))], (first,), host())
    resolve([asked(method=Method.REDIRECT, ports=(PortMap(6, 80, 8080),))], (first,), host())
    resolve([asked(method=Method.LOOPBACK, ports=(HTTP,))], (first,), host())
    with pytest.raises(PlanRefused, match="would both lead to"):
        resolve([asked(method=Method.REDIRECT)], (first,), host())


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(PlanRefused) as caught:
        resolve([asked(interfaces=("eth9", "eth2")), asked(REAL)], (), host())
    for words in ("eth9", "eth2", "own address"):
        assert words in caught.value.message


def test_gateway_of_the_host_is_no_virtual_address() -> None:
    """With it on `lo`, the next boot has no default route."""
    gateway, gateway6 = parse_address("10.0.0.254"), parse_address("fd00::254")
    assert refused(gateway).startswith("10.0.0.254 is a gateway of this host, by `eth0`")
    assert refused(gateway6, method=Method.ARP).startswith("fd00::254 is a gateway of this host")
    assert resolved(gateway, method=Method.REDIRECT).interfaces == ("eth0",)


def test_real_address_on_loopback_comes_in_by_the_default_route() -> None:
    """Hosts without numbers on their links; silent sysctls would silence that address, too."""
    real = parse_address("203.0.113.7")
    at = host(held(place("lo", "203.0.113.7", 32)))
    assert resolved(ELSEWHERE, at, real=real, method=Method.ARP).interfaces == ("eth0",)
    assert "203.0.113.7 is on `lo`" in refused(ELSEWHERE, at, real=real)


def test_own_tunnel_device_has_one_end() -> None:
    other = parse_address("fd00::12")
    at = host(held(place("eth0", "fd00::12", 64)))
    known = (prepared(VIP, Method.LOOPBACK, IPIP, real=REAL6),)
    for virtual in (VIP, OTHER):
        with pytest.raises(
            PlanRefused, match=r"`kernelbal6` of 10\.0\.0\.80 takes IPv4 for fd00::11 alone"
        ) as caught:
            resolve([asked(virtual, tunnel=IPIP, real=other)], known, at)
        assert "kernelbal realserver undo 10.0.0.80" in (caught.value.hint or "")
    assert len(resolve([asked(OTHER, tunnel=IPIP, real=REAL6)], known, at)) == 2
    assert resolve([asked(OTHER, tunnel=GRE, real=other)], known, at)


@pytest.mark.parametrize("method", [Method.LOOPBACK, Method.REDIRECT])
def test_nobody_is_told_to_take_the_address_from_a_director(method: Method) -> None:
    told = refused(at=host(held(place("eth0", "10.0.0.80"), ours=True)), method=method)
    assert "the director on this host has it" in told
    assert "ip address del" not in told


def test_interface_that_is_down_is_not_chosen_while_another_is_up() -> None:
    beside = held(place("eth2", "10.0.0.12", 24))
    assert resolved(at=host(beside)).interfaces == ("eth0",)
    alone = host(held(place("eth2", "203.0.113.1", 24)))
    assert refused(ELSEWHERE, alone) == "interface `eth2` is down (ip link set eth2 up)"
