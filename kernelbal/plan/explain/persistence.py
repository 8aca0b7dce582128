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
from kernelbal.plan.explain.question import Question, View
from kernelbal.plan.explain.result import Step, Topic, Verdict

EXPIRE_QUIESCENT = "net/ipv4/vs/expire_quiescent_template"
"""Whether a template of a real server of weight 0 is ignored."""
CONN_REUSE_MODE = "net/ipv4/vs/conn_reuse_mode"
"""Whether a new connection from a port that a closed one had is scheduled anew."""
EXPIRE_NODEST = "net/ipv4/vs/expire_nodest_conn"
"""Whether a packet to a removed real server ends its connection."""
SYSCTLS = (EXPIRE_QUIESCENT, CONN_REUSE_MODE, EXPIRE_NODEST)
"""The sysctls that a decision depends on."""

_CLOSED_STATES = ("TIME_WAIT", "CLOSE", "CLOSED")
_HALF_CLOSED = "FIN_WAIT"
_REUSE_HALF_CLOSED = 2


class Memory(NamedTuple):
    """What is remembered.

    Attributes:
        destination: the real server that the kernel goes by, or None when the scheduler is asked.
        dropped: whether the entry points to a real server that is gone, so that the packet is dropped.
    """

    step: Step
    destination: DestinationKey | None = None
    dropped: bool = False


def recall(question: Question, view: View, key: ServiceKey, server: VirtualServer) -> Memory:
    """Return what the kernel does by memory alone, before any scheduler is asked."""
    connection = _connection(question, view.connections or ())
    if connection is not None and not _reused(connection, view, server):
        return _follow(connection, view, server)
    if not server.attributes.flags & ServiceFlag.PERSISTENT:
        return _ask(Verdict.OFF, "not persistent: each connection is scheduled by itself", view)
    grouping = _grouping(question, server)
    if server.attributes.engine:
        reason = f"persistence engine `{server.attributes.engine}` goes by the packet's contents"
        return _ask(Verdict.UNKNOWN, f"{reason}, such as its Call-ID: not determined", view)
    if view.connections is None:
        return _ask(Verdict.UNKNOWN, f"{grouping}; what the kernel remembers was not read", view)
    template = _template(question, view.connections, key, server)
    if template is None:
        reason = f"{grouping}; the kernel remembers nothing of it, so the choice is made now and kept"
        return _ask(Verdict.NEW_CLIENT, reason, view)
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


def _ask(verdict: Verdict, reason: str, view: View) -> Memory:
    return Memory(Step(Topic.PERSISTENCE, verdict, reason, view.source))


def _connection(question: Question, connections: Iterable[Connection]) -> Connection | None:
    if not question.client_port:
        return None
    wanted = (question.protocol, question.client, question.client_port, question.virtual, question.port)
    return next((found for found in connections if found[:5] == wanted), None)


def _reused(connection: Connection, view: View, server: VirtualServer) -> bool:
    """Return whether a new connection may take the place of this one (`is_new_conn_expected`)."""
    mode = int(view.sysctls.get(CONN_REUSE_MODE) or 1)
    if not mode or server.attributes.flags & ServiceFlag.PERSISTENT:
        return False
    half_closed = connection.state == _HALF_CLOSED and bool(mode & _REUSE_HALF_CLOSED)
    return connection.state in _CLOSED_STATES or half_closed


def _follow(connection: Connection, view: View, server: VirtualServer) -> Memory:
    where = _destination_of(connection.destination, server.destinations)
    entry = f"the connection table has this connection in state {connection.state}"
    if where is None:
        end = "which ends it" if view.sysctls.get(EXPIRE_NODEST) == "1" else "in silence"
        reason = f"{entry}, to {connection.destination}, which is no longer in the service: dropped, {end}"
        return Memory(Step(Topic.PERSISTENCE, Verdict.CONNECTION, reason, view.source), None, dropped=True)
    reason = f"{entry}: its packets go on to {where}, and no scheduler is asked"
    return Memory(Step(Topic.PERSISTENCE, Verdict.CONNECTION, reason, view.source), where)


def _grouping(question: Question, server: VirtualServer) -> str:
    prefix, timeout_s = server.attributes.prefix, server.attributes.timeout_s
    kept = f"persistent for {format_duration(timeout_s)}"
    if prefix >= host_prefix(question.client):
        return f"{kept} by client address"
    network = format_address(mask(question.client, prefix))
    return f"{kept}: all of {network}/{prefix} counts as one client"


def _template(
    question: Question, connections: Iterable[Connection], key: ServiceKey, server: VirtualServer
) -> Connection | None:
    client = mask(question.client, server.attributes.prefix)
    if key.mark:
        wanted = (0, client, 0, _mark_address(key), 0)
    else:
        port = question.port if key.port == question.port != FTP_PORT else 0
        wanted = (int(question.protocol), client, 0, question.virtual, port)
    return next((found for found in connections if found[:5] == wanted), None)


def _mark_address(key: ServiceKey) -> Address:
    """Return what the kernel puts in place of the virtual address: the mark in the first four bytes."""
    return Address(key.mark.to_bytes(4) + (b"" if key.family == AF_INET else bytes(12)))


def _by_template(template: Connection, view: View, server: VirtualServer, grouping: str) -> Memory:
    where = _destination_of(template.destination, server.destinations)
    remembered = f"{grouping}; it was given {template.destination}, for {template.expires_s} s more"
    if where is None:
        reason = f"{remembered}, which is no longer in the service: it is scheduled anew"
        return _ask(Verdict.NEW_CLIENT, reason, view)
    if server.destinations[where].weight:
        return Memory(Step(Topic.PERSISTENCE, Verdict.TEMPLATE, remembered, view.source), where)
    if view.sysctls.get(EXPIRE_QUIESCENT) == "1":
        reason = f"{remembered}, but its weight is 0 and expire_quiescent_template is 1: it is scheduled anew"
        return _ask(Verdict.NEW_CLIENT, reason, view)
    reason = f"{remembered}, although its weight is 0, because expire_quiescent_template is 0"
    return Memory(Step(Topic.PERSISTENCE, Verdict.TEMPLATE, reason, view.source), where)


def _destination_of(found: DestinationKey, destinations: Destinations) -> DestinationKey | None:
    """Return the real server that an entry points to; a port of 0 stands for any on one of the two sides."""
    if found in destinations:
        return found
    same = [key for key in destinations if key.address == found.address and 0 in (key.port, found.port)]
    return same[0] if same else None
