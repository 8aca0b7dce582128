"""Verifications as text and as JSON."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kernelbal.cli.output import coloured, put
from kernelbal.health.verification import Verdict
from kernelbal.health.verify_report import worst
from kernelbal.model.address import Address, format_address, with_port
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health
from kernelbal.model.units import counted

if TYPE_CHECKING:
    from kernelbal.health.verification import Claim, Finding, Outcome, ServerFacts
    from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
    from kernelbal.model.health import ProbeState

COLUMNS: Final = ("own", "vip", "arp", "mtu", "mss", "verdict")
"""Beside the real server; `mtu` is what a client's packet may have, `mss` what the real server asks for."""
WIDTH: Final = 80
GAP: Final = "  "
NOT_APPLICABLE: Final = "-"
NOT_KNOWN: Final = "?"
_WORDS: Final = {Health.UP: "ok", Health.DOWN: "FAIL", Health.UNKNOWN: NOT_KNOWN}


def print_reports(reports: Sequence[ServiceReport]) -> None:
    """Print a table per virtual service, and a summary."""
    for report in reports:
        for line in _service_lines(report):
            put(line)
        put("")
    counts = Counter(server.verdict for report in reports for server in report.servers)
    verdict = worst(report.verdict for report in reports).value
    parts = ", ".join(f"{counts[each]} {each.value}" for each in Verdict)
    put(f"{coloured(verdict)}: {counted(sum(counts.values()), 'real server')}: {parts}")


def _service_lines(report: ServiceReport) -> Iterable[str]:
    service = report.service
    ports = ",".join(map(str, service.ports))
    address = format_address(Address(service.address))
    yield f"{service.name} {with_port(address, 1).removesuffix('1')}{ports}/{service.protocol.value} " + (
        f"{service.forwarding.value}"
    )
    yield from _folded(_standing(report), GAP)
    for finding in report.findings:
        yield from _finding_lines(finding, GAP)
    width = max([len("real server"), *(len(_name(server)) for server in report.servers)])
    if report.servers:
        yield GAP.join(("real server".ljust(width), *_aligned(COLUMNS))).rstrip()
    for server in report.servers:
        cells = (*_cells(server.facts), "")
        head = GAP.join((_name(server).ljust(width), *_aligned(cells)))
        yield head.rstrip() + GAP + coloured(server.verdict.value)
        for finding in server.findings:
            yield from _finding_lines(finding, GAP * 2)


def _standing(report: ServiceReport) -> str:
    address = format_address(Address(report.service.address))
    holder = "this director holds" if report.holds else "this director does not hold"
    if not report.asked:
        return f"{holder} {address}; `{report.device}` has no neighbours to ask"
    others = ", ".join(_neighbour_text(each) for each in report.neighbours)
    if not report.holds and not report.neighbours:
        return f"{holder} {address}; on `{report.device}` nobody answers for it"
    also = "also " if report.holds else ""
    return f"{holder} {address}; on `{report.device}` {also}answers for it: {others or 'nobody'}"


def _neighbour_text(neighbour: Neighbour) -> str:
    if neighbour.server is None:
        return str(neighbour.claim)
    return f"real server {format_address(neighbour.server)}, {neighbour.claim}"


def _name(report: ServerReport) -> str:
    text = with_port(format_address(Address(report.server.address)), report.server.port or 0)
    name = report.server.name
    longest = WIDTH - sum(_width(column) + len(GAP) for column in COLUMNS)
    return f"{name} {text}" if name and len(name) + len(text) < longest else text


def _width(column: str) -> int:
    return len("FAIL") if column in ("own", "vip", "arp") else len("verdict") if column == "verdict" else 5


def _aligned(cells: Iterable[str]) -> list[str]:
    pairs = zip(COLUMNS, cells, strict=True)
    return [
        cell.rjust(_width(column)) if column in ("mtu", "mss") else cell.ljust(_width(column))
        for column, cell in pairs
    ]


def _cells(facts: ServerFacts) -> tuple[str, ...]:
    return (
        _word(each.own for each in facts.outcomes),
        _virtual_word(facts),
        "FAIL" if facts.claim is not None else "ok",
        _size_word(facts, facts.sizes.room),
        _size_word(facts, facts.sizes.mss),
    )


def _virtual_word(facts: ServerFacts) -> str:
    if facts.forwarding is ForwardingName.NAT:
        return NOT_APPLICABLE
    states = [each.virtual for each in facts.outcomes if each.virtual is not None]
    word = _word(states)
    conclusive = any(each.virtual is not None and each.conclusive for each in facts.outcomes)
    return NOT_KNOWN if word == NOT_APPLICABLE or (word == "ok" and not conclusive) else word


def _word(states: Iterable[ProbeState]) -> str:
    words = {_WORDS[state.health] for state in states}
    return next((word for word in ("FAIL", NOT_KNOWN, "ok") if word in words), NOT_APPLICABLE)


def _size_word(facts: ServerFacts, size: int | None) -> str:
    if not facts.sizes.device:
        return NOT_APPLICABLE
    return NOT_KNOWN if size is None else str(size)


def _finding_lines(finding: Finding, indent: str) -> Iterable[str]:
    yield from _folded(f"{finding.verdict.value}: {finding.message}", indent)
    yield from _folded(f"hint: {finding.hint}", indent + GAP)


def _folded(text: str, indent: str) -> Iterable[str]:
    width = max(min(shutil.get_terminal_size((WIDTH, 24)).columns, 120), 60)
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + GAP,
        break_on_hyphens=False,
        break_long_words=False,
    )


# --- JSON ---


def report_document(reports: Sequence[ServiceReport]) -> dict[str, Any]:
    """Return the JSON document of a verification."""
    return {
        "verdict": worst(report.verdict for report in reports).value,
        "services": [_service_document(report) for report in reports],
    }


def _service_document(report: ServiceReport) -> dict[str, Any]:
    service = report.service
    return {
        "name": service.name,
        "address": format_address(Address(service.address)),
        "protocol": service.protocol.value,
        "ports": [str(ports) for ports in service.ports],
        "forwarding": service.forwarding.value,
        "device": report.device,
        "holds_address": report.holds,
        "neighbours_asked": report.asked,
        "neighbours": [
            {
                **_claim_document(each.claim),
                "real_server": None if each.server is None else format_address(each.server),
            }
            for each in report.neighbours
        ],
        "verdict": report.verdict.value,
        "findings": [_finding_document(each) for each in report.findings],
        "real_servers": [_server_document(each) for each in report.servers],
    }


def _server_document(report: ServerReport) -> dict[str, Any]:
    sizes = report.facts.sizes
    claim = report.facts.claim
    return {
        "address": format_address(Address(report.server.address)),
        "port": report.server.port,
        "name": report.server.name,
        "verdict": report.verdict.value,
        "checks": [_outcome_document(each) for each in report.facts.outcomes],
        "claims_address_as": None if claim is None else _claim_document(claim),
        "path_mtu_bytes": sizes.path,
        "device_mtu_bytes": sizes.device or None,
        "tunnel_bytes": sizes.overhead,
        "client_packet_bytes": sizes.room,
        "mss_bytes": sizes.mss,
        "findings": [_finding_document(each) for each in report.findings],
    }


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    return {
        "port": outcome.port or None,
        "own_address": _state_document(outcome.own),
        "virtual_address": None if outcome.virtual is None else _state_document(outcome.virtual),
        "conclusive": outcome.conclusive,
    }


def _state_document(state: ProbeState) -> dict[str, Any]:
    return {"health": state.health.value, "reason": state.reason, "response_s": state.response_s}


def _claim_document(claim: Claim) -> dict[str, Any]:
    return {"mac": claim.hardware, "vendor": claim.vendor}


def _finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "verdict": finding.verdict.value,
        "subject": finding.subject.value,
        "message": finding.message,
        "hint": finding.hint,
    }
