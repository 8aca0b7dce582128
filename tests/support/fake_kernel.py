"""A kernel in memory, for planner and reconciler tests that need no privileges.

`tests/contract` runs the same tests on it and on a real kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernelbal.errors import KernelError
from kernelbal.kernel.interface import Glance
from kernelbal.kernel.refusals import refused
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
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.policy_route import Rule, TableRoutes
from kernelbal.plan.action import Action, Effect, Outcome, Result
from kernelbal.plan.kind import AnyKind, KeyedKind, ObservedState, Scope
from kernelbal.plan.kinds import BY_ACTION
from kernelbal.plan.kinds.addresses import (
    ADDRESSES,
    PROMOTIONS,
    AddAddress,
    RemoveAddress,
    ReplaceAddress,
)
from kernelbal.plan.kinds.files import FILES, RemoveFile, WriteFile
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.routing import (
    ROUTING,
    AddRoute,
    AddRule,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    Routing,
)
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    DestinationAction,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from kernelbal.plan.kinds.services import IPVS, SERVICES, IpvsInfo
from kernelbal.plan.kinds.sysctls import ROUTES, SYSCTLS, WriteSysctl
from kernelbal.plan.kinds.tables import FOREIGN_TABLES, TABLES, ReplaceTable
from kernelbal.plan.kinds.timeouts import TIMEOUTS, SetTimeouts

NO_CONNECTIONS = DestinationCounters(0, 0, 0)
KERNEL_TIMEOUTS = Timeouts()


def _nothing(_: Action) -> int:
    return 0


@dataclass(slots=True)
class FakeKernel:
    """Everything that there is a kind of as plain values.

    Attributes:
        objects: attributes by key of kinds that are no more than that, by the kind's name.
        files: text by path.
        refuse: returns an errno for an action that shall fail, 0 for the others.
        forbid: the same, for what `check` shall find.
    """

    services: ServiceTable = field(default_factory=dict)
    counters: CounterTable = field(default_factory=dict)
    addresses: dict[AddressKey, ObservedAddress] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    tables: dict[str, NftTable] = field(default_factory=dict)
    foreign_tables: tuple[str, ...] = ()
    timeouts: Timeouts = KERNEL_TIMEOUTS
    rules: set[Rule] = field(default_factory=set)
    table_routes: TableRoutes = field(default_factory=dict)
    clients: dict[Address, int] = field(default_factory=dict)
    objects: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    refuse: Callable[[Action], int] = _nothing
    forbid: Callable[[Action], int] = _nothing
    performed: list[Action] = field(default_factory=list)

    @property
    def nft(self) -> NftTable | None:
        """A director's table."""
        return self.tables.get(EMPTY_TABLE.title)

    def observe(self, scopes: Mapping[AnyKind, Scope]) -> ObservedState:
        """Return copies: changing the fake later does not change what was observed."""
        state = ObservedState()
        for kind, scope in scopes.items():
            if isinstance(kind, KeyedKind):
                state = state.having(kind, dict(self.objects.get(kind.name, {})))
            else:
                state = self._observe(kind.name, scope, state)
        return state

    def _observe(self, name: str, scope: Scope, state: ObservedState) -> ObservedState:
        if name == SERVICES.name:
            return state.having(SERVICES, self._services(scope)).having(IPVS, IpvsInfo(True, 4096))
        if name == TIMEOUTS.name:
            return state.having(TIMEOUTS, self.timeouts)
        if name == ADDRESSES.name:
            promotions = {path: value for path, value in self.sysctls.items() if "promote" in path}
            return state.having(ADDRESSES, tuple(self.addresses.values())).having(PROMOTIONS, promotions)
        if name == LINKS.name:
            return state.having(LINKS, tuple(self.links.values()))
        if name == SYSCTLS.name:
            return state.having(SYSCTLS, {path: self.sysctls.get(path) for path in scope or ()})
        if name == TABLES.name:
            ours = {each.title for each in scope or ()}
            found = {title: table for title, table in self.tables.items() if title in ours}
            return state.having(TABLES, found).having(FOREIGN_TABLES, self.foreign_tables if ours else ())
        if name == ROUTING.name:
            routing = Routing(frozenset(self.rules), dict(self.table_routes))
            return state.having(ROUTES, self.routes).having(ROUTING, routing)
        return state.having(FILES, {path: self.files.get(path) for path in scope or ()})

    def _services(self, scope: Scope) -> ServiceTable:
        names = self.services.keys() if scope is None else scope & self.services.keys()
        return {
            key: VirtualServer(self.services[key].attributes, dict(self.services[key].destinations))
            for key in names
        }

    def read_services(self) -> ServiceTable:
        """Return a copy of the IPVS table."""
        return self._services(None)

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

    def check(self, actions: Sequence[Action]) -> None:
        """Refuse what `forbid` forbids."""
        for action in actions:
            number = self.forbid(action)
            if number:
                raise KernelError("check", action.text({}), number, "refused by the test")

    def close(self) -> None:
        """There is nothing to close."""

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
        kind = BY_ACTION[type(action)]
        if isinstance(kind, KeyedKind):
            return self._perform_keyed(kind, action)
        return _PERFORM[kind.name](self, action)

    def _perform_keyed(self, kind: KeyedKind[Any, Any], action: Action) -> int:
        objects = self.objects.setdefault(kind.name, {})
        if kind.effect(action) is Effect.REMOVE:
            return 0 if objects.pop(action.key, self) is not self else errno.ENOENT
        if (action.key in objects) is (kind.effect(action) is Effect.ADD):
            return errno.EEXIST if action.key in objects else errno.ENOENT
        objects[action.key] = getattr(action, "attributes", None)
        return 0

    def _service(self, action: Any) -> int:  # noqa: ANN401 - one of the kind's
        if isinstance(action, AddService):
            if action.key in self.services:
                return errno.EEXIST
            self.services[action.key] = VirtualServer(action.attributes)
            self.counters[action.key] = {}
            return 0
        if not isinstance(action, EditService | RemoveService):
            return self._destination(action)
        server = self.services.get(action.key)
        if server is None:
            return errno.ESRCH
        if isinstance(action, EditService):
            server.attributes = action.attributes
        else:
            del self.services[action.key]
            self.counters.pop(action.key, None)
        return 0

    def _destination(self, action: DestinationAction) -> int:
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

    def _set_timeouts(self, action: SetTimeouts) -> int:
        self.timeouts = action.timeouts
        return 0

    def _address(self, action: AddAddress | ReplaceAddress | RemoveAddress) -> int:
        key = action.key
        if isinstance(action, RemoveAddress):
            return 0 if self.addresses.pop(key, None) else errno.EADDRNOTAVAIL
        if key.device not in self.links:
            return errno.ENODEV
        if isinstance(action, AddAddress) and any(_excludes(held, key) for held in self.addresses):
            return errno.EEXIST
        unmarked = isinstance(action, AddAddress) and not action.mark
        self.addresses[key] = ObservedAddress(key, action.attributes, ours=not unmarked)
        return 0

    def _link(self, action: EnsureLink | RemoveLink) -> int:
        if isinstance(action, RemoveLink):
            return 0 if self.links.pop(action.name, None) else errno.ENODEV
        return self._ensure_link(action.link)

    def _ensure_link(self, link: LinkState) -> int:
        if link.name not in self.links and not link.kind:
            return errno.ENODEV
        mtu_bytes = link.mtu_bytes or 1500
        self.links[link.name] = Link(link.name, len(self.links) + 1, True, link.kind, mtu_bytes, "")
        return 0

    def _sysctl(self, action: WriteSysctl) -> int:
        if action.path not in self.sysctls:
            return errno.ENOENT
        self.sysctls[action.path] = action.value
        return 0

    def _table(self, action: ReplaceTable) -> int:
        self.tables.pop(action.key, None)
        if not action.table.empty:
            self.tables[action.key] = action.table
        return 0

    def _route(self, action: Any) -> int:  # noqa: ANN401 - one of the kind's
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

    def _file(self, action: WriteFile | RemoveFile) -> int:
        contents = action.contents if isinstance(action, WriteFile) else action.before
        self.files.pop(action.key, None)
        if contents is not None:
            self.files[action.key] = contents
        return 0

    def load(self, service: ServiceKey, active: int) -> None:
        """Give every destination of a service `active` connections."""
        for key in self.services[service].destinations:
            self.counters[service][key] = connections(active)


_PERFORM: Mapping[str, Callable[[FakeKernel, Any], int]] = {
    SERVICES.name: FakeKernel._service,
    TIMEOUTS.name: FakeKernel._set_timeouts,
    ADDRESSES.name: FakeKernel._address,
    LINKS.name: FakeKernel._link,
    SYSCTLS.name: FakeKernel._sysctl,
    TABLES.name: FakeKernel._table,
    ROUTING.name: FakeKernel._route,
    FILES.name: FakeKernel._file,
}


def _excludes(held: AddressKey, key: AddressKey) -> bool:
    """IPv6 knows an address of a device by itself, IPv4 by address and prefix."""
    same = held.device == key.device and held.address == key.address
    return same and (held.prefix == key.prefix or family_of(key.address) == AF_INET6)


def connections(active: int) -> DestinationCounters:
    """Return counters with `active` connections and nothing else."""
    return NO_CONNECTIONS._replace(active=active)


def _outcome(action: Action, error: int, already: bool) -> Outcome:
    """An address that is there is as good as added only with the same attributes."""
    if not error or (already and error == errno.EEXIST):
        return Outcome(action, Result.ALREADY if already else Result.DONE)
    return refused(action, error)
