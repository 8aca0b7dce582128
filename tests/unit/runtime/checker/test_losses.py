"""What checks find while their checker is lost again and again, in virtual time.

A real server is down after `fall` failed probes; a checker that starts counts on where the last one ended.
"""

import contextlib
import itertools
import math
import random
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from kernelbal.health.checks.dialogue import GOOD, ProbeResult
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import NoCheck
from kernelbal.runtime.checker.budget import mark_of
from kernelbal.runtime.checker.drivers import Drivers
from kernelbal.runtime.checker.loop import ProbeLoop
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from kernelbal.runtime.checker.wire import PROBE_PAGES, REPORT_PAGES
from kernelbal.runtime.child import ChildLimits, Loss
from kernelbal.runtime.parent import READ_BYTES, Frames
from tests.unit.runtime.checker.desk import probe

TIMING = Timing(2.0, 1.0, 1, 3)
PLACES = 5
"""So many places in its interval at which the real server dies."""
STEP_S = 0.02
BEGIN_S = 1000.0
START_S = 0.4
"""What a checker takes to start, in seconds."""
GAP_S = ChildLimits().first_backoff_s + START_S

Begin = Callable[..., "VirtualSite"]


class VirtualSite:
    """A supervisor and a checker in one thread, with three real servers of which `server` dies.

    Args:
        losses: when the checker is lost.
        running: the probe that it then works for, or none.
    """

    def __init__(self, timing: Timing, dies_at: float, losses: Iterator[float], running: str = "") -> None:
        self.now = BEGIN_S
        self.dies_at = dies_at
        self.found: dict[str, ProbeState] = {}
        self.supervisor = CheckerSupervisor(
            lambda report: self.found.update(report.states), lambda _: None, clock=lambda: self.now
        )
        keys = ("server", "other", "odd")
        self.supervisor.set_probes({key: probe(NoCheck(), key=key, timing=timing) for key in keys}, {})
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._frames = Frames()
        self._checker: ProbeLoop | None = None
        self._starts_at = BEGIN_S
        self._losses, self._lost_at = losses, next(losses)
        self._mark = mark_of(running) if running else 0

    def run(self, until: float) -> None:
        """Let time pass."""
        while self.now < until:
            if self._checker is not None and self.now >= self._lost_at:
                self._lose()
            if self._checker is None and self.now >= self._starts_at:
                self._start()
            if self._checker is not None:
                self._work(self._checker)
            self.now += STEP_S

    def result(self, task: ProbeTask) -> ProbeResult:
        dead = task.key == "server" and self.now >= self.dies_at
        return ProbeResult(False, "connection refused") if dead else GOOD

    def _start(self) -> None:
        self._checker = ProbeLoop(self._theirs, random.Random(1), memoryview(bytearray(8)).cast("Q"))
        self.supervisor.started()
        self._send()

    def _send(self) -> None:
        for page in self.supervisor.messages():
            self._ours.sendall(PROBE_PAGES.encode(page) + b"\n")

    def _work(self, checker: ProbeLoop) -> None:
        """One tick of the checker, whose reports arrive at once."""
        checker.reactor.now = self.now
        checker.reactor.dispatch([(self._theirs.fileno(), select.EPOLLIN)])
        checker._tick()
        with contextlib.suppress(BlockingIOError):
            for frame in self._frames.feed(self._ours.recv(READ_BYTES)):
                self.supervisor.received(REPORT_PAGES.decode(frame))

    def _lose(self) -> None:
        self.close_checker()
        self._lost_at = next(self._losses)
        at_once = self.supervisor.lost(Loss("it ended", 1, self._mark))
        self._starts_at = self.now + (START_S if at_once else GAP_S)

    def close_checker(self) -> None:
        if self._checker is not None:
            self._checker.close()
            self._checker = None

    def close(self) -> None:
        self.close_checker()
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    sites: list[VirtualSite] = []

    def make(timing: Timing, dies_at: float, losses: Iterator[float], running: str = "") -> VirtualSite:
        sites.append(VirtualSite(timing, dies_at, losses, running))
        return sites[-1]

    def run_one(drivers: Drivers, task: ProbeTask) -> None:
        run = ProbeRun(task, drivers.reactor.now)
        drivers.reactor.begin(run)
        drivers.reactor.finish(run, sites[-1].result(task), None)

    monkeypatch.setattr(Drivers, "_pass", run_one)
    yield make
    for site in sites:
        site.close()


@pytest.mark.parametrize("every_s", [1.3, 2.0, 3.1, 7.0])
@pytest.mark.parametrize("timing", [Timing(1.0, 0.5, 1, 3), Timing(2.0, 1.0, 1, 2), Timing(5.0, 2.0, 1, 3)])
def test_a_server_that_dies_is_out_in_time_however_often_the_checker_is_lost(
    begin: Begin, timing: Timing, every_s: float
) -> None:
    for place in range(PLACES):
        dies_at = BEGIN_S + 10.0 + timing.interval_s * place / PLACES
        site = begin(timing, dies_at, itertools.count(BEGIN_S + 1.0, every_s))
        site.run(dies_at + timing.fall * timing.interval_s + 1.0)
        server, other = site.found["server"], site.found["other"]
        assert (server.health, server.since_at >= dies_at) == (Health.DOWN, True)
        assert (other.health, other.since_at < BEGIN_S + 1.0) == (Health.UP, True), "up all the time"


def test_a_server_that_was_down_before_a_loss_is_down_after_it(begin: Begin) -> None:
    site = begin(TIMING, BEGIN_S + 5.0, iter((BEGIN_S + 30.0, BEGIN_S + 30.6, math.inf)))
    site.run(BEGIN_S + 29.9)
    before = site.found["server"].since_at
    site.run(BEGIN_S + 60.0)
    assert (site.found["server"].health, site.found["server"].since_at) == (Health.DOWN, before)


def test_from_a_cold_start_each_server_has_its_state_although_one_check_ends_the_checker(
    begin: Begin,
) -> None:
    site = begin(TIMING, BEGIN_S, iter((BEGIN_S, math.inf)), "odd")
    site.run(BEGIN_S + 2 * STEP_S)
    assert site.found.keys() == {"odd"}, "the first checker came to nothing"
    site.run(BEGIN_S + START_S + 0.2)
    assert site.found["server"].health is Health.DOWN, "the first result decides"
    assert site.found["other"].health is Health.UP
    assert site.found["odd"].unable == "it ended while it ran"
