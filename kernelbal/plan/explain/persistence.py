"""What the kernel remembers of a client: connections and persistence templates (`ip_vs_sched_persist`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kernelbal.model.address import AF_INET, Address, format_address, host_prefix
from kernelbal.model.ipvs import (
    Connection,
    DestinationKey,
    Destinations,
    ServiceFlag,
    ServiceKey,
    ServiceTable,
    VirtualServer,
)
from kernelbal.model.units import format_duration
from kernelbal.plan.explain.match import FTP_PORT
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import StepTopic, StepVerdict, TraceStep

EXPIRE_QUIESCENT = "net/ipv4/vs/expire_quiescent_template"
"""Whether a template of a real server of weight 0 is ignored."""
CONN_REUSE_MODE = "net/ipv4/vs/conn_reuse_mode"
"""Whether a new connection from a port that a closed one had is scheduled again."""
EXPIRE_NODEST = "net/ipv4/vs/expire_nodest_conn"
"""Whether a packet to a removed real server ends its connection."""
SYSCTLS = (EXPIRE_QUIESCENT, CONN_REUSE_MODE, EXPIRE_NODEST)
"""The sysctls that a decision depends on."""

_CLOSED_STATES = ("TIME_WAIT", "CLOSE", "CLOSED")
_HALF_CLOSED = "FIN_WAIT"
_REUSE_HALF_CLOSED = 2


class PersistenceLookup(NamedTuple):
    """What is remembered.

    Attributes:
        destination: the real server that the kernel uses, or None when it is scheduled.
        dropped: whether the entry points to a real server that is gone, so that the packet is dropped.
    """

    step: TraceStep
    destination: DestinationKey | None = None
    dropped: bool = False


def recall(
    query: ExplainQuery, view: KernelView, key: ServiceKey, server: VirtualServer
) -> PersistenceLookup:
    """Return what connection table and templates decide, before any scheduler does."""
    connection = _connection(query, view.connections or ())
    if connection is not None and not _reused(connection, view, server):
        return _follow(connection, view, server)
    if not server.attributes.flags & ServiceFlag.PERSISTENT:
        return _schedule(StepVerdict.OFF, "not persistent: each connection is scheduled on its own", view)
    grouping = _grouping(query, server)
    if server.attributes.engine:
        reason = f"persistence engine `{server.attributes.engine}` depends on the packet's contents"
        return _schedule(StepVerdict.UNKNOWN, f"{reason}, such as its Call-ID: not determined", view)
    if view.connections is None:
        return _schedule(StepVerdict.UNKNOWN, f"{grouping}; the connection table was not read", view)
    template = _template(query, view.connections, key, server)
    if template is None:
        reason = f"{grouping}; no template for this client yet, so it keeps the choice made now"
        return _schedule(StepVerdict.NEW_CLIENT, reason, view)
    return _by_template(template, view, server, grouping)


def masked_clients(services: ServiceTable, client: Address) -> frozenset[Address]:
    """Return the addresses under which templates of a client may be kept, and its own."""
    family_bytes = len(client)
    prefixes = {
        server.attributes.prefix
        for key, server in services.items()
        if server.attributes.flags & ServiceFlag.PERSISTENT and (key.family == AF_INET) == (family_bytes == 4)
    }
    return frozenset({client, *(mask(client, prefix) for prefix in prefixes)})


def mask(address: Address, prefix: int) -> Address:
    """Return the network address of `address` with a prefix length of 0 to 32 or 128."""
    shift = host_prefix(address) - prefix
    return Address((int.from_bytes(address) >> shift << shift).to_bytes(len(address)))


def _schedule(verdict: StepVerdict, reason: str, view: KernelView) -> PersistenceLookup:
    return PersistenceLookup(TraceStep(StepTopic.PERSISTENCE, verdict, reason, view.source))


def _connection(query: ExplainQuery, connections: Iterable[Connection]) -> Connection | None:
    if not query.client_port:
        return None
    key_fields = (query.protocol, query.client, query.client_port, query.virtual, query.port)
    return next((found for found in connections if found[:5] == key_fields), None)


def _reused(connection: Connection, view: KernelView, server: VirtualServer) -> bool:
    """Return whether a new connection may take the place of this one (`is_new_conn_expected`)."""
    mode = int(view.sysctls.get(CONN_REUSE_MODE) or 1)
    if not mode or server.attributes.flags & ServiceFlag.PERSISTENT:
        return False
    half_closed = connection.state == _HALF_CLOSED and bool(mode & _REUSE_HALF_CLOSED)
    return connection.state in _CLOSED_STATES or half_closed


def _follow(connection: Connection, view: KernelView, server: VirtualServer) -> PersistenceLookup:
    where = _destination_of(connection.destination, server.destinations)
    entry = f"the connection table has this connection in state {connection.state}"
    if where is None:
        end = "which ends it" if view.sysctls.get(EXPIRE_NODEST) == "1" else "in silence"
        reason = f"{entry}, to {connection.destination}, which is no longer in the service: dropped, {end}"
        return PersistenceLookup(
            TraceStep(StepTopic.PERSISTENCE, StepVerdict.CONNECTION, reason, view.source), None, dropped=True
        )
    reason = f"{entry}: its packets go to {where} without scheduling"
    return PersistenceLookup(
        TraceStep(StepTopic.PERSISTENCE, StepVerdict.CONNECTION, reason, view.source), where
    )


def _grouping(query: ExplainQuery, server: VirtualServer) -> str:
    prefix, timeout_s = server.attributes.prefix, server.attributes.timeout_s
    kept = f"persistent for {format_duration(timeout_s)}"
    if prefix >= host_prefix(query.client):
        return f"{kept} by client address"
    network = format_address(mask(query.client, prefix))
    return f"{kept}: all of {network}/{prefix} counts as one client"


def _template(
    query: ExplainQuery, connections: Iterable[Connection], key: ServiceKey, server: VirtualServer
) -> Connection | None:
    client = mask(query.client, server.attributes.prefix)
    if key.mark:
        key_fields = (0, client, 0, _mark_address(key), 0)
    else:
        port = query.port if key.port == query.port != FTP_PORT else 0
        key_fields = (int(query.protocol), client, 0, query.virtual, port)
    return next((found for found in connections if found[:5] == key_fields), None)


def _mark_address(key: ServiceKey) -> Address:
    """Return what the kernel puts in place of the virtual address: the mark in the first four bytes."""
    return Address(key.mark.to_bytes(4) + (b"" if key.family == AF_INET else bytes(12)))


def _by_template(
    template: Connection, view: KernelView, server: VirtualServer, grouping: str
) -> PersistenceLookup:
    where = _destination_of(template.destination, server.destinations)
    remembered = f"{grouping}; template to {template.destination}, expires in {template.expires_s} s"
    if where is None:
        reason = f"{remembered}, which is no longer in the service: it is scheduled again"
        return _schedule(StepVerdict.NEW_CLIENT, reason, view)
    if server.destinations[where].weight:
        return PersistenceLookup(
            TraceStep(StepTopic.PERSISTENCE, StepVerdict.TEMPLATE, remembered, view.source), where
        )
    if view.sysctls.get(EXPIRE_QUIESCENT) == "1":
        reason = (
            f"{remembered}, but its weight is 0 and expire_quiescent_template is 1: it is scheduled again"
        )
        return _schedule(StepVerdict.NEW_CLIENT, reason, view)
    reason = f"{remembered}, although its weight is 0, because expire_quiescent_template is 0"
    return PersistenceLookup(
        TraceStep(StepTopic.PERSISTENCE, StepVerdict.TEMPLATE, reason, view.source), where
    )


def _destination_of(found: DestinationKey, destinations: Destinations) -> DestinationKey | None:
    """Return the real server that an entry points to; a port of 0 stands for any on one of the two sides."""
    if found in destinations:
        return found
    same = [key for key in destinations if key.address == found.address and 0 in (key.port, found.port)]
    return same[0] if same else None
