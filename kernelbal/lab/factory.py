"""Makes labs on demand that go down together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.topology import load_topology
from kernelbal.lab.traffic import HTTP_PORT, UDP_PORT, NameServers

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Iterable

    from kernelbal.lab.namespaces import Host
    from kernelbal.lab.topology import Topology


class LabFactory:
    """Builds topologies and starts servers that live until an exit stack is unwound."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def __call__(self, topology: str | Topology = "two-arm", prefix: str = "") -> NamespaceLab:
        """Return a topology, given or by its name in the package, that is up.

        Raises:
            LabError: no such topology, or not in namespaces of the lab's own.
            OSError: the kernel refused a step.
        """
        wanted = load_topology(topology) if isinstance(topology, str) else topology
        return self._stack.enter_context(NamespaceLab(wanted, prefix))

    def serve(
        self,
        hosts: Iterable[Host],
        *,
        tcp_ports: Iterable[int] = (HTTP_PORT,),
        udp_ports: Iterable[int] = (UDP_PORT,),
    ) -> None:
        """Start name servers on hosts; on return every port accepts.

        Raises:
            OSError: a port is taken.
        """
        self._stack.enter_context(NameServers(hosts, tcp_ports=tcp_ports, udp_ports=udp_ports))
