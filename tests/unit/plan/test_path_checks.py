"""What probes through virtual addresses need of the director's kernel."""

from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.health import PathCheck
from kernelbal.model.ipvs import DestinationAttributes, Forwarding, ServiceAttributes, ServiceFlag
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.overlay import Overlay
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.path_checks import path_services, sysctls_of_paths
from tests.support.builders import by_mark, node, real, site, weighing

DSR = weighing(1, Forwarding.DSR)


def path(server: str, mark: int = 0x4C000001, attributes: DestinationAttributes = DSR) -> PathCheck:
    family = AF_INET6 if ":" in server else AF_INET
    return PathCheck(family, mark, real(server, 0), attributes)


def wanted(document: str, *servers: str) -> dict[str, str]:
    sysctls = sysctls_of_paths(site(document), node(), [path(server) for server in servers])
    assert all(sysctl.reason.endswith(".") for sysctl in sysctls)
    return {sysctl.path.removeprefix("net/ipv4/conf/"): sysctl.value for sysctl in sysctls}


def service(address: str = "192.0.2.80", server: str = "10.0.0.11", forwarding: str = "dsr") -> str:
    return (
        f"virtual_services: [{{name: w, address: '{address}', ports: 80, forwarding: {forwarding}, "
        f"real_servers: [{{address: '{server}'}}]}}]\n"
    )


NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24]}
"""


def test_each_mark_leads_to_its_one_real_server() -> None:
    tunnel = DestinationAttributes(int(Forwarding.TUNNEL), 1, 0, 0, 1, 5555, 0)
    four, six = path("10.0.0.11", 0x4C000001, tunnel), path("fd00::11", 0x4C000002)
    found = dict(path_services([four, six]))
    assert list(found) == [by_mark(0x4C000001), by_mark(0x4C000002, AF_INET6)]
    assert [server.destinations for server in found.values()] == [
        {real("10.0.0.11", 0): tunnel},
        {real("fd00::11", 0): DSR},
    ]


def test_datagrams_are_scheduled_one_by_one() -> None:
    ((_, four), (_, six)) = path_services([path("10.0.0.11"), path("fd00::11")])
    one_packet = int(ServiceFlag.ONE_PACKET)
    assert four.attributes == ServiceAttributes("rr", one_packet, 0, 32, "")
    assert six.attributes == ServiceAttributes("rr", one_packet, 0, 128, "")


def test_answers_from_a_virtual_address_are_let_in_by_the_real_servers_device_alone() -> None:
    assert wanted(NETWORKS + service(), "10.0.0.11") == {"eth1/accept_local": "1", "eth1/rp_filter": "2"}


def test_on_one_segment_with_the_virtual_address_the_reverse_path_is_right() -> None:
    document = NETWORKS + service("10.0.0.80")
    assert wanted(document, "10.0.0.11") == {"eth1/accept_local": "1"}


def test_real_servers_in_no_known_subnet_may_answer_by_any_device() -> None:
    assert wanted(service(), "10.0.0.11") == {
        "eth0/accept_local": "1",
        "eth1/accept_local": "1",
        "eth1/rp_filter": "2",
    }


def test_a_reverse_path_filter_that_is_not_strict_stays_as_it_is() -> None:
    sysctls = sysctls_of_paths(site(NETWORKS + service()), node(), [path("10.0.0.11")])
    (loosened,) = (sysctl for sysctl in sysctls if sysctl.path.endswith("rp_filter"))
    for everywhere, device, holds in (
        ("0", "0", True),
        ("0", "1", False),
        ("1", "0", False),
        ("1", "1", False),
        ("2", "0", True),
        ("2", "1", True),
        ("1", "2", True),
    ):
        values = {"net/ipv4/conf/all/rp_filter": everywhere, "net/ipv4/conf/eth1/rp_filter": device}
        assert loosened.holds(values) is holds, values


def test_nothing_is_written_without_probes_through_ipv4_addresses() -> None:
    assert wanted(NETWORKS + service()) == {}
    assert wanted(NETWORKS + service("2001:db8:1::80", "fd00::11"), "fd00::11") == {}
    assert wanted(NETWORKS + service(forwarding="nat"), "10.0.0.11") == {}


def test_services_that_are_not_probed_through_their_address_count_for_nothing() -> None:
    assert wanted(NETWORKS + service(server="10.0.0.12"), "10.0.0.11") == {}


def test_a_tunnel_of_the_other_family_needs_what_its_virtual_address_needs() -> None:
    crossing = PathCheck(AF_INET, 0x4C000001, real("fd00::11", 0), weighing(1, Forwarding.TUNNEL))
    document = NETWORKS + service("192.0.2.80", "fd00::11", "tunnel")
    paths = {sysctl.path for sysctl in sysctls_of_paths(site(document), node(), [crossing])}
    assert "net/ipv4/conf/eth0/accept_local" in paths


def test_a_desired_state_has_both_where_probes_go_through_virtual_addresses() -> None:
    document = site(NETWORKS + service())
    overlay = Overlay(paths=(path("10.0.0.11"),))
    without, state = (desired_state(document, node(), given) for given in (Overlay(), overlay))
    assert set(state.of(SERVICES).table) - set(without.of(SERVICES).table) == {by_mark(0x4C000001)}
    assert {sysctl.path for sysctl in state.of(SYSCTLS)} - {
        sysctl.path for sysctl in without.of(SYSCTLS)
    } == {
        "net/ipv4/conf/eth1/accept_local",
        "net/ipv4/conf/eth1/rp_filter",
    }
    assert state.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE) == without.of(TABLES).get(
        EMPTY_TABLE.title, EMPTY_TABLE
    )
