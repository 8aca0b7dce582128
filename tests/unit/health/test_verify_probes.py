"""What a verification asks."""

import pytest

from kernelbal.health.path_marks import PATH_MARK_BASE, PATH_MARK_MASK, VERIFY_MARK_BASE
from kernelbal.health.verify_probes import is_conclusive, plan_verification, verify_site
from kernelbal.model.health import Probe, ProbePlan
from kernelbal.model.site.check import HttpCheck, IcmpCheck, TcpCheck, UdpCheck
from tests.unit.health.scene import A, key, site_of


def planned(more: str = "", forwarding: str = "dsr", check: str = "http: {}", port: str = "80") -> ProbePlan:
    site = site_of(more, forwarding=forwarding, check=check)
    if port != "80":
        (service,) = site.virtual_services
        document = {**service.model_dump(exclude_unset=True), "ports": port, "protocol": "udp"}
        site = type(site).model_validate({"virtual_services": [document]})
    return plan_verification(verify_site(site, {"web"}))


def pair(plan: ProbePlan) -> tuple[Probe, Probe]:
    """The probe through the virtual address of the first real server, and that of its own address."""
    (through,) = plan.checks[key(A)]
    return plan.probes[through], plan.probes[plan.causes[through]]


def test_each_real_server_gets_the_same_check_twice() -> None:
    plan = planned()
    assert len(plan.probes) == 6
    through, own = pair(plan)
    assert through.protocol == own.protocol == HttpCheck()
    assert (through.target.through, own.target.through) == (True, False)
    assert through.timing == own.timing
    assert (through.timing.rise, through.timing.fall, through.timing.timeout_s) == (1, 1, 2.0)


def test_marks_are_others_than_those_of_the_daemon() -> None:
    marks = {path.mark & ~PATH_MARK_MASK for path in planned().paths}
    assert marks == {VERIFY_MARK_BASE}
    assert VERIFY_MARK_BASE & ~PATH_MARK_MASK != PATH_MARK_BASE & ~PATH_MARK_MASK


def test_nat_is_probed_once() -> None:
    plan = planned(forwarding="nat", check="tcp: {}")
    assert (len(plan.probes), plan.paths, plan.causes) == (3, (), {})


@pytest.mark.parametrize(
    "check",
    ["icmp: {}", "none: {}", "tcp: {}, mark: 7", "tcp: {}, address: 10.0.0.9", "tcp: {}, through: real"],
)
def test_a_check_that_goes_elsewhere_gives_way_to_a_connect(check: str) -> None:
    through, own = pair(planned(check=check))
    assert through.protocol == own.protocol == TcpCheck()
    assert through.target.port == 80
    assert own.target.address == own.target.server
    assert own.target.mark == 0


def test_nat_without_a_check_is_connected_to() -> None:
    (probe, *_) = planned(forwarding="nat", check="none: {}").probes.values()
    assert probe.protocol == TcpCheck()


def test_nat_keeps_its_own_check() -> None:
    (probe, *_) = planned(forwarding="nat", check="icmp: {}").probes.values()
    assert probe.protocol == IcmpCheck()


def test_a_datagram_that_may_be_lost_proves_nothing() -> None:
    through, _ = pair(planned(check="icmp: {}", port="5000"))
    assert through.protocol == UdpCheck()
    assert not is_conclusive(through)
    assert is_conclusive(pair(planned(check="udp: {expect: x}", port="5000"))[0])
    assert is_conclusive(pair(planned())[0])


def test_agents_are_left_alone() -> None:
    plan = planned("adaptive: {http_agent: {}}\n    scheduler: wlc")
    assert plan.agents == {}
    assert not [probe for probe in plan.probes.values() if probe.agent]


def test_other_services_lose_their_real_servers_and_keep_their_marks() -> None:
    site = site_of("mark: 5\n    port_following: true")
    (service,) = verify_site(site, set()).virtual_services
    assert (service.mark, service.real_servers) == (5, ())
