"""The actions between the kernel as it is and the kernel as it should be.

Objects are matched by key and compared by attributes. Only what is ours is ever removed: services by the
ownership record, addresses by their `IFA_PROTO` or the record, sysctls by their recorded previous value.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    ServiceKey,
    VirtualServer,
)
from kernelbal.model.network import AddressKey
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.state import DesiredState, ObservedState, Ownership, ServicePolicy
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    EnsureLink,
    Phase,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveLink,
    RemoveService,
    ReplaceAddress,
    ReplaceTable,
    SetTimeouts,
    WriteSysctl,
)
from kernelbal.plan.drain import Drainer
from kernelbal.plan.result import DEFAULT_OPTIONS, Foreign, Options, Plan


def make_plan(
    desired: DesiredState,
    observed: ObservedState,
    ownership: Ownership,
    now: float,
    options: Options = DEFAULT_OPTIONS,
) -> Plan:
    """Return the ordered actions that turn `observed` into `desired`.

    Args:
        desired: the kernel as it should be.
        observed: the kernel as it is, read completely.
        ownership: what of it is ours.
        now: seconds on the boot clock, for drains.
        options: how to treat connections of what leaves.
    """
    drainer = Drainer(observed, ownership.drains, now, options.cut)
    planner = _Planner(desired, observed, ownership, options, drainer)
    planner.links()
    planner.sysctls()
    planner.nftables()
    planner.services()
    planner.addresses()
    return planner.result()


def services_to_count(
    desired: DesiredState, observed: ObservedState, ownership: Ownership
) -> tuple[ServiceKey, ...]:
    """Return the services whose counters a plan depends on: those that lose or change a real server."""
    wanted = desired.services
    return tuple(
        key
        for key, have in observed.services.items()
        if have.destinations
        and (have.destinations != wanted[key].destinations if key in wanted else key in ownership.services)
    )


@dataclass(slots=True)
class _Planner:
    """Collects actions by phase."""

    desired: DesiredState
    observed: ObservedState
    ownership: Ownership
    options: Options
    drainer: Drainer
    phases: defaultdict[Phase, list[Action]] = field(default_factory=lambda: defaultdict(list))
    missing_sysctls: list[str] = field(default_factory=list)
    foreign_services: list[ServiceKey] = field(default_factory=list)
    foreign_addresses: list[AddressKey] = field(default_factory=list)

    def result(self) -> Plan:
        actions = tuple(action for phase in Phase for action in self.phases.get(phase, ()))
        owned = self.ownership.services
        desired, observed = self.desired.services, self.observed.services
        adopted = tuple(key for key in desired if key in observed and key not in owned)
        foreign = Foreign(
            tuple(self.foreign_services), tuple(self.foreign_addresses), self.observed.foreign_nft
        )
        return Plan(
            actions,
            self.drainer.drains,
            tuple(self.drainer.pending),
            adopted,
            foreign,
            tuple(self.missing_sysctls),
        )

    def links(self) -> None:
        present = {link.name: link for link in self.observed.links}
        for wanted in self.desired.links:
            link = present.get(wanted.name)
            if link is None or not link.up or wanted.mtu_bytes not in (0, link.mtu_bytes):
                self.phases[Phase.LINKS].append(EnsureLink(wanted))
        kept = {link.name for link in self.desired.links}
        for name in sorted(self.ownership.links - kept):
            if name in present:
                self.phases[Phase.RELEASE_LINKS].append(RemoveLink(name))

    def sysctls(self) -> None:
        for wanted in self.desired.sysctls:
            value = self.observed.sysctls.get(wanted.path)
            if value is None and wanted.optional:
                self.missing_sysctls.append(wanted.path)
            elif value is None or value.split() != wanted.value.split():
                self.phases[Phase.SYSCTLS].append(
                    WriteSysctl(wanted.path, value or "", wanted.value, wanted.reason)
                )
        kept = {sysctl.path for sysctl in self.desired.sysctls}
        for path, previous in sorted(self.ownership.sysctls.items()):
            value = self.observed.sysctls.get(path)
            if path not in kept and value is not None and value != previous:
                self.phases[Phase.RELEASE_SYSCTLS].append(
                    WriteSysctl(path, value, previous, "No longer needed; this was its value before.")
                )

    def nftables(self) -> None:
        have, want = self.observed.nft, self.desired.nft
        if want.empty:
            if have is not None:
                self.phases[Phase.RELEASE_NFTABLES].append(ReplaceTable(have, EMPTY_TABLE))
        elif have != want:
            self.phases[Phase.NFTABLES].append(ReplaceTable(have, want))

    def services(self) -> None:
        timeouts = self.desired.timeouts or self.ownership.timeouts
        if timeouts is not None and timeouts != self.observed.timeouts:
            self.phases[Phase.SERVICES].append(SetTimeouts(self.observed.timeouts, timeouts))
        observed = self.observed.services
        for key, want in self.desired.services.items():
            have = observed.get(key)
            if have is None:
                self._add_service(key, want)
            elif want.attributes != have.attributes or want.destinations != have.destinations:
                self._edit_service(key, want, have)
        for key, have in observed.items():
            if key in self.desired.services:
                continue
            if key in self.ownership.services:
                self._remove_service(key, have)
            else:
                self.foreign_services.append(key)

    def _add_service(self, key: ServiceKey, want: VirtualServer) -> None:
        self.phases[Phase.SERVICES].append(AddService(key, want.attributes))
        self.phases[Phase.DESTINATIONS].extend(
            [AddDestination(key, name, attributes) for name, attributes in want.destinations.items()]
        )

    def _edit_service(self, key: ServiceKey, want: VirtualServer, have: VirtualServer) -> None:
        if want.attributes != have.attributes:
            self.phases[Phase.SERVICES].append(EditService(key, have.attributes, want.attributes))
        for name, attributes in want.destinations.items():
            old = have.destinations.get(name)
            if old is None:
                self.phases[Phase.DESTINATIONS].append(AddDestination(key, name, attributes))
            elif old != attributes and old != attributes._replace(forwarding=Forwarding.LOCAL):
                # The kernel turns a real server on one of its own addresses into LOCAL.
                self.phases[Phase.DESTINATIONS].append(EditDestination(key, name, old, attributes))
        policy = self.desired.policies.get(key, ServicePolicy("", self.options.default_drain_s))
        for name, attributes in have.destinations.items():
            if name not in want.destinations:
                self._leave(key, name, attributes, policy.drain_s)

    def _leave(
        self, key: ServiceKey, name: DestinationKey, attributes: DestinationAttributes, drain_s: float
    ) -> None:
        action = self.drainer.leave(key, name, attributes, drain_s)
        if isinstance(action, RemoveDestination):
            self.phases[Phase.REMOVE_DESTINATIONS].append(action)
        elif isinstance(action, QuiesceDestination):
            self.phases[Phase.QUIESCE].append(action)

    def _remove_service(self, key: ServiceKey, have: VirtualServer) -> None:
        """A service goes when the last of its real servers may; removing it removes them."""
        drain_s = self.options.default_drain_s
        waiting = False
        for name, attributes in have.destinations.items():
            action = self.drainer.leave(key, name, attributes, drain_s)
            if isinstance(action, QuiesceDestination):
                self.phases[Phase.QUIESCE].append(action)
            waiting = waiting or not isinstance(action, RemoveDestination)
        if not waiting:
            self.phases[Phase.REMOVE_SERVICES].append(RemoveService(key))

    def addresses(self) -> None:
        present = {address.key: address for address in self.observed.addresses}
        owned = self.ownership.addresses
        for key, attributes in self.desired.addresses.items():
            have = present.get(key)
            if have is None:
                self.phases[Phase.ADD_ADDRESSES].append(AddAddress(key, attributes))
            elif (have.ours or key in owned) and have.attributes._replace(
                no_dad=attributes.no_dad
            ) != attributes:
                self.phases[Phase.ADD_ADDRESSES].append(ReplaceAddress(key, have.attributes, attributes))
        for key, have in present.items():
            if key in self.desired.addresses:
                continue
            if not have.ours and key not in owned:
                self.foreign_addresses.append(key)
            elif not self._serves_drain(key):
                self.phases[Phase.REMOVE_ADDRESSES].append(RemoveAddress(key))

    def _serves_drain(self, key: AddressKey) -> bool:
        """A leaving service keeps its address until its connections have ended."""
        return any(
            drain.service not in self.desired.services
            and (drain.service.mark != 0 or drain.service.address == key.address)
            for drain in self.drainer.drains
        )
