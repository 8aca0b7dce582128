"""IPVS sync daemons: the kernel's sender and receiver of connections (`ipvsadm --start-daemon`).

With them a director's connections survive its partner's taking over: the master sends what it balances, the
backup takes it in. A network namespace has at most one of each, and both may run at the same time. Desired
state of them comes from the high availability of a pair. They are read on every director, so that a plan
names those that others started.

A daemon outlives its interface and does not come back to one of the same name, so one that is seen without
its interface is started anew. What `net/netfilter/ipvs/ip_vs_sync.c` and `ip_vs_ctl.c` make of error numbers
is in `_START_ERRORS`.
"""

from __future__ import annotations

import errno
from enum import StrEnum
from typing import ClassVar, Final, NamedTuple

from kernelbal.model.address import Address, format_endpoint, parse_address
from kernelbal.plan.action import (
    GONE,
    Action,
    ActionRow,
    Effect,
    Errors,
    Names,
    ObjectId,
    Phase,
    Rows,
    failed,
)
from kernelbal.plan.kind import KeyedKind, ObservedState, Planning
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.service_actions import IPVS_ERRORS

DEFAULT_GROUP: Final = parse_address("224.0.0.81")
DEFAULT_PORT: Final = 8848
DEFAULT_TTL: Final = 1


class SyncRole(StrEnum):
    """What a sync daemon does, in the words of `ipvsadm`."""

    MASTER = "master"
    BACKUP = "backup"


class SyncDaemon(NamedTuple):
    """Attributes of a sync daemon; all are always given to the kernel, so that no default of it counts.

    Attributes:
        interface: on which it sends or listens; it needs an address of the group's family. Without an IPv4
            address a master starts nevertheless, and sends from 0.0.0.0.
        sync_id: 0-255; only daemons of the same one understand each other, and a backup of 0 takes all.
        group: multicast group, IPv4 or IPv6.
        port: UDP port, 1-65535; with `net.ipv4.vs.sync_ports` it is the first of as many.
        ttl: hops that a message may go, 1-255.
        max_length_bytes: longest message, without IP and UDP headers: at most 65487, of a backup at least
            1024. A backup must take what its partner's master sends. The default fits an MTU of 1500 bytes
            with both families.
    """

    interface: str
    sync_id: int
    group: Address = DEFAULT_GROUP
    port: int = DEFAULT_PORT
    ttl: int = DEFAULT_TTL
    max_length_bytes: int = 1452

    def __str__(self) -> str:
        where = f"{format_endpoint(self.group, self.port)} on {self.interface}"
        return f"{where} sync_id {self.sync_id} ttl {self.ttl} max_length {self.max_length_bytes}"


class StartSyncDaemon(NamedTuple):
    """Start the daemon of a role."""

    key: SyncRole
    attributes: SyncDaemon

    def text(self, names: Names) -> str:
        """Name it with its attributes."""
        return f"sync daemon {self.key} {self.attributes}"


class RestartSyncDaemon(NamedTuple):
    """Stop our daemon of a role and start it with other attributes: the kernel changes none of them."""

    key: SyncRole
    old: SyncDaemon
    attributes: SyncDaemon

    def text(self, names: Names) -> str:
        """Name it as it was and as it will be."""
        return f"sync daemon {self.key} {self.old} -> {self.attributes}"


class StopSyncDaemon(NamedTuple):
    """Stop our daemon of a role."""

    key: SyncRole

    def text(self, names: Names) -> str:
        """Name it."""
        return f"sync daemon {self.key}"


_START_ERRORS: Errors = {
    **IPVS_ERRORS,
    errno.EEXIST: failed(
        "a sync daemon of this role runs already, and is not kernelbal's", "ipvsadm --stop-daemon {key}"
    ),
    errno.ENODEV: failed(
        "there is no interface `{attributes.interface}`", "name an existing one: `ip link` lists them"
    ),
    errno.EINVAL: failed(
        "the kernel refuses the sync daemon: its group is no multicast address, or a real server's family "
        "differs from its virtual service's",
        "use a group of 224.0.0.0/4 or ff00::/8; connections of mixed families cannot be synchronized",
    ),
    errno.EADDRINUSE: failed(
        "another program has UDP port {attributes.port}", "choose another port, on both directors"
    ),
    errno.EADDRNOTAVAIL: failed(
        "the interface `{attributes.interface}` has no address of the group's family", "give it one"
    ),
    errno.ENETUNREACH: failed(
        "the interface `{attributes.interface}` is down", "ip link set {attributes.interface} up"
    ),
    errno.EOPNOTSUPP: failed(
        "the kernel runs the sync daemon with other attributes than it was given",
        "use a longest message of 1024-65487 bytes; group, port and TTL need Linux 4.3",
    ),
}
_SILENT = {
    SyncRole.MASTER: "the partner does not learn of new connections",
    SyncRole.BACKUP: "the partner's connections are not taken in",
}


class SyncDaemons(KeyedKind[SyncRole, SyncDaemon]):
    """Sync daemons by their role.

    They start after the addresses, of which the kernel takes the master's source, and stop before real
    servers are added: IPVS refuses mixed families while one runs.
    """

    title = "sync daemon"
    came_later = True
    rows: ClassVar[Rows] = {
        StartSyncDaemon: ActionRow(Effect.ADD, Phase.ADD_ADDRESSES, "start sync daemon", _START_ERRORS),
        RestartSyncDaemon: ActionRow(
            Effect.CHANGE, Phase.ADD_ADDRESSES, "restart sync daemon", _START_ERRORS
        ),
        StopSyncDaemon: ActionRow(
            Effect.REMOVE, Phase.SERVICES, "stop sync daemon", {**IPVS_ERRORS, errno.ESRCH: GONE}
        ),
    }

    def diff(self, planning: Planning) -> None:
        """Start, restart and stop; ours that lost its interface is restarted, once links were read."""
        super().diff(planning)
        desired, observed, owned = planning.parts(self)
        interfaces = {link.name for link in planning.observed.of(LINKS)}
        for role, daemon in desired.items():
            lost = interfaces and daemon.interface not in interfaces
            if lost and role in owned and observed.get(role) == daemon:
                planning.put(self, RestartSyncDaemon(role, daemon, daemon))

    def adding(self, key: SyncRole, attributes: SyncDaemon) -> Action:
        """Start it."""
        return StartSyncDaemon(key, attributes)

    def changing(self, key: SyncRole, old: SyncDaemon, attributes: SyncDaemon) -> Action:
        """Restart it."""
        return RestartSyncDaemon(key, old, attributes)

    def removing(self, key: SyncRole, attributes: SyncDaemon) -> Action:
        """Stop it."""
        return StopSyncDaemon(key)

    def needs(self, action: Action) -> tuple[ObjectId, ...]:
        """A daemon needs its interface."""
        if isinstance(action, StartSyncDaemon | RestartSyncDaemon):
            return (ObjectId(LINKS.name, action.attributes.interface),)
        return ()

    def impact(self, action: Action, observed: ObservedState) -> str:
        """Connections go on; what is not synchronized does not survive a change of director."""
        match action:
            case StopSyncDaemon(role):
                return _SILENT[role]
            case RestartSyncDaemon(role):
                return f"{_SILENT[role]} while it restarts"
            case _:
                return ""


SYNC_DAEMONS: Final = SyncDaemons("sync_daemons", dict[SyncRole, SyncDaemon], SyncRole)
