"""What preparations come to."""

from dataclasses import replace

from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, GueListener, LinkState
from kernelbal.realserver.desired import default_devices, own_addresses, setup_for
from kernelbal.realserver.preparation import Method
from tests.support.builders import place, route
from tests.support.realserver_host import GUE, IPIP, OTHER, REAL, REAL6, VIP6, host, prepared


def test_nothing() -> None:
    setup = setup_for((), host())
    assert not setup.addresses
    assert not setup.sysctls
    assert not setup.tables


def test_loopback() -> None:
    setup = setup_for([prepared()], host())
    assert setup.addresses == {place("lo", "10.0.0.80"): AddressAttributes()}
    assert [(each.path, each.value) for each in setup.sysctls] == [
        ("net/ipv4/conf/all/arp_ignore", "1"),
        ("net/ipv4/conf/all/arp_announce", "2"),
        ("net/ipv4/conf/eth0/arp_ignore", "1"),
        ("net/ipv4/conf/eth0/arp_announce", "2"),
    ]
    assert (setup.links, setup.tables, setup.modules) == ((), (), ())


def test_ipv6_needs_only_its_address() -> None:
    setup = setup_for([prepared(VIP6)], host())
    assert setup.addresses == {place("lo", "fd00::80"): AddressAttributes(no_dad=True, deprecated=True)}
    assert setup.sysctls == ()


def test_arp_needs_no_sysctls() -> None:
    setup = setup_for([prepared(method=Method.ARP)], host())
    assert setup.sysctls == ()
    assert [table.title for table in setup.tables] == ["arp kernelbal_realserver"]


def test_redirect_holds_no_address() -> None:
    setup = setup_for([prepared(method=Method.REDIRECT)], host())
    assert not setup.addresses
    assert [table.title for table in setup.tables] == ["inet kernelbal_realserver"]


def test_tunnel() -> None:
    setup = setup_for([prepared(tunnel=IPIP)], host())
    assert setup.links == (LinkState("tunl0", "ipip"),)
    assert setup.modules == ("ipip",)
    assert list(setup.addresses) == [place("tunl0", "10.0.0.80")]
    assert [each.path for each in setup.sysctls][-1] == "net/ipv4/conf/tunl0/rp_filter"


def test_redirected_tunnel_needs_an_address_on_its_device() -> None:
    setup = setup_for([prepared(method=Method.REDIRECT, tunnel=IPIP)], host())
    assert list(setup.addresses) == [place("tunl0", "10.0.0.11")]


def test_gue_opens_its_port_once() -> None:
    both = [
        prepared(tunnel=GUE),
        prepared(OTHER, tunnel=GUE),
        replace(prepared(VIP6, tunnel=GUE), real=REAL6),
    ]
    setup = setup_for(both, host())
    assert setup.listeners == (GueListener(5555, 2), GueListener(5555, 10))
    assert setup.modules == ("fou", "fou6", "ip6_tunnel", "ipip")


def test_ipv4_in_ipv6_has_a_device_of_its_own() -> None:
    setup = setup_for([replace(prepared(tunnel=IPIP), real=REAL6)], host())
    assert setup.links == (LinkState("kernelbal6", "ip6tnl", local=REAL6),)


def test_strict_reverse_path_matters_where_replies_leave_elsewhere() -> None:
    inside = setup_for([prepared(interfaces=("eth1",))], host())
    assert inside.sysctls[-1].path == "net/ipv4/conf/eth1/rp_filter"
    assert all("rp_filter" not in each.path for each in setup_for([prepared()], host()).sysctls)


def test_what_is_known_of_the_host() -> None:
    assert own_addresses([prepared(interfaces=("eth0", "eth9"))], host()) == {
        "eth0": REAL,
        "eth1": parse_address("192.0.2.11"),  # replies may leave by it
    }
    assert default_devices(host()) == {"eth0"}
    assert default_devices(host(routes=(route("10.0.0.0/24", "eth1"),))) == frozenset()
