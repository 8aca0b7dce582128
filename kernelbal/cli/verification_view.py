"""Verifications as text and as JSON: of a director's real servers, and of a real server itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from kernelbal.cli.output import coloured, folded, put
from kernelbal.cli.table import table_lines
from kernelbal.model.address import Address, format_address, with_port
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health
from kernelbal.model.units import counted
from kernelbal.model.verification import ResultStatus, status_of, worst

if TYPE_CHECKING:
    from kernelbal.health.verification import Answerer, ProbePair, ServerEvidence
    from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
    from kernelbal.model.health import ProbeState
    from kernelbal.model.verification import RequirementResult
    from kernelbal.realserver.verify.requirements import AddressReport

COLUMNS: Final = ("real server", "own", "vip", "arp", "mtu", "mss", "result")
"""`mtu` is what a client's packet may have, `mss` what the real server asks for."""
MOST_NAME_WIDTH: Final = 40
"""Of a real server in a table; what is longer goes without its name."""
NOT_APPLICABLE: Final = "-"
NOT_KNOWN: Final = "?"
_WORDS: Final = {Health.UP: "ok", Health.DOWN: "FAIL", Health.UNKNOWN: NOT_KNOWN}
_STATUS_WIDTH: Final = max(map(len, ResultStatus))
_NAME_WIDTH: Final = len("virtual address")
_GAP: Final = "  "


# --- results ---


def result_lines(result: RequirementResult, indent: str = _GAP, *, prose: bool = False) -> Iterator[str]:
    """Yield a result as lines.

    Args:
        result: what to show.
        indent: in front of each line.
        prose: whether its message says why already, and its fix is a sentence; else that is a command, and
            comes in one piece, to be copied.
    """
    status = coloured(result.status) + " " * (_STATUS_WIDTH - len(result.status))
    below = indent + " " * (_STATUS_WIDTH + _NAME_WIDTH + 2 * len(_GAP))
    by = f"{result.device}: " if result.device else ""
    head, *more = folded(by + result.message, below)
    yield f"{indent}{status}{_GAP}{result.requirement:<{_NAME_WIDTH}}{_GAP}{head.removeprefix(below)}"
    yield from more
    if result.consequence_of:
        yield f"{below}a consequence of {result.consequence_of}"
    elif result.fix:
        fix = f"fix: {result.fix}"
        yield from folded(fix, below) if prose else (*folded(f"why: {result.why}", below), below + fix)


def result_document(result: RequirementResult) -> dict[str, str | None]:
    """Return a result for JSON."""
    return {
        "requirement": result.requirement,
        "result": result.status.value,
        "device": result.device or None,
        "message": result.message,
        "why": result.why,
        "fix": result.fix or None,
        "consequence_of": result.consequence_of or None,
    }


def summary(statuses: Sequence[ResultStatus]) -> str:
    """Return how many there are of each status."""
    counts = Counter(statuses)
    return ", ".join(f"{counts[each]} {each}" for each in reversed(ResultStatus) if counts[each])


def _consequences(results: Sequence[RequirementResult]) -> str:
    count = sum(each.status is ResultStatus.FAIL and bool(each.consequence_of) for each in results)
    is_one = counted(count, "failure is a consequence", "failures are consequences")
    return f"; {is_one} of another" if count else ""


# --- a real server itself ---


def print_address_reports(reports: Sequence[AddressReport]) -> None:
    """Print the results for each virtual address of this host, and a summary."""
    results = [result for report in reports for result in report.results]
    for one, found in reports:
        put(f"{one}, real server {format_address(one.real)} by {', '.join(one.interfaces)}")
        for result in found:
            put("\n".join(result_lines(result)))
        put("")
    counts = summary([each.status for each in results])
    put(f"{coloured(status_of(results))}: {counts}{_consequences(results)}")


def address_reports_document(reports: Sequence[AddressReport]) -> dict[str, Any]:
    """Return the JSON document of a verification on a real server."""
    return {
        "result": status_of(result for report in reports for result in report.results).value,
        "addresses": [
            {
                "virtual": format_address(one.virtual),
                "real": format_address(one.real),
                "result": status_of(found).value,
                "results": [result_document(each) for each in found],
            }
            for one, found in reports
        ],
    }


# --- real servers, from their director ---


def print_service_reports(reports: Sequence[ServiceReport]) -> None:
    """Print a table per virtual service, and a summary."""
    for report in reports:
        for line in _service_lines(report):
            put(line)
        put("")
    statuses = [server.status for report in reports for server in report.servers]
    status = coloured(worst(report.status for report in reports))
    counts = summary(statuses)
    results = [each for report in reports for server in report.servers for each in server.results]
    put(f"{status}: {counted(len(statuses), 'real server')}: {counts}{_consequences(results)}")


def _service_lines(report: ServiceReport) -> Iterator[str]:
    service = report.service
    ports = ",".join(map(str, service.ports))
    address = format_address(Address(service.address))
    where = with_port(address, 1).removesuffix("1")
    yield f"{service.name} {where}{ports}/{service.protocol.value} {service.forwarding.value}"
    yield from folded(_holder(report), _GAP, _GAP)
    for result in report.results:
        yield from result_lines(result, prose=True)
    rows = [_row(server) for server in report.servers]
    for number, line in table_lines(COLUMNS, rows) if rows else ():
        yield line
        for result in report.servers[number].results if number >= 0 else ():
            yield from result_lines(result, _GAP * 2, prose=True)


def _holder(report: ServiceReport) -> str:
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
        return str(neighbour.answerer)
    return f"real server {format_address(neighbour.server)}, {neighbour.answerer}"


def _row(report: ServerReport) -> tuple[str, ...]:
    evidence = report.evidence
    return (
        _name(report),
        _word(each.own for each in evidence.probes),
        _virtual_word(evidence),
        "FAIL" if evidence.answers_as is not None else "ok",
        _size_word(evidence, evidence.sizes.room),
        _size_word(evidence, evidence.sizes.mss),
        report.status.value,
    )


def _name(report: ServerReport) -> str:
    text = with_port(format_address(Address(report.server.address)), report.server.port or 0)
    name = report.server.name
    return f"{name} {text}" if name and len(name) + len(text) < MOST_NAME_WIDTH else text


def _virtual_word(evidence: ServerEvidence) -> str:
    if evidence.forwarding is ForwardingName.NAT:
        return NOT_APPLICABLE
    states = [each.virtual for each in evidence.probes if each.virtual is not None]
    word = _word(states)
    conclusive = any(each.virtual is not None and each.conclusive for each in evidence.probes)
    return NOT_KNOWN if word == NOT_APPLICABLE or (word == "ok" and not conclusive) else word


def _word(states: Iterable[ProbeState]) -> str:
    words = {_WORDS[state.health] for state in states}
    return next((word for word in ("FAIL", NOT_KNOWN, "ok") if word in words), NOT_APPLICABLE)


def _size_word(evidence: ServerEvidence, size: int | None) -> str:
    if not evidence.sizes.device:
        return NOT_APPLICABLE
    return NOT_KNOWN if size is None else str(size)


def service_reports_document(reports: Sequence[ServiceReport]) -> dict[str, Any]:
    """Return the JSON document of a verification."""
    return {
        "result": worst(report.status for report in reports).value,
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
                **_answerer_document(each.answerer),
                "real_server": None if each.server is None else format_address(each.server),
            }
            for each in report.neighbours
        ],
        "result": report.status.value,
        "results": [result_document(each) for each in report.results],
        "real_servers": [_server_document(each) for each in report.servers],
    }


def _server_document(report: ServerReport) -> dict[str, Any]:
    sizes = report.evidence.sizes
    answers_as = report.evidence.answers_as
    return {
        "address": format_address(Address(report.server.address)),
        "port": report.server.port,
        "name": report.server.name,
        "result": report.status.value,
        "checks": [_probe_document(each) for each in report.evidence.probes],
        "answers_as": None if answers_as is None else _answerer_document(answers_as),
        "path_mtu_bytes": sizes.path,
        "device_mtu_bytes": sizes.device or None,
        "tunnel_bytes": sizes.overhead,
        "client_packet_bytes": sizes.room,
        "mss_bytes": sizes.mss,
        "results": [result_document(each) for each in report.results],
    }


def _probe_document(pair: ProbePair) -> dict[str, Any]:
    return {
        "port": pair.port or None,
        "own_address": _state_document(pair.own),
        "virtual_address": None if pair.virtual is None else _state_document(pair.virtual),
        "conclusive": pair.conclusive,
    }


def _state_document(state: ProbeState) -> dict[str, Any]:
    return {"health": state.health.value, "reason": state.reason, "response_s": state.response_s}


def _answerer_document(answerer: Answerer) -> dict[str, Any]:
    return {"mac": answerer.hardware, "vendor": answerer.vendor}
