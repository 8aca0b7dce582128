"""What a kind of kernel object is: everything that planner, engine and reports need to know about it.

A module of `kernelbal.plan.kinds` describes one kind: its key and attributes, the records of what can be done
to it, how desired and observed state are compared, what is claimed in the ownership record, and what the
kernel's error numbers mean. The driver that carries actions out is in `kernelbal.kernel`, found by the kind's
name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

from kernelbal.model.ipvs import Drain, DrainKey, ServiceKey
from kernelbal.plan.action import Action, Effect, ObjectId, Phase, Rows

T = TypeVar("T")
D = TypeVar("D")
O = TypeVar("O")  # noqa: E741 - observed, beside desired and recorded
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Scope = Collection[Any] | None
"""Which objects of a kind are read; None: all."""
NOTHING: Scope = ()
"""Nothing is read."""
UNREAD = object()
"""Stands for what was not looked at, and may be anything."""


class KernelReading(Generic[O]):
    """Something that is read from a kernel.

    Attributes:
        name: key in documents and tables.
        unread: what stands for it where it was not read.
    """

    def __init__(self, name: str, unread: O) -> None:
        self.name = name
        self.unread = unread


class Note(Enum):
    """What a plan says of objects beside its actions."""

    ADOPTED = "adopted"
    """There already, and ours with this plan."""
    BORROWED = "borrowed"
    """Desired, and configured by someone else: they serve, and stay theirs."""
    CAPTURED = "captured"
    """Borrowed, and 1:1 NAT takes everything that comes to it."""
    FOREIGN = "foreign"
    """Not ours: shown, never touched."""
    MISSING = "missing"
    """Optional, and this kernel lacks it."""


class ObjectKind(KernelReading[O], Generic[D, O, R]):
    """A kind of kernel object, with the types of its part of desired state, observed state and record.

    Attributes:
        title: what one object is called, such as `address`.
        notes_foreign: whether a plan notes objects that are not ours.
        prints_foreign: whether they are few enough to be printed.
        came_later: whether records that know nothing of this kind are complete; of any other kind, a part
            that is missing is damage, since what was in it would count as foreign.
        rows: one per type of action.
        undesired: its part of a desired state that says nothing of it.
        unowned: its part of a record that says nothing of it.
        desired: the type of its part of a desired state, for codecs.
        recorded: the type of its part of the record; None: the kernel itself marks what is ours.
    """

    title: ClassVar[str]
    notes_foreign: ClassVar[bool] = False
    prints_foreign: ClassVar[bool] = False
    came_later: ClassVar[bool] = False
    rows: ClassVar[Rows]

    def __init__(
        self, name: str, undesired: D, unread: O, unowned: R, desired: object, recorded: object = None
    ) -> None:
        super().__init__(name, unread)
        self.undesired = undesired
        self.unowned = unowned
        self.desired = desired
        self.recorded = recorded

    # -- planning ------------------------------------------------------------------------------------------

    def scope(self, desired: D, owned: R) -> Scope:
        """Return which objects must be read to plan for `desired`; None: all."""
        return None

    def counted(self, desired: D, observed: O, owned: R) -> Collection[ServiceKey]:
        """Return the services whose counters must be read to plan."""
        return ()

    def diff(self, planning: Planning) -> None:
        """Put the actions that turn observed into desired state, and notes on what is left alone."""
        raise NotImplementedError

    def needs(self, action: Action) -> tuple[ObjectId, ...]:
        """Return the objects of any kind without which an action cannot succeed, or would do harm."""
        return ()

    def holds_back(self, failures: Collection[Action], action: Action) -> str:
        """Return why an action must not follow failed or skipped ones of its kind; empty when it may."""
        return ""

    # -- reading again -------------------------------------------------------------------------------------

    def reread(self, scope: Scope, before: O, actions: Sequence[Action]) -> Scope:
        """Return which objects to read again after actions, where that is less than all of `scope`."""
        return scope

    def spliced(self, before: O, scope: Scope, newer: O) -> O:
        """Return what was observed before, with what was read again."""
        return newer

    # -- the record ----------------------------------------------------------------------------------------

    def claim(self, owned: R, actions: Sequence[Action], planning: Planning) -> R:
        """Return the part of the record to write before these actions: with all that they will do."""
        return owned

    def settle(self, owned: R, done: Sequence[Action], desired: D) -> R:
        """Return the part of the record after these actions were done."""
        return owned

    def withdraw(self, owned: R, taken: Sequence[Action]) -> R:
        """Return the part of the record after the kernel answered EEXIST to these actions."""
        return owned

    def kept(self, observed: ObservedState, owned: R) -> D:
        """Return what is ours in the kernel now, as a state to come back to."""
        return self.undesired

    # -- objects -------------------------------------------------------------------------------------------

    def value(self, observed: O, key: Hashable) -> object:
        """Return what was observed of one object, to compare it with another time; `UNREAD` if it was not."""
        raise NotImplementedError

    def effect(self, action: Action) -> Effect:
        """Return what an action does to its object."""
        return self.rows[type(action)].effect

    def object_of(self, action: Action) -> ObjectId:
        """Return which object an action changes."""
        return ObjectId(self.name, action.key)

    def impact(self, action: Action, observed: ObservedState) -> str:
        """Return the effect on traffic, such as `312 active connections would be cut`; empty when none."""
        return ""

    def contents(self, action: Action) -> str:
        """Return what to show below the line of an action, such as the text of a file; empty for nothing."""
        return ""


class KeySetKind(ObjectKind[D, O, frozenset[K]], Generic[D, O, K]):
    """A kind whose part of the record is the set of the keys that are ours."""

    def __init__(self, name: str, undesired: D, unread: O, desired: object, key: type[K]) -> None:
        super().__init__(name, undesired, unread, frozenset(), desired, frozenset[key])  # type: ignore[valid-type] # the key's type is known at run time alone

    def keys(self, observed: O) -> frozenset[K]:
        """Return the keys of the objects that were observed."""
        raise NotImplementedError

    def claim(self, owned: frozenset[K], actions: Sequence[Action], planning: Planning) -> frozenset[K]:
        """Claim what is added, unless another's is in its way.

        What is not there any more is forgotten: who makes it anew is its owner.
        """
        present = self.keys(planning.observed.of(self))
        added = frozenset(cast("K", a.key) for a in actions if self.effect(a) is Effect.ADD)
        return (owned & present) | (added - present)

    def settle(self, owned: frozenset[K], done: Sequence[Action], desired: D) -> frozenset[K]:
        """Forget what was removed."""
        return owned - {cast("K", a.key) for a in done if self.effect(a) is Effect.REMOVE}

    def value(self, observed: O, key: Hashable) -> object:
        """Only whether it is there."""
        return key in self.keys(observed)


class KeyedKind(KeySetKind[Mapping[K, V], Mapping[K, V], K], Generic[K, V]):
    """Objects that are matched by key, compared by attributes, and changed or removed only when ours.

    One of someone else that has the key of a desired one, and other attributes, is left alone: the action
    that adds ours is put nevertheless, for the kernel to refuse it. So the site is not reported as converged.
    """

    notes_foreign = prints_foreign = True

    def __init__(self, name: str, desired: object, key: type[K]) -> None:
        super().__init__(name, {}, {}, desired, key)

    def adding(self, key: K, attributes: V) -> Action:
        """Return the action that adds an object."""
        raise NotImplementedError

    def changing(self, key: K, old: V, attributes: V) -> Action:
        """Return the action that changes an object; never asked where a key has no attributes."""
        raise NotImplementedError

    def removing(self, key: K, attributes: V) -> Action:
        """Return the action that removes an object."""
        raise NotImplementedError

    def diff(self, planning: Planning) -> None:
        """Put what adds, changes and removes objects; others' are noted as foreign."""
        desired, observed, owned = planning.parts(self)
        for key, attributes in desired.items():
            if key in observed and observed[key] == attributes:
                continue
            ours = key in owned and key in observed
            action = self.changing(key, observed[key], attributes) if ours else self.adding(key, attributes)
            planning.put(self, action)
        for key in sorted(observed):  # type: ignore[type-var] # keys are named tuples
            if key not in owned:
                planning.note(Note.FOREIGN, self, key)
            elif key not in desired and not planning.draining:
                planning.put(self, self.removing(key, observed[key]))

    def withdraw(self, owned: frozenset[K], taken: Sequence[Action]) -> frozenset[K]:
        """Forget them: somebody else made these objects after the observation."""
        return owned - {cast("K", action.key) for action in taken}

    def keys(self, observed: Mapping[K, V]) -> frozenset[K]:
        """Return the keys of the objects that were observed."""
        return frozenset(observed)

    def value(self, observed: Mapping[K, V], key: Hashable) -> object:
        """Return the attributes of an object; None where there is none."""
        return observed.get(cast("K", key))

    def kept(self, observed: ObservedState, owned: frozenset[K]) -> Mapping[K, V]:
        """Return the objects that are ours."""
        return {key: each for key, each in observed.of(self).items() if key in owned}


AnyKind = ObjectKind[Any, Any, Any]
Slice = Sequence[AnyKind]
"""The kinds that somebody plans for, in the order in which they are asked."""

# -- states: a part per kind, which is asked for with its kind --------------------------------------------

ByKind = Mapping[str, object]
"""Part by the name of its kind or reading."""


def _with(parts: ByKind, name: str, part: object, default: object) -> ByKind:
    """What says nothing is left out, so that equal states are equal."""
    others = {key: each for key, each in parts.items() if key != name}
    return others if part == default else {**others, name: part}


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The kernel as it should be."""

    parts: ByKind = field(default_factory=dict)

    def of(self, kind: ObjectKind[T, Any, Any]) -> T:
        """Return the part of a kind."""
        return cast("T", self.parts.get(kind.name, kind.undesired))

    def having(self, kind: ObjectKind[T, Any, Any], part: T) -> Self:
        """Return this state with another part of a kind."""
        return replace(self, parts=_with(self.parts, kind.name, part, kind.undesired))


@dataclass(frozen=True, slots=True)
class ObservedState:
    """The kernel as it was read."""

    parts: ByKind = field(default_factory=dict)

    def of(self, reading: KernelReading[T]) -> T:
        """Return what was read of a kind, or of something else that is only read."""
        return cast("T", self.parts.get(reading.name, reading.unread))

    def having(self, reading: KernelReading[T], part: T) -> Self:
        """Return this state with another part."""
        return replace(self, parts=_with(self.parts, reading.name, part, reading.unread))

    def merged(self, newer: ObservedState) -> Self:
        """Return this state with everything that a later look has read."""
        return replace(self, parts={**self.parts, **newer.parts})


@dataclass(frozen=True, slots=True)
class Ownership:
    """What kernelbal has put into this kernel; written before each change, so a crash loses nothing.

    Attributes:
        boot_id: `/proc/sys/kernel/random/boot_id`; a record of another boot counts for nothing.
        lost: whether a damaged record was set aside: then more may be ours than this one proves.
    """

    boot_id: str = ""
    parts: ByKind = field(default_factory=dict)
    lost: bool = False

    def of(self, kind: ObjectKind[Any, Any, T]) -> T:
        """Return what is ours of a kind."""
        return cast("T", self.parts.get(kind.name, kind.unowned))

    def having(self, kind: ObjectKind[Any, Any, T], part: T) -> Self:
        """Return this record with another part of a kind."""
        return replace(self, parts=_with(self.parts, kind.name, part, kind.unowned))


# -- planning ---------------------------------------------------------------------------------------------


class PendingDrain(NamedTuple):
    """A real server that is leaving and still has connections.

    Attributes:
        connections: those it waits for.
        left_s: seconds until it is removed anyway.
    """

    key: DrainKey
    connections: int
    left_s: float


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is made.

    Attributes:
        cut: remove real servers at once instead of letting their connections end.
        default_drain_s: drain of services that are no longer in the site file, in seconds.
    """

    cut: bool = False
    default_drain_s: float = 60.0


DEFAULT_OPTIONS = Options()
"""Drain what leaves."""


@dataclass(slots=True)
class Planning:
    """What kinds plan from, and where they put what they find.

    Attributes:
        ownership: what of the observed state is ours.
        now: seconds on the boot clock, for drains.
        drains, pending: of real servers, put by their kind before the others are asked.
        phases: what was put.
        notes: what was noted, by the name of the kind.
    """

    desired: DesiredState
    observed: ObservedState
    ownership: Ownership
    now: float = 0.0
    options: Options = DEFAULT_OPTIONS
    drains: dict[DrainKey, Drain] = field(default_factory=dict)
    pending: list[PendingDrain] = field(default_factory=list)
    phases: defaultdict[Phase, dict[AnyKind, list[Action]]] = field(
        default_factory=lambda: defaultdict(dict), init=False
    )
    notes: dict[Note, dict[str, list[Hashable]]] = field(default_factory=dict, init=False)

    def parts(self, kind: ObjectKind[D, O, R]) -> tuple[D, O, R]:
        """Return desired and observed state and record of a kind."""
        return self.desired.of(kind), self.observed.of(kind), self.ownership.of(kind)

    @property
    def draining(self) -> bool:
        """Whether connections are left that may need what is no longer desired: it stays until they end."""
        return bool(self.drains)

    def put(self, kind: AnyKind, action: Action, phase: Phase | None = None) -> None:
        """Put an action into its phase."""
        self.put_all(kind, (action,), kind.rows[type(action)].phase if phase is None else phase)

    def put_all(self, kind: AnyKind, actions: Iterable[Action], phase: Phase) -> None:
        """Put actions into a phase."""
        self.phases[phase].setdefault(kind, []).extend(actions)

    def put_so_far(self, kind: AnyKind) -> Iterator[Action]:
        """Yield what a kind has put."""
        for by_kind in self.phases.values():
            yield from by_kind.get(kind, ())

    def note(self, note: Note, kind: AnyKind, *keys: Hashable) -> None:
        """Note something of objects of a kind."""
        if keys:
            self.notes.setdefault(note, {}).setdefault(kind.name, []).extend(keys)

    def noted(self, note: Note, kind: AnyKind) -> tuple[Hashable, ...]:
        """Return the keys that a kind has noted."""
        return tuple(self.notes.get(note, {}).get(kind.name, ()))
