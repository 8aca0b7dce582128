"""The state machine of one virtual router (RFC 9568 6.4, RFC 3768 6.4).

Time is an argument, and so is everything that happens: `step` takes a state and an event and returns the next
state and what is to be done. `TRANSITIONS` is the machine: of the rows of a state and a trigger the first
whose condition holds is carried out; `kernelbal schema vrrp --format markdown` prints it.

Beyond the RFC: a delay before a preemption, a wait after the start, a stranger with the same virtual ID who
shares no address, a router that was stopped or starved for so long that another one is active by now, faults,
and what the members of a group (`group.py`) tell each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.model.address import Address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.packet import LEAVING_PRIORITY, OWNER_PRIORITY
from kernelbal.vrrp.timers import NS_PER_CS, down_ns, skew_ns

NEVER: Final = 1 << 63
"""An instant that does not come."""
ANSWERS_PER_INTERVAL: Final = 4
"""Most answers to advertisements of lower priority: who sends many shall not make us send as many."""


@dataclass(frozen=True, slots=True)
class Router:
    """One virtual router on one node.

    Attributes:
        version: 2 or 3.
        priority: 1-255; 255 owns the addresses.
        interval_cs: between its advertisements.
        local: from which it sends; of two equal priorities the higher address wins.
        preempt: whether it takes the role from a router of lower priority; an owner always does.
        preempt_delay_ns: for how long it hears one before it does.
        initial_wait_ns: after its start, unless it hears another one.
        virtual_mac: whether it has one, and so must not be active beside a stranger.
    """

    local: Address
    version: int = 3
    priority: int = 100
    interval_cs: int = 100
    preempt: bool = False
    preempt_delay_ns: int = 0
    initial_wait_ns: int = 0
    virtual_mac: bool = False

    @property
    def interval_ns(self) -> int:
        """Time between its advertisements."""
        return self.interval_cs * NS_PER_CS

    @property
    def is_owner(self) -> bool:
        """Whether the addresses are its own."""
        return self.priority == OWNER_PRIORITY


class State(NamedTuple):
    """Where a virtual router is.

    Attributes:
        role: its role.
        since_ns: when it came into it.
        due_at_ns: when its timer fires.
        interval_cs: of the active router, as last heard; its own before.
        heard: the active router, as last heard; empty before.
        preempt_at_ns: from when on a lower priority is preempted; `NEVER` while none is heard.
        hold_until_ns: before which it preempts nobody, since it handed over.
        wait_until_ns: before which it does not become active, since it started.
        answered_at_ns: when it answered an advertisement of lower priority.
        why: the row that led into the role.
        faulty: whether a fault has ended its part, which it takes again when that is over.
    """

    role: VrrpRole = VrrpRole.INITIALIZE
    since_ns: int = 0
    due_at_ns: int = NEVER
    interval_cs: int = 0
    heard: Address = Address(b"")
    preempt_at_ns: int = NEVER
    hold_until_ns: int = 0
    wait_until_ns: int = 0
    answered_at_ns: int = -NEVER
    why: str = ""
    faulty: bool = False


Condition = Callable[[Router, State, RouterEvent], bool]
Change = Callable[[Router, State, RouterEvent], State]


class Transition(NamedTuple):
    """One row of the table.

    Attributes:
        role: in which it applies.
        trigger: to which.
        condition: when; None: always.
        when: the same in words.
        effects: what is to be done.
        change: the state after it; its role is `to`.
        why: in a few words, for logs.
        source: section of the RFC, or empty.
        elsewhere: what it is to the other members of its group.
    """

    role: VrrpRole
    trigger: Trigger
    condition: Condition | None
    when: str
    effects: tuple[RouterEffect, ...]
    change: Change
    to: VrrpRole
    why: str
    source: str = ""
    elsewhere: Trigger | None = None


def step(router: Router, state: State, event: RouterEvent) -> tuple[State, tuple[RouterEffect, ...]]:
    """Return the state after an event, and what is to be done; what no row is for changes nothing."""
    row = transition_of(router, state, event)
    return (state, ()) if row is None else (change_by(row, router, state, event), row.effects)


def transition_of(router: Router, state: State, event: RouterEvent) -> Transition | None:
    """Return the row that applies; None: nothing changes."""
    for row in _ROWS.get((state.role, event.trigger), ()):
        if row.condition is None or row.condition(router, state, event):
            return row
    return None


def change_by(row: Transition, router: Router, state: State, event: RouterEvent) -> State:
    """Return the state after a row that applies."""
    since_ns, why = (state.since_ns, state.why) if row.to is state.role else (event.now_ns, row.why)
    return row.change(router, state, event)._replace(role=row.to, since_ns=since_ns, why=why)


def is_behind(router: Router, event: RouterEvent) -> bool:
    """Return whether a router yields to the sender of an advertisement (RFC 9568 6.4.3)."""
    if event.priority != router.priority:
        return event.priority > router.priority
    return event.source > router.local


def _owns_at_once(router: Router, state: State, event: RouterEvent) -> bool:
    return router.is_owner and not router.initial_wait_ns


def _owns_again(router: Router, state: State, event: RouterEvent) -> bool:
    return router.is_owner and state.faulty and event.now_ns >= state.wait_until_ns


def _is_faulty(router: Router, state: State, event: RouterEvent) -> bool:
    return state.faulty


def _is_leaving(router: Router, state: State, event: RouterEvent) -> bool:
    return event.priority == LEAVING_PRIORITY


def _is_another_leaving(router: Router, state: State, event: RouterEvent) -> bool:
    return event.priority == LEAVING_PRIORITY and bool(state.heard) and event.source != state.heard


def _is_stranger(router: Router, state: State, event: RouterEvent) -> bool:
    return event.foreign and not router.virtual_mac


def _is_ahead_or_kept(router: Router, state: State, event: RouterEvent) -> bool:
    """Not preempted: the same priority at least, no preemption, or not yet."""
    return not _is_lower(router, event) or event.now_ns < _preempt_at(router, state, event)


def _falls_while_preempting(router: Router, state: State, event: RouterEvent) -> bool:
    return router.priority < event.priority and state.preempt_at_ns != NEVER


def _is_early(router: Router, state: State, event: RouterEvent) -> bool:
    return event.now_ns < state.due_at_ns


def _has_to_wait(router: Router, state: State, event: RouterEvent) -> bool:
    return event.now_ns < state.wait_until_ns


def _was_deaf(router: Router, state: State, event: RouterEvent) -> bool:
    """It could not listen for so long that it cannot tell whether there is an active router."""
    late_ns = event.now_ns - state.due_at_ns
    return late_ns >= down_ns(router.version, router.priority, state.interval_cs)


def _is_starved(router: Router, state: State, event: RouterEvent) -> bool:
    """Others have taken over: its advertisement is late by their down interval."""
    late_ns = event.now_ns - state.due_at_ns
    return late_ns + router.interval_ns >= down_ns(router.version, OWNER_PRIORITY, router.interval_cs)


def _answered_lately(router: Router, state: State, event: RouterEvent) -> bool:
    lower = event.priority == LEAVING_PRIORITY or not is_behind(router, event)
    return lower and event.now_ns - state.answered_at_ns < router.interval_ns // ANSWERS_PER_INTERVAL


def _yields(router: Router, state: State, event: RouterEvent) -> bool:
    return is_behind(router, event)


def _started(router: Router, state: State, event: RouterEvent) -> State:
    wait_until_ns = event.now_ns + router.initial_wait_ns
    fresh = State(interval_cs=router.interval_cs, wait_until_ns=wait_until_ns)
    return fresh._replace(due_at_ns=max(_down_at(router, fresh, event), wait_until_ns))


def _faulted(router: Router, state: State, event: RouterEvent) -> State:
    """The wait is one after the start: a link that comes back does not begin another one."""
    return State(wait_until_ns=state.wait_until_ns, hold_until_ns=state.hold_until_ns, faulty=True)


def _recovered(router: Router, state: State, event: RouterEvent) -> State:
    back = state._replace(interval_cs=router.interval_cs, faulty=False)
    return back._replace(due_at_ns=max(_down_at(router, back, event), state.wait_until_ns))


def _stopped(router: Router, state: State, event: RouterEvent) -> State:
    return State()


def _active(router: Router, state: State, event: RouterEvent) -> State:
    return State(due_at_ns=event.now_ns + router.interval_ns, interval_cs=router.interval_cs)


def _answered(router: Router, state: State, event: RouterEvent) -> State:
    return state._replace(due_at_ns=event.now_ns + router.interval_ns, answered_at_ns=event.now_ns)


def _sent(router: Router, state: State, event: RouterEvent) -> State:
    """The next one counts from when this one was due: lateness does not add up, and none comes in a burst."""
    due_at_ns = state.due_at_ns + router.interval_ns
    return state._replace(
        due_at_ns=due_at_ns if due_at_ns > event.now_ns else event.now_ns + router.interval_ns
    )


def _heard(router: Router, state: State, event: RouterEvent) -> State:
    """Adopts the interval (RFC 9568 6.4.2); whoever hears another router waits for nothing else."""
    interval_cs = event.interval_cs if router.version == 3 else router.interval_cs
    preempt_at_ns = _preempt_at(router, state, event) if _is_lower(router, event) else NEVER
    heard = state._replace(
        interval_cs=interval_cs, heard=event.source, preempt_at_ns=preempt_at_ns, wait_until_ns=0
    )
    return heard._replace(due_at_ns=_down_at(router, heard, event))


def _preempts(router: Router, state: State, event: RouterEvent) -> State:
    """Its timer runs on; who is active is known, so that it is followed when it leaves."""
    return state._replace(heard=event.source, preempt_at_ns=_preempt_at(router, state, event))


def _yielded(router: Router, state: State, event: RouterEvent) -> State:
    return _heard(router, State(interval_cs=state.interval_cs), event)


def _left(router: Router, state: State, event: RouterEvent) -> State:
    """Only the skew is left to wait."""
    skew = skew_ns(router.version, router.priority, state.interval_cs)
    return state._replace(due_at_ns=max(event.now_ns + skew, state.wait_until_ns), preempt_at_ns=NEVER)


def _waits(router: Router, state: State, event: RouterEvent) -> State:
    return state._replace(due_at_ns=state.wait_until_ns)


def _wait_over(router: Router, state: State, event: RouterEvent) -> State:
    return state._replace(due_at_ns=min(state.due_at_ns, _down_at(router, state, event)), wait_until_ns=0)


def _listens(router: Router, state: State, event: RouterEvent) -> State:
    fresh = State(interval_cs=router.interval_cs, hold_until_ns=state.hold_until_ns)
    return fresh._replace(due_at_ns=_down_at(router, fresh, event))


def _handed_over(router: Router, state: State, event: RouterEvent) -> State:
    """Who hears nobody then takes the role again: there is nobody to hand over to."""
    return _listens(router, state, event)._replace(hold_until_ns=event.now_ns + event.hold_ns)


def _holds(router: Router, state: State, event: RouterEvent) -> State:
    due_at_ns = max(state.due_at_ns, _down_at(router, state, event))
    return state._replace(due_at_ns=due_at_ns, hold_until_ns=event.now_ns + event.hold_ns)


def _listens_on(router: Router, state: State, event: RouterEvent) -> State:
    return state._replace(due_at_ns=_down_at(router, state, event), preempt_at_ns=NEVER)


def _skewed(router: Router, state: State, event: RouterEvent) -> State:
    """The skew is a part of the time that is left."""
    before_ns, after_ns = (
        skew_ns(router.version, priority, state.interval_cs) for priority in (event.priority, router.priority)
    )
    return state._replace(due_at_ns=max(state.due_at_ns + after_ns - before_ns, event.now_ns))


def _same(router: Router, state: State, event: RouterEvent) -> State:
    return state


def _is_lower(router: Router, event: RouterEvent) -> bool:
    """Whether the sender of an advertisement is preempted in time (RFC 9568 6.1: by an owner always)."""
    return event.priority < router.priority and (router.preempt or router.is_owner)


def _preempt_at(router: Router, state: State, event: RouterEvent) -> int:
    """From when on: the delay counts from the first advertisement of lower priority in a row."""
    return max(min(state.preempt_at_ns, event.now_ns + router.preempt_delay_ns), state.hold_until_ns)


def _down_at(router: Router, state: State, event: RouterEvent) -> int:
    return event.now_ns + down_ns(router.version, router.priority, state.interval_cs)


_I, _B, _A = VrrpRole.INITIALIZE, VrrpRole.BACKUP, VrrpRole.ACTIVE
_TAKE_OVER: Final = (RouterEffect.SEND, RouterEffect.TAKE, RouterEffect.ANNOUNCE)
_REPAIR: Final = (RouterEffect.SEND, RouterEffect.ANNOUNCE)
_LEAVE: Final = (RouterEffect.SEND_LEAVING, RouterEffect.RELEASE)

# fmt: off
TRANSITIONS: Final = (
    Transition(_I, Trigger.START, _is_faulty, "it has a fault",
               (), _same, _I, "fault"),
    Transition(_I, Trigger.START, _owns_at_once, "it owns the addresses, and has no wait",
               _TAKE_OVER, _active, _A, "owner", "6.4.1"),
    Transition(_I, Trigger.START, None, "",
               (), _started, _B, "started", "6.4.1"),
    Transition(_I, Trigger.STOP, None, "",
               (), _stopped, _I, "stopped"),
    Transition(_I, Trigger.RECOVERY, _owns_again, "it had a fault, owns the addresses, and has not to wait",
               _TAKE_OVER, _active, _A, "owner", "6.4.1"),
    Transition(_I, Trigger.RECOVERY, _is_faulty, "it had a fault",
               (), _recovered, _B, "fault over", "6.4.1"),
    Transition(_I, Trigger.RECOVERY, None, "",
               (), _same, _I, "not started"),
    Transition(_B, Trigger.STOP, None, "",
               (), _stopped, _I, "stopped", "6.4.2"),
    Transition(_B, Trigger.TIMER, _is_early, "it is not due",
               (), _same, _B, "early"),
    Transition(_B, Trigger.TIMER, _has_to_wait, "it waits after its start",
               (), _waits, _B, "waits"),
    Transition(_B, Trigger.TIMER, _was_deaf, "it is late by a down interval",
               (), _listens, _B, "could not listen"),
    Transition(_B, Trigger.TIMER, None, "",
               _TAKE_OVER, _active, _A, "active router down", "6.4.2"),
    Transition(_B, Trigger.ADVERT, _is_stranger, "it shares no address, and there is no virtual MAC",
               (RouterEffect.REPORT_STRANGER,), _same, _B, "stranger"),
    Transition(_B, Trigger.ADVERT, _is_another_leaving, "its priority is 0, and another one is active",
               (), _same, _B, "other router leaves"),
    Transition(_B, Trigger.ADVERT, _is_leaving, "its priority is 0",
               (), _left, _B, "active router leaves", "6.4.2", Trigger.LEFT_ELSEWHERE),
    Transition(_B, Trigger.ADVERT, _has_to_wait, "it waits after its start",
               (), _heard, _B, "active router heard", "6.4.2", Trigger.HEARD_ELSEWHERE),
    Transition(_B, Trigger.ADVERT, _is_ahead_or_kept, "it is not lower, or not preempted (yet)",
               (), _heard, _B, "active router heard", "6.4.2"),
    Transition(_B, Trigger.ADVERT, None, "it is lower",
               (), _preempts, _B, "preempts", "6.4.2"),
    Transition(_B, Trigger.HAND_OVER, None, "",
               (), _holds, _B, "handed over"),
    Transition(_B, Trigger.FAULT, None, "",
               (), _faulted, _I, "fault", "6.4.2"),
    Transition(_B, Trigger.PRIORITY, _falls_while_preempting, "it falls, and a lower one was to be preempted",
               (), _listens_on, _B, "priority changed"),
    Transition(_B, Trigger.PRIORITY, None, "",
               (), _skewed, _B, "priority changed"),
    Transition(_B, Trigger.HEARD_ELSEWHERE, _has_to_wait, "it waits after its start",
               (), _wait_over, _B, "wait over"),
    Transition(_B, Trigger.HEARD_ELSEWHERE, None, "",
               (), _same, _B, "wait over"),
    Transition(_B, Trigger.LEFT_ELSEWHERE, None, "",
               (), _left, _B, "active router leaves"),
    Transition(_A, Trigger.STOP, None, "",
               _LEAVE, _stopped, _I, "stopped", "6.4.3"),
    Transition(_A, Trigger.TIMER, _is_early, "it is not due",
               (), _same, _A, "early"),
    Transition(_A, Trigger.TIMER, _is_starved, "it is late by the down interval of others",
               (RouterEffect.RELEASE,), _listens, _B, "starved", "", Trigger.HAND_OVER),
    Transition(_A, Trigger.TIMER, None, "",
               (RouterEffect.SEND,), _sent, _A, "due", "6.4.3"),
    Transition(_A, Trigger.ADVERT, _is_stranger, "it shares no address, and there is no virtual MAC",
               (RouterEffect.REPORT_STRANGER,), _same, _A, "stranger"),
    Transition(_A, Trigger.ADVERT, _is_starved, "its own is late by the down interval of others",
               (RouterEffect.RELEASE,), _listens, _B, "starved", "", Trigger.HAND_OVER),
    Transition(_A, Trigger.ADVERT, _answered_lately, "it is lower or 0, and one was answered just now",
               (), _same, _A, "answered"),
    Transition(_A, Trigger.ADVERT, _is_leaving, "its priority is 0",
               (RouterEffect.SEND,), _answered, _A, "other router leaves", "6.4.3"),
    Transition(_A, Trigger.ADVERT, _yields, "it is higher, or equal from a higher address",
               (RouterEffect.RELEASE,), _yielded, _B, "higher priority", "6.4.3", Trigger.HAND_OVER),
    Transition(_A, Trigger.ADVERT, None, "it is lower",
               _REPAIR, _answered, _A, "lower priority", "6.4.3", Trigger.LOWER_ELSEWHERE),
    Transition(_A, Trigger.HAND_OVER, _is_starved, "it is late by the down interval of others",
               (RouterEffect.RELEASE,), _listens, _B, "starved", "", Trigger.HAND_OVER),
    Transition(_A, Trigger.HAND_OVER, None, "",
               _LEAVE, _handed_over, _B, "handed over"),
    Transition(_A, Trigger.FAULT, None, "",
               _LEAVE, _faulted, _I, "fault", "6.4.3"),
    Transition(_A, Trigger.PRIORITY, _is_starved, "it is late by the down interval of others",
               (RouterEffect.RELEASE,), _listens, _B, "starved", "", Trigger.HAND_OVER),
    Transition(_A, Trigger.PRIORITY, None, "",
               (RouterEffect.SEND,), _answered, _A, "priority changed"),
    Transition(_A, Trigger.LOWER_ELSEWHERE, None, "",
               (RouterEffect.ANNOUNCE,), _same, _A, "lower priority elsewhere"),
)
# fmt: on
"""The machine."""

TIMERS: Final[Mapping[Change, str]] = {
    _started: "down interval, or the wait if longer",
    _stopped: "none",
    _faulted: "none",
    _recovered: "down interval, or the rest of the wait if longer",
    _active: "interval",
    _sent: "interval, from when it was due",
    _answered: "interval",
    _heard: "down interval of what was heard",
    _yielded: "down interval of what was heard",
    _left: "skew, or the rest of the wait",
    _preempts: "as before",
    _wait_over: "down interval, if that is sooner",
    _holds: "down interval, if that is later",
    _listens_on: "down interval",
    _skewed: "as before, with the new skew",
    _waits: "the rest of the wait",
    _listens: "down interval",
    _handed_over: "down interval",
    _same: "as before",
}
"""What the timer is set to by each change."""


def _by_role_and_trigger(
    rows: Iterable[Transition],
) -> dict[tuple[VrrpRole, Trigger], tuple[Transition, ...]]:
    found: dict[tuple[VrrpRole, Trigger], tuple[Transition, ...]] = {}
    for row in rows:
        found[row.role, row.trigger] = (*found.get((row.role, row.trigger), ()), row)
    return found


_ROWS: Final = _by_role_and_trigger(TRANSITIONS)
