"""What becomes of runs: results, deadlines, pauses; in virtual time, without a socket that connects."""

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.table import method_of
from kernelbal.health.schedule import PAUSE_S, Schedule
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import TcpCheck
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.wire import Notice
from tests.unit.runtime.checker.desk import probe

NOTICE = Notice(Topic.CHECKER_STARVED, "out of file descriptors")


class Run(ProbeRun):
    """A run that notes its end."""

    __slots__ = ("expired_at", "reactor")

    def __init__(self, task: ProbeTask, reactor: Reactor) -> None:
        super().__init__(task, reactor.now)
        self.reactor = reactor
        self.expired_at: float | None = None

    def expire(self, now: float) -> None:
        self.expired_at = now
        self.reactor.fail(self, "timeout")

    def close(self) -> None:
        """Nothing is held."""


def task(state: ProbeState = ProbeState(), timing: Timing = Timing(5.0, 2.0, 1, 2)) -> ProbeTask:  # noqa: B008 - constant
    expected = probe(TcpCheck(), 80, timing=timing)
    return ProbeTask(expected, method_of(expected), state)


def begun(reactor: Reactor, of: ProbeTask) -> Run:
    run = Run(of, reactor)
    reactor.begin(run)
    return run


def test_a_result_is_reported_and_the_next_run_is_scheduled(reactor: Reactor) -> None:
    run = begun(reactor, task())
    assert reactor.running == 1
    reactor.now = 100.5
    reactor.finish(run, GOOD, 0.5)
    assert reactor.outbox.urgent["probe"] == ProbeState(Health.UP, 100.5, "", 100.5, 0.5)
    assert (reactor.running, run.task.run) == (0, None)
    assert 100.5 < run.task.start_at <= 108
    assert reactor.schedule.next_at() is not None


def test_what_does_not_change_is_not_urgent(reactor: Reactor) -> None:
    run = begun(reactor, task(ProbeState(Health.UP, 1.0)))
    reactor.finish(run, GOOD, 0.5)
    assert reactor.outbox.urgent == {}
    assert reactor.outbox.usual["probe"].last_at == reactor.now


def test_what_counts_towards_a_change_is_urgent(reactor: Reactor) -> None:
    """The next checker counts on, should this one end."""
    run = begun(reactor, task(ProbeState(Health.UP, 1.0)))
    reactor.fail(run, "connection refused")
    assert reactor.outbox.urgent["probe"] == ProbeState(Health.UP, 1.0, "connection refused", 100.0, streak=1)


def test_a_run_that_does_not_count_leaves_the_state(reactor: Reactor) -> None:
    state = ProbeState(Health.UP, 1.0, streak=1)
    run = begun(reactor, task(state))
    reactor.discard(run, NOTICE)
    assert run.task.state == state
    assert (reactor.outbox.usual, reactor.outbox.urgent) == ({}, {})
    assert reactor.schedule.next_at() is not None


def test_the_result_of_a_probe_that_is_gone_is_of_no_interest(reactor: Reactor) -> None:
    run = begun(reactor, task())
    run.task.gone = True
    reactor.finish(run, GOOD, 0.1)
    assert (reactor.outbox.urgent, reactor.schedule.next_at()) == ({}, None)


def test_time_is_up_at_the_deadline_and_not_before(reactor: Reactor) -> None:
    run = begun(reactor, task())
    at = reactor.next_deadline_at()
    assert at is not None
    assert 102.0 <= at <= 102.0 + reactor.schedule.tick_s
    reactor.now = 101.9
    reactor.expire()
    assert run.expired_at is None
    reactor.now = at + 0.001
    reactor.expire()
    assert run.expired_at == reactor.now
    assert reactor.next_deadline_at() is None


def test_after_a_pause_a_run_gets_its_time_once_more(reactor: Reactor) -> None:
    run = begun(reactor, task())
    reactor.now = 102.0 + PAUSE_S + 60
    reactor.expire()
    assert run.expired_at is None
    reactor.now += 2.1
    reactor.expire()
    assert run.expired_at == reactor.now


def test_a_short_timeout_is_lost_in_a_short_pause(reactor: Reactor) -> None:
    run = begun(reactor, task(timing=Timing(0.5, 0.4, 1, 2)))
    reactor.now = 100.4 + 0.3
    reactor.expire()
    assert run.expired_at is None
    reactor.now += 0.45
    reactor.expire()
    assert run.expired_at == reactor.now


def test_lateness_of_a_small_share_of_the_timeout_is_no_pause(reactor: Reactor) -> None:
    run = begun(reactor, task())
    reactor.now = 102.0 + 0.3
    reactor.expire()
    assert run.expired_at == reactor.now


def test_a_loop_that_is_always_late_still_ends_runs(reactor: Reactor) -> None:
    run = begun(reactor, task())
    for _ in range(2):
        reactor.now += 10
        reactor.expire()
    assert run.expired_at is not None


def test_deadlines_move_to_a_schedule_with_another_tick(reactor: Reactor) -> None:
    run = begun(reactor, task())
    reactor.use_schedule(Schedule(0.005))
    reactor.now = 101.99
    reactor.expire()
    assert run.expired_at is None
    reactor.now = 102.006
    reactor.expire()
    assert run.expired_at == 102.006
