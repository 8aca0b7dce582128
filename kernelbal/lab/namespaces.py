"""Builds a topology out of network namespaces, bridges and veth pairs.

Only to be used inside private namespaces (`linuxns.enter_private_namespaces`, or a guest of the lab): the
switches live in a namespace of their own, and nothing is added to the one that the caller is in.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from ipaddress import IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from kernelbal.lab import linuxns, process
from kernelbal.lab.errors import LabError
from kernelbal.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from pyroute2 import IPRoute

    from kernelbal.lab.topology import DeviceSpec, HostSpec, Topology

IN_LAB_VARIABLE = "KERNELBAL_IN_LAB"
"""Set in the environment of everything that runs in namespaces of the lab's own."""
SWITCHES: Final = "switches"
"""The namespace that holds the bridges."""
_IFA_F_NODAD = 0x02  # linux/if_addr.h


class Host:
    """A machine of a lab that is up."""

    def __init__(self, spec: HostSpec, namespace: str) -> None:
        self.spec = spec
        self.name = spec.name
        self.namespace = namespace
        self._started: list[subprocess.Popen[str]] = []

    def __repr__(self) -> str:
        return f"<host {self.name}>"

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Put the calling thread on this host until the block ends; sockets made inside stay there."""
        return linuxns.inside(self.namespace)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> process.Completed:
        """Run a program on this host to its end and return its output.

        Raises:
            LabError: it cannot be started, outlives `timeout_s`, or (with `check`) exits other than 0.
        """
        with self.inside():
            return process.run(argv, check=check, timeout_s=timeout_s, stdin=stdin, env=env)

    def spawn(
        self, argv: Sequence[str], *, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a program on this host; it is ended when the lab goes down.

        Raises:
            LabError: it cannot be started.
        """
        with self.inside():
            started = process.start(argv, stdout=stdout, stderr=stderr)
        self._started.append(started)
        return started

    def sysctl(self, name: str, value: int | str | None = None) -> str:
        """Return the value of a sysctl of this host, after setting it when `value` is given.

        Raises:
            OSError: there is no such sysctl, or it refuses the value.
        """
        path = sysctl_path(name)
        with self.inside():
            if value is not None:
                path.write_text(f"{value}\n", encoding="ascii")
            return path.read_text(encoding="ascii").strip()

    def address(self, version: int = 4, device: str | None = None) -> str:
        """Return this host's own first address of a family (4 or 6), on `device` when given."""
        return self.spec.address(6 if version == 6 else 4, device)

    def stop_all(self) -> None:
        """End every program that `spawn` started."""
        while self._started:
            process.stop(self._started.pop())


def sysctl_path(name: str) -> Path:
    """Return the file of a sysctl such as `net.ipv4.ip_forward`; slashes may stand for the dots."""
    return Path("/proc/sys") / (name if "/" in name else name.replace(".", "/"))


class NamespaceLab:
    """A topology that is up, from `with` to the end of its block.

    Attributes:
        topology: what was built.
        hosts: host name -> host, in the order of the topology.
    """

    def __init__(self, topology: Topology, prefix: str = "") -> None:
        """Prepare to build `topology`; `prefix` keeps the namespaces of two labs in one guest apart."""
        self.topology = topology
        self.hosts = {spec.name: Host(spec, prefix + spec.name) for spec in topology.hosts}
        self._switches = prefix + SWITCHES
        self._created: list[str] = []

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    @property
    def client(self) -> Host:
        """The first client."""
        return self._with_role(Role.CLIENT)[0]

    @property
    def director(self) -> Host:
        """The first director."""
        return self._with_role(Role.DIRECTOR)[0]

    @property
    def real_servers(self) -> tuple[Host, ...]:
        """All real servers, in the order of the topology."""
        return self._with_role(Role.REAL_SERVER)

    def _with_role(self, role: Role) -> tuple[Host, ...]:
        return tuple(self.hosts[spec.name] for spec in self.topology.with_role(role))

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Build it all.

        Raises:
            LabError: not in namespaces of the lab's own.
            OSError: the kernel refused a step.
        """
        require_private_namespaces()
        self._make_switches()
        for host in self.hosts.values():
            self._make_host(host)

    def down(self) -> None:
        """End the hosts' programs and take everything away that `up` made."""
        for host in self.hosts.values():
            host.stop_all()
        while self._created:
            linuxns.delete_namespace(self._created.pop())

    def _create(self, namespace: str) -> None:
        linuxns.create_namespace(namespace)
        self._created.append(namespace)

    def _make_switches(self) -> None:
        from pyroute2 import IPRoute  # slow to import

        self._create(self._switches)
        with linuxns.inside(self._switches), IPRoute() as ip:
            for switch in self.topology.switches:
                # Snooping needs a querier to be of use, and would hold back the first multicast packets.
                ip.link("add", ifname=switch, kind="bridge", br_mcast_snooping=0)
                ip.link("set", index=_index(ip, switch), state="up")

    def _make_host(self, host: Host) -> None:
        from pyroute2 import IPRoute  # slow to import

        self._create(host.namespace)
        # No duplicate address detection: an address has to be usable at once.
        for name, value in {"net.ipv6.conf.default.accept_dad": 0, **host.spec.sysctls}.items():
            host.sysctl(name, value)
        with linuxns.inside(self._switches), IPRoute() as ip:
            for link in host.spec.links:
                self._plug_in(ip, host, link)
        with host.inside(), IPRoute() as ip:
            ip.link("set", index=_index(ip, "lo"), state="up")
            for link in host.spec.links:
                _configure_link(ip, link)
            for route in host.spec.routes:
                family = {4: 2, 6: 10}[route.via.version]
                destination = "default" if route.to == "default" else str(route.to)
                ip.route("add", dst=destination, gateway=str(route.via), family=family)

    def _plug_in(self, ip: IPRoute, host: Host, link: DeviceSpec) -> None:
        port = f"{host.name}.{link.device}"[:15]
        target = os.open(linuxns.NAMED_NAMESPACES / host.namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            peer = {"ifname": link.device, "net_ns_fd": target}
            ip.link("add", ifname=port, kind="veth", peer=peer)
        finally:
            os.close(target)
        ip.link("set", index=_index(ip, port), master=_index(ip, link.switch), state="up")


def _configure_link(ip: IPRoute, link: DeviceSpec) -> None:
    index = _index(ip, link.device)
    ip.link("set", index=index, state="up")
    for interface in link.addresses:
        address, prefix = str(interface.ip), interface.network.prefixlen
        if isinstance(interface, IPv6Interface):
            ip.addr("add", index=index, address=address, prefixlen=prefix, flags=_IFA_F_NODAD)
        else:
            ip.addr("add", index=index, address=address, prefixlen=prefix)


def _index(ip: IPRoute, device: str) -> int:
    indexes: list[int] = ip.link_lookup(ifname=device)
    if not indexes:
        raise LabError(f"device {device} has gone")
    return indexes[0]


def require_private_namespaces() -> None:
    """Refuse to go on outside namespaces of the lab's own.

    Raises:
        LabError: `KERNELBAL_IN_LAB` is not set.
    """
    if not os.environ.get(IN_LAB_VARIABLE):
        raise LabError(
            "a lab can only be built in namespaces of its own",
            "use `kernelbal lab up`, or run it in a lab back end",
        )
