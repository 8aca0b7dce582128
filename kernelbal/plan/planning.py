"""A plan: the actions between two states of a kernel, and what was left alone.

Objects are matched by key and compared by attributes; each kind does that for its own (`plan.kinds`). Here
they are asked one after the other, and what they put is brought into the order of the phases.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from kernelbal.model.ipvs import Drain, DrainKey
from kernelbal.plan.action import Action, Phase
from kernelbal.plan.kind import (
    DEFAULT_OPTIONS,
    AnyKind,
    DesiredState,
    Note,
    ObservedState,
    Options,
    Ownership,
    PendingDrain,
    Planning,
    Scope,
    Slice,
)


class Batch(NamedTuple):
    """Actions of one kind that follow each other; none of them needs another one."""

    kind: AnyKind
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What `plan` prints and `apply` performs.

    Attributes:
        batches: the actions in the order of their phases.
        drains: the drains that are under way once the actions are done.
        pending: real servers that are waiting for connections to end; no action yet.
        notes: keys by name of their kind, for each note.
    """

    batches: tuple[Batch, ...] = ()
    drains: Mapping[DrainKey, Drain] = field(default_factory=dict)
    pending: tuple[PendingDrain, ...] = ()
    notes: Mapping[Note, Mapping[str, tuple[Hashable, ...]]] = field(default_factory=dict)

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions, in their order."""
        return tuple(chain.from_iterable(batch.actions for batch in self.batches))

    @property
    def empty(self) -> bool:
        """Whether the kernel is already as desired; drains may still be pending."""
        return not self.batches

    def noted(self, note: Note) -> Mapping[str, tuple[Hashable, ...]]:
        """Return the keys with a note by the name of their kind."""
        return self.notes.get(note, {})

    def keys(self, note: Note) -> tuple[Hashable, ...]:
        """Return the keys with a note, of whatever kind."""
        return tuple(chain.from_iterable(self.noted(note).values()))


def make_plan(
    kinds: Slice,
    desired: DesiredState,
    observed: ObservedState,
    ownership: Ownership,
    now: float,
    options: Options = DEFAULT_OPTIONS,
) -> Plan:
    """Return the ordered actions that turn `observed` into `desired`.

    Args:
        kinds: what is planned for.
        desired: the kernel as it should be.
        observed: the kernel as it is, read completely.
        ownership: what of it is ours.
        now: seconds on the boot clock, for drains.
        options: how to treat connections of what leaves.
    """
    planning = Planning(desired, observed, ownership, now, options)
    for kind in kinds:
        kind.diff(planning)
    batches = (
        Batch(kind, tuple(actions))
        for phase in Phase
        for kind, actions in planning.phases.get(phase, {}).items()
        if actions
    )
    notes = {
        note: {kind: tuple(keys) for kind, keys in by_kind.items()}
        for note, by_kind in planning.notes.items()
    }
    return Plan(tuple(batches), planning.drains, tuple(planning.pending), notes)


NOTHING_DESIRED = DesiredState()
NOTHING_OWNED = Ownership()


def scopes(
    kinds: Slice, desired: DesiredState = NOTHING_DESIRED, ownership: Ownership = NOTHING_OWNED
) -> dict[AnyKind, Scope]:
    """Return which objects of each kind a plan depends on."""
    return {kind: kind.scope(desired.of(kind), ownership.of(kind)) for kind in kinds}


def claim(
    kinds: Slice, ownership: Ownership, plan: Plan, desired: DesiredState, observed: ObservedState
) -> Ownership:
    """Return the record to write before a plan is performed.

    It claims everything that the plan will add, so that a crash in the middle loses nothing. Objects that
    someone else configured stay theirs, even when the site file names them.
    """
    planning = Planning(desired, observed, ownership, drains=dict(plan.drains))
    for kind, actions in _by_kind(kinds, plan).items():
        ownership = ownership.having(kind, kind.claim(ownership.of(kind), actions, planning))
    return ownership


def withdraw(ownership: Ownership, taken: Mapping[AnyKind, Sequence[Action]]) -> Ownership:
    """Return the record without claims to objects that someone else made first: the kernel said EEXIST."""
    for kind, actions in taken.items():
        ownership = ownership.having(kind, kind.withdraw(ownership.of(kind), actions))
    return ownership


def settle(
    ownership: Ownership, done: Mapping[AnyKind, Sequence[Action]], desired: DesiredState
) -> Ownership:
    """Return the record after actions of each kind were done: without what is gone."""
    for kind, actions in done.items():
        ownership = ownership.having(kind, kind.settle(ownership.of(kind), actions, desired.of(kind)))
    return ownership


def kept_state(kinds: Slice, observed: ObservedState, ownership: Ownership) -> DesiredState:
    """Return what is ours in the kernel now, as a state to come back to."""
    state = DesiredState()
    for kind in kinds:
        state = state.having(kind, kind.kept(observed, ownership.of(kind)))
    return state


def _by_kind(kinds: Slice, plan: Plan) -> dict[AnyKind, list[Action]]:
    found: dict[AnyKind, list[Action]] = {kind: [] for kind in kinds}
    for batch in plan.batches:
        found[batch.kind].extend(batch.actions)
    return found
