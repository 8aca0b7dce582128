"""From the site and node documents to the kernel that they describe."""

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.model.ipvs import (
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServicePolicy,
    Timeouts,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.network import AddressAttributes
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS
from kernelbal.plan.marks import assign_marks
from tests.support.builders import by_mark, desired, node, place, real, service, site, weighing


def _web(more: str = "ports: 80", real_servers: str = "{address: 10.0.0.11}", forwarding: str = "nat") -> str:
    return (
        f"virtual_services: [{{name: web, address: 192.0.2.10, forwarding: {forwarding}, {more},"
        f" real_servers: [{real_servers}]}}]"
    )


def test_empty_site_wants_nothing() -> None:
    assert desired("{}") == DesiredState()


# --- services ---


def test_one_service_per_port() -> None:
    state = desired(_web("ports: [80, 443]"))
    assert list(state.of(SERVICES).table) == [service("192.0.2.10", 80), service("192.0.2.10", 443)]
    assert [list(each.destinations) for each in state.of(SERVICES).table.values()] == [
        [real("10.0.0.11", 80)],
        [real("10.0.0.11", 443)],
    ]


@pytest.mark.parametrize(
    "ports", ["ports: all", 'ports: ["80-90"]', "ports: [80, 443], port_following: true"]
)
def test_tied_ports_are_one_service_by_mark_that_keeps_each_packets_port(ports: str) -> None:
    document = site(_web(ports))
    state = desired_state(document, node())
    mark = assign_marks(document)["web"]
    assert list(state.of(SERVICES).table) == [by_mark(mark)]
    assert list(state.of(SERVICES).table[by_mark(mark)].destinations) == [real("10.0.0.11", 0)]
    assert state.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE) != EMPTY_TABLE


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_protocol(protocol: str) -> None:
    state = desired(_web(f"ports: 80, protocol: {protocol}"))
    assert list(state.of(SERVICES).table) == [service("192.0.2.10", 80, protocol)]


def test_same_address_serves_tcp_and_udp() -> None:
    state = desired(
        """
        virtual_services:
          - {name: dns, address: 192.0.2.10, ports: 53, forwarding: nat}
          - {name: dns-udp, address: 192.0.2.10, ports: 53, protocol: udp, forwarding: nat}
        """
    )
    assert set(state.of(SERVICES).table) == {service("192.0.2.10", 53), service("192.0.2.10", 53, "udp")}
    assert list(state.of(ADDRESSES)) == [place("eth0", "192.0.2.10")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", ServiceAttributes("wlc", 0, 0, 32, "")),
        ("scheduler: rr", ServiceAttributes("rr", 0, 0, 32, "")),
        (
            "scheduler: sh, scheduler_flags: [sh-fallback, sh-port]",
            ServiceAttributes("sh", int(ServiceFlag.SCHED1 | ServiceFlag.SCHED2), 0, 32, ""),
        ),
        (
            "scheduler: mh, scheduler_flags: [mh-port]",
            ServiceAttributes("mh", int(ServiceFlag.SCHED2), 0, 32, ""),
        ),
        (
            "persistence: {source_ip: {timeout: 5m}}",
            ServiceAttributes("wlc", int(ServiceFlag.PERSISTENT), 300, 32, ""),
        ),
        (
            "persistence: {source_ip: {timeout: 1h, prefix: 24}}",
            ServiceAttributes("wlc", int(ServiceFlag.PERSISTENT), 3600, 24, ""),
        ),
        (
            "persistence: {source_ip: {}}, persistence_engine: sip, protocol: udp",
            ServiceAttributes("wlc", int(ServiceFlag.PERSISTENT), 300, 32, "sip"),
        ),
        (
            "one_packet: true, protocol: udp",
            ServiceAttributes("wlc", int(ServiceFlag.ONE_PACKET), 0, 32, ""),
        ),
    ],
)
def test_attributes(settings: str, expected: ServiceAttributes) -> None:
    (virtual,) = (
        desired(_web(f"ports: 80, {settings}" if settings else "ports: 80")).of(SERVICES).table.values()
    )
    assert virtual.attributes == expected


def test_ipv6_persistence_counts_single_addresses_by_default() -> None:
    text = _web("ports: 80").replace("192.0.2.10", '"2001:db8::10"').replace("10.0.0.11", '"fd00::11"')
    assert [each.attributes.prefix for each in desired(text).of(SERVICES).table.values()] == [128]


def test_policy_says_how_long_a_real_server_may_drain() -> None:
    state = desired(_web("ports: [80, 443], drain: 5m"))
    assert set(state.of(SERVICES).policies.values()) == {ServicePolicy("web", 300.0)}
    assert state.of(SERVICES).policies.keys() == state.of(SERVICES).table.keys()


# --- real servers ---


@pytest.mark.parametrize(
    ("forwarding", "settings", "expected"),
    [
        ("nat", "", weighing(100)),
        ("dsr", "", weighing(100, Forwarding.DSR)),
        ("tunnel", "", weighing(100, Forwarding.TUNNEL)),
        (
            "tunnel",
            "tunnel: {type: gue, port: 5555, checksum: remote}",
            weighing(
                100,
                Forwarding.TUNNEL,
                tunnel_type=int(TunnelType.GUE),
                tunnel_port=5555,
                tunnel_flags=int(TunnelFlag.REMCSUM),
            ),
        ),
        (
            "tunnel",
            "tunnel: {type: gre, checksum: full}",
            weighing(
                100,
                Forwarding.TUNNEL,
                tunnel_type=int(TunnelType.GRE),
                tunnel_flags=int(TunnelFlag.CSUM),
            ),
        ),
    ],
)
def test_forwarding(forwarding: str, settings: str, expected: object) -> None:
    more = f"ports: 80, {settings}" if settings else "ports: 80"
    (virtual,) = desired(_web(more, forwarding=forwarding)).of(SERVICES).table.values()
    assert virtual.destinations == {real("10.0.0.11", 80): expected}


def test_weight_thresholds_and_port_of_a_real_server() -> None:
    server = "{address: 10.0.0.11, port: 8080, weight: 7, upper_threshold: 100, lower_threshold: 50}"
    (virtual,) = desired(_web(real_servers=server)).of(SERVICES).table.values()
    expected = weighing(7, upper_threshold=100, lower_threshold=50)
    assert virtual.destinations == {real("10.0.0.11", 8080): expected}


@pytest.mark.parametrize(
    ("weights", "sorry_serves"), [((), True), ((0, 0), True), ((0, 1), False), ((1, 1), False)]
)
def test_sorry_server_serves_while_no_real_server_can(weights: tuple[int, ...], sorry_serves: bool) -> None:
    servers = ", ".join(f"{{address: 10.0.0.{n}, weight: {weight}}}" for n, weight in enumerate(weights, 11))
    state = desired(_web("ports: 80, sorry_server: {address: 10.0.0.99, port: 8080}", servers))
    (virtual,) = state.of(SERVICES).table.values()
    assert (virtual.destinations.get(real("10.0.0.99", 8080)) == weighing(1)) is sorry_serves
    assert len(virtual.destinations) == len(weights) + sorry_serves


def test_equal_real_servers_of_all_services_share_their_attributes() -> None:
    services = (
        desired(_web("ports: [80, 443]", "{address: 10.0.0.11}, {address: 10.0.0.12}")).of(SERVICES).table
    )
    attributes = [each for server in services.values() for each in server.destinations.values()]
    assert len(attributes) == 4
    assert len(set(map(id, attributes))) == 1


def test_sorry_server_may_have_a_forwarding_method_of_its_own() -> None:
    text = _web("ports: 80, sorry_server: {address: 10.0.0.99, forwarding: nat}", "", forwarding="dsr")
    (virtual,) = desired(text).of(SERVICES).table.values()
    assert virtual.destinations == {real("10.0.0.99", 80): weighing(1)}


# --- addresses ---

NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
"""


def test_shared_addresses_are_put_on_the_device_of_their_network() -> None:
    assert desired(NETWORKS).of(ADDRESSES) == {
        place("eth0", "192.0.2.10", 24): AddressAttributes(),
        place("eth1", "10.0.0.1", 24): AddressAttributes(),
        place("eth1", "fd00::1", 64): AddressAttributes(no_dad=True, deprecated=True),
    }


@pytest.mark.parametrize(
    ("address", "settings", "expected"),
    [
        ("192.0.2.10", "", []),  # is shared already, with its subnet's prefix
        ("192.0.2.11", "", [place("eth0", "192.0.2.11")]),
        ("10.0.0.80", "", [place("eth1", "10.0.0.80")]),
        ("203.0.113.1", "", [place("eth0", "203.0.113.1")]),  # in no subnet: outside
        ("203.0.113.1", "network: inside", [place("eth1", "203.0.113.1")]),
        ('"fd00::80"', "", [place("eth1", "fd00::80")]),
    ],
)
def test_virtual_address_is_a_single_host_in_the_network_that_holds_it(
    address: str, settings: str, expected: list[object]
) -> None:
    text = (
        NETWORKS
        + f"virtual_services: [{{name: w, address: {address}, ports: 80, forwarding: nat, {settings}}}]"
    )
    assert [key for key in desired(text).of(ADDRESSES) if key.prefix in (32, 128)] == expected


@pytest.mark.parametrize("text", [NETWORKS, _web()])
def test_network_without_a_device_is_refused_with_the_line_to_add(text: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        desired(text, elsewhere="eth9")
    assert "needs a device on network `outside`, which node `d1` does not name" in refused.value.message
    assert refused.value.hint is not None
    assert "interfaces: {outside: eth0}" in refused.value.hint


# --- sysctls, nftables, timeouts ---

REDIRECTS = {f"net/ipv4/conf/{name}/send_redirects" for name in ("all", "eth0", "eth1")}
NAT4 = {"net/ipv4/ip_forward", *REDIRECTS}
NAT6 = {"net/ipv6/conf/all/forwarding"}
ONE_ARMED = {"net/ipv4/vs/conntrack", "net/netfilter/nf_conntrack_tcp_timeout_established"}
SORRY_NAT = "ports: 80, sorry_server: {address: 10.0.0.99, forwarding: nat}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_web(), NAT4),
        (_web("ports: 80, one_armed: true"), NAT4 | ONE_ARMED),
        (_web(forwarding="dsr"), set()),
        (_web(forwarding="tunnel"), set()),
        (_web(SORRY_NAT, forwarding="dsr"), NAT4),
        (_web().replace("192.0.2.10", '"2001:db8::10"'), NAT6),
    ],
    ids=["nat", "one-armed", "dsr", "tunnel", "sorry server by nat", "nat, ipv6"],
)
def test_each_forwarding_method_needs_its_sysctls(text: str, expected: set[str]) -> None:
    paths = {sysctl.path for sysctl in desired(text).of(SYSCTLS)}
    assert paths & (NAT4 | NAT6 | ONE_ARMED) == expected


def test_one_armed_service_overrules_the_site_files_conntrack() -> None:
    text = "kernel: {sysctls: {conntrack: 0}}\n" + _web("ports: 80, one_armed: true")
    values = {sysctl.path: sysctl.value for sysctl in desired(text).of(SYSCTLS)}
    assert values["net/ipv4/vs/conntrack"] == "1"


@pytest.mark.parametrize(("tcp", "tracked_s"), [("5m", "900"), ("15m", "900"), ("2h", "7200")])
def test_connection_tracking_remembers_at_least_as_long_as_ipvs(tcp: str, tracked_s: str) -> None:
    text = f"kernel: {{timeouts: {{tcp: {tcp}}}}}\n" + _web("ports: 80, one_armed: true")
    values = {sysctl.path: sysctl.value for sysctl in desired(text).of(SYSCTLS)}
    assert values["net/netfilter/nf_conntrack_tcp_timeout_established"] == tracked_s


def test_only_one_armed_and_tied_services_need_nftables() -> None:
    assert desired(_web()).of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE) == EMPTY_TABLE
    tied = desired(_web("ports: all")).of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE)
    assert [chain.hook for chain in tied.chains] == ["prerouting"]
    one_armed = desired(_web("ports: 80, one_armed: true")).of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE)
    assert {chain.hook for chain in one_armed.chains} == {"prerouting", "postrouting"}


def test_timeouts_of_the_site() -> None:
    assert desired("kernel: {timeouts: {tcp: 5m, udp: 30s}}\n" + _web()).of(TIMEOUTS) == Timeouts(
        300, 120, 30
    )
    assert desired("kernel: {timeouts: {tcp: 5m}}").of(TIMEOUTS) is None
