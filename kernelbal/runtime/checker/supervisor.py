"""The director's side of the checker: what it probes, and its reports, over restarts of the process.

A probe that held the checker up, or was running when the checker ended, is not sent to it for a while.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from kernelbal.health.quarantine import Quarantine, Quarantined
from kernelbal.model.event import Topic
from kernelbal.model.health import Probe, ProbeState, ProbeStates
from kernelbal.model.units import format_duration
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.budget import is_marked
from kernelbal.runtime.checker.wire import (
    PROBE_PAGES,
    REPORT_PAGES,
    CheckerReport,
    Notice,
    ProbePage,
    ReportPage,
    ReportReader,
    probe_pages,
)
from kernelbal.runtime.child import UNSTABLE_WITHIN_S, ChildHost, ChildLimits, ChildProgram, Loss
from kernelbal.store.boot import boot_clock_s

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
        clock: Callable[[], float] = boot_clock_s,
    ) -> None:
        """Start nothing yet.

        Args:
            on_report: called in the event loop for each report.
            on_lost: called with the reason when a checker ended, or could not be started.
            program: the checker.
            limits: another patience.
            clock: the boot clock.
        """
        self._on_report = on_report
        self._on_lost = on_lost
        self._probes: Mapping[str, Probe] = {}
        self._states: dict[str, ProbeState] = {}
        self._reader = ReportReader()
        self._quarantine = Quarantine()
        self._clock = clock
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

    @property
    def quarantined(self) -> list[tuple[Probe, Quarantined]]:
        """Probes that are not run for a while."""
        return [(self._probes[key], each) for key, each in self._quarantine.held.items()]

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
        self._quarantine.forget_others(self._probes)
        self._host.refresh()

    def end_quarantine(self) -> None:
        """Run all probes again."""
        if self._quarantine.release_all():
            self._host.refresh()

    def messages(self) -> Iterable[ProbePage]:
        """Return the set of probes, without those in quarantine (`Guest`)."""
        self._quarantine.release_due(self._clock())
        held = self._quarantine.held
        probes = {key: probe for key, probe in self._probes.items() if key not in held}
        return probe_pages(probes, dict(self._states))

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
        cut_off = [self._hold(key, reasons.OVERRUN) for key in report.cut_off if key in self._probes]
        if self._quarantine.release_due(self._clock()):
            self._host.refresh()
        self._on_report(replace(report, notices=(*report.notices, *cut_off)))

    def lost(self, loss: Loss) -> bool:
        """Pass the reason on; a probe that was running is not run again for a while (`Guest`)."""
        often = f"; lost {loss.recent} times within {UNSTABLE_WITHIN_S:g} s" if loss.unstable else ""
        key = next((key for key in self._probes if is_marked(key, loss.mark)), None) if loss.mark else None
        during = ""
        if key is not None:
            during = f" during {self._probes[key].described}"
            notice = self._hold(key, f"{loss.reason} while it ran")
            at = self.last_report_at or self._clock()
            self._on_report(CheckerReport(at, {key: self._states[key]}, (notice,)))
        self._on_lost(f"{loss.reason}{during}{often}")
        return key is not None

    def _hold(self, key: str, cause: str) -> Notice:
        """Put a probe into quarantine; what is known of its real server stays, with the cause."""
        wait_s = self._quarantine.hold(key, cause, self._clock())
        self._states[key] = self._states.get(key, ProbeState())._replace(unable=cause)
        self._host.refresh()
        message = f"{self._probes[key].described} is not run for {format_duration(wait_s)}: {cause}"
        return Notice(Topic.CHECKER_QUARANTINED, message, "`kernelbal reload` runs it again at once")
