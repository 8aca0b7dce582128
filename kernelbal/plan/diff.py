"""The actions between the kernel as it is and the kernel as it should be.

Objects are matched by key and compared by attributes. Only what is ours is ever removed: services by the
ownership record, addresses by their `IFA_PROTO` or the record, sysctls by their recorded previous value.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from kernelbal.model.address import AF_INET6, family_of, format_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    VirtualServer,
)
from kernelbal.model.network import AddressKey, Sysctl
from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftTable
from kernelbal.model.state import DesiredState, DrainKey, ObservedState, Ownership, ServicePolicy
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
    Phase,
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
    SetTimeouts,
    WriteSysctl,
)
from kernelbal.plan.drain import Drainer, with_fallback
from kernelbal.plan.edge_rules import taken_whole
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
    planner.services()
    planner.links()
    planner.sysctls()
    planner.nftables()
    planner.addresses()
    planner.routing()
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
    borrowed: list[AddressKey] = field(default_factory=list)

    def result(self) -> Plan:
        actions = tuple(action for phase in Phase for action in self.phases.get(phase, ()))
        owned = self.ownership.services
        desired, observed = self.desired.services, self.observed.services
        adopted = tuple(key for key in desired if key in observed and key not in owned)
        foreign = Foreign(
            tuple(self.foreign_services), tuple(self.foreign_addresses), self.observed.foreign_nft
        )
        whole = taken_whole(self.desired.nft)
        return Plan(
            actions,
            self.drainer.drains,
            tuple(self.drainer.pending),
            adopted,
            tuple(self.borrowed),
            foreign,
            tuple(self.missing_sysctls),
            tuple(key for key in self.borrowed if format_address(key.address) in whole),
        )

    def links(self) -> None:
        present = {link.name: link for link in self.observed.links}
        for wanted in self.desired.links:
            link = present.get(wanted.name)
            if link is None or not link.up or wanted.mtu_bytes not in (0, link.mtu_bytes):
                self.phases[Phase.LINKS].append(EnsureLink(wanted))
        if self._draining:
            return
        kept = {link.name for link in self.desired.links}
        for name in sorted(self.ownership.links - kept):
            if name in present:
                self.phases[Phase.RELEASE_LINKS].append(RemoveLink(name))

    def sysctls(self) -> None:
        sysctls = [wanted for wanted in self.desired.sysctls if self._applies(wanted)]
        for wanted in sysctls:
            value = self.observed.sysctls.get(wanted.path)
            if value is None and wanted.optional:
                self.missing_sysctls.append(wanted.path)
            elif not wanted.holds(self.observed.sysctls):
                self.phases[Phase.SYSCTLS].append(
                    WriteSysctl(wanted.path, value or "", wanted.value, wanted.reason)
                )
        if self._draining:
            return
        kept = {wanted.path for wanted in sysctls}
        for path, previous in sorted(self.ownership.sysctls.items()):
            value = self.observed.sysctls.get(path)
            if path not in kept and value is not None and value.split() != previous.split():
                self.phases[Phase.RELEASE_SYSCTLS].append(
                    WriteSysctl(path, value, previous, "No longer needed; this was its value before.")
                )

    def _applies(self, wanted: Sysctl) -> bool:
        """What is ours already stays: a route may be away for a while, and could not come back without it."""
        if not wanted.routed_by or wanted.path in self.ownership.sysctls:
            return True
        return any(
            route.advertised and route.prefix == 0 and route.device == wanted.routed_by
            for route in self.observed.routes
        )

    def nftables(self) -> None:
        have, want = self.observed.nft, self.desired.nft
        if have is not None and self._draining:
            want = _with_nat_of(have, want)
        if (have or EMPTY_TABLE) != want or (have is not None and want.empty):
            needed = self.desired.services or not self.desired.nft.empty
            phase = Phase.NFTABLES if needed else Phase.RELEASE_NFTABLES
            self.phases[phase].append(ReplaceTable(have, want))

    def routing(self) -> None:
        """Rules and routes of policy routing; ours bear their mark in the kernel."""
        have, want = self.observed, self.desired
        for key, hop in want.table_routes.items():
            old = have.table_routes.get(key)
            if old is None:
                self.phases[Phase.ADD_ROUTES].append(AddRoute(key, hop))
            elif old != hop:
                self.phases[Phase.ADD_ROUTES].append(ReplaceRoute(key, old, hop))
        self.phases[Phase.ADD_RULES].extend(map(AddRule, sorted(want.rules - have.rules)))
        if self._draining:
            return
        self.phases[Phase.REMOVE_RULES].extend(map(RemoveRule, sorted(have.rules - want.rules)))
        gone = sorted(have.table_routes.keys() - want.table_routes.keys())
        self.phases[Phase.REMOVE_ROUTES].extend(map(RemoveRoute, gone))

    @property
    def _draining(self) -> bool:
        """Whether connections are left that may need what is no longer wanted: it stays until they end."""
        return bool(self.drainer.drains)

    def services(self) -> None:
        self._services()
        timeouts = self.desired.timeouts or (None if self._draining else self.ownership.timeouts)
        if timeouts is not None and timeouts != self.observed.timeouts:
            self.phases[Phase.SERVICES].append(SetTimeouts(self.observed.timeouts, timeouts))

    def _services(self) -> None:
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
        self._edit_attributes(key, want.attributes, have.attributes, self._let_go(key, want, have))
        for name, attributes in want.destinations.items():
            old = have.destinations.get(name)
            if old is None:
                self.phases[Phase.DESTINATIONS].append(AddDestination(key, name, attributes))
            elif old != attributes:
                # Those that stop taking connections wait for those that start to: no moment without any.
                phase = Phase.DESTINATIONS if attributes.weight else Phase.QUIESCE
                self.phases[phase].append(EditDestination(key, name, old, attributes))

    def _edit_attributes(
        self, key: ServiceKey, want: ServiceAttributes, have: ServiceAttributes, draining: bool
    ) -> None:
        """Hashes without fallback refuse the clients of a quiesced real server: it is set for a drain."""
        wanted = with_fallback(want) if draining else want
        if wanted != have:
            late = not draining and have == with_fallback(want)
            phase = Phase.REMOVE_SERVICES if late else Phase.SERVICES
            self.phases[phase].append(EditService(key, have, wanted))

    def _let_go(self, key: ServiceKey, want: VirtualServer, have: VirtualServer) -> bool:
        """Send away the real servers that are not wanted; return whether any is there after this round."""
        policy = self.desired.policies.get(key, ServicePolicy("", self.options.default_drain_s))
        cut_at = dict(policy.cut_at)
        leaving = [name for name in have.destinations if name not in want.destinations]
        for name in leaving:
            self._leave(key, name, have.destinations[name], policy.drain_s, cut_at.get(name))
        return any(DrainKey(key, name) in self.drainer.drains for name in leaving)

    def _leave(
        self,
        key: ServiceKey,
        name: DestinationKey,
        attributes: DestinationAttributes,
        drain_s: float,
        cut_at: float | None,
    ) -> None:
        action = self.drainer.leave(key, name, attributes, drain_s, cut_at)
        if isinstance(action, RemoveDestination):
            self.phases[Phase.REMOVE_DESTINATIONS].append(action)
        elif isinstance(action, QuiesceDestination):
            self.phases[Phase.QUIESCE].append(action)

    def _remove_service(self, key: ServiceKey, have: VirtualServer) -> None:
        """A service goes when the last of its real servers may; removing it removes them."""
        drain_s = self.ownership.drain_s.get(key, self.options.default_drain_s)
        leaving = [
            self.drainer.leave(key, name, attributes, drain_s)
            for name, attributes in have.destinations.items()
        ]
        ready = [action for action in leaving if isinstance(action, RemoveDestination)]
        if len(ready) == len(leaving):
            self.phases[Phase.REMOVE_SERVICES].append(RemoveService(key))
            return
        # Left in, a real server without connections would get new ones while the others drain.
        self.phases[Phase.REMOVE_DESTINATIONS].extend(ready)
        self.phases[Phase.QUIESCE].extend(a for a in leaving if isinstance(a, QuiesceDestination))

    def addresses(self) -> None:
        present = {address.key: address for address in self.observed.addresses}
        ours = {key for key, have in present.items() if have.ours or key in self.ownership.addresses}
        theirs = [key for key in present if key not in ours]
        held_by_others = {(key.device, key.address) for key in theirs}
        wanted_here = {(key.device, key.address) for key in self.desired.addresses}
        self.borrowed.extend(key for key in theirs if (key.device, key.address) in wanted_here)
        self.foreign_addresses.extend(key for key in theirs if key not in self.desired.addresses)
        added: list[AddressKey] = []
        wanted = self.desired.addresses
        for key, attributes in wanted.items():
            have = present.get(key)
            if have is None and (key.device, key.address) not in held_by_others:
                added.append(key)
                self.phases[Phase.ADD_ADDRESSES].append(AddAddress(key, attributes))
            elif (
                have is not None
                and key in ours
                and have.attributes._replace(no_dad=attributes.no_dad) != attributes
            ):
                self.phases[Phase.ADD_ADDRESSES].append(ReplaceAddress(key, have.attributes, attributes))
        self._remove_addresses([key for key in present if key in ours and key not in wanted], added)

    def _remove_addresses(self, leaving: list[AddressKey], added: list[AddressKey]) -> None:
        """An address that changes its device or prefix comes to its new place before it leaves the old one.

        Only IPv6 refuses an address that the device has with another prefix (`ipv6_chk_same_addr`).
        """
        moving = {key.address for key in added}
        places = {(key.device, key.address) for key in added if family_of(key.address) == AF_INET6}
        for key in leaving:
            if (key.device, key.address) in places:
                self.phases[Phase.ADD_ADDRESSES].insert(0, RemoveAddress(key))
            elif key.address in moving:
                self.phases[Phase.ADD_ADDRESSES].append(RemoveAddress(key))
            elif not self._serves_drain(key):
                self.phases[Phase.REMOVE_ADDRESSES].append(RemoveAddress(key))

    def _serves_drain(self, key: AddressKey) -> bool:
        """A leaving service keeps its address until its connections have ended."""
        return any(
            drain.service not in self.desired.services
            and (drain.service.mark != 0 or drain.service.address == key.address)
            for drain in self.drainer.drains
        )


def nat_chains(table: NftTable) -> tuple[NftChain, ...]:
    """Return the chains that translate addresses."""
    return tuple(chain for chain in table.chains if chain.kind == "nat")


def _with_nat_of(have: NftTable, want: NftTable) -> NftTable:
    """Return `want` with the NAT chains of `have`, and the sets that these may look into.

    The kernel translates packets of an established connection only as long as a NAT chain is registered,
    whichever (`nf_nat_unregister_fn`); rules decide about new connections alone.
    """
    chains = nat_chains(have)
    if not chains or nat_chains(want):
        return want
    known = {each.name for each in want.sets}
    rules = "".join(rule.expression for chain in chains for rule in chain.rules)
    sets = tuple(each for each in have.sets if each.name not in known and f'"@{each.name}"' in rules)
    return want._replace(sets=tuple(sorted(want.sets + sets)), chains=tuple(sorted(want.chains + chains)))
