"""The rare commands of IPVS, by way of pyroute2: sync daemons and counters.

pyroute2 is imported when a socket is opened: it takes longer to load than most commands run.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kernelbal.errors import NotSupported
from kernelbal.kernel import errno_map
from kernelbal.kernel.errno_map import Operation, Subject
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST
from kernelbal.model.address import Address, format_address, parse_address
from kernelbal.model.ipvs import ServiceKey

if TYPE_CHECKING:
    from kernelbal.kernel.ipvs.messages import CommandMessage, IpvsSocket


class SyncRole(IntEnum):
    """What a sync daemon does: `IP_VS_STATE_*`. One of each may run in a network namespace."""

    MASTER = 1
    BACKUP = 2


class SyncDaemon(NamedTuple):
    """One connection synchronization daemon (`IPVS_DAEMON_ATTR_*`).

    Attributes:
        interface: device on which it sends or listens; it needs an IPv4 address.
        sync_id: 0-255; a backup daemon with 0 takes all.
        max_length_bytes: largest datagram; 0 lets the kernel choose by the device's MTU.
        group: multicast group; None is the kernel's 224.0.0.81.
        port: UDP port; 0 is the kernel's 8848.
        ttl: 0 is the kernel's 1.
    """

    role: SyncRole
    interface: str
    sync_id: int
    max_length_bytes: int = 0
    group: Address | None = None
    port: int = 0
    ttl: int = 0


class IpvsControl:
    """A connection to the kernel for the rare commands; use it as a context."""

    def __init__(self, sock: IpvsSocket) -> None:
        self._sock = sock

    @classmethod
    def open(cls) -> Self:
        """Open it in the network namespace of the calling thread.

        Raises:
            NotSupported: the kernel has no IPVS.
            KernelError: the kernel refuses a socket.
        """
        from kernelbal.kernel.ipvs.messages import IpvsSocket

        with _worded(Operation.OPEN):
            return cls(IpvsSocket())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def zero(self, key: ServiceKey | None = None) -> None:
        """Set the counters of a service and of its destinations to 0; of all services if none is named.

        Raises:
            KernelError: there is no such service, or CAP_NET_ADMIN is missing.
        """
        named = [] if key is None else [("IPVS_CMD_ATTR_SERVICE", {"attrs": _service_attributes(key)})]
        with _worded(Operation.ZERO, str(key or "")):
            self._sock.request(wire.CMD_ZERO, named, NLM_F_REQUEST | NLM_F_ACK)

    def start_daemon(self, daemon: SyncDaemon) -> None:
        """Start a sync daemon.

        Raises:
            KernelError: one of that role runs already (EEXIST), the interface does not exist, or a real
                server's family differs from its virtual service's.
        """
        self._daemon(Operation.START_DAEMON, wire.CMD_NEW_DAEMON, daemon)

    def stop_daemon(self, daemon: SyncDaemon) -> None:
        """Stop the sync daemon of that role, interface and ID.

        Raises:
            KernelError: none runs (ESRCH).
        """
        self._daemon(Operation.STOP_DAEMON, wire.CMD_DEL_DAEMON, daemon)

    def _daemon(self, operation: Operation, command: int, daemon: SyncDaemon) -> None:
        values = ("IPVS_CMD_ATTR_DAEMON", {"attrs": _daemon_attributes(daemon)})
        with _worded(operation, f"{daemon.role.name.lower()} on {daemon.interface}"):
            self._sock.request(command, [values], NLM_F_REQUEST | NLM_F_ACK)

    def read_daemons(self) -> list[SyncDaemon]:
        """Return the running sync daemons, at most one per role.

        Raises:
            KernelError: CAP_NET_ADMIN is missing.
        """
        with _worded(Operation.READ):
            answers = self._sock.request(wire.CMD_GET_DAEMON, [], NLM_F_REQUEST | NLM_F_DUMP)
        return [_sync_daemon(answer.get_attr("IPVS_CMD_ATTR_DAEMON")) for answer in answers]


def _service_attributes(key: ServiceKey) -> list[tuple[str, Any]]:
    family = ("IPVS_SVC_ATTR_AF", key.family)
    if key.mark:
        return [family, ("IPVS_SVC_ATTR_FWMARK", key.mark)]
    return [
        family,
        ("IPVS_SVC_ATTR_PROTOCOL", key.protocol),
        ("IPVS_SVC_ATTR_ADDR", format_address(key.address)),
        ("IPVS_SVC_ATTR_PORT", key.port),
    ]


def _daemon_attributes(daemon: SyncDaemon) -> list[tuple[str, Any]]:
    """Return what the kernel is told; it chooses where a field is 0 or None."""
    found: list[tuple[str, Any]] = [
        ("IPVS_DAEMON_ATTR_STATE", int(daemon.role)),
        ("IPVS_DAEMON_ATTR_MCAST_IFN", daemon.interface),
        ("IPVS_DAEMON_ATTR_SYNC_ID", daemon.sync_id),
    ]
    if daemon.group is not None:
        kind = "GROUP" if len(daemon.group) == 4 else "GROUP6"
        found.append((f"IPVS_DAEMON_ATTR_MCAST_{kind}", format_address(daemon.group)))
    optional = {
        "SYNC_MAXLEN": daemon.max_length_bytes,
        "MCAST_PORT": daemon.port,
        "MCAST_TTL": daemon.ttl,
    }
    return found + [(f"IPVS_DAEMON_ATTR_{name}", value) for name, value in optional.items() if value]


def _sync_daemon(values: CommandMessage.daemon) -> SyncDaemon:
    group = values.get_attr("IPVS_DAEMON_ATTR_MCAST_GROUP") or values.get_attr(
        "IPVS_DAEMON_ATTR_MCAST_GROUP6"
    )
    return SyncDaemon(
        role=SyncRole(values.get_attr("IPVS_DAEMON_ATTR_STATE")),
        interface=values.get_attr("IPVS_DAEMON_ATTR_MCAST_IFN"),
        sync_id=values.get_attr("IPVS_DAEMON_ATTR_SYNC_ID"),
        max_length_bytes=values.get_attr("IPVS_DAEMON_ATTR_SYNC_MAXLEN") or 0,
        group=parse_address(group) if group else None,
        port=values.get_attr("IPVS_DAEMON_ATTR_MCAST_PORT") or 0,
        ttl=values.get_attr("IPVS_DAEMON_ATTR_MCAST_TTL") or 0,
    )


@contextmanager
def _worded(operation: Operation, target: str = "") -> Iterator[None]:
    """Turn pyroute2's errors into errors for users."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        if operation is Operation.OPEN and error.code == errno.ENOENT:
            raise NotSupported(
                str(operation), "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs"
            ) from error
        raise errno_map.error(operation, error.code, Subject(target)) from error
