"""The director's side of the checker: what it probes, and its reports, over restarts of the process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kernelbal.model.health import Probe, ProbeState, ProbeStates
from kernelbal.runtime.checker.wire import (
    PROBE_PAGES,
    REPORT_PAGES,
    CheckerReport,
    ProbePage,
    ReportPage,
    ReportReader,
    probe_pages,
)
from kernelbal.runtime.child import UNSTABLE_WITHIN_S, ChildHost, ChildLimits, ChildProgram, Loss

CHECKER: Final = ChildProgram(
    "checker", (sys.executable, "-m", "kernelbal.runtime.checker"), PROBE_PAGES, REPORT_PAGES
)


class CheckerSupervisor:
    """Keeps one checker running while `run` runs.

    Attributes:
        last_report_at: when the last report came (boot clock), or None.
    """

    def __init__(
        self,
        on_report: Callable[[CheckerReport], None],
        on_lost: Callable[[str], None],
        *,
        program: ChildProgram[ProbePage, ReportPage] = CHECKER,
        limits: ChildLimits | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            on_report: called in the event loop for each report.
            on_lost: called with the reason when a checker ended, or could not be started.
            program: the checker.
            limits: another patience.
        """
        self._on_report = on_report
        self._on_lost = on_lost
        self._probes: Mapping[str, Probe] = {}
        self._states: dict[str, ProbeState] = {}
        self._reader = ReportReader()
        self._host = ChildHost(program, self, limits or ChildLimits())
        self.last_report_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running checker, or None."""
        return self._host.pid

    @property
    def alive(self) -> bool:
        """Whether a checker runs that has reported."""
        return self._host.alive

    @property
    def restarts(self) -> int:
        """How often a checker was lost."""
        return self._host.restarts

    @property
    def unstable(self) -> bool:
        """Whether checkers were lost so often of late that starting anew seems to be of no use."""
        return self._host.unstable

    async def run(self) -> None:
        """Keep a checker running until cancelled; then end it."""
        await self._host.run()

    def set_probes(self, probes: Mapping[str, Probe], states: ProbeStates) -> None:
        """Replace what is probed.

        Args:
            probes: by key.
            states: to start from; of a probe that runs already the checker knows better and keeps its own.
        """
        self._probes = dict(probes)
        known = {**states, **self._states}
        self._states = {key: known[key] for key in self._probes if key in known}
        self._host.refresh()

    def messages(self) -> Iterable[ProbePage]:
        """Return the set of probes (`Guest`)."""
        return probe_pages(self._probes, dict(self._states))

    def started(self) -> None:
        """Forget an unfinished report (`Guest`)."""
        self._reader = ReportReader()

    def received(self, message: ReportPage) -> None:
        """Take a page of a report (`Guest`)."""
        report = self._reader.take(message)
        if report is None:
            return
        self.last_report_at = report.at
        for key, state in report.states.items():
            if key in self._probes:
                self._states[key] = state
        self._on_report(report)

    def lost(self, loss: Loss) -> None:
        """Pass the reason on (`Guest`)."""
        often = f"; lost {loss.recent} times within {UNSTABLE_WITHIN_S:g} s" if loss.unstable else ""
        self._on_lost(f"{loss.reason}{often}")
