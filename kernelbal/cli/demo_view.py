"""Shows the demo: commands as a person would type them, tables, and a verdict per claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, assert_never

from kernelbal.cli.output import coloured, put
from kernelbal.cli.progress import StatusLine
from kernelbal.cli.table import print_table
from kernelbal.lab.demo.events import (
    Claim,
    CommandRan,
    Doing,
    Event,
    Finished,
    KernelFound,
    ScenarioBegun,
    ScenarioEnded,
    ServiceTried,
)
from kernelbal.model.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernelbal.lab.demo.outside import Selection

BRIEF_LINES = 1
"""How many lines remain of an output whose beginning says nothing new."""
VERDICTS = {True: "ok", False: "FAIL"}


class DemoView:
    """Prints events as they come, and counts the claims."""

    def __init__(self) -> None:
        self._status = StatusLine()
        self._scenario = ""
        self._verdicts: dict[str, list[bool]] = {}
        self._elapsed_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._status.clear()

    def backend(self, selection: Selection) -> None:
        """Say which back end plays, and why not another."""
        for backend, refusal in selection.passed_over:
            put(f"back end {backend.name}: not usable: {refusal}")
        put(f"back end {selection.backend.name}: used")

    def show(self, event: Event) -> None:
        """Print one event."""
        self._status.clear()
        match event:
            case Doing():
                self._status.show(f"... {event.text}")
            case KernelFound():
                put(f"kernel {event.release}, {event.ipvs}")
            case ScenarioBegun():
                self._begin(event)
            case CommandRan():
                _print_command(event)
            case ServiceTried():
                _print_service(event)
            case Claim():
                self._claim(event)
            case ScenarioEnded():
                self._elapsed_s[event.name] = event.elapsed_s
            case Finished():
                self._conclude(event)
            case _:
                assert_never(event)

    def _begin(self, event: ScenarioBegun) -> None:
        self._scenario = event.name
        self._verdicts[event.name] = []
        put("")
        put(f"== {event.title} ==")
        put(f"   {event.site} on the topology {event.topology}")

    def _claim(self, event: Claim) -> None:
        self._verdicts[self._scenario].append(event.ok)
        verdict = VERDICTS[event.ok]
        put(f"{coloured(verdict)}{' ' * (5 - len(verdict))} {event.text} ({event.seen})")

    def _conclude(self, event: Finished) -> None:
        put("")
        rows = [
            (name, str(sum(verdicts)), str(verdicts.count(False)), f"{self._elapsed_s[name]:.1f} s")
            for name, verdicts in self._verdicts.items()
        ]
        print_table(("scenario", "ok", "FAIL", "time"), rows)
        put(_summary([ok for verdicts in self._verdicts.values() for ok in verdicts], event.elapsed_s))


def _summary(verdicts: list[bool], elapsed_s: float) -> str:
    failed = verdicts.count(False)
    verdict = VERDICTS[not failed]
    good = counted(len(verdicts) - failed, "claim")
    return f"{coloured(verdict)}: {good} ok, {failed} FAIL, after {elapsed_s:.1f} s"


def _print_command(event: CommandRan) -> None:
    put("")
    put(f"{event.host}$ {event.command}")
    lines = event.lines
    if event.brief and event.status == 0:
        lines = lines[-BRIEF_LINES:]
    for line in lines:
        sign, space, rest = line.expandtabs(4).partition(" ")
        put(f"  {coloured(sign)}{space}{rest}")
    if event.status:
        put(f"  (exit status {event.status})")


def _print_service(event: ServiceTried) -> None:
    put("")
    rows = [
        (
            row.real_server,
            str(row.weight),
            f"{round(row.expected, 1):g}",
            str(row.answers),
            ", ".join(row.clients),
        )
        for row in event.answers
    ]
    rows += [(failure.reason, "", "0", str(failure.count), "") for failure in event.failures]
    # Not the table's title: an IPv6 address in brackets would be taken for markup there.
    put(f"client$ {event.asked} requests to {event.url} ({event.service}, {event.scheduler})")
    print_table(("answered by", "weight", "expected", "answers", "takes for the client"), rows)
    packets = [(row.host, str(row.sent), str(row.received)) for row in event.packets]
    print_table(("packets", "sent", "received"), packets)


def demo_document(selection: Selection, events: Iterable[Event]) -> dict[str, Any]:
    """Return everything that the demo said as plain data."""
    document: dict[str, Any] = {
        "backend": selection.backend.name,
        "passed_over": [
            {"name": backend.name, "reason": str(refusal)} for backend, refusal in selection.passed_over
        ],
        "scenarios": [],
    }
    scenario: dict[str, Any] = {}
    verdicts = []
    for event in events:
        data = event.model_dump(exclude={"event"})
        match event:
            case KernelFound():
                document["kernel"] = data
            case ScenarioBegun():
                scenario = {**data, "commands": [], "services": [], "claims": []}
                document["scenarios"].append(scenario)
            case CommandRan():
                scenario["commands"].append(data)
            case ServiceTried():
                scenario["services"].append(data)
            case Claim():
                scenario["claims"].append(data)
                verdicts.append(event.ok)
            case ScenarioEnded() | Finished():
                target = scenario if isinstance(event, ScenarioEnded) else document
                target["elapsed_s"] = round(event.elapsed_s, 1)
            case Doing():
                pass
    return {**document, "ok": verdicts.count(True), "failed": verdicts.count(False)}
