"""What rules and answers together say of firewalls."""

from typing import Any

import pytest

from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.verify.evidence import Answer, HostEvidence, Reaction, Ruleset
from tests.support.realserver_evidence import DIRECT, fails, good, judged, path, wire, with_sysctl
from tests.support.realserver_host import GUE, HTTP, IPIP, VIP, VIP6, prepared
from tests.unit.realserver.verify.test_chains import DROP, base, match, payload, rule

DNS = PortMap(17, 53, 53)


def heard(one: Preparation, reaction: Reaction, code: int = 0, **more: object) -> HostEvidence:
    answers = tuple(Answer(port, reaction, code=code) for port in one.ports or (HTTP,))
    return good(one, wires={one.virtual: (wire(one, *answers),)}, **more)


def rules(*objects: dict[str, Any], **more: object) -> Ruleset:
    return Ruleset(objects, **more)


SUSPECT = rules(base("drop"), rule(match(payload("ip", "saddr"), "@friends"), {"accept": None}))
CERTAIN = rules(base(), rule(match(payload("tcp", "dport"), 80), DROP))


@pytest.mark.parametrize("reaction", [Reaction.SILENT, Reaction.UNREACHABLE, Reaction.REFUSED])
def test_without_another_cause_the_suspect_is_named(reaction: Reaction) -> None:
    result = fails(DIRECT, heard(DIRECT, reaction, 13, ruleset=SUSPECT))["firewall"]
    assert "`inet filter input (policy drop)`" in result.message
    assert result.fix == "nft insert rule inet filter input ip daddr 10.0.0.80 tcp dport 80 accept"


def test_answer_decides_against_suspicion() -> None:
    result = judged(DIRECT, heard(DIRECT, Reaction.ACCEPTED, ruleset=SUSPECT))["firewall"][0]
    assert result.status is ResultStatus.OK
    assert "looked at" in result.message


def test_nothing_to_see_still_is_a_firewall() -> None:
    assert "cannot be determined" in fails(DIRECT, heard(DIRECT, Reaction.SILENT))["firewall"].message
    unread = heard(
        DIRECT, Reaction.SILENT, ruleset=rules(unreadable="no library", legacy=("iptables filter",))
    )
    assert "no library; `iptables filter` (see iptables-save)" in fails(DIRECT, unread)["firewall"].message


def test_another_cause_comes_first() -> None:
    host = with_sysctl(DIRECT, eth0__rp_filter="1")
    way = path(DIRECT)
    assert way.backwards is not None
    way = way._replace(backwards=way.backwards._replace(device="eth1"))
    evidence = heard(DIRECT, Reaction.SILENT, ruleset=SUSPECT, host=host, paths={VIP: way})
    assert fails(DIRECT, evidence).keys() == {"rp_filter"}
    result = judged(DIRECT, evidence)["firewall"][0]
    assert (result.status, result.consequence_of) == (ResultStatus.UNKNOWN, "rp_filter")
    certain = heard(DIRECT, Reaction.SILENT, ruleset=CERTAIN, host=host, paths={VIP: way})
    assert fails(DIRECT, certain).keys() == {"rp_filter", "firewall"}


def test_question_that_was_kept_back_is_a_cause() -> None:
    host = with_sysctl(DIRECT, all__arp_announce="0", eth0__arp_announce="0")
    kept = wire(DIRECT, Answer(HTTP, Reaction.SILENT), named_sender=True)
    assert fails(DIRECT, good(DIRECT, host=host, wires={VIP: (kept,)})).keys() == {"arp_announce"}


@pytest.mark.parametrize(
    ("ruleset", "verdict"),
    [
        (rules(), ResultStatus.OK),
        (SUSPECT, ResultStatus.UNKNOWN),
        (CERTAIN, ResultStatus.FAIL),
        (rules(unreadable="no library"), ResultStatus.UNKNOWN),
        (rules(legacy=("iptables filter",)), ResultStatus.UNKNOWN),
    ],
)
def test_without_probes_the_rules_are_all_there_is(ruleset: Ruleset, verdict: ResultStatus) -> None:
    assert judged(DIRECT, good(DIRECT, wires={}, ruleset=ruleset))["firewall"][0].status is verdict


def test_refusal_of_a_host_on_which_nobody_listens_has_passed() -> None:
    evidence = heard(DIRECT, Reaction.REFUSED, ruleset=SUSPECT, sockets=())
    assert judged(DIRECT, evidence)["firewall"][0].status is ResultStatus.OK
    nameless = prepared(VIP)
    assert judged(nameless, heard(nameless, Reaction.REFUSED))["firewall"][0].status is ResultStatus.OK


def test_udp() -> None:
    one = prepared(VIP, Method.LOOPBACK, None, DNS)
    assert fails(one, heard(one, Reaction.SILENT)) == {}
    assert fails(one, heard(one, Reaction.UNREACHABLE, 3, sockets=())).keys() == {"listening"}
    assert fails(one, heard(one, Reaction.UNREACHABLE, 13)).keys() == {"firewall"}


@pytest.mark.parametrize(
    ("one", "drops"),
    [
        (DIRECT, match(payload("ip", "daddr"), "10.0.0.80")),
        (prepared(VIP6, Method.LOOPBACK, None, HTTP), match(payload("ip6", "daddr"), "fd00::80")),
        (prepared(VIP, Method.REDIRECT, None, PortMap(6, 80, 8080)), match(payload("tcp", "dport"), 8080)),
        (prepared(VIP, Method.LOOPBACK, IPIP, HTTP), match(payload("ip", "protocol"), 4)),
        (
            prepared(VIP6, Method.LOOPBACK, IPIP, HTTP, real=prepared(VIP).real),
            match(payload("ip", "protocol"), 41),
        ),
        (prepared(VIP, Method.LOOPBACK, GUE, HTTP), match(payload("udp", "dport"), 5555)),
        (prepared(VIP, Method.LOOPBACK, IPIP, HTTP), match({"meta": {"key": "iifname"}}, "tunl0")),
    ],
)
def test_each_stage_is_looked_at(one: Preparation, drops: dict[str, Any]) -> None:
    evidence = heard(one, Reaction.SILENT, ruleset=rules(base(), rule(drops, DROP)))
    assert "`inet filter input: drop`" in fails(one, evidence)["firewall"].message


def test_replies_and_arp_are_looked_at() -> None:
    out = rules(base(hook="output"), rule(match(payload("tcp", "sport"), 80), DROP, chain="output"))
    assert (
        "inet filter output" in fails(DIRECT, heard(DIRECT, Reaction.SILENT, ruleset=out))["firewall"].message
    )
    arp = rules(base(family="arp"), rule(match(payload("arp", "daddr ip"), "10.0.0.11"), DROP, family="arp"))
    assert "arp filter input" in fails(DIRECT, good(DIRECT, wires={}, ruleset=arp))["firewall"].message
