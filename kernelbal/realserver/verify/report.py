"""The requirements of a real server, one table, and the judgement of facts by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from kernelbal.model.ipvs import TunnelType
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.verify.answering import judge_answer
from kernelbal.realserver.verify.facts import Facts
from kernelbal.realserver.verify.firewall import judge_firewall
from kernelbal.realserver.verify.holding import judge_address, judge_devices, judge_real_address
from kernelbal.realserver.verify.row import Finding, Row, Verdict
from kernelbal.realserver.verify.service import judge_listening, judge_mss, judge_mtu
from kernelbal.realserver.verify.silence import (
    judge_arp_announce,
    judge_arp_ignore,
    judge_arp_table,
    judge_silence,
)
from kernelbal.realserver.verify.subject import Subject, silences_by_sysctls, subject_for
from kernelbal.realserver.verify.way import (
    judge_listener,
    judge_redirection,
    judge_return,
    judge_reverse_path,
)

Judge = Callable[[Subject, Collection[str]], Iterable[Finding]]
"""Gets what is judged, and the names of requirements that have failed so far."""


class Requirement(NamedTuple):
    """One row of the table.

    Attributes:
        name: in few words; other judges name it as a cause.
        why: what goes wrong without it.
        judge: what judges it.
        applies: to which preparations it applies.
    """

    name: str
    why: str
    judge: Judge
    applies: Callable[[Preparation], bool]


def _always(_: Preparation) -> bool:
    return True


def _is_ipv4(one: Preparation) -> bool:
    return len(one.virtual) == 4


def _by_arp_table(one: Preparation) -> bool:
    return one.method is Method.ARP and _is_ipv4(one)


def _redirects(one: Preparation) -> bool:
    return one.method is Method.REDIRECT


def _tunnelled(one: Preparation) -> bool:
    return one.tunnel is not None


def _by_gue(one: Preparation) -> bool:
    return one.tunnel is not None and one.tunnel.kind is TunnelType.GUE


REQUIREMENTS: Final = (
    Requirement("device", "Packets come in, and out of the tunnel, by a device.", judge_devices, _always),
    Requirement(
        "real address", "The director sends to it, and `redirect` leads to it.", judge_real_address, _always
    ),
    Requirement(
        "vip", "Packets for an address that is not the host's are not taken.", judge_address, _always
    ),
    Requirement(
        "gue", "Without it the kernel does not unwrap what the director sends.", judge_listener, _by_gue
    ),
    Requirement(
        "redirect rule",
        "Without it packets for the virtual address are not taken.",
        judge_redirection,
        _redirects,
    ),
    Requirement(
        "arp_ignore",
        "A real server that answers ARP for the virtual address takes it away from the director.",
        judge_arp_ignore,
        silences_by_sysctls,
    ),
    Requirement(
        "arp_announce",
        "Neighbours learn the virtual address from the sender of an ARP request as well.",
        judge_arp_announce,
        silences_by_sysctls,
    ),
    Requirement(
        "arp table",
        "A real server that answers ARP for the virtual address takes it away from the director.",
        judge_arp_table,
        _by_arp_table,
    ),
    Requirement(
        "return route", "Replies go straight to the client, not back by the director.", judge_return, _always
    ),
    Requirement(
        "rp_filter",
        "The kernel takes a packet for a forged one when replies would leave by another device.",
        judge_reverse_path,
        _is_ipv4,
    ),
    Requirement("listening", "The service must take packets to where they arrive.", judge_listening, _always),
    Requirement("mtu", "What is longer than the interface takes is lost.", judge_mtu, _always),
    Requirement(
        "mss", "Segments that fill a packet do not fit any more when it is wrapped.", judge_mss, _tunnelled
    ),
    Requirement("firewall", "What it drops looks like a dead service.", judge_firewall, _always),
    Requirement("silent", "The proof that neighbours get no answer.", judge_silence, _always),
    Requirement("answer", "The proof that a client does.", judge_answer, _always),
)
"""In the order in which they are judged: a later one may follow from those before it."""


def judge(preparations: Iterable[Preparation], facts: Facts) -> tuple[Row, ...]:
    """Return all rows, in the order of the preparations and of the table."""
    return tuple(row for one in preparations for row in _judge_one(one, facts))


def _judge_one(one: Preparation, facts: Facts) -> Iterable[Row]:
    subject = subject_for(one, facts)
    failed: list[str] = []
    for requirement in REQUIREMENTS:
        if not requirement.applies(one):
            continue
        findings = list(requirement.judge(subject, failed))
        yield from (Row(requirement.name, one.virtual, each, requirement.why) for each in findings)
        if any(each.verdict is Verdict.FAIL for each in findings):
            failed.append(requirement.name)


def verdict_of(rows: Iterable[Row]) -> Verdict:
    """Return FAIL when one row fails, else ok when one is, else skipped."""
    seen = {row.finding.verdict for row in rows}
    for verdict in (Verdict.FAIL, Verdict.OK):
        if verdict in seen:
            return verdict
    return Verdict.SKIPPED
