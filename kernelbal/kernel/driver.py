"""What a driver of one kind of kernel object is; `kernelbal.kernel.linux` has the table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kernelbal.plan.action import Action, Outcome
from kernelbal.plan.kind import ObservedState, Scope

if TYPE_CHECKING:
    from kernelbal.kernel.ipvs.table import IpvsTable
    from kernelbal.kernel.nftables import Nftables
    from kernelbal.kernel.rtnetlink import RtNetlink


class Sockets(Protocol):
    """What drivers share; `kernelbal.kernel.sockets.OpenSockets` opens each when it is first needed."""

    @property
    def ipvs(self) -> IpvsTable:
        """The IPVS table; raises NotSupported when the kernel has none."""
        ...

    @property
    def rtnetlink(self) -> RtNetlink:
        """The rtnetlink socket; raises KernelError when the kernel refuses it."""
        ...

    @property
    def nftables(self) -> Nftables:
        """The nftables library; raises NotSupported when it is not installed."""
        ...


def nothing_to_check(sockets: Sockets, action: Action) -> None:
    """Take it that what can be asked can be done."""


class Driver(NamedTuple):
    """How objects of one kind are read and changed.

    Attributes:
        observe: returns what was read so far with the objects of the scope (None: all); raises KernelError.
        perform: carries out actions of the kind in their order; one that fails does not stop the others.
            Returns one outcome per action, in the same order.
        check: raises KernelError when an action could not be performed, without performing it.
    """

    observe: Callable[[Sockets, Scope, ObservedState], ObservedState]
    perform: Callable[[Sockets, Sequence[Any]], list[Outcome]]
    check: Callable[[Sockets, Any], None] = nothing_to_check
