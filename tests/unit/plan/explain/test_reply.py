import pytest

from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, Forwarding, TunnelType
from kernelbal.model.network import Route
from kernelbal.plan.explain.path import path_to
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.reply import CONNTRACK, reply_from
from kernelbal.plan.explain.result import ReturnPath, StepVerdict
from kernelbal.plan.reachability import RouteTable
from tests.unit.plan.explain.scene import address, attributes, query, real_server, view

SERVER = real_server(11)
NAT, DSR, TUNNEL = Forwarding.NAT, Forwarding.DSR, Forwarding.TUNNEL
DSR_SERVER = attributes(1, DSR)


def reply(
    values: DestinationAttributes,
    seen: KernelView | None = None,
    asked: ExplainQuery | None = None,
    key: DestinationKey = SERVER,
    *,
    masquerade: bool = False,
) -> ReturnPath:
    seen, asked = seen or view(), asked or query()
    routes = RouteTable(seen.routes)
    path = path_to(asked, seen, routes, key, values)
    return reply_from(asked, seen, routes, key, values, path, masquerade=masquerade)


def text_of(found: ReturnPath) -> str:
    return " | ".join(found.conditions)


def test_nat_comes_back_through_the_director() -> None:
    found = reply(attributes(1, NAT))
    assert found.method is StepVerdict.VIA_DIRECTOR
    assert "route to 198.51.100.7 leads through this director, which is 10.0.0.1 there" in text_of(found)
    assert "net.ipv4.ip_forward is 1" in text_of(found)
    assert found.problems == ()


def test_nat_needs_forwarding() -> None:
    found = reply(attributes(1, NAT), view(sysctls={"net/ipv4/ip_forward": "0"}))
    assert found.problems == ("net.ipv4.ip_forward is 0: replies are not routed",)


def test_nat_for_a_client_on_the_real_servers_segment_is_bypassed() -> None:
    found = reply(attributes(1, NAT), asked=query(80, address("10.0.0.99")))
    assert "on the segment of 10.0.0.11" in found.problems[0]
    assert "one_armed" in found.problems[0]


def test_nat_for_the_director_itself_is_not_bypassed() -> None:
    assert reply(attributes(1, NAT), asked=query(80, address("10.0.0.1"))).problems == ()


def test_nat_behind_a_gateway_does_not_come_back() -> None:
    found = reply(attributes(1, NAT), key=DestinationKey(address("203.0.113.5"), 80))
    assert "behind a gateway" in found.problems[0]


def test_masquerade_needs_nothing_of_the_real_server() -> None:
    found = reply(attributes(1, NAT), masquerade=True)
    assert found.method is StepVerdict.MASQUERADED
    assert "nothing on the real server" in text_of(found)
    assert found.problems == ()


@pytest.mark.parametrize(("setting", "works"), [("1", True), (None, True), ("0", False)])
def test_masquerade_needs_connection_tracking(setting: str | None, works: bool) -> None:
    found = reply(attributes(1, NAT), view(sysctls={CONNTRACK: setting}), masquerade=True)
    assert (found.problems == ()) is works


def test_dsr_goes_straight() -> None:
    found = reply(DSR_SERVER)
    assert found.method is StepVerdict.STRAIGHT
    assert "holds 192.0.2.10 on `lo`, a dummy or a tunnel device" in text_of(found)
    assert "`arp_ignore` 1, `arp_announce` 2" in text_of(found)
    assert "listens on 192.0.2.10 port 80" in text_of(found)
    assert found.problems == ()


def test_dsr_is_not_masqueraded() -> None:
    assert reply(DSR_SERVER, masquerade=True).method is StepVerdict.STRAIGHT


def test_ipv6_has_no_arp() -> None:
    seen = view(routes=(Route(address("fd00::"), 64, None, "eth1", 0),))
    asked = query(80, address("2001:db8::7"), virtual=address("2001:db8::10"))
    assert "arp" not in text_of(reply(DSR_SERVER, seen, asked, DestinationKey(address("fd00::11"), 80)))


def test_director_as_a_client_of_dsr() -> None:
    assert "dropped" in reply(DSR_SERVER, asked=query(80, address("10.0.0.1"))).problems[0]


@pytest.mark.parametrize(
    ("kind", "server", "virtual", "device"),
    [
        (TunnelType.IPIP, "10.0.0.11", "192.0.2.10", "`tunl0`"),
        (TunnelType.IPIP, "10.0.0.11", "2001:db8::10", "`sit0`"),
        (TunnelType.IPIP, "fd00::11", "2001:db8::10", "`ip6tnl0`"),
        (TunnelType.IPIP, "fd00::11", "192.0.2.10", "mode `any`"),
        (TunnelType.GRE, "10.0.0.11", "192.0.2.10", "`gre0`"),
        (TunnelType.GRE, "fd00::11", "2001:db8::10", "`ip6gre0`"),
        (TunnelType.GUE, "10.0.0.11", "192.0.2.10", "UDP port 6080"),
    ],
)
def test_tunnel_needs_a_device_that_unwraps(kind: TunnelType, server: str, virtual: str, device: str) -> None:
    routes = (*view().routes, Route(address("fd00::"), 64, None, "eth1", 0))
    client = address("198.51.100.7" if "." in virtual else "2001:db8::7")
    asked = query(80, client, virtual=address(virtual))
    values = DestinationAttributes(TUNNEL, 1, 0, 0, kind, 6080 if kind is TunnelType.GUE else 0)
    found = reply(values, view(routes=routes), asked, DestinationKey(address(server), 80))
    assert device in text_of(found)
    assert ("rp_filter" in text_of(found)) is ("." in virtual)


def test_tunnel_names_the_largest_packet() -> None:
    assert "above 1480 bytes" in text_of(reply(attributes(1, TUNNEL)))


def test_real_server_that_is_this_director() -> None:
    key = DestinationKey(address("10.0.0.1"), 80)
    assert reply(attributes(1, NAT), key=key, masquerade=True).method is StepVerdict.OWN_STACK
