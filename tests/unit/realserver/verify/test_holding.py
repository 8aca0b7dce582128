"""Where the virtual address is, and what brings packets for it."""

from dataclasses import replace

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, ObservedAddress
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.setup import HostState
from tests.unit.plan.samples import held, link, place
from tests.unit.realserver.samples import GUE, HTTP, IPIP, REAL, REAL6, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import fails, good, judged, prepared_host

DIRECT, DIRECT6 = prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6, Method.LOOPBACK, None, HTTP)
TUNNELLED = prepared(VIP, Method.LOOPBACK, IPIP, HTTP)
REDIRECTED = prepared(VIP, Method.REDIRECT, None, HTTP)
REDIRECTED_TUNNEL = prepared(VIP, Method.REDIRECT, IPIP, HTTP)


def with_addresses(one: Preparation, *addresses: ObservedAddress, without: bool = False) -> HostState:
    made = prepared_host(one)
    kept = [each for each in made.addresses if not (without and each.key.address == one.virtual)]
    return replace(made, addresses=(*kept, *addresses))


@pytest.mark.parametrize("one", [DIRECT, DIRECT6, TUNNELLED])
def test_missing_address(one: Preparation) -> None:
    evidence = good(one, host=with_addresses(one, without=True))
    assert fails(one, evidence)["vip"].message == "not an address of this host"
    assert fails(one, evidence)["vip"].fix == "kernelbal realserver apply"


@pytest.mark.parametrize("one", [DIRECT, TUNNELLED])
def test_address_that_neighbours_ask_for(one: Preparation) -> None:
    evidence = good(one, host=with_addresses(one, held(place("eth0", "10.0.0.80", 24))))
    result = fails(one, evidence)["vip"]
    assert (result.message, result.device) == ("on eth0, where this host answers ARP for it", "eth0")
    assert result.fix == "ip address del 10.0.0.80/24 dev eth0"


def test_address_of_ipv6_that_neighbours_ask_for() -> None:
    evidence = good(DIRECT6, host=with_addresses(DIRECT6, held(place("eth0", "fd00::80", 64))))
    assert "neighbour discovery" in fails(DIRECT6, evidence)["vip"].message


def test_prefix_that_makes_a_network_local() -> None:
    host = with_addresses(DIRECT, held(place("lo", "10.0.0.80", 24)), without=True)
    assert "/24 makes a whole network local" in fails(DIRECT, good(DIRECT, host=host))["vip"].message


def test_device_without_a_network_does_as_well() -> None:
    host = with_addresses(DIRECT, held(place("vips", "10.0.0.80")), without=True)
    host = replace(host, links=(*host.links, link("vips", kind="dummy")))
    assert fails(DIRECT, good(DIRECT, host=host)) == {}


@pytest.mark.parametrize("reason", ["tentative", "another host has it"])
def test_address_that_the_kernel_does_not_use(reason: str) -> None:
    evidence = good(DIRECT6, unusable={DIRECT6.virtual: reason})
    assert reason in fails(DIRECT6, evidence)["vip"].message


def test_redirection_wants_no_address() -> None:
    host = with_addresses(
        REDIRECTED, ObservedAddress(place("lo", "10.0.0.80"), AddressAttributes(), ours=False)
    )
    result = fails(REDIRECTED, good(REDIRECTED, host=host))["vip"]
    assert result.fix == "ip address del 10.0.0.80/32 dev lo"


# --- the addresses that the host was prepared with ---


@pytest.mark.parametrize("one", [DIRECT, DIRECT6, TUNNELLED, REDIRECTED])
def test_another_lease(one: Preparation) -> None:
    made = prepared_host(one)
    host = replace(made, addresses=tuple(each for each in made.addresses if each.key.address != one.real))
    result = fails(one, good(one, host=host))["real address"]
    assert result.message.endswith("is no address of this host, and the director sends to it")
    assert "kernelbal realserver apply " in result.fix


def without_own(one: Preparation) -> HostState:
    """Its interface has another address now; what `redirect` put on a tunnel device is still there."""
    made = prepared_host(one)
    kept = [each for each in made.addresses if each.key != place("eth0", "10.0.0.11", 24)]
    return replace(made, addresses=(*kept, held(place("eth0", "10.0.0.61", 24))))


def test_another_lease_is_prepared_for_by_the_whole_command() -> None:
    """With less than that a tunnel would become dsr, and ports would lead to themselves."""
    one = replace(prepared(VIP, Method.REDIRECT, GUE, PortMap(6, 80, 8080)), mtu_bytes=1400, at_boot=False)
    assert fails(one, good(one, host=without_own(one)))["real address"].fix == (
        "give it back, or with the new one for NEW: kernelbal realserver apply 10.0.0.80 --forwarding tunnel "
        "--tunnel gue --tunnel-port 5555 --method redirect --interface eth0 --real NEW --port 80:8080/tcp "
        "--mtu 1400 --persist none; then correct the site file"
    )


def test_copy_on_the_tunnel_device_is_no_real_address() -> None:
    result = fails(REDIRECTED_TUNNEL, good(REDIRECTED_TUNNEL, host=without_own(REDIRECTED_TUNNEL)))
    assert result["real address"].message == (
        "10.0.0.11 is no address of this host, and the director sends to it"
    )


@pytest.mark.parametrize("first", ["tunl0", "eth1"])
def test_real_address_is_shown_on_its_interface(first: str) -> None:
    made = prepared_host(REDIRECTED_TUNNEL)
    host = replace(made, addresses=(held(place(first, "10.0.0.11")), *made.addresses))
    (result,) = judged(REDIRECTED_TUNNEL, good(REDIRECTED_TUNNEL, host=host))["real address"]
    assert (result.status, result.message, result.device) == (ResultStatus.OK, "10.0.0.11", "eth0")


def test_redirection_to_an_address_that_is_gone() -> None:
    one = replace(REDIRECTED, own=parse_address("10.0.0.99"))
    result = fails(one, good(one))["real address"]
    assert result.message == "10.0.0.99 is no address of this host, and `redirect` leads to it"
    assert result.fix == (
        "give it back, or let another one be found: kernelbal realserver apply 10.0.0.80 --method redirect "
        "--interface eth0 --real 10.0.0.11 --port 80/tcp"
    )


@pytest.mark.parametrize(
    ("one", "use"),
    [
        (DIRECT6, "the director sends to it"),
        (prepared(VIP, Method.LOOPBACK, IPIP, HTTP, real=REAL6), "the director sends to it"),
        (prepared(VIP6, Method.REDIRECT, IPIP, HTTP, real=REAL), "`redirect` leads to it"),
    ],
)
def test_real_address_that_another_host_has(one: Preparation, use: str) -> None:
    result = fails(one, good(one, unusable={REAL6: "another host has it"}))["real address"]
    assert result.message == f"fd00::11 is not in use (another host has it), and {use}"
    assert result.fix == (
        "once no other host has it: ip address del fd00::11/64 dev eth0; ip address add fd00::11/64 dev eth0"
    )
    assert result.device == "eth0"


def test_addresses_that_went_with_their_device() -> None:
    down = with_link(DIRECT6, "eth0", up=False)
    host = replace(down, addresses=tuple(each for each in down.addresses if each.key.device != "eth0"))
    results = judged(DIRECT6, good(DIRECT6, host=host))
    assert [each.consequence_of for each in results["real address"]] == ["device"]


# --- devices ---


def with_link(one: Preparation, name: str, **changes: object) -> HostState:
    made = prepared_host(one)
    links = [each._replace(**changes) if each.name == name else each for each in made.links]
    return replace(made, links=tuple(links))


def test_device_that_is_down() -> None:
    result = fails(TUNNELLED, good(TUNNELLED, host=with_link(TUNNELLED, "tunl0", up=False)))["device"]
    assert (result.message, result.fix) == ("down", "ip link set tunl0 up")


def test_interface_that_is_down() -> None:
    result = fails(DIRECT, good(DIRECT, host=with_link(DIRECT, "eth0", up=False)))["device"]
    assert (result.device, result.fix) == ("eth0", "ip link set eth0 up")


def test_tunnel_of_another_kind() -> None:
    result = fails(TUNNELLED, good(TUNNELLED, host=with_link(TUNNELLED, "tunl0", kind="gre")))["device"]
    assert result.message == "of kind gre, not ipip"


@pytest.mark.parametrize(
    ("one", "name", "fix"),
    [
        (TUNNELLED, "tunl0", "modprobe ipip; kernelbal realserver apply"),
        (DIRECT, "eth0", "prepare the host for another interface"),
    ],
)
def test_device_that_is_missing(one: Preparation, name: str, fix: str) -> None:
    made = prepared_host(one)
    host = replace(made, links=tuple(each for each in made.links if each.name != name))
    assert fails(one, good(one, host=host))["device"].fix == fix


def test_ipv6_that_is_off_takes_the_address_with_it() -> None:
    host = with_addresses(DIRECT6, without=True)
    host = replace(host, sysctls={**host.sysctls, "net/ipv6/conf/lo/disable_ipv6": "1"})
    evidence = good(DIRECT6, host=host)
    assert fails(DIRECT6, evidence).keys() == {"device"}
    assert fails(DIRECT6, evidence)["device"].fix.startswith("sysctl -w net/ipv6/conf/lo/disable_ipv6=0")
    assert judged(DIRECT6, evidence)["vip"][0].consequence_of == "device"
