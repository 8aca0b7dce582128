"""Carrying a plan out: in its order, without what fails and what depends on that."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kernelbal.kernel.interface import Kernel, Progress
from kernelbal.plan.action import DONE, Action, ObjectId, Outcome, Result
from kernelbal.plan.kind import UNREAD, AnyKind, ObservedState, Slice
from kernelbal.plan.kinds import DIRECTOR, describe
from kernelbal.plan.planning import Batch, Plan
from kernelbal.reconcile.retry import Failing, FailingObject, after_attempt, is_due


@dataclass(slots=True)
class Execution:
    """One plan being carried out.

    Attributes:
        kinds: those that were planned for.
        observed: the kernel that the plan was made for.
        known: what failed before, and is not tried before its time.
        now: seconds on the boot clock.
        whole: stop at the first action that fails: the plan is done as a whole or not at all.
        outcomes: one per action so far, in order.
        done: the actions that were done, by kind.
        taken: those that the kernel answered with EEXIST, by kind.
        failing: what fails after it.
    """

    kernel: Kernel
    kinds: Slice = DIRECTOR
    observed: ObservedState = field(default_factory=ObservedState)
    known: Failing = field(default_factory=dict)
    now: float = 0.0
    whole: bool = False
    progress: Progress | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    done: dict[AnyKind, list[Action]] = field(default_factory=dict)
    taken: dict[AnyKind, list[Action]] = field(default_factory=dict)
    failing: dict[ObjectId, FailingObject] = field(default_factory=dict)
    _lost: dict[AnyKind, list[Action]] = field(default_factory=dict)
    _causes: dict[ObjectId, ObjectId] = field(default_factory=dict)

    def run(self, plan: Plan) -> None:
        """Carry out all batches."""
        total = sum(len(batch.actions) for batch in plan.batches)
        for batch in plan.batches:
            if self.whole:
                if not self._run_each(batch):
                    return
                continue
            ready, held = self._split(batch)
            self.outcomes += held
            if ready:
                self._note(batch.kind, self.kernel.perform(ready, self._shifted(total)))

    def _run_each(self, batch: Batch) -> bool:
        for action in batch.actions:
            self._note(batch.kind, self.kernel.perform((action,)))
            if self.failing:
                return False
        return True

    def _shifted(self, total: int) -> Progress | None:
        progress, before = self.progress, len(self.outcomes)
        return progress and (lambda done, _: progress(before + done, total))

    def _note(self, kind: AnyKind, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes
        refused = [outcome for outcome in outcomes if outcome.result not in DONE]
        if refused:
            for outcome in refused:
                self._fail(kind, outcome)
            self.done.setdefault(kind, []).extend(o.action for o in outcomes if o.result in DONE)
        else:
            self.done.setdefault(kind, []).extend(outcome.action for outcome in outcomes)

    def _fail(self, kind: AnyKind, outcome: Outcome) -> None:
        found = kind.object_of(outcome.action)
        seen = self._seen(kind, outcome.action)
        self.failing[found] = after_attempt(self.known.get(found), found, outcome, seen, self.now)
        self._lose(kind, outcome.action, found, found)
        if outcome.errno == errno.EEXIST:
            self.taken.setdefault(kind, []).append(outcome.action)

    def _lose(self, kind: AnyKind, action: Action, found: ObjectId, cause: ObjectId) -> None:
        self._lost.setdefault(kind, []).append(action)
        self._causes[found] = cause

    def _split(self, batch: Batch) -> tuple[Sequence[Action], list[Outcome]]:
        """Return the actions that are tried now, and the outcomes of the others."""
        if not self.known and not self._causes:
            return batch.actions, []
        ready: list[Action] = []
        held: list[Outcome] = []
        for action in batch.actions:
            why = self._why_not(batch.kind, action)
            if why:
                held.append(Outcome(action, Result.SKIPPED, message=why))
            else:
                ready.append(action)
        return ready, held

    def _why_not(self, kind: AnyKind, action: Action) -> str:
        found = kind.object_of(action)
        needed = (found, *kind.needs(action))
        cause = next((self._causes[each] for each in needed if each in self._causes), None)
        why = "" if cause is None else _consequence(self.failing[cause])
        if not why:
            lost: Sequence[Action] = self._lost.get(kind, ())
            why = kind.holds_back(lost, action) if lost else ""
            if why:
                cause = self._causes[kind.object_of(lost[-1])]
        if why and cause is not None:
            self.failing[cause] = self.failing[cause]._replace(holds_back=self.failing[cause].holds_back + 1)
            self._lose(kind, action, found, cause)
            return why
        known = self.known.get(found)
        if known is None or is_due(known, action, self._seen(kind, action), self.now):
            return ""
        self.failing[found] = known._replace(holds_back=0)
        self._lose(kind, action, found, found)
        return f"{known.outcome.message}; next attempt in {known.next_at - self.now:.0f}s"

    def _seen(self, kind: AnyKind, action: Action) -> tuple[object, ...]:
        """Return what was observed of an action's object, and of what it needs."""
        return tuple(self._values((kind.object_of(action), *kind.needs(action))))

    def _values(self, objects: Sequence[ObjectId]) -> Iterator[object]:
        kinds = {kind.name: kind for kind in self.kinds}
        for name, key in objects:
            kind = kinds.get(name)
            yield UNREAD if kind is None else kind.value(self.observed.of(kind), key)


def _consequence(failing: FailingObject) -> str:
    line = describe(failing.action, {})
    return f"{line.sign} {line.text} failed: {failing.outcome.message}"
