"""What answers, and their absence, come to."""

import pytest

from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, PortMap
from kernelbal.realserver.verify.evidence import Answer, Reaction
from tests.unit.realserver.samples import HTTP, IPIP, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import good, judged, path, wire

DIRECT = prepared(VIP, Method.LOOPBACK, None, HTTP)
DNS, SCTP = PortMap(17, 53, 53), PortMap(132, 80, 80)


@pytest.mark.parametrize("reaction", [Reaction.SILENT, Reaction.UNREACHABLE, Reaction.FORWARDED])
def test_failure_follows_from_its_cause(reaction: Reaction) -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, Answer(HTTP, reaction)),)})
    lost = good(DIRECT, wires=evidence.wires, paths={VIP: path(DIRECT, unanswered=True)})
    result = judged(DIRECT, lost)["answer"][0]
    assert result.status is ResultStatus.FAIL
    if reaction is not Reaction.FORWARDED:
        assert (result.consequence_of, result.fix) == ("return route", "see return route")


def test_failure_without_a_cause_stands_for_itself() -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, Answer(HTTP, Reaction.FORWARDED)),)})
    result = judged(DIRECT, evidence)["answer"][0]
    assert (result.consequence_of, "sent on" in result.message) == ("", True)
    assert "kernelbal rs verify" in result.fix


@pytest.mark.parametrize(
    ("virtual", "code", "words"), [(VIP, 13, "prohibited"), (VIP6, 0, "no route"), (VIP, 99, "code 99")]
)
def test_messages_are_worded(virtual: bytes, code: int, words: str) -> None:
    one = prepared(virtual, Method.LOOPBACK, None, HTTP)
    heard = wire(one, Answer(HTTP, Reaction.UNREACHABLE, code=code))
    assert words in judged(one, good(one, wires={one.virtual: (heard,)}))["answer"][0].message


def test_refusal_of_a_port_that_nobody_named_shows_the_way() -> None:
    one = prepared(VIP)
    for reaction, port in ((Reaction.REFUSED, HTTP), (Reaction.UNREACHABLE, DNS)):
        heard = wire(one, Answer(port, reaction, code=3))
        result = judged(one, good(one, wires={VIP: (heard,)}))["answer"][0]
        assert (result.status, "packets come and go" in result.message) == (ResultStatus.OK, True)


def test_silence_of_udp_says_nothing() -> None:
    one = prepared(VIP, Method.LOOPBACK, None, DNS)
    heard = wire(one, Answer(DNS, Reaction.SILENT))
    assert judged(one, good(one, wires={VIP: (heard,)}))["answer"][0].status is ResultStatus.UNKNOWN


def test_what_was_not_tried_is_told() -> None:
    one = prepared(VIP, Method.LOOPBACK, None, HTTP, SCTP, DNS)
    heard = wire(one, Answer(HTTP, Reaction.ACCEPTED))
    last = judged(one, good(one, wires={VIP: (heard,)}))["answer"][-1]
    assert (last.status, last.message.split(":")[0]) == (ResultStatus.UNKNOWN, "80/sctp and 1 more")


def test_tunnel_of_an_unknown_director_is_told() -> None:
    one = prepared(VIP, Method.LOOPBACK, IPIP)
    found = judged(one, good(one, wires={VIP: (wire(one),)}))["answer"][0]
    assert (found.status, "--director" in found.message) == (ResultStatus.UNKNOWN, True)
