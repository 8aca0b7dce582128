"""The director's side of the checker: what it probes, over restarts of the process."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from kernelbal.health.quarantine import WAITS_S, Quarantined
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import NoCheck
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.budget import mark_of
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport, report_pages
from kernelbal.runtime.child import UNSTABLE_LOSSES, ChildLimits, Loss
from tests.support.news import News
from tests.unit.runtime.checker.desk import probe

NONE = probe(NoCheck(), timing=Timing(0.2, 0.2))


class Watch(News):
    """A supervisor whose reports and losses can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[CheckerReport] = []
        self.lost: list[str] = []
        self.supervisor = CheckerSupervisor(
            self._take(self.reports), self._take(self.lost), limits=ChildLimits(first_backoff_s=0.02)
        )

    def _take(self, into: list[object]) -> Callable[[object], None]:
        def take(item: object) -> None:
            into.append(item)
            self.note()

        return take

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


class Bench:
    """A supervisor without a checker, in virtual time, with two probes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.reports: list[CheckerReport] = []
        self.lost: list[str] = []
        self.supervisor = CheckerSupervisor(self.reports.append, self.lost.append, clock=lambda: self.now)
        self.odd = probe(NoCheck(), 80, key="odd")
        self.supervisor.set_probes({"probe": NONE, "odd": self.odd}, {"odd": ProbeState(Health.UP, 5.0)})

    def sent(self) -> dict[str, ProbeState]:
        """What a checker is sent: probes with their state."""
        return {
            row.key: page.states.get(row.key, ProbeState())
            for page in self.supervisor.messages()
            for row in page.probes
        }

    def report(self, **changed: object) -> None:
        for page in report_pages(replace(CheckerReport(self.now), **changed)):
            self.supervisor.received(page)


def test_a_probe_that_was_running_when_the_checker_was_lost_is_not_run_for_a_while() -> None:
    bench = Bench()
    assert bench.sent() == {"probe": ProbeState(), "odd": ProbeState(Health.UP, 5.0)}
    assert bench.supervisor.lost(Loss("the checker ended (exit status -6)", 1, mark_of("odd")))
    assert bench.sent() == {"probe": ProbeState()}
    cause = "the checker ended (exit status -6) while it ran"
    (report,) = bench.reports
    assert report.states == {"odd": ProbeState(Health.UP, 5.0, unable=cause)}, "the rest is as it was"
    (notice,) = report.notices
    assert notice.topic is Topic.CHECKER_QUARANTINED
    assert notice.message == f"check none of 127.0.0.1 port 80 is not run for 1m: {cause}"
    assert bench.lost == ["the checker ended (exit status -6) during check none of 127.0.0.1 port 80"]
    assert bench.supervisor.quarantined == [(bench.odd, Quarantined(cause, 1000.0 + WAITS_S[0]))]


def test_a_probe_that_was_cut_off_is_not_run_for_a_while() -> None:
    bench = Bench()
    bench.report(cut_off=("odd", "gone"))
    assert bench.sent().keys() == {"probe"}
    assert [notice.topic for notice in bench.reports[-1].notices] == [Topic.CHECKER_QUARANTINED]
    assert [each.cause for _, each in bench.supervisor.quarantined] == [reasons.OVERRUN]


@pytest.mark.parametrize("mark", [0, mark_of("gone")])
def test_a_checker_that_was_lost_by_no_probe_of_today_blames_none(mark: int) -> None:
    bench = Bench()
    assert not bench.supervisor.lost(Loss("the checker ended", 1, mark))
    assert bench.sent().keys() == {"probe", "odd"}
    assert (bench.reports, bench.lost) == ([], ["the checker ended"])


def test_it_is_run_again_after_its_time() -> None:
    bench = Bench()
    bench.report(cut_off=("odd",))
    bench.now += WAITS_S[0] - 1
    bench.report()
    assert bench.sent().keys() == {"probe"}
    bench.now += 1
    bench.report()
    assert (bench.sent().keys(), bench.supervisor.quarantined) == ({"probe", "odd"}, [])


def test_it_is_run_again_at_once_when_somebody_says_so() -> None:
    bench = Bench()
    bench.report(cut_off=("odd",))
    bench.supervisor.end_quarantine()
    assert bench.sent()["odd"].unable, "until it has a result"
    bench.report(cut_off=("odd",))
    assert bench.supervisor.quarantined[0][1].until_at == bench.now + WAITS_S[0], "as for the first time"


def test_a_probe_of_another_definition_is_run() -> None:
    bench = Bench()
    bench.report(cut_off=("odd",))
    bench.supervisor.set_probes({"other": probe(NoCheck(), key="other")}, {})
    assert (bench.sent().keys(), bench.supervisor.quarantined) == ({"other"}, [])
