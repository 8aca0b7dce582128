"""The running kernel and the files of a real server, in the network namespace of the thread that opens it."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from kernelbal.errors import KernelError, NotPermitted, StateError
from kernelbal.kernel.addresses import observe_addresses
from kernelbal.kernel.fou import observe_listeners
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.network import NetworkDrivers
from kernelbal.kernel.network_errors import AS_ROOT, failure
from kernelbal.kernel.routes import observe_routes
from kernelbal.kernel.sysctl import ROOT as SYSCTLS
from kernelbal.kernel.sysctl import read_sysctls
from kernelbal.plan.actions import ReplaceTable, Result, WriteSysctl
from kernelbal.realserver.persist.manager import drop_in_directory, file_mode
from kernelbal.realserver.persist.programs import fault
from kernelbal.realserver.setup import TABLES, HostState
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile
from kernelbal.store.placed import PlacedFile, place


class StepOutcome(NamedTuple):
    """How one step ended; `message` and `hint` are empty unless it failed."""

    step: Step
    ok: bool
    message: str = ""
    hint: str = ""


class LinuxHost:
    """Sockets and libraries are opened when first needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._drivers = NetworkDrivers()
        self._stack.callback(self._drivers.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def observe(self) -> HostState:
        """Read devices, addresses, routes and GUE listeners: what a setup is made from.

        Raises:
            KernelError: something cannot be read.
        """
        socket = self._drivers.rtnetlink
        links = observe_links(socket)
        return HostState(
            links=links,
            addresses=observe_addresses(socket, links),
            routes=observe_routes(socket, links),
            listeners=observe_listeners(),
        )

    def observe_more(self, host: HostState, sysctls: Collection[str], *, tables: bool) -> HostState:
        """Return `host` with sysctls by path, and (with `tables`) our nftables tables.

        Raises:
            KernelError: something cannot be read, or libnftables is missing.
        """
        found = [self._drivers.nftables.observe(each) for each in TABLES] if tables else []
        return replace(
            host,
            sysctls=read_sysctls(sysctls),
            tables=tuple(table for table in found if table is not None),
        )

    def read_files(self, paths: Collection[str]) -> dict[str, str | None]:
        """Return the text by path; None where there is no such file.

        Raises:
            StateError: one is there but cannot be read.
        """
        return {path: _text(Path(path)) for path in paths}

    def tell(self, commands: Sequence[Sequence[str]]) -> str:
        """Run programs up to the first that fails, and return why it did; empty when none does."""
        return next(filter(None, map(fault, commands)), "")

    def check(self, steps: Sequence[Step]) -> None:
        """Find out before the first step whether a later one could not be done.

        Raises:
            KernelError: a sysctl cannot be written, or the kernel refuses a table; the message says why.
        """
        if steps and os.geteuid() != 0:
            raise NotPermitted("change this host", "", errno.EPERM, "only root may change this host", AS_ROOT)
        for step in steps:
            if isinstance(step, WriteSysctl):
                _check_writable(step)
            elif isinstance(step, ReplaceTable) and not step.table.empty:
                self._drivers.nftables.check(step.table)

    def perform(self, steps: Sequence[Step]) -> list[StepOutcome]:
        """Perform steps in their order up to the first that fails."""
        outcomes: list[StepOutcome] = []
        for is_file, group in groupby(steps, lambda step: isinstance(step, WriteFile | RemoveFile)):
            for step in group:
                done = _change_file(step) if is_file else self._change_kernel(step)
                outcomes.append(done)
                if not done.ok:
                    return outcomes
        return outcomes

    def _change_kernel(self, step: Step) -> StepOutcome:
        if isinstance(step, WriteFile | RemoveFile):
            raise AssertionError(step)
        (outcome,) = self._drivers.perform([step])
        if outcome.result is Result.FAILED:
            return StepOutcome(step, False, outcome.message, outcome.hint)
        return StepOutcome(step, True)


def _check_writable(step: WriteSysctl) -> None:
    path = SYSCTLS / step.path
    if path.exists() and not os.access(path, os.W_OK):
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        outcome = failure(step, errno.EROFS if read_only else errno.EACCES)
        dotted = step.path.replace("/", ".")
        raise KernelError(
            "write sysctl", dotted, outcome.errno, f"cannot write {dotted}: {outcome.message}", outcome.hint
        )


def _change_file(step: Step) -> StepOutcome:
    try:
        match step:
            case WriteFile(path, _, text):
                place(PlacedFile(Path(path), text, mode=file_mode(path)))
            case RemoveFile(path, None):
                Path(path).unlink(missing_ok=True)
                _remove_if_empty(drop_in_directory(path))
            case RemoveFile(path, str(before)):
                place(PlacedFile(Path(path), before, mode=file_mode(path)))
            case _:
                raise AssertionError(step)
    except StateError as error:
        return StepOutcome(step, False, error.message, error.hint or "")
    except OSError as error:
        return StepOutcome(step, False, f"cannot remove {error.filename}: {error.strerror}", AS_ROOT)
    return StepOutcome(step, True)


def _remove_if_empty(directory: str) -> None:
    if directory:
        with suppress(OSError):  # somebody else's drop-ins are in it, or it is gone
            Path(directory).rmdir()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot read {path}: {error}", "move it away, or use --persist none") from error
