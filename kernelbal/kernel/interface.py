"""What the reconciler needs of a kernel; `LinuxKernel` and the tests' `FakeKernel` both are one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from kernelbal.model.ipvs import CounterTable, ServiceKey, ServiceTable
from kernelbal.plan.action import Action, Outcome
from kernelbal.plan.kind import AnyKind, ObservedState, Scope

Progress = Callable[[int, int], None]
"""Called with the number of actions done and the number of all."""


class Glance(NamedTuple):
    """What can be learned of the IPVS table at a price that does not depend on its real servers.

    Attributes:
        services: how many IPv4 services there are; None when the kernel does not say. It counts no others.
        destinations: how many real servers each service has, for those of which the kernel tells it (IPv4).
    """

    services: int | None
    destinations: dict[ServiceKey, int]


class Kernel(Protocol):
    """A kernel that can be read and changed."""

    def observe(self, scopes: Mapping[AnyKind, Scope]) -> ObservedState:
        """Read the kernel, all but the counters.

        Args:
            scopes: the kinds to read, in their order, each with the objects to read; None: all.

        Raises:
            KernelError: the kernel cannot be read, such as without CAP_NET_ADMIN.
        """
        ...

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return the counters of the named services that exist; it takes longer than reading what is set.

        Raises:
            KernelError: the kernel cannot be read.
        """
        ...

    def perform(self, actions: Sequence[Action], progress: Progress | None = None) -> list[Outcome]:
        """Perform actions in their order; one that fails does not stop the others.

        Returns:
            One outcome per action, in the same order.
        """
        ...

    def read_services(self) -> ServiceTable:
        """Return the IPVS table alone, without counters; empty when there is no IPVS.

        Raises:
            KernelError: it cannot be read.
        """
        ...

    def glance(self) -> Glance:
        """Return what can be learned of the IPVS table very cheaply.

        Raises:
            KernelError: it cannot be read.
        """
        ...

    def check(self, actions: Sequence[Action]) -> None:
        """Find out whether actions could not be performed, as far as the kernel tells without doing them.

        Raises:
            KernelError: one would be refused; the message says why.
        """
        ...
