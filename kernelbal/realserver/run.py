"""One run on a real server: plan, change, prove, and go back when something fails.

The record is written before the first change, so a run that is interrupted anywhere is finished by the next
one, or taken back by `undo`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from kernelbal.errors import KernelError, NotConverged, StateError
from kernelbal.realserver.host import StepOutcome
from kernelbal.realserver.persist.manager import Telling, tellings
from kernelbal.realserver.plan import claim, make_plan, settle
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.setup import HostState, Record, Setup
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile, describe_step
from kernelbal.realserver.store import RecordStore
from kernelbal.realserver.sysctls import inherited
from kernelbal.realserver.wanted import setup_for

FilesFor = Callable[[Setup, str, Mapping[str, str | None]], Mapping[str, str]]
"""Returns the text by path of the files that bring a setup back at boot.

By the name of who does, and sysctls as they are.
"""


class Host(Protocol):
    """What is needed of a host; `LinuxHost` and the tests' `FakeHost` both are one."""

    def observe(self) -> HostState:
        """Read devices, addresses, routes and GUE listeners; see `LinuxHost.observe`."""
        ...

    def observe_more(self, host: HostState, sysctls: Collection[str], *, tables: bool) -> HostState:
        """Read the rest; see `LinuxHost.observe_more`."""
        ...

    def read_files(self, paths: Collection[str]) -> dict[str, str | None]:
        """Read files; see `LinuxHost.read_files`."""
        ...

    def tell(self, commands: Sequence[Sequence[str]]) -> str:
        """Run programs that read our files; see `LinuxHost.tell`."""
        ...

    def check(self, steps: Sequence[Step]) -> None:
        """Find out whether a step could not be done; see `LinuxHost.check`."""
        ...

    def perform(self, steps: Sequence[Step]) -> list[StepOutcome]:
        """Perform steps up to the first that fails; see `LinuxHost.perform`."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """Steps with what they were made from.

    Attributes:
        record: what was done before.
        persist: who brings it back at boot; empty for nobody.
    """

    preparations: tuple[Preparation, ...]
    setup: Setup
    files: Mapping[str, str]
    host: HostState
    record: Record
    persist: str
    steps: tuple[Step, ...]


class Untold(NamedTuple):
    """Somebody who could not be told of our files, and why."""

    telling: Telling
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended.

    Attributes:
        outcomes: one per step; where a step failed, it is the last one.
        taken_back: False when a step failed and what was done before it could not all be taken back.
        untold: those who could not be told of files that were written or taken away.
    """

    outcomes: tuple[StepOutcome, ...]
    taken_back: bool = True
    untold: tuple[Untold, ...] = ()

    @property
    def done(self) -> bool:
        """Whether every step was done."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def comes_back(self) -> bool:
        """Whether the next boot brings back what it should, as far as is known."""
        return not any(each.telling.at_boot for each in self.untold)


@dataclass(frozen=True, slots=True)
class RealServer:
    """A host, the record of what was done to it, and what files bring it back."""

    host: Host
    store: RecordStore
    files_for: FilesFor

    def prepare(
        self, preparations: tuple[Preparation, ...], persist: str, host: HostState, record: Record
    ) -> Prepared:
        """Plan the steps to `preparations`; changes nothing.

        Raises:
            KernelError: the kernel cannot be read, or libnftables is needed and missing.
            StateError: a file cannot be read.
        """
        setup = setup_for(preparations, host)
        before = setup_for(record.preparations, host)
        paths = {path for each in setup.sysctls for path in (*each.needed, inherited(each.path))}
        paths |= record.sysctls.keys()
        found = self.host.observe_more(
            host, sorted(paths), tables=bool(setup.tables or before.tables or record.tables)
        )
        at_boot = setup_for((each for each in preparations if each.at_boot), host)
        files = dict(self.files_for(at_boot, persist, found.sysctls)) if persist else {}
        found = replace(found, files=self.host.read_files(sorted({*files, *record.files})))
        steps = make_plan(setup, files, found, record)
        return Prepared(preparations, setup, files, found, record, persist, steps)

    def perform(self, prepared: Prepared) -> Report:
        """Perform the steps; when one fails, go back to what was there before.

        Raises:
            KernelError: a step could not be done, which was seen before the first one.
            StateError: the record cannot be written; then nothing was changed.
            NotConverged: the steps were done, but the host is not as they should have made it.
        """
        self.host.check(prepared.steps)
        claimed = claim(
            prepared.record, prepared.preparations, prepared.steps, prepared.host, prepared.persist
        )
        if claimed != prepared.record:
            self.store.save_record(claimed)
        report = Report(tuple(self.host.perform(prepared.steps)))
        if not report.done:
            return replace(report, taken_back=self._go_back(prepared.record, claimed))
        # First those who read our files: while the record has what is gone, the next run tells them again.
        report = replace(report, untold=self._tell(prepared))
        self.store.save_record(_without_traces(settle(claimed, prepared.setup, prepared.files)))
        self._prove(prepared)
        return report

    def _tell(self, prepared: Prepared) -> tuple[Untold, ...]:
        removed = [step.path for step in prepared.steps if isinstance(step, RemoveFile)]
        written = [step.path for step in prepared.steps if isinstance(step, WriteFile)]
        told = [
            Untold(each, self.host.tell(each.commands)) for each in tellings(removed, written, prepared.files)
        ]
        return tuple(each for each in told if each.why)

    def _go_back(self, before: Record, claimed: Record) -> bool:
        """Undo what a failed run has done; what cannot be undone stays in the record for the next one."""
        try:
            back = self.prepare(before.preparations, before.persist, self.host.observe(), claimed)
        except (KernelError, StateError):
            return False  # the step that failed is what the operator has to know of
        outcomes = self.host.perform(back.steps)
        if not all(outcome.ok for outcome in outcomes):
            return False
        restored = settle(replace(claimed, preparations=before.preparations), back.setup, back.files)
        self.store.save_record(_without_traces(replace(restored, persist=before.persist)))
        return True

    def _prove(self, prepared: Prepared) -> None:
        record = self.store.load_record()
        left = self.prepare(prepared.preparations, prepared.persist, self.host.observe(), record).steps
        if left:
            texts = "; ".join(f"{line.sign} {line.text}" for line in map(describe_step, left))
            raise NotConverged(
                f"this host is still not as planned: {texts}",
                "something else changes it at the same time; see what, and run it again",
            )


def _without_traces(record: Record) -> Record:
    """A host that serves nothing, and of which nothing is left to take back, has no record."""
    return record if record.preparations else replace(record, persist="")
