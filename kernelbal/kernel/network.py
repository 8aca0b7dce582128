"""Every driver but IPVS: links, routes, addresses, sysctls and our nftables table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby

from kernelbal.errors import KernelError
from kernelbal.kernel.addresses import observe_addresses, perform_addresses
from kernelbal.kernel.fou import perform_listeners
from kernelbal.kernel.links import observe_links, perform_links
from kernelbal.kernel.nftables import Nftables, perform_tables
from kernelbal.kernel.policy_routing import observe_routing, perform_routing
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.sysctl import perform_sysctls, read_sysctls
from kernelbal.model.nft import NftTable
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddRoute,
    AddRule,
    CloseListener,
    EnsureLink,
    OpenListener,
    Outcome,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    Result,
    WriteSysctl,
)


class NetworkDrivers:
    """Sockets and libraries are opened when first needed, in the network namespace of that moment."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._rtnetlink: RtNetlink | None = None
        self._nftables: Nftables | None = None

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()
        self._rtnetlink = None
        self._nftables = None

    @property
    def rtnetlink(self) -> RtNetlink:
        """The rtnetlink socket.

        Raises:
            KernelError: the kernel refuses it.
        """
        if self._rtnetlink is None:
            self._rtnetlink = self._stack.enter_context(RtNetlink.open())
        return self._rtnetlink

    @property
    def nftables(self) -> Nftables:
        """The nftables library.

        Raises:
            NotSupported: it is not installed.
        """
        if self._nftables is None:
            self._nftables = Nftables.open()
        return self._nftables

    def observe(self, sysctls: Collection[str], state: ObservedState) -> ObservedState:
        """Return `state` with everything that these drivers read.

        Raises:
            KernelError: something cannot be read.
        """
        links = observe_links(self.rtnetlink)
        routing = observe_routing(self.rtnetlink, links)
        return replace(
            state,
            links=links,
            addresses=observe_addresses(self.rtnetlink, links),
            routes=routing.main,
            rules=routing.rules,
            table_routes=routing.routes,
            sysctls=read_sysctls(sysctls),
            nft=self.nftables.observe(),
            foreign_nft=self.nftables.foreign_tables(),
        )

    def perform(self, actions: Sequence[Action]) -> list[Outcome]:
        """Perform actions in their order; one that fails does not stop the others."""
        outcomes: list[Outcome] = []
        for kind, group in groupby(actions, _driver_of):
            outcomes.extend(self._perform(kind, list(group)))
        return outcomes

    def _perform(self, kind: str, actions: list[Action]) -> list[Outcome]:
        try:
            match kind:
                case "address":
                    return perform_addresses(
                        self.rtnetlink,
                        [a for a in actions if isinstance(a, AddAddress | ReplaceAddress | RemoveAddress)],
                    )
                case "link":
                    return perform_links(
                        self.rtnetlink, [a for a in actions if isinstance(a, EnsureLink | RemoveLink)]
                    )
                case "listener":
                    return perform_listeners(
                        [a for a in actions if isinstance(a, OpenListener | CloseListener)]
                    )
                case "routing":
                    kinds = AddRule | RemoveRule | AddRoute | ReplaceRoute | RemoveRoute
                    return perform_routing(self.rtnetlink, [a for a in actions if isinstance(a, kinds)])
                case "table":
                    return perform_tables(self.nftables, [a for a in actions if isinstance(a, ReplaceTable)])
                case _:
                    return perform_sysctls([a for a in actions if isinstance(a, WriteSysctl)])
        except KernelError as error:
            return [Outcome(a, Result.FAILED, error.errno, error.message, error.hint or "") for a in actions]

    def check_table(self, table: NftTable) -> None:
        """Let the kernel check an nftables transaction without committing it.

        Raises:
            KernelError: it would be refused.
        """
        self.nftables.check(table)


def _driver_of(action: Action) -> str:
    match action:
        case AddAddress() | ReplaceAddress() | RemoveAddress():
            return "address"
        case EnsureLink() | RemoveLink():
            return "link"
        case OpenListener() | CloseListener():
            return "listener"
        case ReplaceTable():
            return "table"
        case AddRule() | RemoveRule() | AddRoute() | ReplaceRoute() | RemoveRoute():
            return "routing"
        case WriteSysctl():
            return "sysctl"
        case _:
            raise AssertionError(action)
