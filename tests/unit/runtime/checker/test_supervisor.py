"""The director's side: starting, feeding, losing and ending the checker."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelbal.health.wire import Report
from kernelbal.model.health import Timing
from kernelbal.model.site.check import NoCheck
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from tests.unit.runtime.checker.desk import LIMIT_S, probe

NONE = probe(NoCheck(), timing=Timing(0.2, 0.2))


class Watch:
    """A supervisor whose reports and losses can be waited for."""

    def __init__(self, *command: str, silence_limit_s: float = 30.0) -> None:
        self.reports: list[Report] = []
        self.lost: list[str] = []
        self._news = asyncio.Event()
        self.supervisor = CheckerSupervisor(
            self._take(self.reports),
            self._take(self.lost),
            command=command or (sys.executable, "-m", "kernelbal.runtime.checker"),
            first_backoff_s=0.02,
            silence_limit_s=silence_limit_s,
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


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_reports_come_and_the_checker_ends_with_the_supervisor() -> None:
    async def play() -> int:
        watch = Watch()
        assert (watch.supervisor.alive, watch.supervisor.last_report_at) == (False, None)
        watch.supervisor.set_probes({NONE.key: NONE}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.supervisor.run())
            await watch.until(watch.is_up)
            pid = watch.supervisor.pid
            assert pid is not None
            assert watch.supervisor.alive
            assert watch.supervisor.last_report_at == watch.reports[-1].at
            await stopped(running)
        assert not watch.supervisor.alive
        assert watch.lost == []
        return pid

    assert not is_running(asyncio.run(play()))


def test_a_checker_that_is_killed_is_started_anew_and_counts_on() -> None:
    async def play() -> None:
        watch = Watch()
        watch.supervisor.set_probes({NONE.key: NONE}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.supervisor.run())
            await watch.until(watch.is_up)
            first, since_at = watch.supervisor.pid, watch.reports[-1].states[NONE.key].since_at
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await watch.until(lambda: bool(watch.lost))
            assert not watch.supervisor.alive
            watch.reports.clear()
            await watch.until(watch.is_up)
            assert watch.supervisor.pid != first
            assert watch.reports[-1].states[NONE.key].since_at == since_at, "the last state was handed on"
            await stopped(running)
        assert watch.supervisor.restarts == 1
        assert watch.lost == ["the checker ended (exit status -9)"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (("/no/such/program",), "the checker cannot be started: "),
        ((sys.executable, "-c", "pass"), "the checker ended"),
        ((sys.executable, "-c", "import os,sys; os.write(int(sys.argv[1][5:]), b'hm\\n')"), "given up: "),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "said nothing for 0.5 s"),
    ],
)
def test_a_checker_that_does_not_work_is_lost_with_a_reason(program: tuple[str, ...], reason: str) -> None:
    async def play() -> list[str]:
        watch = Watch(*program, silence_limit_s=0.5)
        watch.supervisor.end_limit_s = 0.1
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.supervisor.run())
            await watch.until(lambda: bool(watch.lost))
            await stopped(running)
        return watch.lost

    assert reason in asyncio.run(play())[0]


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
            await stopped(running)

    asyncio.run(play())


def test_a_director_that_is_killed_leaves_no_checker() -> None:
    director = """
        import asyncio
        from kernelbal.runtime.checker.supervisor import CheckerSupervisor
        supervisor = CheckerSupervisor(lambda report: print(supervisor.pid, flush=True), print)
        asyncio.run(supervisor.run())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(director)], stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        assert is_running(pid)
        started.kill()
        give_up_at = time.monotonic() + LIMIT_S
        while is_running(pid):
            assert time.monotonic() < give_up_at, "the checker outlives its director"
            time.sleep(0.01)
