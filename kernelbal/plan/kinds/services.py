"""IPVS services with their real servers.

They are one kind: a real server has no identity outside its service, and removing a service removes it.
A real server that leaves may keep its connections for a while (`plan.drain`).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, cast

from kernelbal.model.ipvs import (
    CounterTable,
    DestinationAttributes,
    DestinationKey,
    Drain,
    DrainKey,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    ServicePolicy,
    ServiceTable,
    VirtualServer,
)
from kernelbal.model.units import counted
from kernelbal.plan.action import Action, ObjectId, Phase
from kernelbal.plan.drain import NO_CONNECTIONS, Drainer, Leave, open_connections, with_fallback
from kernelbal.plan.kind import (
    DEFAULT_OPTIONS,
    KernelReading,
    Note,
    ObjectKind,
    ObservedState,
    Ownership,
    Planning,
    Scope,
)
from kernelbal.plan.kinds.service_actions import (
    SERVICE_ROWS,
    AddDestination,
    AddService,
    DestinationAction,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    ServiceAction,
)
from kernelbal.plan.planning import Plan

FULL_READ_SHARE: Final = 0.1
"""Above this share of touched services a full read costs less than reading them one by one."""


NO_SERVICES: ServiceTable = {}


@dataclass(frozen=True, slots=True)
class DesiredServices:
    """IPVS services, and what the planner must know about each beside its kernel attributes."""

    table: ServiceTable = field(default_factory=dict)
    policies: Mapping[ServiceKey, ServicePolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnedServices:
    """What is ours of the IPVS table.

    Attributes:
        keys: services.
        drains: real servers that are on their way out.
        drain_s: how long connections of a service may go on when it is removed, in seconds; where it is not
            the usual time.
    """

    keys: frozenset[ServiceKey] = frozenset()
    drains: Mapping[DrainKey, Drain] = field(default_factory=dict)
    drain_s: Mapping[ServiceKey, float] = field(default_factory=dict)


class IpvsInfo(NamedTuple):
    """What the kernel says of IPVS as a whole.

    Attributes:
        available: False when the running kernel has no IPVS (yet).
        connection_buckets: size of the connection hash table; 0 when IPVS is not loaded.
    """

    available: bool = True
    connection_buckets: int = 0


IPVS = KernelReading("ipvs", IpvsInfo())
NO_COUNTERS: CounterTable = {}
COUNTERS = KernelReading("counters", NO_COUNTERS)
"""Read for the services that a plan depends on."""


class Services(ObjectKind[DesiredServices, ServiceTable, OwnedServices]):
    """The IPVS table.

    Args:
        only: the services that are looked at, and nothing else; None: all.
    """

    title = "IPVS service"
    notes_foreign = prints_foreign = True
    rows = SERVICE_ROWS

    def __init__(self, only: Collection[ServiceKey] | None = None) -> None:
        super().__init__(
            "services", DesiredServices(), NO_SERVICES, OwnedServices(), DesiredServices, OwnedServices
        )
        self._only = only

    def scope(self, desired: DesiredServices, owned: OwnedServices) -> Scope:
        """Return what is looked at."""
        return self._only

    # -- planning ------------------------------------------------------------------------------------------

    def counted(
        self, desired: DesiredServices, observed: ServiceTable, owned: OwnedServices
    ) -> tuple[ServiceKey, ...]:
        """Return those that lose or change a real server."""
        table = desired.table
        return tuple(
            key
            for key, have in observed.items()
            if have.destinations
            and (have.destinations != table[key].destinations if key in table else key in owned.keys)
        )

    def diff(self, planning: Planning) -> None:
        """Put the actions for services and their real servers, and the drains that are under way."""
        desired, observed, owned = planning.parts(self)
        step = _Step(self, planning, desired, owned)
        for key, server in desired.table.items():
            have = observed.get(key)
            if have is None:
                step.add(key, server)
            elif server.attributes != have.attributes or server.destinations != have.destinations:
                step.edit(key, server, have)
        for key, have in observed.items():
            if key in desired.table:
                continue
            if key in owned.keys:
                step.remove(key, have)
            else:
                planning.note(Note.FOREIGN, self, key)
        found = [key for key in desired.table if key in observed and key not in owned.keys]
        unproven = _unproven(planning) if planning.ownership.lost else frozenset()
        planning.note(Note.ADOPTED, self, *(key for key in found if key not in unproven))
        planning.note(Note.FOREIGN, self, *(key for key in found if key in unproven))

    def object_of(self, action: Action) -> ObjectId:
        """Return the service, or the real server in it."""
        if isinstance(action, AddService | EditService | RemoveService):
            return ObjectId(self.name, action.key)
        there = cast("DestinationAction", action)
        return ObjectId(self.name, DrainKey(there.service, there.key))

    def needs(self, action: Action) -> tuple[ObjectId, ...]:
        """A real server needs its service."""
        return (ObjectId(self.name, action.service),) if isinstance(action, AddDestination) else ()

    def reread(self, scope: Scope, before: ServiceTable, actions: Sequence[Action]) -> Scope:
        """Return the services that actions touched, unless they are many."""
        touched = {service_of(action) for action in actions}
        return scope if len(touched) > len(before) * FULL_READ_SHARE else touched

    def spliced(self, before: ServiceTable, scope: Scope, newer: ServiceTable) -> ServiceTable:
        """Take the services that were not read again from before."""
        if scope is None:
            return newer
        return {key: server for key, server in before.items() if key not in scope} | newer

    # -- the record ----------------------------------------------------------------------------------------

    def claim(self, owned: OwnedServices, actions: Sequence[Action], planning: Planning) -> OwnedServices:
        """Claim all desired services, also those that were there; remember how those that leave drain.

        With a record that is lost, a service that was there is claimed once it is as desired.
        """
        desired, observed, _ = planning.parts(self)
        unproven = _unproven(planning) if planning.ownership.lost else frozenset()
        usual = DEFAULT_OPTIONS.default_drain_s
        gone = {
            key: drain_s
            for key, drain_s in owned.drain_s.items()
            if key in observed and key not in desired.table
        }
        own = {key: each.drain_s for key, each in desired.policies.items() if each.drain_s != usual}
        return OwnedServices(
            (owned.keys & observed.keys()) | (desired.table.keys() - unproven),
            dict(planning.drains),
            gone | own,
        )

    def settle(self, owned: OwnedServices, done: Sequence[Action], desired: DesiredServices) -> OwnedServices:
        """Forget the services that were removed."""
        gone = {action.key for action in done if isinstance(action, RemoveService)}
        if not gone:
            return owned
        drain_s = {key: each for key, each in owned.drain_s.items() if key not in gone}
        return OwnedServices(owned.keys - gone, owned.drains, drain_s)

    def kept(self, observed: ObservedState, owned: OwnedServices) -> DesiredServices:
        """Return the services that are ours; real servers that are draining go on draining."""
        table = observed.of(self)
        return DesiredServices({k: _staying(k, each, owned) for k, each in table.items() if k in owned.keys})

    # -- objects -------------------------------------------------------------------------------------------

    def value(self, observed: ServiceTable, key: Hashable) -> object:
        """Return the attributes of a service or of a real server."""
        if not isinstance(key, DrainKey):
            found = observed.get(cast("ServiceKey", key))
            return found and found.attributes
        service = observed.get(key.service)
        return service and service.destinations.get(key.destination)

    def impact(self, action: Action, observed: ObservedState) -> str:
        """Judge by the counters."""
        return _impact(cast("ServiceAction | DestinationAction", action), observed.of(COUNTERS))


SERVICES = Services()


def service_of(action: Action) -> ServiceKey:
    """Return the service that an action of this kind is about."""
    if isinstance(action, AddService | EditService | RemoveService):
        return action.key
    return cast("DestinationAction", action).service


def adopted_services(plan: Plan) -> tuple[ServiceKey, ...]:
    """Return the services that were there already and become ours with a plan."""
    return cast("tuple[ServiceKey, ...]", plan.noted(Note.ADOPTED).get(SERVICES.name, ()))


def adopt(ownership: Ownership, keys: Collection[ServiceKey]) -> Ownership:
    """Return the record with services of others as ours."""
    owned = ownership.of(SERVICES)
    return ownership.having(SERVICES, replace(owned, keys=owned.keys.union(keys)))


def disown(ownership: Ownership, keys: Collection[ServiceKey]) -> Ownership:
    """Return the record without services: they are given back to whoever made them."""
    owned = ownership.of(SERVICES)
    return ownership.having(SERVICES, replace(owned, keys=owned.keys.difference(keys)))


def _unproven(planning: Planning) -> frozenset[ServiceKey]:
    """Return the desired services that are there, are not as desired, and not known to be ours."""
    desired, observed, owned = planning.parts(SERVICES)
    return frozenset(
        key
        for key, server in desired.table.items()
        if key in observed and key not in owned.keys and observed[key] != server
    )


def _staying(key: ServiceKey, server: VirtualServer, owned: OwnedServices) -> VirtualServer:
    staying = {
        name: attributes
        for name, attributes in server.destinations.items()
        if DrainKey(key, name) not in owned.drains
    }
    return VirtualServer(server.attributes, staying)


class _Step:
    """Puts the actions of one service after the other."""

    def __init__(
        self, kind: Services, planning: Planning, desired: DesiredServices, owned: OwnedServices
    ) -> None:
        counters = planning.observed.of(COUNTERS)
        self._kind = kind
        self._planning = planning
        self._policies = desired.policies
        self._owned = owned
        self._drainer = Drainer(
            counters, owned.drains, planning.now, planning.options.cut, planning.drains, planning.pending
        )

    def _put(self, action: Action, phase: Phase | None = None) -> None:
        self._planning.put(self._kind, action, phase)

    def add(self, key: ServiceKey, server: VirtualServer) -> None:
        self._put(AddService(key, server.attributes))
        adding = [AddDestination(key, name, attributes) for name, attributes in server.destinations.items()]
        self._planning.put_all(self._kind, adding, Phase.DESTINATIONS)

    def edit(self, key: ServiceKey, server: VirtualServer, have: VirtualServer) -> None:
        draining = self._let_go(key, server, have)
        self._edit_attributes(key, server.attributes, have.attributes, draining)
        for name, attributes in server.destinations.items():
            old = have.destinations.get(name)
            if old is None:
                self._put(AddDestination(key, name, attributes))
            elif old != attributes:
                # Those that stop taking connections wait for those that start to: no moment without any.
                phase = None if attributes.weight else Phase.QUIESCE
                self._put(EditDestination(key, name, old, attributes), phase)

    def _edit_attributes(
        self, key: ServiceKey, desired: ServiceAttributes, have: ServiceAttributes, draining: bool
    ) -> None:
        """Hashes without fallback refuse the clients of a quiesced real server: it is set for a drain."""
        attributes = with_fallback(desired) if draining else desired
        if attributes != have:
            late = not draining and have == with_fallback(desired)
            self._put(EditService(key, have, attributes), Phase.REMOVE_SERVICES if late else None)

    def _let_go(self, key: ServiceKey, server: VirtualServer, have: VirtualServer) -> bool:
        """Send away the real servers that are not desired; return whether any is there after this round."""
        leaving = [name for name in have.destinations if name not in server.destinations]
        if not leaving:
            return False
        if self._planning.ownership.lost and key not in self._owned.keys:
            return self._quiesce_unproven(key, leaving, have)
        default = ServicePolicy("", self._planning.options.default_drain_s)
        policy = self._policies.get(key, default)
        cut_at = dict(policy.cut_at)
        for name in leaving:
            drain_s, until = policy.drain_s, cut_at.get(name)
            leave = self._drainer.leave(DrainKey(key, name), have.destinations[name], drain_s, until)
            self._put_leave(key, name, have.destinations[name], leave)
        return any(DrainKey(key, name) in self._planning.drains for name in leaving)

    def _quiesce_unproven(
        self, key: ServiceKey, names: Sequence[DestinationKey], have: VirtualServer
    ) -> bool:
        """Others may have added them: they get no new connections, and nobody removes them."""
        for name in names:
            old = have.destinations[name]
            if old.weight:
                self._put(EditDestination(key, name, old, old._replace(weight=0)), Phase.QUIESCE)
        return True

    def _put_leave(
        self, key: ServiceKey, name: DestinationKey, old: DestinationAttributes, leave: Leave | None
    ) -> None:
        if leave is None:
            return
        self._put(
            QuiesceDestination(key, name, old, leave.drain_s)
            if leave.quiesce
            else RemoveDestination(key, name)
        )

    def remove(self, key: ServiceKey, have: VirtualServer) -> None:
        """A service goes when the last of its real servers may; removing it removes them."""
        drain_s = self._owned.drain_s.get(key, self._planning.options.default_drain_s)
        leaving = {
            name: self._drainer.leave(DrainKey(key, name), attributes, drain_s)
            for name, attributes in have.destinations.items()
        }
        if all(leave is not None and not leave.quiesce for leave in leaving.values()):
            self._put(RemoveService(key))
            return
        # Left in, a real server without connections would get new ones while the others drain.
        for name, leave in leaving.items():
            self._put_leave(key, name, have.destinations[name], leave)


def _impact(action: ServiceAction | DestinationAction, counters: CounterTable) -> str:
    match action:
        case RemoveDestination(service, key):
            return _cut(open_connections(service, counters.get(service, {}).get(key, NO_CONNECTIONS)))
        case RemoveService(key):
            return _cut(sum(open_connections(key, each) for each in counters.get(key, {}).values()))
        case QuiesceDestination(service, key, _, drain_s):
            left = counters.get(service, {}).get(key, NO_CONNECTIONS)
            return _quiesce(open_connections(service, left), drain_s)
        case EditService():
            return _edit_service(action)
        case EditDestination():
            return _edit_destination(action, counters)
        case _:
            return ""


def _cut(connections: int) -> str:
    if not connections:
        return ""
    return f"{counted(connections, 'active connection')} would be cut"


def _quiesce(connections: int, drain_s: float) -> str:
    if not connections:
        return "no new connections; it has none"
    some = counted(connections, "connection has", "connections have")
    return f"no new connections; {some} {drain_s:.0f} s to end"


def _edit_service(action: EditService) -> str:
    was, now = action.old.flags & ServiceFlag.PERSISTENT, action.attributes.flags & ServiceFlag.PERSISTENT
    if was and not now:
        return "clients are no longer kept on their real server"
    if action.old.scheduler != action.attributes.scheduler:
        return "new connections only"
    return ""


def _edit_destination(action: EditDestination, counters: CounterTable) -> str:
    live = counters.get(action.service, {}).get(action.key, NO_CONNECTIONS)
    if action.old.weight and not action.attributes.weight:
        return f"no new connections; {live.active} active go on"
    if action.old.forwarding != action.attributes.forwarding:
        return "new connections only; established ones keep their forwarding method"
    return ""
