"""Whether the host keeps silent about the virtual address: sysctls, the arp table, and what was heard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from kernelbal.model.address import format_address
from kernelbal.model.network import Link
from kernelbal.model.verification import RequirementResult, fail, first_of, ok, unknown
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.setup import ARP_TABLE, LOOPBACK
from kernelbal.realserver.sysctls import conf
from kernelbal.realserver.verify.evidence import Wire
from kernelbal.realserver.verify.prepared_address import APPLY, PreparedAddress

_IGNORE_SILENT: Final = (1, 2)
_IGNORE_MEANS: Final = {
    0: "every address of the host is answered for on every interface",
    3: "only addresses of scope host stay unanswered, and the virtual address is none",
    8: "no address is answered for, not even the host's own: the director does not find it",
}
"""What values of `arp_ignore` mean (`ip-sysctl.rst`); 4 to 7 are reserved and ignore nothing."""
_RESERVED: Final = "reserved; the kernel takes it for 0"
_ANNOUNCE_SILENT: Final = 2
_ANNOUNCE_MEANS: Final = {
    0: "any address of the host may be the sender of its ARP requests",
    1: "an address in the network of the one that is asked for may be the sender",
}

ASKED_NOBODY: Final = "no probes were sent"
_CLAIM_CAUSES: Final = ("vip", "arp_ignore", "real address", "arp table")
SENDER_CAUSES: Final = ("arp_announce", "real address", "arp table", "vip")
"""What makes a host ask for its neighbours in the name of the virtual address."""
_CONTROL_CAUSES: Final = ("arp_ignore", "device", "real address", "firewall")


def judge_arp_ignore(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """Each interface that can be asked ignores questions for addresses of other devices."""
    others = [link.name for link in subject.evidence.host.links if _can_be_asked(link)]
    for name in dict.fromkeys((*subject.one.interfaces, *others)):
        finding = _judge_sysctl(subject, "arp_ignore", name, _ignores, 1)
        if finding is not None and (name in subject.one.interfaces or finding.fix):
            yield finding


def judge_arp_announce(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The host's own questions name an address of the interface that they leave by."""
    for name in subject.asking:
        finding = _judge_sysctl(subject, "arp_announce", name, _announces, _ANNOUNCE_SILENT)
        if finding is not None:
            yield finding


def _can_be_asked(link: Link) -> bool:
    return link.up and bool(link.hardware_address) and link.name != LOOPBACK and link.kind != "dummy"


def _ignores(value: int) -> str:
    return "" if value in _IGNORE_SILENT else _IGNORE_MEANS.get(value, _RESERVED)


def _announces(value: int) -> str:
    return "" if value == _ANNOUNCE_SILENT else _ANNOUNCE_MEANS.get(value, _RESERVED)


def _judge_sysctl(
    subject: PreparedAddress, name: str, device: str, meaning_of: Callable[[int], str], required: int
) -> RequirementResult | None:
    value = subject.effective(name, device)
    if value is None:
        return None
    meaning = meaning_of(value)
    if not meaning:
        return ok(f"{value}", device)
    sysctls = subject.evidence.host.sysctls
    where = [each for each in ("all", device) if int(sysctls.get(conf(each, name)) or 0) > required]
    fixes = [f"{conf(each, name)}={required}" for each in where or (device,)]
    return fail(f"{value}: {meaning}", f"sysctl -w {' '.join(fixes)}", device)


def judge_arp_table(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The nftables table of the method `arp` drops questions for the virtual address."""
    if subject.evidence.no_nftables:
        yield unknown(f"cannot be read: {subject.evidence.no_nftables}")
        return
    missing = subject.missing(ARP_TABLE, "input", "output")
    if missing:
        cause = first_of(("real address",), failed)
        yield fail(f"`{ARP_TABLE.title}` lacks {'; '.join(missing)}", APPLY, consequence_of=cause)
    else:
        yield ok(f"`{ARP_TABLE.title}` is in force")


def judge_silence(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """Nobody on the network who asks for the virtual address gets an answer from this host."""
    wires = subject.evidence.wires.get(subject.one.virtual, ())
    if not wires:
        yield unknown(ASKED_NOBODY)
    for wire in wires:
        yield _judge_wire(subject, wire, failed)


def _judge_wire(subject: PreparedAddress, wire: Wire, failed: Collection[str]) -> RequirementResult:
    name, virtual = wire.interface, subject.virtual
    if wire.skipped:
        return unknown(wire.skipped, name)
    if wire.claims:
        claims = " and ".join(wire.claims)
        cause = first_of(_CLAIM_CAUSES, failed)
        return fail(f"{claims} answers for {virtual}", _see(cause, "find out what answers"), name, cause)
    if wire.named_sender:
        cause = first_of(SENDER_CAUSES, failed)
        silence = APPLY if subject.one.method is Method.ARP else f"sysctl -w {conf('all', 'arp_announce')}=2"
        fix = _see(cause, silence)
        return fail(f"asks its neighbours in the name of {virtual}", fix, name, cause)
    if wire.control is None:
        return unknown("no answer; but the interface has no address of its own to compare with", name)
    own = format_address(wire.control)
    if not wire.control_answered:
        cause = first_of(_CONTROL_CAUSES, failed)
        fix = _see(cause, "let the firewall pass ARP and neighbour discovery for it")
        return fail(f"nobody answers for {own} either: the director does not find it", fix, name, cause)
    asks = "; asks its neighbours as itself" if wire.asked_neighbour else ""
    return ok(f"no answer for {virtual}, an answer for {own}{asks}", name)


def _see(cause: str, otherwise: str) -> str:
    return f"see {cause}" if cause else otherwise
