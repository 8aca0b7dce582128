"""The running Linux kernel, in the network namespace of the thread that opens it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from types import TracebackType
from typing import Final, Self

from kernelbal.errors import KernelError, NotSupported
from kernelbal.kernel import addresses, links, listeners, policy_routing, sysctl, tables
from kernelbal.kernel.driver import Driver
from kernelbal.kernel.interface import Glance, Progress
from kernelbal.kernel.ipvs import sync_daemons
from kernelbal.kernel.ipvs.connections import count_clients
from kernelbal.kernel.ipvs.services import SERVICES_DRIVER, TIMEOUTS_DRIVER
from kernelbal.kernel.refusals import all_failed
from kernelbal.kernel.sockets import OpenSockets
from kernelbal.model.address import Address
from kernelbal.model.ipvs import CounterTable, ServiceKey, ServiceTable
from kernelbal.plan.action import Action, Outcome
from kernelbal.plan.kind import AnyKind, ObservedState, Scope
from kernelbal.plan.kinds import BY_ACTION
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS

Drivers = Mapping[str, Driver]
"""Driver by the name of its kind."""

DRIVERS: Final[Drivers] = {
    SERVICES.name: SERVICES_DRIVER,
    TIMEOUTS.name: TIMEOUTS_DRIVER,
    LINKS.name: links.DRIVER,
    LISTENERS.name: listeners.DRIVER,
    SYSCTLS.name: sysctl.DRIVER,
    ADDRESSES.name: addresses.DRIVER,
    SYNC_DAEMONS.name: sync_daemons.DRIVER,
    TABLES.name: tables.DRIVER,
    ROUTING.name: policy_routing.DRIVER,
}
ACTIONS_PER_STEP: Final = 8192
"""Actions between two calls of the progress callback."""


class LinuxKernel:
    """Every driver behind one face.

    Args:
        drivers: of kinds that are no kernel objects, such as files, beside `DRIVERS`.
    """

    def __init__(self, drivers: Drivers | None = None) -> None:
        self._drivers = {**DRIVERS, **(drivers or {})}
        self._sockets = OpenSockets()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; the kernel's state stays as it is."""
        self._sockets.close()

    def observe(self, scopes: Mapping[AnyKind, Scope]) -> ObservedState:
        """Read the kernel, all but the counters; see `Kernel.observe`."""
        found = ObservedState()
        for kind, scope in scopes.items():
            found = self._drivers[kind.name].observe(self._sockets, scope, found)
        return found

    def perform(self, actions: Sequence[Action], progress: Progress | None = None) -> list[Outcome]:
        """Perform actions in their order; see `Kernel.perform`."""
        outcomes: list[Outcome] = []
        for name, group in groupby(actions, lambda action: BY_ACTION[type(action)].name):
            run = list(group)
            for start in range(0, len(run), ACTIONS_PER_STEP):
                outcomes += self._perform(name, run[start : start + ACTIONS_PER_STEP])
                if progress is not None:
                    progress(len(outcomes), len(actions))
        return outcomes

    def _perform(self, name: str, actions: Sequence[Action]) -> list[Outcome]:
        try:
            return self._drivers[name].perform(self._sockets, actions)
        except KernelError as fault:
            return all_failed(actions, fault)

    def check(self, actions: Sequence[Action]) -> None:
        """Find out whether actions could not be performed; see `Kernel.check`."""
        for action in actions:
            self._drivers[BY_ACTION[type(action)].name].check(self._sockets, action)

    def read_services(self) -> ServiceTable:
        """Return the IPVS table alone, without counters; empty when there is no IPVS.

        Raises:
            KernelError: it cannot be read.
        """
        try:
            return self._sockets.ipvs.read()[0]
        except NotSupported:
            return {}

    def glance(self) -> Glance:
        """Return what one or two system calls tell of the IPVS table, whatever its size.

        Raises:
            KernelError: IPVS cannot be opened.
        """
        try:
            return self._sockets.ipvs.glance()
        except NotSupported:
            return Glance(0, {})

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return the counters of the named services that exist."""
        return self._sockets.ipvs.read_counters(services)

    def count_clients(self, limit: int) -> dict[Address, int]:
        """Return how many connections each client has, among `limit` entries of the connection table.

        Raises:
            KernelError: the table cannot be read.
        """
        return count_clients(limit)
