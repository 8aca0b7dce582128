"""The director's side of the checker: what it probes, over restarts of the process."""

import asyncio
import os
import signal
from collections.abc import Callable

from kernelbal.model.health import Timing
from kernelbal.model.site.check import NoCheck
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.child import UNSTABLE_LOSSES, ChildLimits, Loss
from tests.unit.runtime.checker.desk import LIMIT_S, probe

NONE = probe(NoCheck(), timing=Timing(0.2, 0.2))


class Watch:
    """A supervisor whose reports and losses can be waited for."""

    def __init__(self) -> None:
        self.reports: list[CheckerReport] = []
        self.lost: list[str] = []
        self._news = asyncio.Event()
        self.supervisor = CheckerSupervisor(
            self._take(self.reports), self._take(self.lost), limits=ChildLimits(first_backoff_s=0.02)
        )

    def _take(self, into: list[object]) -> Callable[[object], None]:
        def take(item: object) -> None:
            into.append(item)
            self._news.set()

        return take

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def is_up(self) -> bool:
        return any(NONE.key in report.states for report in self.reports)


def test_a_checker_that_is_started_anew_counts_on() -> None:
    async def play() -> None:
        watch = Watch()
        assert (watch.supervisor.alive, watch.supervisor.last_report_at) == (False, None)
        watch.supervisor.set_probes({NONE.key: NONE}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.supervisor.run())
            await watch.until(watch.is_up)
            assert watch.supervisor.alive
            assert watch.supervisor.last_report_at == watch.reports[-1].at
            first, since_at = watch.supervisor.pid, watch.reports[-1].states[NONE.key].since_at
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await watch.until(lambda: bool(watch.lost))
            assert not watch.supervisor.alive
            watch.reports.clear()
            await watch.until(watch.is_up)
            assert watch.supervisor.pid != first
            assert watch.reports[-1].states[NONE.key].since_at == since_at, "the last state was handed on"
            running.cancel()
        assert watch.supervisor.restarts == 1
        assert watch.lost == ["the checker ended (exit status -9)"]

    asyncio.run(play())


def test_a_set_that_changes_while_it_runs_is_followed() -> None:
    other = probe(NoCheck(), key="other", timing=Timing(0.2, 0.2))

    async def play() -> None:
        watch = Watch()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.supervisor.run())
            watch.supervisor.set_probes({NONE.key: NONE}, {})
            await watch.until(watch.is_up)
            watch.supervisor.set_probes({"other": other}, {})
            await watch.until(lambda: "other" in watch.reports[-1].states)
            watch.supervisor.set_probes({}, {})
            await watch.until(lambda: watch.reports[-1].probes == 0)
            running.cancel()

    asyncio.run(play())


def test_an_unstable_checker_is_reported_as_such() -> None:
    lost: list[str] = []
    supervisor = CheckerSupervisor(lambda _: None, lost.append)
    supervisor.lost(Loss("the checker ended", 1))
    supervisor.lost(Loss("the checker ended", UNSTABLE_LOSSES))
    assert lost == ["the checker ended", "the checker ended; lost 3 times within 60 s"]
