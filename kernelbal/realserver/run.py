"""One run on a real server: plan, change, prove, and go back when something fails.

The engine is the director's (`kernelbal.reconcile`) with another slice of kinds, a record of its own, and the
policy that a plan is done as a whole or not at all. The record is written before the first change, so a run
that is interrupted anywhere is finished by the next one, or taken back by `undo`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from kernelbal.errors import KernelError, NotConverged, StateError
from kernelbal.kernel.interface import Kernel
from kernelbal.plan.action import Outcome
from kernelbal.plan.kind import Ownership, Slice
from kernelbal.plan.kinds import describe
from kernelbal.plan.kinds.addresses import UNMARKED, Addresses
from kernelbal.plan.kinds.files import FILES, RemoveFile, WriteFile
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import NftTables
from kernelbal.plan.planning import Plan, make_plan, scopes
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.host import read_host
from kernelbal.realserver.persist.manager import Notification, notifications
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.setup import TABLES, HostState, Record, Setup
from kernelbal.realserver.store import RecordStore
from kernelbal.reconcile.round import PreparedRound, Reconciler

ADDRESSES: Final = Addresses(UNMARKED, leave_last=True)
"""The record alone says whose they are; one method's address is there before another's goes."""
KINDS: Final[Slice] = (
    LINKS,
    LISTENERS,
    SYSCTLS,
    ADDRESSES,
    NftTables(TABLES, always=False, silencing=ADDRESSES),
    FILES,
)
"""What a real server plans for; files last, since they are made from what was read of the others."""

FilesFor = Callable[[Setup, str, Mapping[str, str | None]], Mapping[str, str]]
"""Returns the text by path of the files that bring a setup back at boot.

By the name of who does, and sysctls as they are.
"""
RunPrograms = Callable[[Sequence[Sequence[str]]], str]
"""Runs programs up to the first that fails, and returns why it did; empty when none does."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A plan with what it was made from.

    Attributes:
        host: what the preparations were made for.
        record: what was done before.
        persist: who brings it back at boot; empty for nobody.
    """

    preparations: tuple[Preparation, ...]
    host: HostState
    record: Record
    persist: str
    round: PreparedRound

    @property
    def plan(self) -> Plan:
        """What will be done."""
        return self.round.plan

    @property
    def files(self) -> Mapping[str, str]:
        """Text by path of what brings it back at boot."""
        return self.round.desired.of(FILES)


class Unnotified(NamedTuple):
    """A program that could not be made to read our files, and why."""

    notification: Notification
    why: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended.

    Attributes:
        outcomes: one per action; where one failed, it is the last one.
        done: whether every action was done.
        taken_back: False when an action failed and what was done before it could not all be taken back.
        unnotified: those who could not be made to read files that were written or taken away.
    """

    outcomes: tuple[Outcome, ...]
    done: bool = True
    taken_back: bool = True
    unnotified: tuple[Unnotified, ...] = ()

    @property
    def comes_back(self) -> bool:
        """Whether the next boot brings back what it should, as far as is known."""
        return not any(each.notification.at_boot for each in self.unnotified)


@dataclass(slots=True)
class _Record:
    """The part of a record that the engine writes, inside the whole of it."""

    store: RecordStore
    record: Record

    def load(self) -> Ownership:
        return self.record.owned

    def save(self, ownership: Ownership) -> None:
        self.record = replace(self.record, owned=ownership)
        self.store.save_record(self.record)


@dataclass(frozen=True, slots=True)
class HostReconciler:
    """Makes a host what its preparations ask for, keeps the record of it, and writes what brings it back."""

    kernel: Kernel
    store: RecordStore
    files_for: FilesFor
    run_programs: RunPrograms

    def prepare(
        self, preparations: tuple[Preparation, ...], persist: str, host: HostState, record: Record
    ) -> PreparedRun:
        """Plan the way to `preparations`; changes nothing.

        Raises:
            KernelError: the kernel cannot be read, or libnftables is needed and missing.
            StateError: a file cannot be read.
        """
        owned = record.owned
        desired = setup_for(preparations, host).desired
        observed = self.kernel.observe(scopes(KINDS[:-1], desired, owned))
        at_boot = setup_for((each for each in preparations if each.at_boot), host)
        files = self.files_for(at_boot, persist, observed.of(SYSCTLS)) if persist else {}
        desired = desired.having(FILES, files)
        observed = observed.merged(self.kernel.observe({FILES: FILES.scope(files, owned.of(FILES))}))
        plan = make_plan(KINDS, desired, observed, owned, 0.0)
        made = PreparedRound(desired, observed, owned, plan)
        return PreparedRun(preparations, host, record, persist, made)

    def perform(self, prepared: PreparedRun) -> RunReport:
        """Carry a plan out; when an action fails, go back to what was there before.

        Raises:
            KernelError: an action could not be done, which was seen before the first one.
            StateError: the record cannot be written; then nothing was changed.
            NotConverged: everything was done, but the host is not as it should be.
        """
        self.kernel.check(prepared.plan.actions)
        before, made = prepared.record, prepared.round
        record = _Record(
            self.store, replace(before, preparations=prepared.preparations, persist=prepared.persist)
        )
        if record.record != before:
            self.store.save_record(record.record)
        unnotified: list[Unnotified] = []
        reconciler = Reconciler(self.kernel, record, _no_clock, KINDS, whole=True)
        # First those who read our files: while the record has what is gone, the next run notifies them again.
        report = reconciler.perform(made, on_done=lambda: unnotified.extend(self._notify(prepared)))
        if report.failed:
            taken_back = self._go_back(before, record.record)
            return RunReport(report.outcomes, done=False, taken_back=taken_back)
        self.store.save_record(_without_traces(record.record))
        self._prove(prepared)
        return RunReport(report.outcomes, unnotified=tuple(unnotified))

    def _notify(self, prepared: PreparedRun) -> list[Unnotified]:
        actions = prepared.plan.actions
        removed = [action.key for action in actions if isinstance(action, RemoveFile)]
        written = [action.key for action in actions if isinstance(action, WriteFile)]
        due = notifications(removed, written, prepared.files)
        tried = [Unnotified(each, self.run_programs(each.commands)) for each in due]
        return [each for each in tried if each.why]

    def _go_back(self, before: Record, claimed: Record) -> bool:
        """Undo what a failed run has done; what cannot be undone stays in the record for the next one."""
        record = _Record(self.store, claimed)
        try:
            back = self.prepare(before.preparations, before.persist, read_host(self.kernel), claimed)
            report = Reconciler(self.kernel, record, _no_clock, KINDS, whole=True).perform(back.round)
        except (KernelError, StateError):
            return False  # the action that failed is what the operator has to know of
        if report.failed:
            return False
        restored = replace(record.record, preparations=before.preparations, persist=before.persist)
        self.store.save_record(_without_traces(restored))
        return True

    def _prove(self, prepared: PreparedRun) -> None:
        record = self.store.load_record()
        left = self.prepare(prepared.preparations, prepared.persist, read_host(self.kernel), record).plan
        if not left.empty:
            lines = (describe(action, {}) for action in left.actions)
            texts = "; ".join(f"{line.sign} {line.text}" for line in lines)
            raise NotConverged(
                f"this host is still not as planned: {texts}",
                "something else changes it at the same time; see what, and run it again",
            )


def _no_clock() -> float:
    """Nothing drains on a real server, and nothing is tried again."""
    return 0.0


def _without_traces(record: Record) -> Record:
    """A host that serves nothing, and of which nothing is left to take back, has no record."""
    return record if record.preparations else replace(record, persist="")
