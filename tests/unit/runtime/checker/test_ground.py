"""What becomes of runs: results, deadlines, pauses; in virtual time, without a socket that connects."""

import random
import select
import socket
from collections.abc import Iterator

import pytest

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.table import plan_of
from kernelbal.health.schedule import PAUSE_S, Schedule
from kernelbal.health.wire import Notice
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import TcpCheck
from kernelbal.runtime.checker.ground import Flight, Ground, Task
from kernelbal.runtime.checker.outbox import Outbox
from tests.unit.runtime.checker.desk import probe

NOTICE = Notice(Topic.CHECKER_STARVED, "out of file descriptors")


class Run(Flight):
    """A run that notes its end."""

    __slots__ = ("expired_at", "ground")

    def __init__(self, task: Task, ground: Ground) -> None:
        super().__init__(task, ground.now)
        self.ground = ground
        self.expired_at: float | None = None

    def expire(self, now: float) -> None:
        self.expired_at = now
        self.ground.fail(self, "timeout")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def ground() -> Iterator[Ground]:
    ours, theirs = socket.socketpair()
    poller = select.epoll()
    made = Ground(Outbox(theirs, lambda _: None), poller, random.Random(1))
    made.now = 100.0
    yield made
    poller.close()
    ours.close()
    theirs.close()


def task(state: ProbeState = ProbeState(), timing: Timing = Timing(5.0, 2.0, 1, 2)) -> Task:  # noqa: B008 - constant
    wanted = probe(TcpCheck(), 80, timing=timing)
    return Task(wanted, plan_of(wanted), state)


def begun(ground: Ground, of: Task) -> Run:
    run = Run(of, ground)
    ground.begin(run)
    return run


def test_a_result_is_told_and_the_probe_has_its_next_turn(ground: Ground) -> None:
    run = begun(ground, task())
    assert ground.live == 1
    ground.now = 100.5
    ground.finish(run, GOOD, 0.5)
    assert ground.outbox.urgent["probe"] == ProbeState(Health.UP, 100.5, "", 100.5, 0.5)
    assert (ground.live, run.task.flight) == (0, None)
    assert 100.5 < run.task.start_at <= 108
    assert ground.schedule.next_at() is not None


def test_what_does_not_change_is_not_urgent(ground: Ground) -> None:
    run = begun(ground, task(ProbeState(Health.UP, 1.0)))
    ground.fail(run, "connection refused")
    assert ground.outbox.urgent == {}
    assert ground.outbox.usual["probe"].streak == 1


def test_a_run_that_does_not_count_leaves_the_state(ground: Ground) -> None:
    state = ProbeState(Health.UP, 1.0, streak=1)
    run = begun(ground, task(state))
    ground.give_up(run, NOTICE)
    assert run.task.state == state
    assert (ground.outbox.usual, ground.outbox.urgent) == ({}, {})
    assert ground.schedule.next_at() is not None


def test_the_result_of_a_probe_that_is_gone_is_of_no_interest(ground: Ground) -> None:
    run = begun(ground, task())
    run.task.gone = True
    ground.finish(run, GOOD, 0.1)
    assert (ground.outbox.urgent, ground.schedule.next_at()) == ({}, None)


def test_time_is_up_at_the_deadline_and_not_before(ground: Ground) -> None:
    run = begun(ground, task())
    at = ground.next_deadline_at()
    assert at is not None
    assert 102.0 <= at <= 102.0 + ground.schedule.tick_s
    ground.now = 101.9
    ground.expire()
    assert run.expired_at is None
    ground.now = at + 0.001
    ground.expire()
    assert run.expired_at == ground.now
    assert ground.next_deadline_at() is None


def test_after_a_pause_a_run_gets_its_time_once_more(ground: Ground) -> None:
    run = begun(ground, task())
    ground.now = 102.0 + PAUSE_S + 60
    ground.expire()
    assert run.expired_at is None
    ground.now += 2.1
    ground.expire()
    assert run.expired_at == ground.now


def test_a_loop_that_is_always_late_still_ends_runs(ground: Ground) -> None:
    run = begun(ground, task())
    for _ in range(2):
        ground.now += 10
        ground.expire()
    assert run.expired_at is not None


def test_deadlines_move_to_a_schedule_with_another_tick(ground: Ground) -> None:
    run = begun(ground, task())
    ground.use_schedule(Schedule(0.005))
    ground.now = 101.99
    ground.expire()
    assert run.expired_at is None
    ground.now = 102.006
    ground.expire()
    assert run.expired_at == 102.006
