"""One round of reconciliation against a live kernel: the one engine of director, real server and commands.

Nothing is kept between rounds but the ownership record, which is written before the first change and settled
after the last; a round that is interrupted anywhere is repaired by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kernelbal.kernel.interface import Kernel, Progress
from kernelbal.model.ipvs import ServiceKey
from kernelbal.plan.action import DONE, Action, Outcome, Result
from kernelbal.plan.kind import (
    DEFAULT_OPTIONS,
    AnyKind,
    DesiredState,
    ObservedState,
    Options,
    Ownership,
    Slice,
)
from kernelbal.plan.kinds import DIRECTOR, object_of
from kernelbal.plan.kinds.services import COUNTERS, disown
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.planning import NOTHING_DESIRED, Plan, claim, make_plan, scopes, settle, withdraw
from kernelbal.reconcile.execute import Execution
from kernelbal.reconcile.retry import NOTHING_FAILS, Failing


class OwnershipStore(Protocol):
    """Where the ownership record lives."""

    def load(self) -> Ownership:
        """Return the record of this boot; an empty one when there is none."""
        ...

    def save(self, ownership: Ownership) -> None:
        """Replace the record; on return it has reached the disk."""
        ...


class Observation(NamedTuple):
    """The kernel, and what of it is ours."""

    observed: ObservedState
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class PreparedRound:
    """A plan with the observation that it was made from.

    Attributes:
        at: when it was made, in seconds on the boot clock.
    """

    desired: DesiredState
    observed: ObservedState
    ownership: Ownership
    plan: Plan
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundReport:
    """How a round ended.

    Attributes:
        outcomes: one per action, in order.
        remaining: what would still have to be done; empty when converged.
        observed: the kernel after it.
        failing: what the kernel refuses, each with its next attempt.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    remaining: Plan = field(default_factory=Plan)
    observed: ObservedState = field(default_factory=ObservedState, compare=False)
    failing: Failing = field(default_factory=dict)

    @property
    def done(self) -> tuple[Outcome, ...]:
        """The actions that were done, or had been done already."""
        return tuple(o for o in self.outcomes if o.result in DONE)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The actions that the kernel refused in this round; those that waited are not among them."""
        return tuple(o for o in self.outcomes if o.result is Result.FAILED)

    @property
    def converged(self) -> bool:
        """Whether a second look at the kernel found nothing left to do."""
        return not self.failing and self.remaining.empty

    @property
    def undone(self) -> tuple[Action, ...]:
        """What is to be done again though nothing refused it: something else changes the same objects."""
        held = {object_of(o.action) for o in self.outcomes if o.result not in DONE}
        return tuple(action for action in self.remaining.actions if object_of(action) not in held)


def _nothing_more() -> None:
    """What most have to do before the record forgets what is gone."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings a kernel to a desired state.

    Attributes:
        now: seconds on the boot clock.
        kinds: what it plans for; everything else is neither read nor changed.
        whole: stop at the first action that fails: a plan is done as a whole, or whoever asked goes back.
    """

    kernel: Kernel
    store: OwnershipStore
    now: Callable[[], float]
    kinds: Slice = DIRECTOR
    whole: bool = False

    def observe(self, desired: DesiredState = NOTHING_DESIRED) -> Observation:
        """Read the kernel, as far as a plan for a state depends on it, and the ownership record.

        Raises:
            KernelError: the kernel cannot be read.
            StateError: the ownership record cannot be read.
        """
        ownership = self.store.load()
        return Observation(self.kernel.observe(scopes(self.kinds, desired, ownership)), ownership)

    def prepare(self, desired: DesiredState, options: Options = DEFAULT_OPTIONS) -> PreparedRound:
        """Observe the kernel and plan; changes nothing.

        Raises:
            KernelError: the kernel cannot be read.
            StateError: the ownership record cannot be read.
        """
        return self.replan(desired, *self.observe(desired), options)

    def check_tables(self, prepared: PreparedRound) -> None:
        """Let the kernel check the nftables tables of a plan without committing them.

        Raises:
            KernelError: it would be refused; the message says why.
        """
        for batch in prepared.plan.batches:
            if batch.kind is TABLES:
                self.kernel.check(batch.actions)

    def replan(
        self, desired: DesiredState, observed: ObservedState, ownership: Ownership, options: Options
    ) -> PreparedRound:
        """Plan from an observation; reads the counters that the plan depends on.

        Raises:
            KernelError: the kernel cannot be read.
        """
        counted = [
            key
            for kind in self.kinds
            for key in kind.counted(desired.of(kind), observed.of(kind), ownership.of(kind))
        ]
        if counted:
            observed = observed.having(COUNTERS, self.kernel.read_counters(counted))
        at = self.now()
        plan = make_plan(self.kinds, desired, observed, ownership, at, options)
        return PreparedRound(desired, observed, ownership, plan, at)

    def perform(
        self,
        prepared: PreparedRound,
        options: Options = DEFAULT_OPTIONS,
        progress: Progress | None = None,
        failing: Failing = NOTHING_FAILS,
        on_done: Callable[[], None] = _nothing_more,
    ) -> RoundReport:
        """Perform a plan and prove it by reading again.

        Args:
            prepared: the plan.
            options: those that it was made with.
            progress: called from time to time.
            failing: what failed in earlier rounds; not tried before its next attempt is due.
            on_done: called when nothing failed, before the record forgets what is gone.

        Raises:
            KernelError: the kernel cannot be read again.
            StateError: the ownership record cannot be written; then nothing was changed.
        """
        plan, desired = prepared.plan, prepared.desired
        claimed = self.claim(prepared)
        if plan.empty:
            on_done()
            return RoundReport(plan, (), observed=prepared.observed)
        execution = Execution(
            self.kernel, self.kinds, prepared.observed, failing, prepared.at, self.whole, progress
        )
        execution.run(plan)
        if not execution.failing:
            on_done()
        outcomes = tuple(execution.outcomes)
        waits = not execution.done and not any(o.result is Result.FAILED for o in outcomes)
        stopped = waits or (self.whole and bool(execution.failing))
        settled = withdraw(claimed, execution.taken)
        if not stopped:
            settled = settle(settled, execution.done, desired)
        if settled != claimed:
            self.store.save(settled)
        if stopped:
            return RoundReport(plan, outcomes, plan, prepared.observed, execution.failing)
        observed = self._observe_again(prepared, settled)
        remaining = make_plan(self.kinds, desired, observed, settled, prepared.at, options)
        return RoundReport(plan, outcomes, remaining, observed, execution.failing)

    def claim(self, prepared: PreparedRound) -> Ownership:
        """Write the record with everything that a plan will do; return it.

        Raises:
            StateError: it cannot be written.
        """
        claimed = claim(self.kinds, prepared.ownership, prepared.plan, prepared.desired, prepared.observed)
        if claimed != prepared.ownership:
            self.store.save(claimed)
        return claimed

    def disown(self, services: Collection[ServiceKey]) -> None:
        """Give services back to whoever made them: they stay in the kernel and are no longer ours.

        Raises:
            StateError: the ownership record cannot be read or written.
        """
        if services:
            self.store.save(disown(self.store.load(), services))

    def _observe_again(self, prepared: PreparedRound, ownership: Ownership) -> ObservedState:
        """Read everything but the services that the plan did not touch.

        The counters stay those of the plan, as its clock does: a connection that ended meanwhile is work for
        the next round and no fault of this one.
        """
        before = prepared.observed
        again = {
            kind: kind.reread(scope, before.of(kind), _touched(prepared.plan, kind))
            for kind, scope in scopes(self.kinds, prepared.desired, ownership).items()
        }
        observed = self.kernel.observe(again)
        for kind, scope in again.items():
            observed = observed.having(kind, kind.spliced(before.of(kind), scope, observed.of(kind)))
        return observed.having(COUNTERS, before.of(COUNTERS))


def _touched(plan: Plan, kind: AnyKind) -> list[Action]:
    return [action for batch in plan.batches if batch.kind is kind for action in batch.actions]
