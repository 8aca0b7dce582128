"""Runs each probe of a plan once, by the checker that the daemon uses; one that fails has a second try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.health.schedule import START_S_PER_PROBE
from kernelbal.model.health import Health, Probe, ProbeState
from kernelbal.runtime.checker.supervisor import CHECKER
from kernelbal.runtime.checker.wire import ProbePage, ReportPage, probe_pages
from kernelbal.runtime.child import ChildHost, Loss

TRIES: Final = 2
"""Failures in a row that count."""
SPARE_S: Final = 5.0
"""What the checker may take beyond the time of its probes: to start, and on a busy machine."""
PROGRESS_S: Final = 0.5
"""How often progress is reported."""

Progress = Callable[[int, int], None]
"""Called with the number of probes that are done and the number of all."""


def probe_once(
    probes: Mapping[str, Probe], progress: Progress | None = None, command: tuple[str, ...] = ()
) -> dict[str, ProbeState]:
    """Return the result of each probe, by key; without a result its health is unknown, and the reason why.

    Args:
        probes: each is run until it is good, or has failed `TRIES` times.
        progress: called now and then, and at the end.
        command: another checker.

    Raises:
        KernelError: the checker does not run.
    """
    results = _Results(probes)
    if probes:
        asyncio.run(_run(results, progress or (lambda _done, _all: None), command or CHECKER.command))
    return results.states


async def _run(results: _Results, progress: Progress, command: Sequence[str]) -> None:
    probes = results.probes
    host = ChildHost(replace(CHECKER, command=command), results)
    async with asyncio.TaskGroup() as tasks:
        checker = tasks.create_task(host.run_once())
        done = tasks.create_task(results.done.wait())
        reports = tasks.create_task(_report(results, progress))
        await asyncio.wait((checker, done), timeout=_longest_s(probes), return_when=asyncio.FIRST_COMPLETED)
        for task in (checker, done, reports):
            task.cancel()
    progress(len(probes) - len(results.open), len(probes))
    if results.open and not checker.cancelled():
        raise KernelError(
            "probe", "", 0, f"probes were not run: {checker.result()}", "its messages are above"
        )


async def _report(results: _Results, progress: Progress) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        progress(len(results.probes) - len(results.open), len(results.probes))


def _longest_s(probes: Mapping[str, Probe]) -> float:
    slowest_s = max(probe.timing.interval_s + probe.timing.timeout_s for probe in probes.values())
    return TRIES * slowest_s + len(probes) * START_S_PER_PROBE + SPARE_S


class _Results:
    """States as they come in: the guest of the host.

    Attributes:
        probes: what is run.
        open: keys of the probes that are not done, with how often each has failed.
        states: by key.
        done: set when none is open.
    """

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self.probes = probes
        self.open = dict.fromkeys(probes, 0)
        self.states = dict.fromkeys(probes, ProbeState())
        self.done = asyncio.Event()

    def started(self) -> None:
        """Nothing is left from before: each checker has one chance."""

    def messages(self) -> Iterable[ProbePage]:
        """Return the set of probes."""
        return probe_pages(self.probes, {})

    def received(self, message: ReportPage) -> None:
        """Take states."""
        for key, state in message.states.items():
            self._take(key, state)
        if not self.open:
            self.done.set()

    def lost(self, loss: Loss) -> bool:
        """Not called: the checker is not started anew."""
        return False

    def _take(self, key: str, state: ProbeState) -> None:
        if key not in self.open:
            return
        failed_again = state.health is Health.DOWN and state.last_at != self.states[key].last_at
        self.states[key] = state
        self.open[key] += failed_again
        if state.health is Health.UP or self.open[key] >= TRIES:
            del self.open[key]
