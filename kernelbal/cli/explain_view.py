"""An explanation as text."""

from __future__ import annotations

from ipaddress import ip_address

from kernelbal.cli.director_view import failing_lines
from kernelbal.cli.output import coloured, put
from kernelbal.cli.table import print_table
from kernelbal.model.answers import ExplainedCandidate, ExplainedStep, ExplanationDocument
from kernelbal.plan.explain.query import FactSource
from kernelbal.plan.explain.result import ExplainOutcome, StepTopic

SHOWN_CANDIDATES = 40
"""Real servers that the table lists; --json lists all."""

_HEADER = ("", "real server", "name", "weight", "active", "inactive", "method", "out of", "state")
_TITLES = {
    FactSource.KERNEL.value: "in the running kernel",
    FactSource.SITE_FILE.value: "after a first apply of the site file",
}
_GOOD = {each.value for each in (ExplainOutcome.FORWARDED, ExplainOutcome.ONE_OF, ExplainOutcome.TRANSLATED)}


def print_explanation(explanation: ExplanationDocument) -> None:
    """Print the steps, the candidates and the answer."""
    put(f"{explanation.query}, {_TITLES[explanation.source]}")
    for number, step in enumerate(explanation.steps, 1):
        _print_step(number, step, explanation)
    if explanation.candidates:
        _print_candidates(explanation)
    for line in failing_lines(explanation.failing_objects, len(explanation.failing_objects)):
        put(line)
    label = "ok" if explanation.outcome in _GOOD else "FAIL"
    put(f"\n=> {coloured(label, explanation.outcome)}: {explanation.answer}")


def _print_step(number: int, step: ExplainedStep, explanation: ExplanationDocument) -> None:
    read = "" if step.source == explanation.source else f" (from the {step.source})"
    put(f"\n{number}. {step.topic}: {step.verdict}{read}")
    put(f"   {step.reason}")
    if step.topic == StepTopic.RETURN.value:
        for condition in _conditions(explanation):
            put(f"   - needs: {condition}")


def _conditions(explanation: ExplanationDocument) -> list[str]:
    shown = [one for one in explanation.candidates if one.chosen]
    shown = shown or [one for one in explanation.candidates if not one.why_out]
    return shown[0].return_.conditions if shown else []


def _print_candidates(explanation: ExplanationDocument) -> None:
    name, service = explanation.service_name, explanation.service
    shown = sorted(explanation.candidates, key=_rank)[:SHOWN_CANDIDATES]
    rows = [_row(one, live=explanation.source == FactSource.KERNEL.value) for one in shown]
    columns = [i for i, name in enumerate(_HEADER) if any(row[i] for row in rows)]
    put("")
    print_table(
        [_HEADER[i] for i in columns],
        [[row[i] for i in columns] for row in rows],
        f"real servers of `{name}` {service}" if name else f"real servers of {service}",
    )
    hidden = len(explanation.candidates) - len(shown)
    if hidden:
        put(f"... and {hidden} more (--json lists them)")


def _rank(candidate: ExplainedCandidate) -> tuple[bool, bool, bytes]:
    address = candidate.real_server.rpartition(":")[0].strip("[]")
    return (not candidate.chosen, bool(candidate.why_out), ip_address(address).packed)


def _row(candidate: ExplainedCandidate, *, live: bool) -> tuple[str, ...]:
    path = candidate.forwarding
    problems = "; ".join((*path.problems, *candidate.return_.problems))
    state = candidate.why_out or problems or candidate.state
    return (
        "=>" if candidate.chosen else "",
        candidate.real_server,
        candidate.name or "",
        str(candidate.weight),
        str(candidate.active) if live else "",
        str(candidate.inactive) if live else "",
        path.method,
        path.device or "",
        f"{state}; {candidate.reason}" if candidate.reason else state,
    )
