"""Requirements of a real server, one by one, on hosts of which nothing else is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol
from kernelbal.model.network import AddressAttributes, ObservedAddress
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import HostState
from kernelbal.realserver.verify import evidence as known
from kernelbal.realserver.verify.evidence import Answer, Reaction
from kernelbal.realserver.verify.prepared_address import prepared_address
from kernelbal.realserver.verify.requirements import REQUIREMENTS
from tests.support.builders import held, link, place
from tests.support.realserver_evidence import (
    CLIENT,
    DIRECT,
    DIRECT6,
    DIRECTOR,
    REDIRECTED,
    ROUTER,
    TUNNELLED,
    fails,
    good,
    judged,
    path,
    prepared_host,
    verified,
    wire,
    with_sysctl,
)
from tests.support.realserver_host import GRE, GUE, HTTP, IPIP, REAL, REAL6, VIP, VIP6, prepared

# --- the table of requirements: what applies to what, and that nothing fails on a good host ---


ALWAYS = {"device", "real address", "vip", "return route", "listening", "mtu", "firewall", "silent", "answer"}
MORE = {
    (4, Method.LOOPBACK): {"arp_ignore", "arp_announce", "rp_filter"},
    (4, Method.ARP): {"arp table", "rp_filter"},
    (4, Method.REDIRECT): {"redirect rule", "rp_filter"},
    (16, Method.LOOPBACK): set(),
    (16, Method.ARP): set(),
    (16, Method.REDIRECT): {"redirect rule"},
}


@pytest.mark.parametrize("virtual", [VIP, VIP6])
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("tunnel", [None, IPIP, GRE, GUE])
def test_good_host_fails_nothing(virtual: bytes, method: Method, tunnel: Encapsulation | None) -> None:
    one = prepared(virtual, method, tunnel, HTTP)
    results = verified(one, good(one))
    assert {result.status for result in results} == {ResultStatus.OK}, results
    of_tunnels = ({"mss"} if tunnel else set()) | ({"gue"} if tunnel == GUE else set())
    assert {result.requirement for result in results} == ALWAYS | MORE[len(virtual), method] | of_tunnels


def test_results_come_in_the_order_of_the_table() -> None:
    one = prepared(VIP, Method.LOOPBACK, GUE, HTTP)
    order = [requirement.name for requirement in REQUIREMENTS]
    found = list(judged(one, good(one)))
    assert found == [name for name in order if name in found]


def test_names_are_unique_and_reasons_are_sentences() -> None:
    names = [requirement.name for requirement in REQUIREMENTS]
    assert len(set(names)) == len(names)
    assert all(requirement.why.endswith(".") for requirement in REQUIREMENTS)


def test_page_shows_the_table() -> None:
    page = (Path(__file__).parents[4] / "docs/explanation/verify.md").read_text()
    rows = "".join(f"| {each.name} | {each.why} |\n" for each in REQUIREMENTS)
    assert f"| requirement | why |\n|---|---|\n{rows}\n" in page


# --- what is known of one virtual address ---


def test_holder_and_target() -> None:
    for one, holder, target in (
        (prepared(VIP), "lo", VIP),
        (prepared(VIP, Method.LOOPBACK, IPIP), "tunl0", VIP),
        (prepared(VIP, Method.REDIRECT), "lo", REAL),
    ):
        address = prepared_address(one, good(one))
        assert (address.holder, address.target) == (holder, target)


def test_greater_of_all_and_device() -> None:
    one = prepared(VIP)
    host = with_sysctl(one, all__rp_filter="2", eth0__rp_filter="1")
    address = prepared_address(one, good(one, host=host))
    assert address.effective("rp_filter", "eth0") == 2
    assert address.effective("rp_filter", "nothing") is None


def test_devices_that_ask_for_neighbours() -> None:
    one = prepared(VIP)
    evidence = good(one)
    assert prepared_address(one, evidence).asking == ("eth0",)
    way = path(one)
    by = [way._replace(reply=way.reply and way.reply._replace(device=name)) for name in ("eth1", "lo")]
    assert [prepared_address(one, replace(evidence, paths={VIP: each})).asking for each in by] == [
        ("eth0", "eth1"),
        ("eth0",),
    ]


def test_what_is_in_force_is_not_missing() -> None:
    one = prepared(VIP, Method.REDIRECT, None, HTTP)
    address = prepared_address(one, good(one))
    (table,) = address.setup.tables
    assert address.missing(table, "prerouting") == []
    assert prepared_address(prepared(VIP6), good(prepared(VIP6))).missing(table, "prerouting") == []


def test_next_hop_is_the_router_or_the_client() -> None:
    way: known.Path = path(prepared(VIP))
    assert way.next_hop == ROUTER
    assert way.reply is not None
    assert way._replace(reply=way.reply._replace(gateway=None)).next_hop == CLIENT
    assert way._replace(reply=None).next_hop == CLIENT


# --- what answers, and their absence, come to ---


DNS, SCTP = PortMap(17, 53, 53), PortMap(132, 80, 80)


@pytest.mark.parametrize("reaction", [Reaction.SILENT, Reaction.UNREACHABLE, Reaction.FORWARDED])
def test_failure_follows_from_its_cause(reaction: Reaction) -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, Answer(HTTP, reaction)),)})
    lost = good(DIRECT, wires=evidence.wires, paths={VIP: path(DIRECT, unanswered=True)})
    result = judged(DIRECT, lost)["answer"][0]
    assert result.status is ResultStatus.FAIL
    if reaction is not Reaction.FORWARDED:
        assert (result.consequence_of, result.fix) == ("return route", "see return route")


def test_failure_without_a_cause_stands_for_itself() -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, Answer(HTTP, Reaction.FORWARDED)),)})
    result = judged(DIRECT, evidence)["answer"][0]
    assert (result.consequence_of, "sent on" in result.message) == ("", True)
    assert "kernelbal rs verify" in result.fix


@pytest.mark.parametrize(
    ("virtual", "code", "words"), [(VIP, 13, "prohibited"), (VIP6, 0, "no route"), (VIP, 99, "code 99")]
)
def test_messages_are_worded(virtual: bytes, code: int, words: str) -> None:
    one = prepared(virtual, Method.LOOPBACK, None, HTTP)
    heard = wire(one, Answer(HTTP, Reaction.UNREACHABLE, code=code))
    assert words in judged(one, good(one, wires={one.virtual: (heard,)}))["answer"][0].message


def test_refusal_of_a_port_that_nobody_named_shows_the_way() -> None:
    one = prepared(VIP)
    for reaction, port in ((Reaction.REFUSED, HTTP), (Reaction.UNREACHABLE, DNS)):
        heard = wire(one, Answer(port, reaction, code=3))
        result = judged(one, good(one, wires={VIP: (heard,)}))["answer"][0]
        assert (result.status, "packets come and go" in result.message) == (ResultStatus.OK, True)


def test_silence_of_udp_says_nothing() -> None:
    one = prepared(VIP, Method.LOOPBACK, None, DNS)
    heard = wire(one, Answer(DNS, Reaction.SILENT))
    assert judged(one, good(one, wires={VIP: (heard,)}))["answer"][0].status is ResultStatus.UNKNOWN


def test_what_was_not_tried_is_told() -> None:
    one = prepared(VIP, Method.LOOPBACK, None, HTTP, SCTP, DNS)
    heard = wire(one, Answer(HTTP, Reaction.ACCEPTED))
    last = judged(one, good(one, wires={VIP: (heard,)}))["answer"][-1]
    assert (last.status, last.message.split(":")[0]) == (ResultStatus.UNKNOWN, "80/sctp and 1 more")


def test_tunnel_of_an_unknown_director_is_told() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP)
    found = judged(one, good(one, wires={VIP: (wire(one),)}))["answer"][0]
    assert (found.status, "--director" in found.message) == (ResultStatus.UNKNOWN, True)


# --- where the virtual address is, and what brings packets for it ---


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


# --- ways in and out: unwrapping, redirection, reverse-path filter, routes ---


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


# --- whether the service takes packets, and whether they fit ---


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
