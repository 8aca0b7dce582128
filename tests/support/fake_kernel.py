"""A kernel in memory, for planner and reconciler tests that need no privileges.

`tests/contract` runs the same tests on it and on a real kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from kernelbal.errors import KernelError
from kernelbal.kernel.interface import Glance
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.ipvs import (
    CounterTable,
    DestinationCounters,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressKey, Link, LinkState, ObservedAddress, Route
from kernelbal.model.nft import NftTable
from kernelbal.model.policy_route import Rule, TableRoutes
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddRoute,
    AddRule,
    AddService,
    EditDestination,
    EditService,
    EnsureLink,
    Outcome,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    RemoveService,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    Result,
    SetTimeouts,
    WriteSysctl,
)

NO_CONNECTIONS = DestinationCounters(0, 0, 0)
KERNEL_TIMEOUTS = Timeouts()


@dataclass(slots=True)
class FakeKernel:
    """IPVS, addresses, links, sysctls and our nftables table as plain values.

    Attributes:
        refuse: returns an errno for an action that shall fail, 0 for the others.
    """

    services: ServiceTable = field(default_factory=dict)
    counters: CounterTable = field(default_factory=dict)
    addresses: dict[AddressKey, ObservedAddress] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    nft: NftTable | None = None
    foreign_nft: tuple[str, ...] = ()
    timeouts: Timeouts = KERNEL_TIMEOUTS
    rules: set[Rule] = field(default_factory=set)
    table_routes: TableRoutes = field(default_factory=dict)
    clients: dict[Address, int] = field(default_factory=dict)
    refuse: Callable[[Action], int] = lambda _: 0
    performed: list[Action] = field(default_factory=list)

    def observe(
        self, sysctls: Collection[str] = (), services: Collection[ServiceKey] | None = None
    ) -> ObservedState:
        """Return copies: changing the fake later does not change what was observed."""
        names = self.services.keys() if services is None else services & self.services.keys()
        return ObservedState(
            services={
                key: VirtualServer(self.services[key].attributes, dict(self.services[key].destinations))
                for key in names
            },
            addresses=tuple(self.addresses.values()),
            links=tuple(self.links.values()),
            routes=self.routes,
            sysctls={path: self.sysctls.get(path) for path in sysctls},
            nft=self.nft,
            foreign_nft=self.foreign_nft,
            timeouts=self.timeouts,
            connection_table_size=4096,
            rules=frozenset(self.rules),
            table_routes=dict(self.table_routes),
        )

    def read_services(self) -> ServiceTable:
        """Return a copy of the IPVS table."""
        return self.observe().services

    def glance(self) -> Glance:
        """Return the counts; as the kernel does, of IPv4 services only."""
        counts = {k: len(s.destinations) for k, s in self.services.items() if k.family == AF_INET}
        return Glance(len(counts), counts)

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return copies of the counters."""
        return {key: dict(self.counters[key]) for key in services if key in self.counters}

    def count_clients(self, limit: int) -> dict[Address, int]:
        """Return what the test gave; it is never too much."""
        return dict(self.clients)

    def perform(
        self, actions: Sequence[Action], progress: Callable[[int, int], None] | None = None
    ) -> list[Outcome]:
        """Perform actions as the kernel would, errno by errno."""
        outcomes: list[Outcome] = []
        for action in actions:
            already = self._is_so(action)
            error = self.refuse(action) or self._perform(action)
            self.performed.append(action)
            outcomes.append(_outcome(action, error, already))
            if progress is not None:
                progress(len(outcomes), len(actions))
        return outcomes

    def check_table(self, table: NftTable) -> None:
        """Refuse what `refuse` refuses."""
        error = self.refuse(ReplaceTable(self.nft, table))
        if error:
            raise KernelError("check nftables table", "inet kernelbal", error, "refused by the test")

    def _is_so(self, action: Action) -> bool:
        """Return whether an address, a link or a sysctl is already as the action would leave it."""
        match action:
            case AddAddress(key, attributes):
                return key in self.addresses and self.addresses[key].attributes == attributes
            case EnsureLink(wanted):
                link = self.links.get(wanted.name)
                return link is not None and link.up and wanted.mtu_bytes in (0, link.mtu_bytes)
            case WriteSysctl(path, _, value):
                return self.sysctls.get(path) == value
            case _:
                return False

    def _perform(self, action: Action) -> int:
        match action:
            case AddService(key, attributes):
                if key in self.services:
                    return errno.EEXIST
                self.services[key] = VirtualServer(attributes)
                self.counters[key] = {}
            case EditService() | RemoveService():
                return self._service(action)
            case AddDestination() | EditDestination() | QuiesceDestination() | RemoveDestination():
                return self._destination(action)
            case SetTimeouts():
                self.timeouts = action.timeouts
            case _:
                return self._network(action)
        return 0

    def _service(self, action: EditService | RemoveService) -> int:
        server = self.services.get(action.key)
        if server is None:
            return errno.ESRCH
        if isinstance(action, EditService):
            server.attributes = action.attributes
        else:
            del self.services[action.key]
            self.counters.pop(action.key, None)
        return 0

    def _destination(
        self, action: AddDestination | EditDestination | QuiesceDestination | RemoveDestination
    ) -> int:
        server = self.services.get(action.service)
        if server is None:
            return errno.ESRCH
        exists = action.key in server.destinations
        if isinstance(action, AddDestination) is exists:
            return errno.EEXIST if exists else errno.ENOENT
        counters = self.counters.setdefault(action.service, {})
        if isinstance(action, RemoveDestination):
            del server.destinations[action.key]
            counters.pop(action.key, None)
            return 0
        counters.setdefault(action.key, NO_CONNECTIONS)
        if isinstance(action, QuiesceDestination):
            server.destinations[action.key] = action.old._replace(weight=0)
        else:
            server.destinations[action.key] = action.attributes
        return 0

    def _network(self, action: Action) -> int:
        match action:
            case AddAddress() | ReplaceAddress():
                return self._put_address(action)
            case RemoveAddress(key):
                return 0 if self.addresses.pop(key, None) else errno.EADDRNOTAVAIL
            case EnsureLink(link):
                return self._ensure_link(link)
            case RemoveLink(name):
                return 0 if self.links.pop(name, None) else errno.ENODEV
            case WriteSysctl():
                if action.path not in self.sysctls:
                    return errno.ENOENT
                self.sysctls[action.path] = action.value
            case ReplaceTable():
                self.nft = None if action.table.empty else action.table
            case _:
                return self._routing(action)
        return 0

    def _routing(self, action: Action) -> int:
        match action:
            case AddRule(rule):
                if rule in self.rules:
                    return errno.EEXIST
                self.rules.add(rule)
            case RemoveRule(rule):
                if rule not in self.rules:
                    return errno.ENOENT
                self.rules.remove(rule)
            case AddRoute() | ReplaceRoute():
                if action.hop.device not in self.links:
                    return errno.ENODEV
                if isinstance(action, AddRoute) and action.key in self.table_routes:
                    return errno.EEXIST
                self.table_routes[action.key] = action.hop
            case RemoveRoute(key):
                return 0 if self.table_routes.pop(key, None) else errno.ESRCH
            case _:
                raise AssertionError(action)
        return 0

    def _put_address(self, action: AddAddress | ReplaceAddress) -> int:
        key = action.key
        if key.device not in self.links:
            return errno.ENODEV
        if isinstance(action, AddAddress) and any(_excludes(held, key) for held in self.addresses):
            return errno.EEXIST
        unmarked = isinstance(action, AddAddress) and not action.mark
        self.addresses[key] = ObservedAddress(key, action.attributes, ours=not unmarked)
        return 0

    def _ensure_link(self, link: LinkState) -> int:
        if link.name not in self.links and not link.kind:
            return errno.ENODEV
        mtu_bytes = link.mtu_bytes or 1500
        self.links[link.name] = Link(link.name, len(self.links) + 1, True, link.kind, mtu_bytes, "")
        return 0

    def load(self, service: ServiceKey, active: int) -> None:
        """Give every destination of a service `active` connections."""
        for key in self.services[service].destinations:
            self.counters[service][key] = connections(active)


def _excludes(held: AddressKey, key: AddressKey) -> bool:
    """IPv6 knows an address of a device by itself, IPv4 by address and prefix."""
    same = held.device == key.device and held.address == key.address
    return same and (held.prefix == key.prefix or family_of(key.address) == AF_INET6)


def connections(active: int) -> DestinationCounters:
    """Return counters with `active` connections and nothing else."""
    return NO_CONNECTIONS._replace(active=active)


_GONE = (errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV)


def _outcome(action: Action, error: int, already: bool) -> Outcome:
    """An IPVS entry that is there is as good as added; an address only with the same attributes."""
    if not error or (already and error == errno.EEXIST):
        return Outcome(action, Result.ALREADY if already else Result.DONE)
    removing = isinstance(
        action,
        RemoveService
        | RemoveDestination
        | QuiesceDestination
        | RemoveAddress
        | RemoveLink
        | RemoveRule
        | RemoveRoute,
    )
    adding = isinstance(action, AddService | AddDestination | AddRule)
    if (removing and error in _GONE) or (adding and error == errno.EEXIST):
        return Outcome(action, Result.ALREADY, error)
    return Outcome(action, Result.FAILED, error, f"refused with errno {error}")
