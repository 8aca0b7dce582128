"""Virtual routers that move together: those of all networks of one node (keepalived calls it a sync group).

A node takes over when it hears its partner on none of the networks: one that is still heard somewhere is
alive, and the fault is in the network. A node that yields on one network hands over all others. What one
member hears is for all of them: that the partner is there, that it leaves, that it has been active as well.

Members of one group need priorities that differ from those of the other node: of two that are equal,
addresses would decide on each network for itself. Either all members own their addresses, or none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.machine import Router, State, change_by, step, transition_of
from kernelbal.vrrp.tracking import Standing

OF_ALL: Final = frozenset({Trigger.START, Trigger.STOP, Trigger.HAND_OVER, Trigger.FAULT, Trigger.RECOVERY})
"""What happens to a whole group."""


class Member(NamedTuple):
    """One virtual router of a group, and where it is."""

    router: Router
    state: State = State()


Group = Mapping[str, Member]
"""Members by name, such as that of their network."""


class Done(NamedTuple):
    """What is to be done for one member."""

    name: str
    effects: tuple[RouterEffect, ...]


def step_group(group: Group, name: str, event: RouterEvent) -> tuple[Group, tuple[Done, ...]]:
    """Return the group after an event of one member, and what is to be done for each.

    What is of all (`OF_ALL`) happens to the whole group, whichever member is named; `PRIORITY` comes from
    `reprioritize`.
    """
    if event.trigger in OF_ALL:
        return _each(group, tuple(group), event)
    before = group[name]
    row = transition_of(*before, event)
    if row is None:
        return group, ()
    if before.state.role is VrrpRole.BACKUP and row.to is VrrpRole.ACTIVE:
        return _take_over(group, name, event)
    after: Group = {**group, name: before._replace(state=change_by(row, *before, event))}
    done = (Done(name, row.effects),) if row.effects else ()
    if row.elsewhere is None:
        return after, done
    others = tuple(each for each in group if each != name)
    after, more = _each(after, others, event._replace(trigger=row.elsewhere))
    return after, (*done, *more)


def reprioritize(group: Group, priorities: Mapping[str, int], now_ns: int) -> tuple[Group, tuple[Done, ...]]:
    """Return the group with other priorities of some members, and what is to be done for each.

    Args:
        group: as it is.
        priorities: 1-254 by member; that of an owner is 255 and does not change.
        now_ns: on the monotonic clock.
    """
    done: tuple[Done, ...] = ()
    for name, priority in priorities.items():
        before = group[name].router
        if priority == before.priority or before.is_owner:
            continue
        changed: Group = {**group, name: group[name]._replace(router=replace(before, priority=priority))}
        event = RouterEvent(Trigger.PRIORITY, now_ns, priority=before.priority)
        group, more = step_group(changed, name, event)
        done = (*done, *more)
    return group, done


def follow(group: Group, standings: Mapping[str, Standing], now_ns: int) -> tuple[Group, tuple[Done, ...]]:
    """Return the group after what its members depend on has changed, or has not, and what is to be done.

    A fault of one member is one of all: none of them takes part until it is over. It is no business of a
    group that was not started: who starts one looks for faults first.
    """
    priorities = {name: standing.priority for name, standing in standings.items()}
    if any(standing.faults for standing in standings.values()):
        group, done = _each(group, tuple(group), RouterEvent(Trigger.FAULT, now_ns))
        group, more = reprioritize(group, priorities, now_ns)
    else:
        group, done = reprioritize(group, priorities, now_ns)
        group, more = _each(group, tuple(group), RouterEvent(Trigger.RECOVERY, now_ns))
    return group, (*done, *more)


def _take_over(group: Group, name: str, event: RouterEvent) -> tuple[Group, tuple[Done, ...]]:
    """All or none: a member that still hears the active router, or has to wait, makes the others wait."""
    stepped = {each: step(*group[each], event) for each in (name, *group)}
    waiting = {each: state for each, (state, _) in stepped.items() if state.role is not VrrpRole.ACTIVE}
    if not waiting:
        after = {each: group[each]._replace(state=state) for each, (state, _) in stepped.items()}
        return after, tuple(Done(each, effects) for each, (_, effects) in stepped.items())
    until_ns = max(state.due_at_ns for state in waiting.values())
    states = {each: waiting.get(each, group[each].state._replace(due_at_ns=until_ns)) for each in group}
    return {each: group[each]._replace(state=state) for each, state in states.items()}, ()


def _each(group: Group, names: tuple[str, ...], event: RouterEvent) -> tuple[Group, tuple[Done, ...]]:
    stepped = {name: step(*group[name], event) for name in names}
    after = {**group, **{name: group[name]._replace(state=state) for name, (state, _) in stepped.items()}}
    return after, tuple(Done(name, effects) for name, (_, effects) in stepped.items() if effects)
