"""Calls that do not end: of a probe, in a checker that is a process of its own, beside another probe."""

import asyncio
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import SshCheck, TcpCheck
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.budget import is_marked, mark_of
from kernelbal.runtime.checker.supervisor import CHECKER, CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport, Notice
from tests.unit.runtime.checker.desk import BUSY, LIMIT_S, probe, serving

TIMING = Timing(0.5, 0.5, rise=1, fall=3)
BUSY_S = 4.0
"""What a busy machine adds; a checker that is silent is ended after 30 s."""
STUBBORN = """
        while True:
            try: raise ValueError
            except Exception: pass
"""
SOURCE = """
    import itertools, os, runpy
    from kernelbal.runtime.checker import budget
    from kernelbal.runtime.checker.stream import StreamRun
    budget.STUCK_S = 1.0
    def call(run, mask):
        {call}
    StreamRun._ready = call
    runpy.run_module("kernelbal.runtime.checker", run_name="__main__")
"""


def greet(connection: socket.socket) -> None:
    connection.sendall(b"SSH")
    connection.recv(1)


class OddSite:
    """A supervisor whose checker has a probe that leads to `call` as soon as its server has greeted."""

    def __init__(self, call: str) -> None:
        command = (sys.executable, "-c", textwrap.dedent(SOURCE.format(call=call)), "network")
        self.states: dict[str, ProbeState] = {}
        self.notices: list[Notice] = []
        self.lost: list[str] = []
        self._news = asyncio.Event()
        self.supervisor = CheckerSupervisor(
            self._take, self.lost.append, program=replace(CHECKER, command=command)
        )

    def _take(self, report: CheckerReport) -> None:
        self.states |= report.states
        self.notices += [each for each in report.notices if each.topic not in BUSY]
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def is_in(self, key: str, health: Health) -> bool:
        return self.states.get(key, ProbeState()).health is health


def test_a_mark_is_that_of_one_probe() -> None:
    assert mark_of("a") != mark_of("b")
    assert is_marked("a", mark_of("a"))
    assert is_marked("a", mark_of("a") | 1 << 63), "one that was found running once"
    assert not is_marked("a", mark_of("b"))
    assert not is_marked("a", 0)


@pytest.mark.parametrize(
    ("call", "lost"),
    [
        ("while True: pass", ""),
        (STUBBORN, ""),
        ("sum(range(1_000_000))", ""),
        ("sum(itertools.repeat(0))", "the checker ended (exit status -26)"),
        ("os.abort()", "the checker ended (exit status -6)"),
    ],
    ids=["loop", "loop that outlives errors", "many calls", "outside the interpreter", "death"],
)
def test_a_call_that_does_not_end_costs_its_own_probe_alone(call: str, lost: str) -> None:
    async def play(odd_port: int, other: socket.socket) -> None:
        site = OddSite(call)
        odd = probe(SshCheck(), odd_port, key="odd", timing=TIMING)
        good = probe(TcpCheck(), other.getsockname()[1], key="good", timing=TIMING)
        site.supervisor.set_probes({"odd": odd, "good": good}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(site.supervisor.run())
            await site.until(lambda: site.is_in("good", Health.UP))
            other.close()
            died_at = time.monotonic()
            await site.until(lambda: site.is_in("good", Health.DOWN))
            assert time.monotonic() - died_at < TIMING.fall * TIMING.interval_s + 1.0 + BUSY_S
            await site.until(lambda: bool(site.notices))
            running.cancel()
        assert [notice.topic for notice in site.notices] == [Topic.CHECKER_QUARANTINED]
        assert site.states["odd"].unable == (f"{lost} while it ran" if lost else reasons.OVERRUN)
        assert site.lost == ([f"{lost} during {odd.described}"] if lost else [])

    with serving(greet) as odd_port, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(64)
        asyncio.run(play(odd_port, other))
