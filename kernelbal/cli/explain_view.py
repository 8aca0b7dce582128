"""An explanation as text and as JSON."""

from __future__ import annotations

from typing import Any

from kernelbal.cli.output import coloured, put
from kernelbal.cli.table import print_table
from kernelbal.model.address import Address, format_address
from kernelbal.model.ipvs import Forwarding
from kernelbal.plan.explain.query import FactSource
from kernelbal.plan.explain.result import ExplainOutcome, Explanation, ServerCandidate, StepTopic, TraceStep

SHOWN_CANDIDATES = 40
"""Real servers that the table lists; --json lists all."""

_HEADER = ("", "real server", "name", "weight", "active", "inactive", "method", "out of", "state")
_TITLES = {
    FactSource.KERNEL: "in the running kernel",
    FactSource.SITE_FILE: "after a first apply of the site file",
}
_COLOURS = {ExplainOutcome.FORWARDED: "ok", ExplainOutcome.ONE_OF: "ok", ExplainOutcome.TRANSLATED: "ok"}


def print_explanation(explanation: Explanation, service: str) -> None:
    """Print the steps, the candidates and the answer; `service` is the title of the one that matched."""
    put(f"{explanation.query}, {_TITLES[explanation.source]}")
    for number, step in enumerate(explanation.steps, 1):
        _print_step(number, step, explanation)
    if explanation.candidates:
        _print_candidates(explanation, service)
    label = _COLOURS.get(explanation.outcome, "FAIL")
    put(f"\n=> {coloured(label, explanation.outcome.value)}: {explanation.answer}")


def _print_step(number: int, step: TraceStep, explanation: Explanation) -> None:
    read = "" if step.source is explanation.source else f" (from the {step.source.value})"
    put(f"\n{number}. {step.topic.value}: {step.verdict.value}{read}")
    put(f"   {step.reason}")
    if step.topic is StepTopic.RETURN:
        for condition in _conditions(explanation):
            put(f"   - needs: {condition}")


def _conditions(explanation: Explanation) -> tuple[str, ...]:
    shown = [one for one in explanation.candidates if one.chosen]
    shown = shown or [one for one in explanation.candidates if not one.why]
    return shown[0].reply.conditions if shown else ()


def _print_candidates(explanation: Explanation, service: str) -> None:
    shown = sorted(explanation.candidates, key=_rank)[:SHOWN_CANDIDATES]
    rows = [_row(one, live=explanation.source is FactSource.KERNEL) for one in shown]
    columns = [i for i, name in enumerate(_HEADER) if any(row[i] for row in rows)]
    put("")
    print_table(
        [_HEADER[i] for i in columns],
        [[row[i] for i in columns] for row in rows],
        f"real servers of {service}",
    )
    hidden = len(explanation.candidates) - len(shown)
    if hidden:
        put(f"... and {hidden} more (--json lists them)")


def _rank(candidate: ServerCandidate) -> tuple[bool, bool, Address]:
    return (not candidate.chosen, bool(candidate.why), candidate.key.address)


def _row(candidate: ServerCandidate, *, live: bool) -> tuple[str, ...]:
    problems = (*candidate.path.problems, *candidate.reply.problems)
    return (
        "=>" if candidate.chosen else "",
        str(candidate.key),
        candidate.name,
        str(candidate.attributes.weight),
        str(candidate.counters.active) if live else "",
        str(candidate.counters.inactive) if live else "",
        Forwarding(candidate.attributes.forwarding).name.lower(),
        candidate.path.device or "",
        candidate.why or "; ".join(problems) or candidate.availability.value,
    )


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data; the names of its fields are stable."""
    query, key = explanation.query, explanation.real_server
    return {
        "source": explanation.source.value,
        "client": format_address(query.client),
        "client_port": query.client_port,
        "virtual_address": format_address(query.virtual),
        "port": query.port,
        "protocol": query.protocol.name.lower(),
        "outcome": explanation.outcome.value,
        "answer": explanation.answer,
        "service": str(explanation.service) if explanation.service else None,
        "service_name": explanation.service_name or None,
        "mark": explanation.mark or None,
        "masquerade": explanation.masquerade,
        "real_server": str(key) if key else None,
        "translated_to": explanation.translated_to or None,
        "certainty": explanation.certainty.value if explanation.certainty else None,
        "steps": [
            {
                "topic": step.topic.value,
                "verdict": step.verdict.value,
                "reason": step.reason,
                "source": step.source.value,
            }
            for step in explanation.steps
        ],
        "candidates": [_candidate_document(one) for one in explanation.candidates],
    }


def _candidate_document(candidate: ServerCandidate) -> dict[str, Any]:
    attributes, path, reply = candidate.attributes, candidate.path, candidate.reply
    return {
        "real_server": str(candidate.key),
        "name": candidate.name or None,
        "chosen": candidate.chosen,
        "weight": attributes.weight,
        "active": candidate.counters.active,
        "inactive": candidate.counters.inactive,
        "upper_threshold": attributes.upper_threshold,
        "lower_threshold": attributes.lower_threshold,
        "state": candidate.availability.value,
        "why_out": candidate.why or None,
        "forwarding": {
            "method": path.method.value,
            "port": path.port,
            "device": path.device,
            "gateway": _text_or_none(path.gateway),
            "overhead_bytes": path.overhead_bytes,
            "mtu_bytes": path.mtu_bytes or None,
            "text": path.text,
            "problems": list(path.problems),
        },
        "return": {
            "way": reply.method.value,
            "text": reply.text,
            "conditions": list(reply.conditions),
            "problems": list(reply.problems),
        },
    }


def _text_or_none(address: Address | None) -> str | None:
    return format_address(address) if address is not None else None
