"""The driver of IPVS sync daemons (`IPVS_CMD_*_DAEMON` of `linux/ip_vs.h`).

Port and length are in host order, unlike every other port of IPVS. The kernel ignores attributes that it does
not know and narrows a length that it does not like, so a daemon is read back after its start.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from kernelbal.errors import NotSupported
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.kernel.netlink import HEADER_BYTES, Refusal, attribute, attributes, nested
from kernelbal.kernel.refusals import refused
from kernelbal.model.address import Address
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.sync_daemons import (
    DEFAULT_GROUP,
    DEFAULT_PORT,
    DEFAULT_TTL,
    SYNC_DAEMONS,
    RestartSyncDaemon,
    StartSyncDaemon,
    StopSyncDaemon,
    SyncDaemon,
    SyncRole,
)

ATTR_DAEMON: Final = 3
STATE: Final = 1
MCAST_IFN: Final = 2
SYNC_ID: Final = 3
SYNC_MAXLEN: Final = 4
MCAST_GROUP: Final = 5
MCAST_GROUP6: Final = 6
MCAST_PORT: Final = 7
MCAST_TTL: Final = 8

_STATES: Final = {SyncRole.MASTER: 1, SyncRole.BACKUP: 2}
"""`IP_VS_STATE_*`."""
_ROLES: Final = {state: role for role, state in _STATES.items()}
_U16: Final = struct.Struct("=H")
_U32: Final = struct.Struct("=I")


def daemon_request(role: SyncRole, daemon: SyncDaemon | None = None) -> bytes:
    """Return the body of a request about the daemon of a role; with its attributes to start it."""
    body = attribute(STATE, _U32.pack(_STATES[role]))
    if daemon is not None:
        group = MCAST_GROUP if len(daemon.group) == 4 else MCAST_GROUP6
        body += (
            attribute(MCAST_IFN, daemon.interface.encode() + b"\0")
            + attribute(SYNC_ID, _U32.pack(daemon.sync_id))
            + attribute(SYNC_MAXLEN, _U16.pack(daemon.max_length_bytes))
            + attribute(group, daemon.group)
            + attribute(MCAST_PORT, _U16.pack(daemon.port))
            + attribute(MCAST_TTL, bytes([daemon.ttl]))
        )
    return nested(ATTR_DAEMON, body)


def parse_daemon(message: bytes) -> tuple[SyncRole, SyncDaemon]:
    """Return the daemon in a message; before Linux 4.3 it holds neither group nor port, TTL and length."""
    ((_, start, end),) = attributes(message, HEADER_BYTES, len(message))
    found = {kind: message[at:to] for kind, at, to in attributes(message, start, end)}
    daemon = SyncDaemon(
        interface=found[MCAST_IFN].rstrip(b"\0").decode(errors="replace"),
        sync_id=wire.number(found[SYNC_ID]),
        group=Address(found.get(MCAST_GROUP) or found.get(MCAST_GROUP6) or DEFAULT_GROUP),
        port=_U16.unpack(found[MCAST_PORT])[0] if MCAST_PORT in found else DEFAULT_PORT,
        ttl=found[MCAST_TTL][0] if MCAST_TTL in found else DEFAULT_TTL,
        max_length_bytes=_U16.unpack(found[SYNC_MAXLEN])[0] if SYNC_MAXLEN in found else 0,
    )
    return _ROLES[wire.number(found[STATE])], daemon


def _read(ipvs: IpvsTable) -> Mapping[SyncRole, SyncDaemon]:
    return dict(map(parse_daemon, ipvs.dump(wire.CMD_GET_DAEMON)))


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    try:
        return found.having(SYNC_DAEMONS, _read(sockets.ipvs))
    except NotSupported:
        return found


def _perform(
    sockets: Sockets, actions: Sequence[StartSyncDaemon | RestartSyncDaemon | StopSyncDaemon]
) -> list[Outcome]:
    return [_perform_one(sockets.ipvs, action) for action in actions]


def _perform_one(ipvs: IpvsTable, action: StartSyncDaemon | RestartSyncDaemon | StopSyncDaemon) -> Outcome:
    refusal: Refusal | None = None
    if not isinstance(action, StartSyncDaemon):
        refusal = _stop(ipvs, action.key)
        if isinstance(action, RestartSyncDaemon) and refusal is not None and refusal.errno == errno.ESRCH:
            refusal = None
    if not isinstance(action, StopSyncDaemon) and refusal is None:
        refusal = _start(ipvs, action.key, action.attributes)
    return Outcome(action, Result.DONE) if refusal is None else refused(action, *refusal)


def _stop(ipvs: IpvsTable, role: SyncRole) -> Refusal | None:
    return ipvs.order(wire.CMD_DEL_DAEMON, daemon_request(role))


def _start(ipvs: IpvsTable, role: SyncRole, daemon: SyncDaemon) -> Refusal | None:
    refusal = ipvs.order(wire.CMD_NEW_DAEMON, daemon_request(role, daemon))
    if refusal is None and _read(ipvs).get(role) != daemon:
        refusal = _stop(ipvs, role) or Refusal(errno.EOPNOTSUPP)
    return refusal


DRIVER: Final = Driver(_observe, _perform)
