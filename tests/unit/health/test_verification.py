"""From facts to verdicts: the table, row by row."""

from dataclasses import replace

import pytest

from kernelbal.health.verification import (
    Claim,
    Outcome,
    Remark,
    ServerFacts,
    Sizes,
    Subject,
    Verdict,
    findings,
    verdict_of,
)
from kernelbal.model.address import parse_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState

V4, V6 = parse_address("10.0.0.80"), parse_address("fd00::80")
UP = ProbeState(Health.UP, since_at=5.0, last_at=5.0)
UNPROBED = ProbeState(reason="not probed: out of memory")
GOOD = Outcome(80, UP, UP)
DSR = ServerFacts(
    ForwardingName.DSR, V4, "--port 80/tcp", (GOOD,), None, None, Sizes(1500, 1500, 1500, 0, 1460)
)
IPIP = replace(DSR, forwarding=ForwardingName.TUNNEL, sizes=Sizes(1500, 1500, 1500, 20, 1440))
NAT = ServerFacts(ForwardingName.NAT, V4, "--port 80/tcp", (Outcome(80, UP),))
CLAIM = Claim("00:50:56:00:00:12", "VMware, Inc.")
APPLY = "kernelbal realserver apply 10.0.0.80 --port 80/tcp"
VERIFY = "kernelbal realserver verify 10.0.0.80 --port 80/tcp"


def down(reason: str) -> ProbeState:
    return ProbeState(Health.DOWN, since_at=9.0, reason=reason, last_at=9.0)


def through(reason: str, facts: ServerFacts = DSR) -> ServerFacts:
    return replace(facts, outcomes=(Outcome(80, UP, down(reason)),))


@pytest.mark.parametrize(
    "facts",
    [
        DSR,
        IPIP,
        NAT,
        replace(DSR, virtual=V6, sizes=Sizes(1500, 1500, 1500, 0, 1440)),
        replace(DSR, sizes=Sizes(1500, 1500, None, 0, 1460)),
        replace(DSR, sizes=Sizes(1500, 1500, 1400, 0, 1360)),
        replace(DSR, sizes=Sizes(1500, 1500, 1500, 0, 8960)),
        replace(IPIP, sizes=Sizes(1500, 9000, 9000, 20, 1460)),
        replace(IPIP, sizes=Sizes(1500, 1500, 1500, 20, None)),
    ],
    ids=[
        "dsr", "ipip", "nat", "ipv6", "no ping", "narrow but clamped", "jumbo real server",
        "jumbo inside", "udp",
    ],
)  # fmt: skip
def test_nothing_is_wrong(facts: ServerFacts) -> None:
    assert findings(facts) == ()
    assert verdict_of(()) is Verdict.OK


CASES = (
    (
        replace(DSR, unreachable=Remark("behind a gateway", "use a tunnel")),
        Subject.REACHABILITY,
        "behind a gateway",
        "use a tunnel",
    ),
    (
        replace(
            DSR, outcomes=(Outcome(80, down("connection refused"), down("timeout after 4 s: no answer")),)
        ),
        Subject.REAL_SERVER,
        "port 80: connection refused, by its own address already",
        "see whether its program runs",
    ),
    (
        through("timeout after 4 s: no answer"),
        Subject.VIRTUAL_ADDRESS,
        "port 80: timeout after 4 s: no answer, but good by its own address: the virtual address is probably "
        "missing on its `lo`, or a packet filter drops it",
        f"on the real server: {APPLY}; if that finds nothing to do, see its packet filter",
    ),
    (through("no route to host"), Subject.VIRTUAL_ADDRESS, "it forwards packets instead", APPLY),
    (through("connection refused"), Subject.VIRTUAL_ADDRESS, "nothing listens", VERIFY),
    (
        through("connection refused", IPIP),
        Subject.VIRTUAL_ADDRESS,
        "its tunnel device is down or missing",
        APPLY,
    ),
    (through("status 404"), Subject.VIRTUAL_ADDRESS, "it answers differently", "answers on 10.0.0.80"),
    (
        through("network unreachable: this machine has no route"),
        Subject.VIRTUAL_ADDRESS,
        "probes need a route to the virtual address on this director",
        "on this director: add a route to 10.0.0.80",
    ),
    (
        replace(DSR, claim=CLAIM),
        Subject.NEIGHBOURS,
        "it answers ARP for 10.0.0.80 as 00:50:56:00:00:12 (VMware, Inc.)",
        f"on the real server: {APPLY}",
    ),
    (
        replace(DSR, virtual=V6, claim=CLAIM, sizes=Sizes()),
        Subject.NEIGHBOURS,
        "it answers neighbour discovery for fd00::80",
        "hold fd00::80 on `lo` alone; kernelbal realserver apply fd00::80",
    ),
    (
        replace(DSR, sizes=Sizes(1500, 1500, 1400, 0, 1460)),
        Subject.PACKET_SIZE,
        "up to 1500 bytes, as it asks for segments of 1460; "
        "the path to it takes 1400 (its device takes 1500): 1400 get there",
        "same MTU",
    ),
    (
        replace(IPIP, sizes=Sizes(1500, 1500, 1500, 20, 1460)),
        Subject.PACKET_SIZE,
        "up to 1500 bytes, as it asks for segments of 1460; "
        "the path to it takes 1500, of which the tunnel takes 20: 1480 get there",
        f"on the real server: {APPLY} (clamps the segment size, here to 1440)",
    ),
    (
        replace(IPIP, virtual=V6, sizes=Sizes(1500, 1500, 1500, 40, 1440)),
        Subject.PACKET_SIZE,
        "1460 get there",
        "here to 1400",
    ),
)


@pytest.mark.parametrize(("facts", "subject", "message", "hint"), CASES)
def test_one_fault(facts: ServerFacts, subject: Subject, message: str, hint: str) -> None:
    (found,) = findings(facts)
    assert (found.verdict, found.subject) == (Verdict.FAIL, subject)
    assert message in found.message
    assert hint in found.hint
    assert verdict_of((found,)) is Verdict.FAIL


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (replace(DSR, outcomes=(Outcome(80, UP, UNPROBED),)), "not probed: out of memory"),
        (replace(DSR, outcomes=(Outcome(80, UP, ProbeState()),)), "no result"),
        (replace(DSR, outcomes=(Outcome(0, UP),)), "no check of the service can tell"),
        (replace(DSR, outcomes=(Outcome(53, UP, UP, conclusive=False),)), "no check of the service can tell"),
        (replace(NAT, outcomes=()), "no check of the service can tell"),
    ],
)
def test_what_could_not_be_seen_is_told(facts: ServerFacts, message: str) -> None:
    (found,) = findings(facts)
    assert (found.verdict, found.subject) == (Verdict.UNKNOWN, Subject.PROBE)
    assert message in found.message
    assert verdict_of((found,)) is Verdict.UNKNOWN


def test_everything_that_is_wrong_is_told_and_causes_come_first() -> None:
    facts = replace(
        through("timeout after 4 s: no answer"), claim=CLAIM, sizes=Sizes(1500, 1500, 1400, 0, 1460)
    )
    found = findings(facts)
    assert [each.subject for each in found] == [
        Subject.VIRTUAL_ADDRESS,
        Subject.NEIGHBOURS,
        Subject.PACKET_SIZE,
    ]
    assert verdict_of(found) is Verdict.FAIL


def test_a_real_server_that_is_down_says_nothing_of_its_virtual_address() -> None:
    both = Outcome(80, down("connection refused"), down("timeout after 4 s: no answer"))
    assert [each.subject for each in findings(replace(DSR, outcomes=(both, GOOD)))] == [Subject.REAL_SERVER]


def test_a_port_of_several_is_named() -> None:
    facts = replace(
        DSR, options="--port 80/tcp --port 443/tcp", outcomes=(GOOD, Outcome(443, UP, down("no answer")))
    )
    (found,) = findings(facts)
    assert found.message.startswith("port 443: no answer, but good")
    assert "apply 10.0.0.80 --port 80/tcp --port 443/tcp" in found.hint
