"""Probe paths for the duration of a verification.

They are made and taken away by the same rounds that apply a site, with a record of their own below the state
directory: what a run that was killed left behind, the next one removes. Nothing but IPVS services with marks
of verifications, and the sysctls that answers need, is looked at or touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kernelbal.errors import NotConverged
from kernelbal.health.path_marks import PATH_MARK_MASK, VERIFY_MARK_BASE
from kernelbal.kernel.interface import Glance, Kernel, Progress
from kernelbal.model.address import Address
from kernelbal.model.health import ProbePlan
from kernelbal.model.ipvs import CounterTable, ServiceKey, ServiceTable
from kernelbal.model.nft import NftTable
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.state import DesiredState, ObservedState, ServicePolicy
from kernelbal.plan.actions import Action, Outcome
from kernelbal.plan.path_checks import path_services, sysctls_of_paths
from kernelbal.plan.result import Options
from kernelbal.reconcile.round import OwnershipStore, Reconciler, Report
from kernelbal.store.state import StateDirectory

STATE_FOLDER: Final = "verify"
"""Below the state directory."""
_CUT: Final = Options(cut=True)
_POLICY: Final = ServicePolicy("", 0.0)


def verify_store(state_dir: Path) -> StateDirectory:
    """Return where a verification keeps the record of what it changed."""
    return StateDirectory(state_dir / STATE_FOLDER)


@dataclass(frozen=True, slots=True)
class ProbePaths:
    """Makes probe paths, and takes them away.

    Attributes:
        kernel: that holds them.
        store: the record of what was changed.
        now: seconds on the boot clock.
    """

    kernel: Kernel
    store: OwnershipStore
    now: Callable[[], float]

    @contextmanager
    def held(self, site: Site, node: Node, plan: ProbePlan) -> Iterator[None]:
        """Hold the probe paths of a plan until the block ends, however it ends.

        Raises:
            KernelError: the kernel cannot be read.
            NotConverged: the kernel refuses them.
            PlanRefused: `node.yaml` does not name the device of a network that the site uses.
            StateError: the record cannot be read or written.
        """
        services = dict(path_services(plan.paths))
        wanted = DesiredState(
            services=services,
            policies=dict.fromkeys(services, _POLICY),
            sysctls=sysctls_of_paths(site, node, plan.paths),
        )
        exempt = frozenset(each.mark for each in site.virtual_services if each.mark is not None)
        scope = self._adopt_strays(exempt) | services.keys()
        try:
            self._become(wanted, scope, "the probe paths cannot be made")
            yield
        finally:
            self._become(DesiredState(), scope, "the probe paths cannot be removed")

    def _adopt_strays(self, exempt: Collection[int]) -> frozenset[ServiceKey]:
        """Count as ours what carries a mark of verifications; return that, and what the record names."""
        strays = {
            key
            for key in self.kernel.read_services()
            if key.mark & ~PATH_MARK_MASK == VERIFY_MARK_BASE and key.mark not in exempt
        }
        ownership = self.store.load()
        owned = ownership.services | strays
        if owned != ownership.services:
            self.store.save(replace(ownership, services=owned))
        return owned

    def _become(self, wanted: DesiredState, scope: Collection[ServiceKey], what: str) -> None:
        reconciler = Reconciler(_Narrowed(self.kernel, scope), self.store, self.now)
        report = reconciler.perform(reconciler.prepare(wanted, _CUT), _CUT)
        if not report.converged:
            raise NotConverged(f"{what}: {_why(report)}", _hint(report))


def _why(report: Report) -> str:
    return report.failed[0].message if report.failed else "something else changes them meanwhile"


def _hint(report: Report) -> str:
    return (report.failed[0].hint if report.failed else "") or "run it again"


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """A kernel that shows some IPVS services and the sysctls, and nothing that others could own."""

    kernel: Kernel
    scope: Collection[ServiceKey]

    def observe(
        self, sysctls: Collection[str] = (), services: Collection[ServiceKey] | None = None
    ) -> ObservedState:
        """Read it; see `Kernel.observe`."""
        observed = self.kernel.observe(sysctls, self.scope if services is None else services)
        return ObservedState(
            services=observed.services,
            sysctls=observed.sysctls,
            connection_table_size=observed.connection_table_size,
            ipvs_available=observed.ipvs_available,
        )

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return counters; see `Kernel.read_counters`."""
        return self.kernel.read_counters(services)

    def perform(self, actions: Sequence[Action], progress: Progress | None = None) -> list[Outcome]:
        """Perform actions; see `Kernel.perform`."""
        return self.kernel.perform(actions, progress)

    def read_services(self) -> ServiceTable:
        """Return the services; see `Kernel.read_services`."""
        return self.observe().services

    def count_clients(self, limit: int) -> dict[Address, int]:
        """Return nothing: clients are not a verification's business."""
        return {}

    def glance(self) -> Glance:
        """Return nothing: nobody waits for changes of a verification."""
        return Glance(None, {})

    def check_table(self, table: NftTable) -> None:
        """There is no table."""
