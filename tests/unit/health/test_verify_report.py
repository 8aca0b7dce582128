"""Verdicts on virtual services."""

from dataclasses import replace

import pytest

from kernelbal.health.verification import Claim, Outcome, ServerFacts, Verdict
from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport, worst
from kernelbal.model.address import Address, parse_address
from kernelbal.model.health import Health, ProbeState
from tests.unit.health.scene import A, site_of

(SERVICE,) = site_of(forwarding="dsr").virtual_services
UP = ProbeState(Health.UP)
FACTS = ServerFacts(SERVICE.forwarding, Address(SERVICE.address), "--port 80/tcp", (Outcome(80, UP, UP),))
GOOD = ServerReport(SERVICE.real_servers[0], FACTS)
UNSEEN = replace(GOOD, facts=replace(FACTS, outcomes=()))
BAD = replace(
    GOOD, facts=replace(FACTS, outcomes=(Outcome(80, ProbeState(Health.DOWN, reason="no answer")),))
)
ONE = Neighbour(Claim("02:00:00:00:00:01", "x"))
TWO = Neighbour(Claim("02:00:00:00:00:02", "y"))
OURS = Neighbour(Claim("02:00:00:00:00:11", "z"), parse_address(A))


def report(
    *servers: ServerReport, holds: bool = True, asked: bool = True, neighbours: tuple[Neighbour, ...] = ()
) -> ServiceReport:
    return ServiceReport(SERVICE, "eth0", holds, asked, neighbours, servers or (GOOD,))


@pytest.mark.parametrize(
    ("found", "verdict", "message"),
    [
        (report(), Verdict.OK, ""),
        (report(neighbours=(ONE,)), Verdict.FAIL, "02:00:00:00:00:01 (x) on `eth0` answers for 192.0.2.10"),
        (report(neighbours=(OURS,)), Verdict.OK, ""),
        (report(holds=False, neighbours=(ONE,)), Verdict.OK, ""),
        (
            report(holds=False, neighbours=(ONE, TWO)),
            Verdict.FAIL,
            "2 machines on `eth0` answer for 192.0.2.10",
        ),
        (report(holds=False, neighbours=(ONE, OURS)), Verdict.OK, ""),
        (report(holds=False), Verdict.UNKNOWN, "nobody on `eth0` answers for 192.0.2.10"),
        (report(holds=False, asked=False), Verdict.OK, ""),
        (replace(report(), servers=()), Verdict.UNKNOWN, "it has no real servers"),
    ],
)
def test_who_else_answers(found: ServiceReport, verdict: Verdict, message: str) -> None:
    assert found.verdict is verdict
    messages = [each.message for each in found.findings]
    assert [message in each for each in messages] == ([True] if message else [])
    assert all(each.hint for each in found.findings)


@pytest.mark.parametrize(
    ("servers", "verdict"),
    [((GOOD, UNSEEN), Verdict.UNKNOWN), ((UNSEEN, BAD, GOOD), Verdict.FAIL), ((GOOD, GOOD), Verdict.OK)],
)
def test_the_worst_real_server_decides(servers: tuple[ServerReport, ...], verdict: Verdict) -> None:
    assert report(*servers).verdict is verdict


def test_nothing_at_all_is_ok() -> None:
    assert worst([]) is Verdict.OK
