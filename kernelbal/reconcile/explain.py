"""An explanation from the live kernel: for a command, and for the director."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kernelbal.kernel.interface import Kernel
from kernelbal.kernel.ipvs import ConnectionFilter, read_connections
from kernelbal.model.address import Address
from kernelbal.model.ipvs import Connection
from kernelbal.model.site import Site
from kernelbal.plan.explain.engine import explain, service_of, with_port
from kernelbal.plan.explain.persistence import masked_clients
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.explain.result import Explanation
from kernelbal.plan.explain.views import NEEDED, kernel_view
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.planning import scopes

ConnectionsOf = Callable[[Address], Iterable[Connection]]
"""Returns a client's entries in the connection table."""


def connections_of(client: Address) -> Iterable[Connection]:
    """Return a client's entries in the connection table.

    Raises:
        KernelError: it cannot be read.
    """
    return read_connections(ConnectionFilter(client=client))


def explain_kernel(
    kernel: Kernel,
    query: ExplainQuery,
    documents: tuple[Site, DesiredState] | None,
    connections: ConnectionsOf = connections_of,
) -> Explanation:
    """Return where a connection goes, as the kernel is now.

    Args:
        kernel: that is read.
        query: the connection; port 0 is that of the address's one service.
        documents: the site and what it wants of this director, for names; None without.
        connections: reads the connection table.

    Raises:
        KernelError: the kernel cannot be read.
        InvalidRequest: no port is given, and there is not just one.
    """
    view = kernel_view(kernel.observe({**scopes(DIRECTOR), SYSCTLS: NEEDED}), None, documents)
    query = with_port(query, view)
    key = service_of(query, view)
    if key is not None:
        clients = masked_clients({key: view.services[key]}, query.client)
        found = tuple(entry for client in clients for entry in connections(client))
        view = replace(view, counters=kernel.read_counters([key]), connections=found)
    return explain(query, view)
