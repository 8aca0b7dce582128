"""Whether a client's packet is answered, as it was tried, and what keeps it from being answered."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kernelbal.kernel.probe_frames import PORT_UNREACHABLE, REFUSALS
from kernelbal.model.address import format_address
from kernelbal.model.ipvs import Protocol
from kernelbal.model.verification import RequirementResult, fail, first_of, ok, unknown
from kernelbal.realserver.verify.evidence import Answer, Reaction, Wire
from kernelbal.realserver.verify.firewall import causes_of_silence
from kernelbal.realserver.verify.prepared_address import PreparedAddress
from kernelbal.realserver.verify.silence import ASKED_NOBODY

_UNKNOWN: Final = "`kernelbal rs verify` on the director tries the real wire"


def judge_answer(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """A connection from a client to the virtual address is accepted, and in its name."""
    wires = subject.evidence.wires.get(subject.one.virtual, ())
    if not wires:
        yield unknown(ASKED_NOBODY)
    for wire in wires:
        yield from _judge_wire(subject, wire, failed)


def _judge_wire(subject: PreparedAddress, wire: Wire, failed: Collection[str]) -> Iterator[RequirementResult]:
    if wire.skipped:
        yield unknown(wire.skipped, wire.interface)
        return
    if not wire.answers and subject.one.tunnel is not None:
        text = "who wraps packets is not known: name the director with --director"
        yield unknown(text, wire.interface)
        return
    for answer in wire.answers:
        yield _judge(subject, wire.interface, answer, failed)
    tried = {answer.port for answer in wire.answers}
    left = [str(port) for port in subject.one.ports if port not in tried]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        yield unknown(f"{left[0]}{more}: not tried; {_UNKNOWN}", wire.interface)


def _judge(
    subject: PreparedAddress, interface: str, answer: Answer, failed: Collection[str]
) -> RequirementResult:
    client, port = format_address(subject.path.client), answer.port
    tried = f"{port} from {client}"
    causes = (*causes_of_silence(subject), "firewall")
    match answer.reaction:
        case Reaction.ACCEPTED:
            return ok(f"{tried}: accepted by {subject.virtual}", interface)
        case Reaction.REFUSED if not subject.named(port):
            return ok(f"{tried}: refused by {subject.virtual}, so packets come and go", interface)
        case Reaction.REFUSED:
            return _failed(f"{tried}: refused", interface, ("listening", "firewall"), failed)
        case Reaction.UNREACHABLE:
            return _unreachable(subject, interface, answer, failed, tried)
        case Reaction.FORWARDED:
            return _failed(f"{tried}: sent on to others", interface, ("vip", "redirect rule"), failed)
        case Reaction.SILENT if port.protocol == Protocol.UDP:
            text = f"{tried}: silence, which a UDP service may keep; {_UNKNOWN}"
            return unknown(text, interface, first_of(causes, failed))
        case _:
            return _failed(f"{tried}: no answer", interface, causes, failed)


def _unreachable(
    subject: PreparedAddress, interface: str, answer: Answer, failed: Collection[str], tried: str
) -> RequirementResult:
    family = len(subject.one.virtual)
    words = REFUSALS.get((family, answer.code), f"code {answer.code}")
    nobody = answer.port.protocol == Protocol.UDP and answer.code == PORT_UNREACHABLE[family]
    if nobody and not subject.named(answer.port):
        return ok(f"{tried}: {words}, so packets come and go", interface)
    causes = ("listening",) if nobody else (*causes_of_silence(subject), "firewall")
    return _failed(f"{tried}: {words}", interface, causes, failed)


def _failed(text: str, interface: str, causes: Collection[str], failed: Collection[str]) -> RequirementResult:
    cause = first_of(causes, failed)
    return fail(text, f"see {cause}" if cause else _UNKNOWN, interface, cause)
