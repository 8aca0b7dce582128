"""The requirements of a real server, one table, and what comes of them on a host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kernelbal.model.ipvs import TunnelType
from kernelbal.model.verification import Requirement, RequirementResult, results_of
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.verify.answering import judge_answer
from kernelbal.realserver.verify.evidence import HostEvidence
from kernelbal.realserver.verify.firewall import judge_firewall
from kernelbal.realserver.verify.holding import judge_address, judge_devices, judge_real_address
from kernelbal.realserver.verify.prepared_address import PreparedAddress, prepared_address
from kernelbal.realserver.verify.routing import (
    judge_listener,
    judge_redirection,
    judge_return,
    judge_reverse_path,
)
from kernelbal.realserver.verify.service import judge_listening, judge_mss, judge_mtu
from kernelbal.realserver.verify.silence import (
    judge_arp_announce,
    judge_arp_ignore,
    judge_arp_table,
    judge_silence,
)


def _is_ipv4(at: PreparedAddress) -> bool:
    return len(at.one.virtual) == 4


def _by_sysctls(at: PreparedAddress) -> bool:
    return at.one.method is Method.LOOPBACK and _is_ipv4(at)


def _by_arp_table(at: PreparedAddress) -> bool:
    return at.one.method is Method.ARP and _is_ipv4(at)


def _redirects(at: PreparedAddress) -> bool:
    return at.one.method is Method.REDIRECT


def _tunnelled(at: PreparedAddress) -> bool:
    return at.one.tunnel is not None


def _by_gue(at: PreparedAddress) -> bool:
    return at.one.tunnel is not None and at.one.tunnel.kind is TunnelType.GUE


REQUIREMENTS: Final[tuple[Requirement[PreparedAddress], ...]] = (
    Requirement("device", "Packets come in, and out of the tunnel, by a device.", judge_devices),
    Requirement("real address", "The director sends to it, and `redirect` leads to it.", judge_real_address),
    Requirement("vip", "Packets for an address that is not the host's are not taken.", judge_address),
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
        _by_sysctls,
    ),
    Requirement(
        "arp_announce",
        "Neighbours learn the virtual address from the sender of an ARP request as well.",
        judge_arp_announce,
        _by_sysctls,
    ),
    Requirement(
        "arp table",
        "A real server that answers ARP for the virtual address takes it away from the director.",
        judge_arp_table,
        _by_arp_table,
    ),
    Requirement("return route", "Replies go straight to the client, not back by the director.", judge_return),
    Requirement(
        "rp_filter",
        "The kernel takes a packet for a forged one when replies would leave by another device.",
        judge_reverse_path,
        _is_ipv4,
    ),
    Requirement("listening", "The service must take packets to where they arrive.", judge_listening),
    Requirement("mtu", "What is longer than the interface takes is lost.", judge_mtu),
    Requirement(
        "mss", "Segments that fill a packet do not fit any more when it is wrapped.", judge_mss, _tunnelled
    ),
    Requirement("firewall", "What it drops looks like a dead service.", judge_firewall),
    Requirement("silent", "The proof that neighbours get no answer.", judge_silence),
    Requirement("answer", "The proof that a client does.", judge_answer),
)
"""In the order in which they are judged: a later one may be a consequence of those before it."""


class AddressReport(NamedTuple):
    """What came of the requirements for one virtual address."""

    preparation: Preparation
    results: tuple[RequirementResult, ...]


def verify_addresses(
    preparations: Iterable[Preparation], evidence: HostEvidence
) -> tuple[AddressReport, ...]:
    """Return a report for each preparation, in their order."""
    return tuple(
        AddressReport(one, results_of(REQUIREMENTS, prepared_address(one, evidence))) for one in preparations
    )
