"""A real server in memory, like `samples.host()`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kernelbal.realserver.host import read_host
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.run import FilesFor, HostReconciler, PreparedRun
from kernelbal.realserver.store import RecordStore
from tests.support.fake_kernel import FakeKernel
from tests.unit.realserver.samples import ADDRESSES, LINKS, SYSCTLS, host


def fake_host() -> FakeKernel:
    """A host with two networks, strict reverse-path filtering and nothing prepared."""
    return FakeKernel(
        addresses={each.key: each for each in ADDRESSES},
        links={link.name: link for link in LINKS},
        routes=host().routes,
        sysctls=dict(SYSCTLS),
    )


def _works(_: Sequence[str]) -> str:
    return ""


@dataclass(slots=True)
class Programs:
    """Programs of a host.

    Attributes:
        run: those that were to be run.
        fault: returns what programs that shall fail say, else nothing.
    """

    run: list[tuple[str, ...]] = field(default_factory=list)
    fault: Callable[[Sequence[str]], str] = _works

    def __call__(self, commands: Sequence[Sequence[str]]) -> str:
        """Remember what was to be run, up to the first that `fault` lets fail."""
        for command in commands:
            self.run.append(tuple(command))
            if said := self.fault(command):
                return said
        return ""


class RealServerDesk(HostReconciler):
    """A real server in memory, with shorter ways to what tests need."""

    def __init__(self, directory: Path, files_for: FilesFor) -> None:
        super().__init__(fake_host(), RecordStore(directory), files_for, Programs())

    @property
    def fake(self) -> FakeKernel:
        """Its kernel and files."""
        assert isinstance(self.kernel, FakeKernel)
        return self.kernel

    @property
    def programs(self) -> Programs:
        """Its programs."""
        assert isinstance(self.run_programs, Programs)
        return self.run_programs

    def back_to(self, *preparations: Preparation, persist: str = "unit") -> PreparedRun:
        """Plan to leave only these."""
        return self.prepare(preparations, persist, read_host(self.kernel), self.store.load_record())
