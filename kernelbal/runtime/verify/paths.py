"""Probe paths for the duration of a verification.

They are made and taken away by the same rounds that apply a site, with a record of their own below the state
directory: what a run that was killed left behind, the next one removes. Nothing but IPVS services with marks
of verifications, and the sysctls that answers need, is looked at or touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernelbal.errors import NotConverged
from kernelbal.health.path_marks import PATH_MARK_MASK, VERIFY_MARK_BASE
from kernelbal.kernel.interface import Kernel
from kernelbal.model.health import ProbePlan
from kernelbal.model.ipvs import ServiceKey, ServicePolicy
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.kind import DesiredState, Options
from kernelbal.plan.kinds.services import SERVICES, DesiredServices, Services, adopt
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.path_checks import path_services, sysctls_of_paths
from kernelbal.reconcile.round import OwnershipStore, Reconciler, RoundReport
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
        desired = (
            DesiredState()
            .having(SERVICES, DesiredServices(services, dict.fromkeys(services, _POLICY)))
            .having(SYSCTLS, sysctls_of_paths(site, node, plan.paths))
        )
        exempt = frozenset(each.mark for each in site.virtual_services if each.mark is not None)
        scope = self._adopt_strays(exempt) | services.keys()
        try:
            self._become(desired, scope, "the probe paths cannot be made")
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
        adopted = adopt(ownership, strays)
        if adopted != ownership:
            self.store.save(adopted)
        return adopted.of(SERVICES).keys

    def _become(self, desired: DesiredState, scope: Collection[ServiceKey], what: str) -> None:
        reconciler = Reconciler(self.kernel, self.store, self.now, (Services(scope), SYSCTLS))
        report = reconciler.perform(reconciler.prepare(desired, _CUT), _CUT)
        if not report.converged:
            raise NotConverged(f"{what}: {_why(report)}", _hint(report))


def _why(report: RoundReport) -> str:
    return report.failed[0].message if report.failed else "something else changes them meanwhile"


def _hint(report: RoundReport) -> str:
    return (report.failed[0].hint if report.failed else "") or "run it again"
