"""Values of documents and of the kernel: what is refused, how they are named, what follows from them."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from kernelbal.model.address import Address, parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.choices import (
    ForwardingName,
    ProtocolName,
    Right,
    Scheduler,
    SchedulerFlag,
    TunnelChecksum,
    TunnelTypeName,
)
from kernelbal.model.fields import DOCUMENT, InterfaceAddress, Model
from kernelbal.model.ipvs import (
    Connection,
    Forwarding,
    Protocol,
    ServiceFlag,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.network import GueListener, Sysctl
from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftSet, NftTable
from kernelbal.model.node import DEFAULT_SOCKET, Hook, Node, Token
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.model.site import Network, Site
from kernelbal.model.site.check import HttpCheck
from kernelbal.model.site.services import RealServer, SourceIp, VirtualService
from kernelbal.model.units import ALL_PORTS, PortRange
from tests.support.builders import by_mark, place, real, service

WEB = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}
DIGEST = "0123456789abcdef" * 4

REFUSED: tuple[tuple[type[Model], Callable[[object], object], list[object]], ...] = (
    (VirtualService, lambda ports: {**WEB, "ports": ports},
     [[], None, True, 1.5, ["all"], [[80]], {"low": 1}]),
    (VirtualService, lambda switch: {**WEB, "one_armed": switch}, ["yes", 1, "true", None]),
    (VirtualService, lambda name: {**WEB, "name": name}, ["", "-a", "a b", "a/b", "a\n", "x" * 64, "ä"]),
    (RealServer, lambda weight: {"address": "10.0.0.1", "weight": weight}, [-1, 65536, "5", 5.0, True, None]),
    (Network, lambda text: {"shared_addresses": [text]},
     ["192.0.2.1", "192.0.2.1/0", "192.0.2.1/33", "192.0.2.1/x", "192.0.2.1/", "::1/129"]),
    (Site, lambda value: {"kernel": {"sysctls": {"conntrack": value}}},
     [True, 1.5, None, "a\nb", "x" * 65, []]),
    (VirtualService, lambda check: {**WEB, "check": check},
     ["htp", 5, ["icmp"], {"icmp": 5}, {"script": {}}, {"script": {"argv": []}}]),
    (HttpCheck, lambda expect: {"expect": expect}, [True, 99, 600, "2x", "200-", "300-200", [], [None], {}]),
    (HttpCheck, lambda header: {"headers": {header: "x"}}, ["", "X A", "X:", "X\n", "Ü", "(x)"]),
    (HttpCheck, lambda value: {"headers": {"X-A": value}}, ["a\r\nX: b", "\x00", "\x1b[2J", "\x7f"]),
    (HttpCheck, lambda path: {"path": path}, ["", "health", "/a b", "/ü", "/\n", "http://a.example/"]),
    (Node, lambda device: {"name": "a", "interfaces": {"outside": device}},
     ["", ".", "..", "a/b", "a b", "a:1", "x" * 16]),
    (Node, lambda path: {"name": "lb1", "api": {"socket": path}},
     ["run/k.sock", "", "/", "/a\x00b", "/" + "a" * 107]),
    (Token, lambda digest: {"name": "desk", "sha256": digest},
     ["", "secret", DIGEST[1:], DIGEST.upper(), f"{DIGEST}\n"]),
    (Hook, lambda url: {"webhook": url},
     ["ftp://a.example/", "//a.example", "https://", "https://a.example/ x", "", "http://[", "http://[::1/",
      "http://[fe80::1%25eth0]/", "http://1.2.3/", "http://a.example:99999/", "http://a.example:0/",
      "http://a.example:http/", "http://a..b/", "http://-a/", "http://@/", "http://:80/", "http://xn--a/",
      f"http://{'a' * 64}/", f"http://{'a.' * 127}b/", f"http://a.example/{'a' * 2000}"]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "document"), [(model, make(value)) for model, make, values in REFUSED for value in values]
)
def test_value_is_refused(model: type[Model], document: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(document)


@pytest.mark.parametrize(
    ("ports", "ranges"),
    [
        (80, (PortRange(80, 80),)),
        ("80", (PortRange(80, 80),)),
        ("80-90", (PortRange(80, 90),)),
        ([80, "443", "8000-8010"], (PortRange(80, 80), PortRange(443, 443), PortRange(8000, 8010))),
        ("all", (ALL_PORTS,)),
    ],
)
def test_ports_are_written_in_several_ways(ports: object, ranges: tuple[PortRange, ...]) -> None:
    assert VirtualService.model_validate({**WEB, "ports": ports}).ports == ranges


def test_number_is_a_duration_in_code_but_not_in_a_document() -> None:
    assert SourceIp.model_validate({"timeout": 90.0}).timeout == 90.0
    with pytest.raises(ValidationError, match="has no unit"):
        SourceIp.model_validate({"timeout": 90.0}, context=DOCUMENT)


def test_shared_address_keeps_its_prefix_and_knows_its_subnet() -> None:
    (shared,) = Network.model_validate({"shared_addresses": ["192.0.2.10/24"]}).shared_addresses
    assert shared == InterfaceAddress(address=bytes([192, 0, 2, 10]), prefix=24)
    assert shared.contains(bytes([192, 0, 2, 99]))
    assert not shared.contains(bytes([192, 0, 3, 99]))


def test_documents_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        VirtualService.model_validate(WEB).name = "other"  # type: ignore[misc]  # what must not be possible


def test_daemon_needs_no_settings_and_a_token_only_reads() -> None:
    node = Node.model_validate({"name": "lb1"})
    assert node.api.socket == DEFAULT_SOCKET
    assert (node.api.tls, node.notify, node.api.change_groups) == (None, (), ())
    assert Token.model_validate({"name": "desk", "sha256": DIGEST}).right is Right.READ


# --- the kernel's objects ---


@pytest.mark.parametrize(
    ("named", "text"),
    [
        (service("192.0.2.10", 80), "192.0.2.10:80/tcp"),
        (service("192.0.2.10", 0, "udp"), "192.0.2.10:*/udp"),
        (service("2001:db8::10", 5060, "sctp"), "[2001:db8::10]:5060/sctp"),
        (by_mark(7), "mark 0x7"),
        (by_mark(0x4B000001, 10), "mark 0x4b000001 ipv6"),
        (real("10.0.0.11", 8080), "10.0.0.11:8080"),
        (real("10.0.0.11", 0), "10.0.0.11:*"),
        (real("2001:db8::11", 80), "[2001:db8::11]:80"),
        (place("eth0", "192.0.2.10", 24), "192.0.2.10/24 dev eth0"),
        (place("vlan.7", "2001:DB8:0::10"), "2001:db8::10/128 dev vlan.7"),
        (GueListener(5555, 2), "gue 5555/udp ipv4"),
        (GueListener(5555, 10), "gue 5555/udp ipv6"),
        (Rule(2, 19200, 300, parse_address("10.0.0.11"), 32, ANYWHERE[2], 0),
         "19200: from 10.0.0.11/32 to all lookup 300"),
        (Rule(10, 500, 300, ANYWHERE[10], 0, parse_address("2001:db8::"), 32),
         "-6 500: from all to 2001:db8::/32 lookup 300"),
        (TableRouteKey(300, ANYWHERE[2], 0), "default table 300"),
        (TableRouteKey(300, ANYWHERE[10], 0), "-6 default table 300"),
        (TableRouteKey(300, parse_address("10.0.0.0"), 8), "10.0.0.0/8 table 300"),
        (NextHop(parse_address("192.0.2.1"), "eth0"), "via 192.0.2.1 dev eth0"),
        (NextHop(None, "eth0"), "dev eth0"),
    ],
)  # fmt: skip
def test_object_is_named_as_the_kernels_own_tools_name_it(named: object, text: str) -> None:
    assert str(named) == text


def test_real_servers_sort_by_address_then_port() -> None:
    """As numbers, not as text: .9 comes before .10."""
    keys = [real("10.0.0.10", 80), real("10.0.0.9", 81), real("10.0.0.9", 80)]
    assert list(map(str, sorted(keys))) == ["10.0.0.9:80", "10.0.0.9:81", "10.0.0.10:80"]


def test_values_are_those_of_the_kernel() -> None:
    """`linux/ip_vs.h`."""
    assert [each.value for each in Protocol] == [6, 17, 132]
    assert [each.value for each in Forwarding] == [0, 1, 2, 3, 4]
    assert [each.value for each in TunnelType] == [0, 1, 2]
    assert [each.value for each in TunnelFlag] == [0, 1, 2]
    assert [each.value for each in ServiceFlag] == [0x1, 0x2, 0x4, 0x8, 0x10, 0x20]
    assert [(name.value, int(name.number)) for name in ProtocolName] == [
        ("tcp", 6),
        ("udp", 17),
        ("sctp", 132),
    ]
    assert {name.value: int(name.number) for name in ForwardingName} == {"nat": 0, "tunnel": 2, "dsr": 3}
    assert {name.value: int(name.number) for name in TunnelTypeName} == {"ipip": 0, "gue": 1, "gre": 2}
    assert {name.value: int(name.flag) for name in TunnelChecksum} == {"none": 0, "full": 1, "remote": 2}


def test_scheduler_flags_name_their_scheduler_and_bit() -> None:
    assert {flag.value: (flag.scheduler, flag.bit) for flag in SchedulerFlag} == {
        "sh-fallback": (Scheduler.SH, ServiceFlag.SCHED1),
        "sh-port": (Scheduler.SH, ServiceFlag.SCHED2),
        "mh-fallback": (Scheduler.MH, ServiceFlag.SCHED1),
        "mh-port": (Scheduler.MH, ServiceFlag.SCHED2),
    }


@pytest.mark.parametrize(("client_port", "expected"), [(0, True), (40000, False)])
def test_template_has_no_client_port(client_port: int, expected: bool) -> None:
    client, vip = parse_address("198.51.100.7"), parse_address("192.0.2.10")
    entry = Connection(6, Address(client), client_port, vip, 80, real("10.0.0.11"), "ESTABLISHED", 60)
    assert entry.template is expected


def test_sysctl_may_hold_further_values_and_is_read_with_what_counts_beside_it() -> None:
    ignore = Sysctl("net/ipv4/conf/all/arp_ignore", "1", "why", also=("2",))
    assert [value for value in "01238" if ignore.holds({ignore.path: value})] == ["1", "2"]


def test_table_without_sets_and_chains_need_not_exist() -> None:
    chain = NftChain("prerouting", "filter", "prerouting", -150, ())
    marks = NftSet("marks", ("ipv4_addr",), "mark", interval=False, elements=())
    assert EMPTY_TABLE.empty
    assert not NftTable(chains=(chain,)).empty
    assert not NftTable(sets=(marks,)).empty


@pytest.mark.parametrize(
    ("address", "only_ipv6", "takes4", "takes6"),
    [
        ("0.0.0.0", None, True, False),
        ("::", False, True, True),
        ("::", None, True, True),
        ("::", True, False, True),
        ("10.0.0.80", None, True, False),
        ("fd00::80", False, False, True),
        ("127.0.0.1", None, False, False),
    ],
)
def test_packets_of_a_bound_socket(
    address: str, only_ipv6: bool | None, *, takes4: bool, takes6: bool
) -> None:
    one = BoundSocket(6, parse_address(address), 80, only_ipv6)
    assert one.takes(6, parse_address("10.0.0.80"), 80) is takes4
    assert one.takes(6, parse_address("fd00::80"), 80) is takes6
    assert not one.takes(6, parse_address("10.0.0.80"), 81)
    assert not one.takes(17, parse_address("10.0.0.80"), 80)
