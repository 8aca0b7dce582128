"""One round of reconciliation against a live kernel.

Nothing is kept between rounds but the ownership record, which is written before the first change and
settled after the last; a round that is interrupted anywhere is repaired by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from kernelbal.kernel.interface import Kernel, Progress
from kernelbal.model.ipvs import ServiceKey, VirtualServer
from kernelbal.model.network import LinkState, Sysctl
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.state import DesiredState, DrainKey, ObservedState, Ownership
from kernelbal.plan.actions import Outcome, Result, service_of
from kernelbal.plan.diff import make_plan, services_to_count
from kernelbal.plan.ownership import claim, settle
from kernelbal.plan.result import DEFAULT_OPTIONS, Options, Plan

FULL_READ_SHARE = 0.1
"""Above this share of touched services a full read costs less than reading them one by one."""


class OwnershipStore(Protocol):
    """Where the ownership record lives."""

    def load(self) -> Ownership:
        """Return the record of this boot; an empty one when there is none."""
        ...

    def save(self, ownership: Ownership) -> None:
        """Replace the record; on return it has reached the disk."""
        ...


class Observation(NamedTuple):
    """The kernel, and what of it is ours."""

    observed: ObservedState
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with the observation that it was made from.

    Attributes:
        at: when it was made, in seconds on the boot clock.
    """

    desired: DesiredState
    observed: ObservedState
    ownership: Ownership
    plan: Plan
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """How a round ended.

    Attributes:
        outcomes: one per action, in order.
        remaining: what would still have to be done; empty when converged.
        observed: the kernel after it.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    remaining: Plan = field(default_factory=Plan)
    observed: ObservedState = field(default_factory=ObservedState, compare=False)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The actions that the kernel refused, and those that were not tried because of them."""
        return tuple(o for o in self.outcomes if o.result in (Result.FAILED, Result.SKIPPED))

    @property
    def converged(self) -> bool:
        """Whether a second look at the kernel found nothing left to do."""
        return not self.failed and self.remaining.empty


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings a kernel to a desired state.

    Attributes:
        now: seconds on the boot clock.
    """

    kernel: Kernel
    store: OwnershipStore
    now: Callable[[], float]

    def observe(self, sysctls: Collection[str] = ()) -> Observation:
        """Read the kernel and the ownership record.

        Args:
            sysctls: paths that are read beside those of ours.

        Raises:
            KernelError: the kernel cannot be read.
            StateError: the ownership record cannot be read.
        """
        ownership = self.store.load()
        return Observation(self.kernel.observe(ownership.sysctls.keys() | set(sysctls)), ownership)

    def prepare(self, desired: DesiredState, options: Options = DEFAULT_OPTIONS) -> Prepared:
        """Observe the kernel and plan; changes nothing.

        Raises:
            KernelError: the kernel cannot be read.
            StateError: the ownership record cannot be read.
        """
        return self.replan(desired, *self.observe(desired.sysctl_paths), options)

    def check_table(self, prepared: Prepared) -> None:
        """Let the kernel check the nftables table of a plan without committing it.

        Raises:
            KernelError: it would be refused; the message says why.
        """
        table = prepared.desired.nft
        if not table.empty and prepared.observed.nft != table:
            self.kernel.check_table(table)

    def replan(
        self, desired: DesiredState, observed: ObservedState, ownership: Ownership, options: Options
    ) -> Prepared:
        """Plan from an observation; reads the counters that the plan depends on.

        Raises:
            KernelError: the kernel cannot be read.
        """
        counted = services_to_count(desired, observed, ownership)
        if counted:
            observed = replace(observed, counters=self.kernel.read_counters(counted))
        at = self.now()
        plan = make_plan(desired, observed, ownership, at, options)
        return Prepared(desired, observed, ownership, plan, at)

    def perform(
        self, prepared: Prepared, options: Options = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> Report:
        """Perform a plan and prove it by reading again.

        Raises:
            KernelError: the kernel cannot be read again.
            StateError: the ownership record cannot be written; then nothing was changed.
        """
        plan, desired = prepared.plan, prepared.desired
        claimed = claim(prepared.ownership, plan, desired, prepared.observed)
        if claimed != prepared.ownership:
            self.store.save(claimed)
        if plan.empty:
            return Report(plan, (), observed=prepared.observed)
        outcomes = tuple(self.kernel.perform(plan.actions, progress))
        settled = settle(claimed, outcomes, desired)
        if settled != claimed:
            self.store.save(settled)
        observed = self._observe_again(prepared, settled)
        remaining = make_plan(desired, observed, settled, prepared.at, options)
        return Report(plan, outcomes, remaining, observed)

    def disown(self, services: Collection[ServiceKey]) -> None:
        """Give services back to whoever made them: they stay in the kernel and are no longer ours.

        Raises:
            StateError: the ownership record cannot be read or written.
        """
        if services:
            ownership = self.store.load()
            self.store.save(replace(ownership, services=ownership.services.difference(services)))

    def _observe_again(self, prepared: Prepared, ownership: Ownership) -> ObservedState:
        """Read everything but the services that the plan did not touch.

        The counters stay those of the plan, as its clock does: a connection that ended meanwhile is work for
        the next round and no fault of this one.
        """
        paths = prepared.desired.sysctl_paths | ownership.sysctls.keys()
        before = prepared.observed.services
        touched = touched_services(prepared.plan)
        if len(touched) > len(before) * FULL_READ_SHARE:
            return replace(self.kernel.observe(paths), counters=prepared.observed.counters)
        observed = self.kernel.observe(paths, touched)
        services = {key: server for key, server in before.items() if key not in touched}
        return replace(observed, services=services | observed.services, counters=prepared.observed.counters)


def touched_services(plan: Plan) -> set[ServiceKey]:
    """Return the IPVS services that a plan changes."""
    return {key for action in plan.actions if (key := service_of(action)) is not None}


def owned_state(
    observed: ObservedState, ownership: Ownership, adopted: Collection[ServiceKey] = ()
) -> DesiredState:
    """Return what is ours in the kernel now, as a state to come back to.

    Args:
        observed: the kernel now.
        ownership: what of it is ours.
        adopted: services of others that the next plan takes over, to be kept as they are.

    Real servers that are draining go on draining.
    """
    mine = ownership.services.union(adopted)
    services = {k: _without_drains(k, s, ownership) for k, s in observed.services.items() if k in mine}
    return DesiredState(
        services=services,
        addresses={a.key: a.attributes for a in observed.addresses if a.ours or a.key in ownership.addresses},
        links=tuple(
            LinkState(link.name, link.kind) for link in observed.links if link.name in ownership.links
        ),
        sysctls=tuple(
            Sysctl(path, value, "Its value before the last apply.", optional=True)
            for path in sorted(ownership.sysctls)
            if (value := observed.sysctls.get(path)) is not None
        ),
        nft=observed.nft or EMPTY_TABLE,
        timeouts=observed.timeouts if ownership.timeouts is not None else None,
        rules=observed.rules,
        table_routes=observed.table_routes,
    )


def _without_drains(key: ServiceKey, server: VirtualServer, ownership: Ownership) -> VirtualServer:
    staying = {
        name: attributes
        for name, attributes in server.destinations.items()
        if DrainKey(key, name) not in ownership.drains
    }
    return VirtualServer(server.attributes, staying)
