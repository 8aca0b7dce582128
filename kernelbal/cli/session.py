"""The live kernel, the ownership record, and the documents, as a command needs them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelbal.cli.documents import read_node, read_site

if TYPE_CHECKING:
    from kernelbal.kernel.linux import LinuxKernel
    from kernelbal.model.ipvs import ServiceKey
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site
    from kernelbal.plan.kind import DesiredState
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
class DocumentPair:
    """Both documents and the kernel they describe."""

    site: Site
    node: Node
    desired: DesiredState

    @property
    def names(self) -> dict[ServiceKey, str]:
        """Name of the virtual service by IPVS service."""
        from kernelbal.plan.kinds.services import SERVICES

        return {key: policy.name for key, policy in self.desired.of(SERVICES).policies.items()}


def read_documents(site_path: Path, node_path: Path) -> DocumentPair:
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
        documents = DocumentPair(site, node, desired_state(site, node))
        # They stay to the end of the command; a collection that looked through them would find nothing.
        gc.freeze()
    return documents
