"""The live kernel, the record of what is ours, and the documents, put together for a command."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelbal.cli.documents import read_node, read_site
from kernelbal.cli.output import warn
from kernelbal.errors import PlanRefused

if TYPE_CHECKING:
    from kernelbal.kernel.linux import LinuxKernel
    from kernelbal.model.ipvs import ServiceKey
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site
    from kernelbal.model.state import DesiredState, ObservedState
    from kernelbal.reconcile.round import Reconciler
    from kernelbal.store.state import StateDirectory


@dataclass(frozen=True, slots=True)
class Session:
    """A command's hold on this machine."""

    kernel: LinuxKernel
    store: StateDirectory
    reconciler: Reconciler


@contextmanager
def open_session(state_dir: Path) -> Iterator[Session]:
    """Open the kernel and the state directory; read-only until something is performed.

    Raises:
        KernelError: the kernel cannot be talked to.
    """
    from kernelbal.config.document import paused_gc
    from kernelbal.kernel.linux import LinuxKernel
    from kernelbal.reconcile.round import Reconciler
    from kernelbal.store.boot import boot_clock_s
    from kernelbal.store.state import StateDirectory

    store = StateDirectory(state_dir)
    with paused_gc(), LinuxKernel() as kernel:
        yield Session(kernel, store, Reconciler(kernel, store, boot_clock_s))


@dataclass(frozen=True, slots=True)
class Documents:
    """Both documents and the kernel they describe."""

    site: Site
    node: Node
    desired: DesiredState

    @property
    def names(self) -> dict[ServiceKey, str]:
        """Name of the virtual service by IPVS service."""
        return {key: policy.name for key, policy in self.desired.policies.items()}


def read_documents(site_path: Path, node_path: Path) -> Documents:
    """Read and validate both documents.

    Raises:
        FileUnreadable: one cannot be read.
        ConfigError: one is not valid.
        PlanRefused: they do not fit together.
    """
    from kernelbal.config.document import paused_gc
    from kernelbal.plan.desire import desired_state

    with paused_gc():
        site = read_site(site_path)
        node = read_node(node_path)
        documents = Documents(site, node, desired_state(site, node))
        # They stay to the end of the command; a collection that looked through them would find nothing.
        gc.freeze()
    return documents


def beside_daemon(documents: Documents, state_dir: Path) -> Documents:
    """Return the documents with what a running daemon makes of them: orders, health, slow start, load.

    Without a daemon at the control socket of the node document, they stay as they are: so `apply` takes them.

    Raises:
        StateError: what the daemon keeps cannot be read.
    """
    from kernelbal.cli.api_client import answers
    from kernelbal.health.decide import decide
    from kernelbal.health.decision import Inputs
    from kernelbal.health.probes import plan_probes
    from kernelbal.plan.desire import desired_state
    from kernelbal.store.boot import boot_clock_s, wall_clock_s
    from kernelbal.store.daemon import DaemonState

    if not answers(Path(documents.node.api.socket)):
        return documents
    store = DaemonState(state_dir)
    standings = store.load_standings()
    inputs = Inputs(
        documents.site,
        documents.node,
        plan_probes(documents.site),
        boot_clock_s(),
        wall_clock_s(),
        standings.states,
        store.load_orders(),
        standings.memory,
    )
    desired = desired_state(documents.site, documents.node, decide(inputs).overlay)
    return Documents(documents.site, documents.node, desired)


def judge(documents: Documents, observed: ObservedState, *, force: bool) -> None:
    """Warn of what may not work, and refuse what would not, unless `force` is set.

    Raises:
        PlanRefused: a virtual service would not get answers back to its clients.
    """
    from kernelbal.plan.reachability import reachability_problems, unroutable_servers

    if documents.desired.services and not observed.ipvs_available:
        warn("this kernel has no IPVS, or did not load its module", "modprobe ip_vs")
    for fault in unroutable_servers(documents.site, observed):
        warn(f"virtual service `{fault.service}`: {fault.message}", fault.hint)
    found = reachability_problems(documents.site, documents.node, observed)
    if force:
        for fault in found:
            warn(f"virtual service `{fault.service}`: {fault.message}", fault.hint)
    elif found:
        lines = [f"virtual service `{fault.service}`: {fault.message}" for fault in found]
        hints = dict.fromkeys(fault.hint for fault in found)
        message = "this would not work, and nothing was changed\n  " + "\n  ".join(lines)
        raise PlanRefused(message, "; ".join(hints) + " (--force makes this a warning)")
