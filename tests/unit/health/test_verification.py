"""From evidence to verdicts: the table, row by row."""

from dataclasses import replace

import pytest

from kernelbal.health.verification import (
    REQUIREMENTS,
    Answerer,
    PacketSizes,
    ProbePair,
    ServerEvidence,
    Unreachable,
)
from kernelbal.model.address import parse_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.verification import RequirementResult, ResultStatus, results_of, status_of

V4, V6 = parse_address("10.0.0.80"), parse_address("fd00::80")
UP = ProbeState(Health.UP, since_at=5.0, last_at=5.0)
UNPROBED = ProbeState(reason="not probed: out of memory")
GOOD = ProbePair(80, UP, UP)
DSR = ServerEvidence(
    ForwardingName.DSR, V4, "--port 80/tcp", (GOOD,), None, None, PacketSizes(1500, 1500, 1500, 0, 1460)
)
IPIP = replace(DSR, forwarding=ForwardingName.TUNNEL, sizes=PacketSizes(1500, 1500, 1500, 20, 1440))
NAT = ServerEvidence(ForwardingName.NAT, V4, "--port 80/tcp", (ProbePair(80, UP),))
CLAIM = Answerer("00:50:56:00:00:12", "VMware, Inc.")
APPLY = "kernelbal realserver apply 10.0.0.80 --port 80/tcp"
VERIFY = "kernelbal realserver verify 10.0.0.80 --port 80/tcp"


def results(evidence: ServerEvidence) -> tuple[RequirementResult, ...]:
    return results_of(REQUIREMENTS, evidence)


def down(reason: str) -> ProbeState:
    return ProbeState(Health.DOWN, since_at=9.0, reason=reason, last_at=9.0)


def through(reason: str, evidence: ServerEvidence = DSR) -> ServerEvidence:
    return replace(evidence, probes=(ProbePair(80, UP, down(reason)),))


@pytest.mark.parametrize(
    "evidence",
    [
        DSR,
        IPIP,
        NAT,
        replace(DSR, virtual=V6, sizes=PacketSizes(1500, 1500, 1500, 0, 1440)),
        replace(DSR, sizes=PacketSizes(1500, 1500, None, 0, 1460)),
        replace(DSR, sizes=PacketSizes(1500, 1500, 1400, 0, 1360)),
        replace(DSR, sizes=PacketSizes(1500, 1500, 1500, 0, 8960)),
        replace(IPIP, sizes=PacketSizes(1500, 9000, 9000, 20, 1460)),
        replace(IPIP, sizes=PacketSizes(1500, 1500, 1500, 20, None)),
    ],
    ids=[
        "dsr", "ipip", "nat", "ipv6", "no ping", "narrow but clamped", "jumbo real server",
        "jumbo inside", "udp",
    ],
)  # fmt: skip
def test_nothing_is_wrong(evidence: ServerEvidence) -> None:
    assert results(evidence) == ()
    assert status_of(()) is ResultStatus.OK


CASES = (
    (replace(DSR, unreachable=Unreachable("behind a gateway", "use a tunnel")),
     "reachability", "behind a gateway", "use a tunnel"),
    (replace(DSR, probes=(ProbePair(80, down("connection refused"), down("timeout after 4 s: no answer")),)),
     "real server", "port 80: connection refused, by its own address already",
     "see whether its program runs"),
    (through("timeout after 4 s: no answer"), "virtual address",
     "port 80: timeout after 4 s: no answer, but good by its own address: the virtual address is probably "
     "missing on its `lo`, or a packet filter drops it",
     f"on the real server: {APPLY}; if that finds nothing to do, see its packet filter"),
    (through("no route to host"), "virtual address", "it forwards packets instead", APPLY),
    (through("connection refused"), "virtual address", "nothing listens", VERIFY),
    (through("connection refused", IPIP), "virtual address", "its tunnel device is down or missing", APPLY),
    (through("status 404"), "virtual address", "it answers differently", "answers on 10.0.0.80"),
    (through("network unreachable: this machine has no route"), "virtual address",
     "probes need a route to the virtual address on this director",
     "on this director: add a route to 10.0.0.80"),
    (replace(DSR, answers_as=CLAIM), "neighbours",
     "it answers ARP for 10.0.0.80 as 00:50:56:00:00:12 (VMware, Inc.)", f"on the real server: {APPLY}"),
    (replace(DSR, virtual=V6, answers_as=CLAIM, sizes=PacketSizes()), "neighbours",
     "it answers neighbour discovery for fd00::80",
     "hold fd00::80 on `lo` alone; kernelbal realserver apply fd00::80"),
    (replace(DSR, sizes=PacketSizes(1500, 1500, 1400, 0, 1460)), "packet size",
     "up to 1500 bytes, as it asks for segments of 1460; "
     "the path to it takes 1400 (its device takes 1500): 1400 get there", "same MTU"),
    (replace(IPIP, sizes=PacketSizes(1500, 1500, 1500, 20, 1460)), "packet size",
     "up to 1500 bytes, as it asks for segments of 1460; "
     "the path to it takes 1500, of which the tunnel takes 20: 1480 get there",
     f"on the real server: {APPLY} (clamps the segment size, here to 1440)"),
    (replace(IPIP, virtual=V6, sizes=PacketSizes(1500, 1500, 1500, 40, 1440)), "packet size",
     "1460 get there", "here to 1400"),
)  # fmt: skip


@pytest.mark.parametrize(("evidence", "requirement", "message", "fix"), CASES)
def test_one_fault(evidence: ServerEvidence, requirement: str, message: str, fix: str) -> None:
    (found,) = results(evidence)
    assert (found.status, found.requirement) == (ResultStatus.FAIL, requirement)
    assert message in found.message
    assert fix in found.fix
    assert status_of((found,)) is ResultStatus.FAIL


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (replace(DSR, probes=(ProbePair(80, UP, UNPROBED),)), "not probed: out of memory"),
        (replace(DSR, probes=(ProbePair(80, UP, ProbeState()),)), "no result"),
        (replace(DSR, probes=(ProbePair(80, UP, ProbeState(unable="no CA file")),)), "no CA file"),
        (replace(DSR, probes=(ProbePair(0, UP),)), "no check of the service can"),
        (replace(DSR, probes=(ProbePair(53, UP, UP, conclusive=False),)), "no check of the service can"),
        (replace(NAT, probes=()), "no check of the service can"),
    ],
)
def test_what_could_not_be_seen_is_told(evidence: ServerEvidence, message: str) -> None:
    (found,) = results(evidence)
    assert (found.status, found.requirement) == (ResultStatus.UNKNOWN, "probe")
    assert message in found.message
    assert status_of((found,)) is ResultStatus.UNKNOWN


def test_everything_that_is_wrong_is_told_and_causes_come_first() -> None:
    evidence = replace(
        through("timeout after 4 s: no answer"),
        answers_as=CLAIM,
        sizes=PacketSizes(1500, 1500, 1400, 0, 1460),
    )
    found = results(evidence)
    assert [each.requirement for each in found] == [
        "virtual address",
        "neighbours",
        "packet size",
    ]
    assert status_of(found) is ResultStatus.FAIL


def test_a_real_server_that_is_down_says_nothing_of_its_virtual_address() -> None:
    both = ProbePair(80, down("connection refused"), down("timeout after 4 s: no answer"))
    assert [each.requirement for each in results(replace(DSR, probes=(both, GOOD)))] == ["real server"]


def test_a_port_of_several_is_named() -> None:
    evidence = replace(
        DSR, options="--port 80/tcp --port 443/tcp", probes=(GOOD, ProbePair(443, UP, down("no answer")))
    )
    (found,) = results(evidence)
    assert found.message.startswith("port 443: no answer, but good")
    assert "apply 10.0.0.80 --port 80/tcp --port 443/tcp" in found.fix
