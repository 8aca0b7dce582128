"""The running Linux kernel, in the network namespace of the thread that opens it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from itertools import groupby
from types import TracebackType
from typing import Self, cast

from kernelbal.errors import NotSupported
from kernelbal.kernel.interface import Glance, Progress
from kernelbal.kernel.ipvs.connections import count_clients
from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.kernel.modules import IPVS, load_module
from kernelbal.kernel.network import NetworkDrivers
from kernelbal.model.address import Address
from kernelbal.model.ipvs import CounterTable, ServiceKey, ServiceTable
from kernelbal.model.nft import NftTable
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    IpvsAction,
    Outcome,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    Result,
    SetTimeouts,
)

IPVS_ACTIONS = (
    AddService,
    EditService,
    RemoveService,
    AddDestination,
    EditDestination,
    QuiesceDestination,
    RemoveDestination,
    SetTimeouts,
)
ACTIONS_PER_STEP = 8192
"""Actions between two calls of the progress callback."""


class LinuxKernel:
    """Every driver behind one face; sockets are opened when first needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ipvs: IpvsTable | None = None
        self._tried_to_load = False
        self._network = NetworkDrivers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; the kernel's state stays as it is."""
        self._stack.close()
        self._network.close()
        self._ipvs = None

    @property
    def ipvs(self) -> IpvsTable:
        """The IPVS driver; the module is loaded when the kernel has it and did not load it by itself.

        Raises:
            NotSupported: the kernel has no IPVS, or its module cannot be loaded.
        """
        if self._ipvs is None:
            self._ipvs = self._stack.enter_context(self._open_ipvs())
        return self._ipvs

    def _open_ipvs(self) -> IpvsTable:
        try:
            return IpvsTable.open()
        except NotSupported:
            if self._tried_to_load:
                raise
            self._tried_to_load = True
            if not load_module(IPVS).loaded:
                raise
        return IpvsTable.open()

    def observe(
        self, sysctls: Collection[str] = (), services: Collection[ServiceKey] | None = None
    ) -> ObservedState:
        """Read the kernel, all but the counters; see `Kernel.observe`."""
        try:
            ipvs = self.ipvs
        except NotSupported:
            return self._network.observe(sysctls, ObservedState(ipvs_available=False))
        table = ipvs.read()[0] if services is None else ipvs.read_services(services)
        state = ObservedState(
            services=table,
            timeouts=ipvs.read_timeouts(),
            connection_table_size=ipvs.read_info().connection_buckets,
        )
        return self._network.observe(sysctls, state)

    def read_services(self) -> ServiceTable:
        """Return the IPVS table alone, without counters; empty when there is no IPVS.

        Raises:
            KernelError: it cannot be read.
        """
        try:
            return self.ipvs.read()[0]
        except NotSupported:
            return {}

    def glance(self) -> Glance:
        """Return what one or two system calls tell of the IPVS table, whatever its size.

        Raises:
            KernelError: IPVS cannot be opened.
        """
        try:
            return self.ipvs.glance()
        except NotSupported:
            return Glance(0, {})

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return the counters of the named services that exist."""
        return self.ipvs.read_counters(services)

    def count_clients(self, limit: int) -> dict[Address, int]:
        """Return how many connections each client has, among `limit` entries of the connection table.

        Raises:
            KernelError: the table cannot be read.
        """
        return count_clients(limit)

    def perform(self, actions: Sequence[Action], progress: Progress | None = None) -> list[Outcome]:
        """Perform actions in their order; see `Kernel.perform`."""
        outcomes: list[Outcome] = []
        for is_ipvs, group in groupby(actions, lambda action: isinstance(action, IPVS_ACTIONS)):
            run = list(group)
            for start in range(0, len(run), ACTIONS_PER_STEP):
                step = run[start : start + ACTIONS_PER_STEP]
                outcomes.extend(self._perform_ipvs(step) if is_ipvs else self._network.perform(step))
                if progress is not None:
                    progress(len(outcomes), len(actions))
        return skip_orphans(outcomes)

    def _perform_ipvs(self, actions: Sequence[Action]) -> list[Outcome]:
        try:
            ipvs = self.ipvs
        except NotSupported as error:
            return [
                Outcome(action, Result.FAILED, error.errno, error.message, error.hint or "")
                for action in actions
            ]
        return ipvs.perform(cast("Sequence[IpvsAction]", actions))

    def check_table(self, table: NftTable) -> None:
        """Let the kernel check an nftables transaction; see `Kernel.check_table`."""
        self._network.check_table(table)


def skip_orphans(outcomes: list[Outcome]) -> list[Outcome]:
    """Turn failures that follow from a service that could not be added into skips that name it."""
    lost = {
        o.action.key: o for o in outcomes if o.result is Result.FAILED and isinstance(o.action, AddService)
    }
    if not lost:
        return outcomes
    return [
        outcome._replace(
            result=Result.SKIPPED,
            message=f"its service could not be added: {lost[outcome.action.service].message}",
        )
        if outcome.result is Result.FAILED
        and isinstance(outcome.action, AddDestination)
        and outcome.action.service in lost
        else outcome
        for outcome in outcomes
    ]
