import pytest

from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, Forwarding, TunnelFlag, TunnelType
from kernelbal.model.network import Link, Route
from kernelbal.plan.explain.path import path_to
from kernelbal.plan.explain.query import ExplainQuery, FactSource, KernelView
from kernelbal.plan.explain.result import ForwardPath, StepVerdict
from kernelbal.plan.reachability import RouteTable
from tests.unit.plan.explain.scene import address, attributes, query, real_server, view

SERVER = real_server(11, 8080)
NAT, DSR, TUNNEL = Forwarding.NAT, Forwarding.DSR, Forwarding.TUNNEL


def path(
    values: DestinationAttributes,
    key: DestinationKey = SERVER,
    seen: KernelView | None = None,
    asked: ExplainQuery | None = None,
) -> ForwardPath:
    seen = seen or view()
    return path_to(asked or query(), seen, RouteTable(seen.routes), key, values)


def tunnel(
    kind: TunnelType = TunnelType.IPIP, flag: TunnelFlag = TunnelFlag.NOCSUM, port: int = 0
) -> DestinationAttributes:
    return DestinationAttributes(TUNNEL, 1, 0, 0, kind, port, flag)


def test_nat_rewrites_address_and_port() -> None:
    found = path(attributes(1, NAT))
    assert (found.method, found.port, found.device, found.gateway) == (StepVerdict.NAT, 8080, "eth1", None)
    assert found.text == "destination rewritten to 10.0.0.11:8080; out of eth1, on-link"
    assert (found.overhead_bytes, found.mtu_bytes, found.problems) == (0, 1500, ())


def test_nat_to_port_0_keeps_the_port() -> None:
    assert path(attributes(1, NAT), real_server(11, 0)).port == 80


@pytest.mark.parametrize("forwarding", [DSR, TUNNEL])
def test_others_never_change_the_port(forwarding: Forwarding) -> None:
    assert path(attributes(1, forwarding)).port == 80


def test_dsr_behind_a_gateway_does_not_arrive() -> None:
    found = path(attributes(1, DSR), DestinationKey(address("203.0.113.5"), 80))
    assert found.gateway == address("192.0.2.254")
    assert "behind a gateway" in found.problems[0]
    assert not path(attributes(1, DSR)).problems


@pytest.mark.parametrize("forwarding", [NAT, TUNNEL])
def test_others_pass_gateways(forwarding: Forwarding) -> None:
    found = path(attributes(1, forwarding), DestinationKey(address("203.0.113.5"), 80))
    assert (found.device, found.problems) == ("eth0", ())
    assert "through gateway 192.0.2.254" in found.text


@pytest.mark.parametrize(
    ("values", "overhead_bytes"),
    [
        (tunnel(), 20),
        (tunnel(TunnelType.GRE), 24),
        (tunnel(TunnelType.GRE, TunnelFlag.CSUM), 28),
        (tunnel(TunnelType.GUE, port=6080), 32),
        (tunnel(TunnelType.GUE, TunnelFlag.CSUM, 6080), 32),
        (tunnel(TunnelType.GUE, TunnelFlag.REMCSUM, 6080), 40),
    ],
)
def test_encapsulation_costs_mtu(values: DestinationAttributes, overhead_bytes: int) -> None:
    found = path(values)
    assert (found.overhead_bytes, found.mtu_bytes) == (overhead_bytes, 1500 - overhead_bytes)
    assert f"{overhead_bytes} of the device's 1500 bytes" in found.text


def test_outer_header_is_of_the_real_servers_family() -> None:
    seen = view(routes=(Route(address("fd00::"), 64, None, "eth1", 0),))
    assert path(tunnel(), DestinationKey(address("fd00::11"), 80), seen).overhead_bytes == 40


def test_gue_names_its_port() -> None:
    assert "wrapped in gue to 10.0.0.11 port 6080" in path(tunnel(TunnelType.GUE, port=6080)).text


def test_mtu_that_is_not_known_is_not_made_up() -> None:
    found = path(tunnel(), seen=view(links=()))
    assert (found.overhead_bytes, found.mtu_bytes) == (20, 0)
    assert "bytes go to" not in found.text


@pytest.mark.parametrize("forwarding", [NAT, DSR, TUNNEL, Forwarding.LOCAL])
def test_real_server_that_is_this_director(forwarding: Forwarding) -> None:
    found = path(attributes(1, forwarding), DestinationKey(address("10.0.0.1"), 8080))
    assert (found.method, found.device) == (StepVerdict.OWN_STACK, None)
    assert found.port == (8080 if forwarding is NAT else 80)


def test_no_route_is_a_problem_of_a_live_kernel() -> None:
    assert "dropped" in path(attributes(), seen=view(routes=())).problems[0]
    assert path(attributes(), seen=view(routes=(), source=FactSource.SITE_FILE)).problems == ()


def test_device_that_is_down() -> None:
    assert path(attributes(), seen=view(links=(Link("eth1", 3, False, "", 1500, ""),))).problems == (
        "eth1 is down",
    )
