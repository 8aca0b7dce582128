"""The director's two checkers: one probes by the network, one by scripts.

What strangers send is read by a process that cannot start programs, nor become anybody else; scripts are
started by one that has no power over the network. The second one runs from the first script on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from kernelbal.health.quarantine import Quarantined
from kernelbal.model.health import Probe, ProbeStates
from kernelbal.model.site.check import ScriptCheck
from kernelbal.runtime.checker.supervisor import CHECKER, CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport


class Checkers:
    """Both, as one.

    Args:
        on_report: called in the event loop for each report; its figures are those of both.
        on_lost: called with the reason when a checker ended, or could not be started.
    """

    def __init__(self, on_report: Callable[[CheckerReport], None], on_lost: Callable[[str], None]) -> None:
        self._on_report = on_report
        self._network, self._scripts = (
            CheckerSupervisor(
                partial(self._merge, part),
                on_lost,
                program=replace(CHECKER, name=name, command=(*CHECKER.command, part)),
            )
            for part, name in (("network", "checker"), ("scripts", "checker of scripts"))
        )
        self._needs_scripts = asyncio.Event()
        self._last: dict[str, CheckerReport] = {}

    @property
    def alive(self) -> bool:
        """Whether those that are needed run and have reported."""
        return self._network.alive and (self._scripts.alive or not self._needs_scripts.is_set())

    @property
    def restarts(self) -> int:
        """How often one was lost."""
        return self._network.restarts + self._scripts.restarts

    @property
    def unstable(self) -> bool:
        """Whether one keeps ending."""
        return self._network.unstable or self._scripts.unstable

    @property
    def quarantined(self) -> list[tuple[Probe, Quarantined]]:
        """Probes that are not run for a while."""
        return self._network.quarantined + self._scripts.quarantined

    @property
    def last_report_at(self) -> float | None:
        """When the last report came (boot clock), or None."""
        return max((report.at for report in self._last.values()), default=None)

    async def run(self) -> None:
        """Keep them running until cancelled; then end them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._network.run())
            await self._needs_scripts.wait()
            tasks.create_task(self._scripts.run())

    def set_probes(self, probes: Mapping[str, Probe], states: ProbeStates) -> None:
        """Replace what is probed.

        Args:
            probes: by key.
            states: to start from; of a probe that runs already the checker knows better and keeps its own.
        """
        scripts = {key: probe for key, probe in probes.items() if isinstance(probe.protocol, ScriptCheck)}
        if scripts:
            self._needs_scripts.set()
        self._scripts.set_probes(scripts, states)
        self._network.set_probes({key: probe for key, probe in probes.items() if key not in scripts}, states)

    def end_quarantine(self) -> None:
        """Run all probes again."""
        self._network.end_quarantine()
        self._scripts.end_quarantine()

    def _merge(self, part: str, report: CheckerReport) -> None:
        self._last[part] = replace(report, states={}, notices=())
        known = self._last.values()
        late_p99_s = max(each.late_p99_s for each in known)
        count = sum(each.probes for each in known) if self.alive else 0
        self._on_report(replace(report, late_p99_s=late_p99_s, probes=count))
