"""A real server in memory: what `kernelbal realserver` changes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from kernelbal.errors import KernelError
from kernelbal.kernel.network_errors import failure
from kernelbal.model.network import GueListener
from kernelbal.model.nft import NftTable
from kernelbal.plan.actions import CloseListener, OpenListener, ReplaceTable, Result
from kernelbal.realserver.host import StepOutcome
from kernelbal.realserver.setup import HostState
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile
from tests.support.fake_kernel import FakeKernel


def _nothing(_: Step) -> int:
    return 0


def _works(_: Sequence[str]) -> str:
    return ""


@dataclass(slots=True)
class FakeHost:
    """A host that does what it is told.

    Attributes:
        kernel: its devices, addresses and sysctls.
        refuse: returns an error number for steps that shall fail, else 0.
        forbid: the same, for what `check` shall find.
        performed: every step that was tried.
        told: programs that were to be run.
        fault: returns what programs that shall fail say, else nothing.
    """

    kernel: FakeKernel
    tables: dict[str, NftTable] = field(default_factory=dict)
    listeners: set[GueListener] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    refuse: Callable[[Step], int] = _nothing
    forbid: Callable[[Step], int] = _nothing
    performed: list[Step] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)
    fault: Callable[[Sequence[str]], str] = _works

    def observe(self) -> HostState:
        """Return devices, addresses, routes and listeners."""
        found = self.kernel.observe()
        return HostState(
            links=found.links,
            addresses=found.addresses,
            routes=found.routes,
            listeners=frozenset(self.listeners),
        )

    def observe_more(self, host: HostState, sysctls: Collection[str], *, tables: bool) -> HostState:
        """Return `host` with sysctls and tables."""
        return replace(
            host,
            sysctls=self.kernel.observe(sysctls).sysctls,
            tables=tuple(self.tables.values()) if tables else (),
        )

    def read_files(self, paths: Collection[str]) -> dict[str, str | None]:
        """Return the text by path."""
        return {path: self.files.get(path) for path in paths}

    def tell(self, commands: Sequence[Sequence[str]]) -> str:
        """Remember what was to be run, up to the first that `fault` lets fail."""
        for command in commands:
            self.told.append(tuple(command))
            if said := self.fault(command):
                return said
        return ""

    def check(self, steps: Sequence[Step]) -> None:
        """Refuse what `forbid` forbids."""
        for step in steps:
            number = self.forbid(step)
            if number:
                raise KernelError("check", str(step), number, "refused by the test")

    def perform(self, steps: Sequence[Step]) -> list[StepOutcome]:
        """Perform steps up to the first that `refuse` or the kernel refuses."""
        outcomes: list[StepOutcome] = []
        for step in steps:
            self.performed.append(step)
            outcomes.append(self._refused(step) or self._perform(step))
            if not outcomes[-1].ok:
                break
        return outcomes

    def _refused(self, step: Step) -> StepOutcome | None:
        number = self.refuse(step)
        if not number:
            return None
        if isinstance(step, WriteFile | RemoveFile):
            return StepOutcome(step, False, f"cannot write {step.path}", "run it as root")
        outcome = failure(step, number)
        return StepOutcome(step, False, outcome.message, outcome.hint)

    def _perform(self, step: Step) -> StepOutcome:
        if isinstance(step, WriteFile | RemoveFile):
            self._perform_file(step)
            return StepOutcome(step, True)
        match step:
            case ReplaceTable(_, table) if table.empty:
                self.tables.pop(table.title, None)
            case ReplaceTable(_, table):
                self.tables[table.title] = table
            case OpenListener(listener):
                self.listeners.add(listener)
            case CloseListener(listener):
                self.listeners.discard(listener)
            case _:
                (outcome,) = self.kernel.perform([step])
                failed = outcome.result is Result.FAILED
                return StepOutcome(step, not failed, outcome.message if failed else "")
        return StepOutcome(step, True)

    def _perform_file(self, step: WriteFile | RemoveFile) -> None:
        text = step.text if isinstance(step, WriteFile) else step.before
        if text is None:
            self.files.pop(step.path, None)
        else:
            self.files[step.path] = text
