"""Virtual routers that move together: those of all networks of one node (keepalived calls it a sync group).

A node takes over when it hears its partner on none of the networks: one that is still heard somewhere is
alive, and the fault is in the network. A node that yields on one network hands over all others.

Members of one group need priorities that differ from those of the other node: of two that are equal,
addresses would decide on each network for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelbal.vrrp.machine import Router, RouterEffect, RouterEvent, State, Trigger, VrrpRole, step


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

    `START`, `STOP` and `HAND_OVER` are events of the whole group, whichever member they name.
    """
    if event.trigger in (Trigger.START, Trigger.STOP, Trigger.HAND_OVER):
        return _each(group, tuple(group), event)
    before = group[name]
    state, effects = step(before.router, before.state, event)
    after: Group = {**group, name: before._replace(state=state)}
    if before.state.role is VrrpRole.BACKUP and state.role is VrrpRole.ACTIVE:
        return _take_over(group, name, event)
    done = (Done(name, effects),) if effects else ()
    if before.state.role is VrrpRole.ACTIVE and state.role is VrrpRole.BACKUP:
        others = tuple(each for each in group if each != name)
        after, more = _each(after, others, event._replace(trigger=Trigger.HAND_OVER, hold_ns=0))
        done = (*done, *more)
    return after, done


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
