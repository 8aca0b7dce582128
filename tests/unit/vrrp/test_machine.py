"""The state machine, row by row."""

import itertools
from dataclasses import replace

import pytest

from kernelbal.model.address import parse_address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.machine import ANSWERS_PER_INTERVAL, NEVER, TRANSITIONS, Router, State, step
from kernelbal.vrrp.timers import NS_PER_S, down_ns, skew_ns

LOW, LOCAL, HIGH = map(parse_address, ("192.0.2.9", "192.0.2.10", "192.0.2.11"))
ROUTER = Router(LOCAL)
PREEMPTING = replace(ROUTER, preempt=True)
SECOND = NS_PER_S
NOW = 1000 * SECOND
DOWN = down_ns(3, 100, 100)
BACKUP = State(VrrpRole.BACKUP, 0, NOW + DOWN, 100)
ACTIVE = State(VrrpRole.ACTIVE, 0, NOW + SECOND, 100)
TAKE_OVER = (RouterEffect.SEND, RouterEffect.TAKE, RouterEffect.ANNOUNCE)
RELEASE = (RouterEffect.RELEASE,)
LEAVE = (RouterEffect.SEND_LEAVING, *RELEASE)


def at(trigger: Trigger, now_ns: int = NOW, **more: int) -> RouterEvent:
    return RouterEvent(trigger, now_ns, **more)  # type: ignore[arg-type]  # fields by name


def advert(priority: int, source: bytes = LOW, interval_cs: int = 100, **more: object) -> RouterEvent:
    fields = {"now_ns": NOW, "source": source, "priority": priority, "interval_cs": interval_cs, **more}
    return RouterEvent(Trigger.ADVERT, **fields)  # type: ignore[arg-type]  # fields by name


def test_every_state_and_trigger_has_an_answer() -> None:
    """What has no row changes nothing, and a row without a condition is the last of its kind."""
    for role, trigger in itertools.product(VrrpRole, Trigger):
        rows = [row for row in TRANSITIONS if (row.role, row.trigger) == (role, trigger)]
        assert [row.condition is None for row in rows[:-1]] == [False] * len(rows[:-1])
        assert not rows or rows[-1].condition is None
        state = State(role, 0, NOW, 100)
        if not rows:
            assert step(ROUTER, state, advert(100)._replace(trigger=trigger)) == (state, ())


def test_start() -> None:
    state, effects = step(ROUTER, State(), at(Trigger.START))
    assert (state.role, state.due_at_ns, state.why, effects) == (VrrpRole.BACKUP, NOW + DOWN, "started", ())
    state, effects = step(replace(ROUTER, priority=255), State(), at(Trigger.START))
    assert (state.role, state.due_at_ns, effects) == (VrrpRole.ACTIVE, NOW + SECOND, TAKE_OVER)


def test_initial_wait_ends_where_another_router_is_heard() -> None:
    waiting = replace(ROUTER, initial_wait_ns=10 * SECOND)
    state, _ = step(waiting, State(), at(Trigger.START))
    assert state.due_at_ns == NOW + 10 * SECOND
    early, effects = step(waiting, state._replace(due_at_ns=NOW + SECOND), at(Trigger.TIMER, NOW + SECOND))
    assert (early.role, early.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + 10 * SECOND, ())
    heard, _ = step(waiting, state, advert(200))
    assert heard.due_at_ns == NOW + DOWN
    left, _ = step(waiting, state, advert(0))
    assert left.due_at_ns == NOW + 10 * SECOND


def test_initial_wait_ends_where_one_of_lower_priority_is_heard() -> None:
    """Else its death during the wait would be an outage as long as the wait."""
    waiting = replace(PREEMPTING, initial_wait_ns=180 * SECOND)
    state, _ = step(waiting, State(), at(Trigger.START))
    state, _ = step(waiting, state, advert(99, now_ns=NOW + SECOND))
    state, _ = step(waiting, state, advert(99, now_ns=NOW + 2 * SECOND))
    assert state.due_at_ns == NOW + SECOND + DOWN
    state, effects = step(waiting, state, at(Trigger.TIMER, state.due_at_ns))
    assert (state.role, effects) == (VrrpRole.ACTIVE, TAKE_OVER)


def test_owner_waits_if_it_is_to_wait() -> None:
    owner = replace(ROUTER, priority=255, initial_wait_ns=10 * SECOND)
    state, effects = step(owner, State(), at(Trigger.START))
    assert (state.role, state.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + 10 * SECOND, ())


def test_timer_of_a_backup() -> None:
    assert step(ROUTER, BACKUP, at(Trigger.TIMER, NOW + DOWN - 1)) == (BACKUP, ())
    state, effects = step(ROUTER, BACKUP, at(Trigger.TIMER, NOW + DOWN))
    assert (state.role, state.since_ns, effects) == (VrrpRole.ACTIVE, NOW + DOWN, TAKE_OVER)
    late = NOW + 2 * DOWN
    deaf, effects = step(ROUTER, BACKUP, at(Trigger.TIMER, late))
    assert (deaf.role, deaf.due_at_ns, effects) == (VrrpRole.BACKUP, late + DOWN, ())


@pytest.mark.parametrize(("router", "priority"), [(ROUTER, 99), (ROUTER, 100), (PREEMPTING, 100)])
def test_backup_stays_one(router: Router, priority: int) -> None:
    state, effects = step(router, BACKUP._replace(due_at_ns=NOW), advert(priority, interval_cs=50))
    assert (state.role, state.interval_cs, effects) == (VrrpRole.BACKUP, 50, ())
    assert state.due_at_ns == NOW + down_ns(3, 100, 50)


def test_version_2_keeps_its_interval() -> None:
    state, _ = step(replace(ROUTER, version=2), BACKUP, advert(200, interval_cs=50))
    assert (state.interval_cs, state.due_at_ns) == (100, NOW + down_ns(2, 100, 100))


def test_backup_preempts_a_lower_priority_when_its_timer_fires() -> None:
    state, effects = step(PREEMPTING, BACKUP, advert(99))
    assert (state, effects) == (BACKUP._replace(heard=LOW, preempt_at_ns=NOW), ())


def test_owner_always_preempts() -> None:
    owner = replace(ROUTER, priority=255)
    assert step(owner, BACKUP, advert(254))[0].due_at_ns == BACKUP.due_at_ns
    assert step(owner, BACKUP._replace(due_at_ns=NOW), advert(255))[0].due_at_ns > NOW


def test_lower_router_that_leaves_while_it_is_preempted_is_followed_after_the_skew() -> None:
    before = BACKUP._replace(heard=HIGH)
    state, _ = step(PREEMPTING, before, advert(99))
    state, _ = step(PREEMPTING, state, advert(0))
    assert state.due_at_ns == NOW + skew_ns(3, 100, 100)


def test_preempt_delay_counts_from_the_first_of_lower_priority() -> None:
    delayed = replace(PREEMPTING, preempt_delay_ns=5 * SECOND)
    state = BACKUP
    for second in range(5):
        state, _ = step(delayed, state, advert(99, now_ns=NOW + second * SECOND))
        assert state.due_at_ns == NOW + second * SECOND + DOWN
        assert state.preempt_at_ns == NOW + 5 * SECOND
    assert step(delayed, state, advert(99, now_ns=NOW + 5 * SECOND)) == (state, ())
    again, _ = step(delayed, state, advert(200, now_ns=NOW + 6 * SECOND))
    assert again.preempt_at_ns == NEVER
    alone, effects = step(delayed, state, at(Trigger.TIMER, state.due_at_ns))
    assert (alone.role, effects) == (VrrpRole.ACTIVE, TAKE_OVER)


def test_router_that_leaves_is_followed_after_the_skew() -> None:
    state, effects = step(ROUTER, BACKUP, advert(0))
    assert (state.role, state.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + skew_ns(3, 100, 100), ())


def test_timer_of_an_active_router() -> None:
    assert step(ROUTER, ACTIVE, at(Trigger.TIMER, NOW)) == (ACTIVE, ())
    state, effects = step(ROUTER, ACTIVE, at(Trigger.TIMER, NOW + SECOND + 7))
    assert (state.role, state.due_at_ns, effects) == (VrrpRole.ACTIVE, NOW + 2 * SECOND, (RouterEffect.SEND,))
    late = NOW + 2 * SECOND + SECOND // 2
    state, effects = step(ROUTER, ACTIVE, at(Trigger.TIMER, late))
    assert (state.due_at_ns, effects) == (late + SECOND, (RouterEffect.SEND,))


def test_active_router_that_starved_listens_first() -> None:
    """At the earliest others have taken over when they heard nothing for the shortest down interval."""
    shortest = ACTIVE.due_at_ns - SECOND + down_ns(3, 255, 100)
    assert step(ROUTER, ACTIVE, at(Trigger.TIMER, shortest - 1))[1] == (RouterEffect.SEND,)
    state, effects = step(ROUTER, ACTIVE, at(Trigger.TIMER, shortest))
    assert (state.role, state.why, effects) == (VrrpRole.BACKUP, "starved", (RouterEffect.RELEASE,))
    assert state.due_at_ns == shortest + DOWN


@pytest.mark.parametrize(
    ("priority", "source", "yields"), [(101, LOW, True), (100, HIGH, True), (100, LOW, False)]
)
def test_two_active_routers(priority: int, source: bytes, yields: bool) -> None:
    state, effects = step(ROUTER, ACTIVE, advert(priority, source, interval_cs=50))
    if yields:
        assert (state.role, state.why, effects) == (
            VrrpRole.BACKUP,
            "higher priority",
            (RouterEffect.RELEASE,),
        )
        assert state.due_at_ns == NOW + down_ns(3, 100, 50)
    else:
        assert (state.role, state.due_at_ns) == (VrrpRole.ACTIVE, NOW + SECOND)
        assert effects == (RouterEffect.SEND, RouterEffect.ANNOUNCE)


@pytest.mark.parametrize("priority", [0, 99])
def test_answers_are_bounded(priority: int) -> None:
    state, effects = step(ROUTER, ACTIVE, advert(priority))
    assert RouterEffect.SEND in effects
    gap = SECOND // ANSWERS_PER_INTERVAL
    assert step(ROUTER, state, advert(priority, now_ns=NOW + gap - 1)) == (state, ())
    assert RouterEffect.SEND in step(ROUTER, state, advert(priority, now_ns=NOW + gap))[1]
    assert step(ROUTER, state, advert(101, now_ns=NOW + 1))[0].role is VrrpRole.BACKUP


@pytest.mark.parametrize("state", [BACKUP, ACTIVE])
def test_stranger_is_ceded_to_only_with_a_virtual_mac(state: State) -> None:
    stranger = advert(200, foreign=True)
    assert step(ROUTER, state, stranger) == (state, (RouterEffect.REPORT_STRANGER,))
    after, effects = step(replace(ROUTER, virtual_mac=True), state, stranger)
    assert after.role is VrrpRole.BACKUP
    assert (RouterEffect.RELEASE in effects) == (state is ACTIVE)


def test_stop_and_hand_over() -> None:
    assert step(ROUTER, ACTIVE, at(Trigger.STOP)) == (State(since_ns=NOW, why="stopped"), LEAVE)
    assert step(ROUTER, BACKUP, at(Trigger.STOP)) == (State(since_ns=NOW, why="stopped"), ())
    state, effects = step(PREEMPTING, ACTIVE, at(Trigger.HAND_OVER, hold_ns=60 * SECOND))
    assert (state.role, state.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + DOWN, LEAVE)
    heard, _ = step(PREEMPTING, state, advert(99, now_ns=NOW + SECOND))
    assert heard.due_at_ns == NOW + SECOND + DOWN
    later = advert(99, now_ns=NOW + 60 * SECOND)
    assert step(PREEMPTING, heard, later) == (heard, ())


def test_backup_that_hands_over_keeps_what_it_knows() -> None:
    before = BACKUP._replace(heard=HIGH, interval_cs=300, wait_until_ns=NOW + 90 * SECOND)
    state, effects = step(ROUTER, before, at(Trigger.HAND_OVER, hold_ns=60 * SECOND))
    expected = before._replace(due_at_ns=NOW + down_ns(3, 100, 300), hold_until_ns=NOW + 60 * SECOND)
    assert (state, effects) == (expected, ())


def test_hold_outlasts_a_time_without_listening() -> None:
    before = BACKUP._replace(hold_until_ns=NOW + 60 * SECOND)
    deaf, _ = step(ROUTER, before, at(Trigger.TIMER, NOW + 3 * DOWN))
    assert deaf.hold_until_ns == NOW + 60 * SECOND


@pytest.mark.parametrize(("state", "left"), [(BACKUP, ()), (ACTIVE, LEAVE)])
def test_fault_ends_the_part_until_it_is_over(state: State, left: tuple[RouterEffect, ...]) -> None:
    faulty, effects = step(ROUTER, state, at(Trigger.FAULT))
    assert (faulty.role, faulty.due_at_ns, faulty.why, effects) == (VrrpRole.INITIALIZE, NEVER, "fault", left)
    for nothing in (Trigger.FAULT, Trigger.START, Trigger.TIMER):
        after, effects = step(ROUTER, faulty, at(nothing))
        assert (after, effects) == (faulty, ())
    back, effects = step(ROUTER, faulty, at(Trigger.RECOVERY, NOW + SECOND))
    assert (back.role, back.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + SECOND + DOWN, ())
    stopped, _ = step(ROUTER, faulty, at(Trigger.STOP))
    assert step(ROUTER, stopped, at(Trigger.RECOVERY)) == (stopped, ())


def test_fault_is_no_new_start() -> None:
    """A link that flaps neither begins the wait again nor ends it, nor an order to stay away."""
    waiting = replace(ROUTER, initial_wait_ns=60 * SECOND)
    state, _ = step(waiting, State(), at(Trigger.START))
    for trigger in (Trigger.FAULT, Trigger.RECOVERY):
        state, _ = step(waiting, state, at(trigger, NOW + SECOND))
    assert (state.role, state.due_at_ns) == (VrrpRole.BACKUP, NOW + 60 * SECOND)
    assert step(waiting, state, at(Trigger.TIMER, NOW + 60 * SECOND))[1] == TAKE_OVER
    held, _ = step(ROUTER, BACKUP._replace(hold_until_ns=NOW + 9 * SECOND), at(Trigger.FAULT))
    assert held.hold_until_ns == NOW + 9 * SECOND


def test_owner_is_active_at_once_after_a_fault() -> None:
    owner = replace(ROUTER, priority=255)
    faulty, _ = step(owner, ACTIVE, at(Trigger.FAULT))
    state, effects = step(owner, faulty, at(Trigger.RECOVERY))
    assert (state.role, state.faulty, effects) == (VrrpRole.ACTIVE, False, TAKE_OVER)
    waits, effects = step(owner, faulty._replace(wait_until_ns=NOW + 9 * SECOND), at(Trigger.RECOVERY))
    assert (waits.role, waits.due_at_ns, effects) == (VrrpRole.BACKUP, NOW + 9 * SECOND, ())


def test_priority_that_changed() -> None:
    """The active router says so at once; the skew of a backup is that of the new one."""
    active, effects = step(ROUTER, ACTIVE, at(Trigger.PRIORITY, priority=120))
    assert (active.role, active.due_at_ns, effects) == (VrrpRole.ACTIVE, NOW + SECOND, (RouterEffect.SEND,))
    raised, effects = step(ROUTER, BACKUP._replace(due_at_ns=NOW + SECOND), at(Trigger.PRIORITY, priority=36))
    assert (raised.due_at_ns, effects) == (NOW + SECOND - SECOND // 4, ())
    soon = BACKUP._replace(due_at_ns=NOW + 1)
    assert step(ROUTER, soon, at(Trigger.PRIORITY, priority=36))[0].due_at_ns == NOW


def test_priority_that_falls_ends_a_preemption() -> None:
    preempting, _ = step(PREEMPTING, BACKUP._replace(due_at_ns=NOW + 1), advert(99))
    state, _ = step(replace(PREEMPTING, priority=50), preempting, at(Trigger.PRIORITY, priority=100))
    assert (state.due_at_ns, state.preempt_at_ns) == (NOW + down_ns(3, 50, 100), NEVER)


def test_starved_router_says_nothing_about_its_priority() -> None:
    late = at(Trigger.PRIORITY, ACTIVE.due_at_ns + DOWN, priority=120)
    state, effects = step(ROUTER, ACTIVE, late)
    assert (state.role, state.why, effects) == (VrrpRole.BACKUP, "starved", RELEASE)
