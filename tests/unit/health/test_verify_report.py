"""Results for virtual services."""

from dataclasses import replace

import pytest

from kernelbal.health.verification import Answerer, ProbePair, ServerEvidence
from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
from kernelbal.model.address import Address, parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.verification import ResultStatus
from tests.unit.health.scene import A, site_of

(SERVICE,) = site_of(forwarding="dsr").virtual_services
UP = ProbeState(Health.UP)
FACTS = ServerEvidence(
    SERVICE.forwarding, Address(SERVICE.address), "--port 80/tcp", (ProbePair(80, UP, UP),)
)
GOOD = ServerReport(SERVICE.real_servers[0], FACTS)
UNSEEN = replace(GOOD, evidence=replace(FACTS, probes=()))
BAD = replace(
    GOOD, evidence=replace(FACTS, probes=(ProbePair(80, ProbeState(Health.DOWN, reason="no answer")),))
)
ONE = Neighbour(Answerer("02:00:00:00:00:01", "x"))
TWO = Neighbour(Answerer("02:00:00:00:00:02", "y"))
OURS = Neighbour(Answerer("02:00:00:00:00:11", "z"), parse_address(A))


def report(
    *servers: ServerReport, holds: bool = True, asked: bool = True, neighbours: tuple[Neighbour, ...] = ()
) -> ServiceReport:
    return ServiceReport(SERVICE, "eth0", holds, asked, neighbours, servers or (GOOD,))


@pytest.mark.parametrize(
    ("found", "status", "message"),
    [
        (report(), ResultStatus.OK, ""),
        (
            report(neighbours=(ONE,)),
            ResultStatus.FAIL,
            "02:00:00:00:00:01 (x) on `eth0` answers for 192.0.2.10",
        ),
        (report(neighbours=(OURS,)), ResultStatus.OK, ""),
        (report(holds=False, neighbours=(ONE,)), ResultStatus.OK, ""),
        (
            report(holds=False, neighbours=(ONE, TWO)),
            ResultStatus.FAIL,
            "2 machines on `eth0` answer for 192.0.2.10",
        ),
        (report(holds=False, neighbours=(ONE, OURS)), ResultStatus.OK, ""),
        (report(holds=False), ResultStatus.UNKNOWN, "nobody on `eth0` answers for 192.0.2.10"),
        (report(holds=False, asked=False), ResultStatus.OK, ""),
        (replace(report(), servers=()), ResultStatus.UNKNOWN, "it has no real servers"),
    ],
)
def test_who_else_answers(found: ServiceReport, status: ResultStatus, message: str) -> None:
    assert found.status is status
    messages = [each.message for each in found.results]
    assert [message in each for each in messages] == ([True] if message else [])
    assert all(each.fix for each in found.results)


@pytest.mark.parametrize(
    ("servers", "status"),
    [
        ((GOOD, UNSEEN), ResultStatus.UNKNOWN),
        ((UNSEEN, BAD, GOOD), ResultStatus.FAIL),
        ((GOOD, GOOD), ResultStatus.OK),
    ],
)
def test_the_worst_real_server_decides(servers: tuple[ServerReport, ...], status: ResultStatus) -> None:
    assert report(*servers).status is status
