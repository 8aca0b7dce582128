"""A kernel in memory, for planner and reconciler tests that need no privileges.

`tests/contract` runs the same tests on it and on a real kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from kernelbal.errors import KernelError
from kernelbal.model.address import AF_INET6, family_of, in_network
from kernelbal.model.ipvs import (
    CounterTable,
    DestinationCounters,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressKey, Link, ObservedAddress, Route
from kernelbal.model.nft import NftTable
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    EnsureLink,
    Outcome,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveLink,
    RemoveService,
    ReplaceAddress,
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
        )

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return copies of the counters."""
        return {key: dict(self.counters[key]) for key in services if key in self.counters}

    def perform(
        self, actions: Sequence[Action], progress: Callable[[int, int], None] | None = None
    ) -> list[Outcome]:
        """Perform actions as the kernel would, errno by errno."""
        outcomes: list[Outcome] = []
        for action in actions:
            error = self.refuse(action) or self._perform(action)
            self.performed.append(action)
            outcomes.append(_outcome(action, error))
            if progress is not None:
                progress(len(outcomes), len(actions))
        return outcomes

    def check_table(self, table: NftTable) -> None:
        """Refuse what `refuse` refuses."""
        error = self.refuse(ReplaceTable(self.nft, table))
        if error:
            raise KernelError("check nftables table", "inet kernelbal", error, "refused by the test")

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
            case AddAddress(key, attributes) | ReplaceAddress(key, _, attributes):
                if key.device not in self.links:
                    return errno.ENODEV
                if isinstance(action, AddAddress) and any(_excludes(held, key) for held in self.addresses):
                    return errno.EEXIST
                self.addresses[key] = ObservedAddress(key, attributes, ours=True)
            case RemoveAddress(key):
                return self._remove_address(key)
            case EnsureLink(link):
                mtu_bytes = link.mtu_bytes or 1500
                self.links[link.name] = Link(link.name, len(self.links) + 1, True, link.kind, mtu_bytes, "")
            case RemoveLink(name):
                return 0 if self.links.pop(name, None) else errno.ENODEV
            case WriteSysctl():
                if action.path not in self.sysctls:
                    return errno.ENOENT
                self.sysctls[action.path] = action.value
            case ReplaceTable():
                self.nft = None if action.table.empty else action.table
            case _:
                raise AssertionError(action)
        return 0

    def _remove_address(self, key: AddressKey) -> int:
        """The first IPv4 address of a subnet takes the others along, unless the sysctl says otherwise."""
        if key not in self.addresses:
            return errno.EADDRNOTAVAIL
        subnet = [held for held in self.addresses if _same_subnet(held, key)]
        gone = [key] if subnet[0] != key or self._promotes(key.device) else subnet
        for each in gone:
            del self.addresses[each]
        return 0

    def _promotes(self, device: str) -> bool:
        names = ("all", device)
        return any(self.sysctls.get(f"net/ipv4/conf/{name}/promote_secondaries") == "1" for name in names)

    def load(self, service: ServiceKey, active: int) -> None:
        """Give every destination of a service `active` connections."""
        for key in self.services[service].destinations:
            self.counters[service][key] = connections(active)


def _excludes(held: AddressKey, key: AddressKey) -> bool:
    """IPv6 knows an address of a device by itself, IPv4 by address and prefix."""
    same = held.device == key.device and held.address == key.address
    return same and (held.prefix == key.prefix or family_of(key.address) == AF_INET6)


def _same_subnet(one: AddressKey, other: AddressKey) -> bool:
    if family_of(other.address) == AF_INET6:
        return one == other
    return (
        one.device == other.device
        and one.prefix == other.prefix
        and in_network(one.address, other.address, other.prefix)
    )


def connections(active: int) -> DestinationCounters:
    """Return counters with `active` connections and nothing else."""
    return NO_CONNECTIONS._replace(active=active)


def _outcome(action: Action, error: int) -> Outcome:
    if not error:
        return Outcome(action, Result.DONE)
    removing = isinstance(
        action, RemoveService | RemoveDestination | QuiesceDestination | RemoveAddress | RemoveLink
    )
    gone = error in (errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV)
    adding = isinstance(action, AddService | AddDestination | AddAddress)
    if (removing and gone) or (adding and error == errno.EEXIST):
        return Outcome(action, Result.ALREADY, error)
    return Outcome(action, Result.FAILED, error, f"refused with errno {error}")
