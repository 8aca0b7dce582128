"""Which real server a scheduler gives a new connection to, as far as that can be known.

Schedulers are a table from name to rule. `sh`, `dh`, `mh` and `fo` are determined by configuration; `lc`,
`wlc`, `sed`, `nq` and `ovf` by counters, so their answer holds for now; the others keep a state of their own
that the kernel does not show. Real servers of weight 0 and those over their upper threshold
(`IP_VS_DEST_F_OVERLOAD` in `ip_vs_conn.c`) take no new connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kernelbal.model.address import Address
from kernelbal.model.ipvs import DestinationAttributes, DestinationCounters, DestinationKey, ServiceFlag
from kernelbal.plan.explain import hashing
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.explain.result import Availability, Certainty, SchedulerChoice

INACTIVE_PER_ACTIVE = 256
"""An active connection weighs as much as this many inactive ones (`ip_vs_dest_conn_overhead`)."""


class SchedulerServer(NamedTuple):
    """A real server as a scheduler sees it; `PERHAPS` counts as usable."""

    key: DestinationKey
    weight: int
    active: int
    inactive: int
    availability: Availability

    @property
    def usable(self) -> bool:
        """Whether it may get the connection."""
        return self.availability in (Availability.AVAILABLE, Availability.PERHAPS)


class SchedulerInput(NamedTuple):
    """What a scheduler decides from.

    Attributes:
        servers: in the order of the kernel's list.
        live: whether the counters are those of a running kernel.
    """

    query: ExplainQuery
    flags: int
    servers: tuple[SchedulerServer, ...]
    live: bool

    @property
    def usable(self) -> tuple[SchedulerServer, ...]:
        """The servers that may get the connection."""
        return tuple(server for server in self.servers if server.usable)


def availability(
    attributes: DestinationAttributes, counters: DestinationCounters
) -> tuple[Availability, str]:
    """Return whether a real server takes new connections, and why not.

    At the upper threshold it is out, and it stays out until its connections have fallen below the lower one
    (3/4 of the upper one by default). In between, only the kernel knows which way it came.
    """
    if attributes.weight == 0:
        return Availability.QUIESCED, "weight 0: no new connections"
    upper = attributes.upper_threshold
    connections = counters.active + counters.inactive
    if not upper:
        return Availability.AVAILABLE, ""
    if connections >= upper:
        return Availability.OVERLOADED, f"{connections} connections, at or over its upper threshold {upper}"
    lower = attributes.lower_threshold
    back_in = connections < lower if lower else connections * 4 < upper * 3
    if back_in:
        return Availability.AVAILABLE, ""
    shown = lower or f"3/4 of {upper}"
    return (
        Availability.PERHAPS,
        f"{connections} connections, not below {shown}: out if it has reached {upper} since it last was",
    )


SchedulerRule = Callable[[SchedulerInput], SchedulerChoice]
"""What a scheduler does with a pool that has at least one usable server."""


def schedule(scheduler: str, pool: SchedulerInput) -> SchedulerChoice:
    """Return what the scheduler does with the connection.

    A choice of a real server that may be out for its thresholds is worth less: it holds for now.
    """
    if not pool.servers:
        return SchedulerChoice(None, Certainty.CERTAIN, "the service has no real servers")
    if not pool.usable:
        return SchedulerChoice(None, Certainty.CERTAIN, "no real server takes new connections")
    choice = _RULES.get(scheduler, _unknown)(pool)
    if choice.destination is None and choice.certainty is Certainty.OPEN and len(pool.usable) == 1:
        only = pool.usable[0].key
        choice = SchedulerChoice(only, Certainty.CERTAIN, "the only real server that takes new connections")
    return _weakened(choice, pool)


def _weakened(choice: SchedulerChoice, pool: SchedulerInput) -> SchedulerChoice:
    chosen = next((server for server in pool.servers if server.key == choice.destination), None)
    if chosen is None or chosen.availability is not Availability.PERHAPS:
        return choice
    reason = f"{choice.reason}; unless it still counts as overloaded for having reached its upper threshold"
    return SchedulerChoice(choice.destination, Certainty.NOW, reason)


def _hashed(pool: SchedulerInput, index: int | None, what: str) -> SchedulerChoice:
    if index is not None:
        return SchedulerChoice(pool.servers[index].key, Certainty.CERTAIN, what)
    return SchedulerChoice(
        None, Certainty.CERTAIN, f"{what}, but that real server is unavailable, and there is no fallback"
    )


def _hash_port(pool: SchedulerInput) -> int | None:
    """Return the port that is hashed, or None when it is needed and not known."""
    return pool.query.client_port if pool.flags & ServiceFlag.SCHED2 else 0


def _source_hash(pool: SchedulerInput) -> SchedulerChoice:
    port = _hash_port(pool)
    if port is None:
        return _needs_port("sh")
    client = pool.query.client
    fallback = bool(pool.flags & ServiceFlag.SCHED1)
    weights = [server.weight for server in pool.servers]
    index = hashing.source_hash(weights, client, port, lambda i: pool.servers[i].usable, fallback=fallback)
    return _hashed(pool, index, f"the client's hash is bucket {hashing.bucket_of(client, port)} of 256")


def _maglev(pool: SchedulerInput) -> SchedulerChoice:
    port = _hash_port(pool)
    if port is None:
        return _needs_port("mh")
    weights = [server.weight for server in pool.servers]
    if pool.live and 0 in weights:
        reason = "mh keeps the former weight of a quiesced real server in its table, and does not show it"
        return SchedulerChoice(None, Certainty.OPEN, reason)
    # The kernel reads a real server's address in the service's family (mixed families are tunnels).
    bytes_read = len(pool.query.virtual)
    index = hashing.maglev_hash(
        [(Address(server.key.address[:bytes_read]), server.key.port) for server in pool.servers],
        weights,
        pool.query.client,
        port,
        lambda i: pool.servers[i].usable,
        fallback=bool(pool.flags & ServiceFlag.SCHED1),
    )
    return _hashed(pool, index, f"the client's place in a table of {hashing.MAGLEV_BUCKETS} buckets")


def _needs_port(scheduler: str) -> SchedulerChoice:
    reason = f"{scheduler}-port hashes the client's port too; give it with --client-port"
    return SchedulerChoice(None, Certainty.OPEN, reason)


def _destination_hash(pool: SchedulerInput) -> SchedulerChoice:
    virtual = pool.query.virtual
    index = hashing.destination_hash(len(pool.servers), virtual, lambda i: pool.servers[i].usable)
    reason = f"the virtual address's hash is bucket {hashing.bucket_of(virtual)} of 256, for all clients"
    return _hashed(pool, index, reason)


def _fail_over(pool: SchedulerInput) -> SchedulerChoice:
    best = _highest_weight(pool.usable)
    return SchedulerChoice(
        best.key, Certainty.CERTAIN, f"the highest weight ({best.weight}) that is available"
    )


def _overflow(pool: SchedulerInput) -> SchedulerChoice:
    with_room = [server for server in pool.usable if server.active <= server.weight]
    if not pool.live:
        return _from_counters("the highest weight that has no more active connections than its weight")
    if not with_room:
        return SchedulerChoice(
            None, Certainty.NOW, "every real server has more active connections than its weight"
        )
    best = _highest_weight(with_room)
    reason = f"the highest weight ({best.weight}) with active connections ({best.active}) not above it"
    return SchedulerChoice(best.key, Certainty.NOW, reason)


def _highest_weight(servers: Iterable[SchedulerServer]) -> SchedulerServer:
    return max(servers, key=lambda server: server.weight)


def _overhead(server: SchedulerServer) -> int:
    return server.active * INACTIVE_PER_ACTIVE + server.inactive


def _least(
    pool: SchedulerInput, rule: str, cost: Callable[[SchedulerServer], int], *, weighted: bool
) -> SchedulerChoice:
    """Return the first real server of the least cost per weight, compared as the kernel does, in integers."""
    if not pool.live:
        return _from_counters(rule)
    best = pool.usable[0]
    for server in pool.usable[1:]:
        ours, theirs = (server.weight, best.weight) if weighted else (1, 1)
        if cost(best) * ours > cost(server) * theirs:
            best = server
    divided = f" / weight {best.weight}" if weighted else ""
    return SchedulerChoice(best.key, Certainty.NOW, f"{rule}; now {cost(best)}{divided}")


def _from_counters(rule: str) -> SchedulerChoice:
    return SchedulerChoice(None, Certainty.OPEN, f"{rule}; needs the counters of a running kernel")


def _least_connection(pool: SchedulerInput) -> SchedulerChoice:
    return _least(pool, "the least active connections * 256 + inactive ones", _overhead, weighted=False)


def _weighted_least_connection(pool: SchedulerInput) -> SchedulerChoice:
    rule = "the least (active connections * 256 + inactive ones) / weight"
    return _least(pool, rule, _overhead, weighted=True)


def _shortest_delay(pool: SchedulerInput) -> SchedulerChoice:
    rule = "the least (active connections + 1) / weight"
    return _least(pool, rule, lambda server: server.active + 1, weighted=True)


def _never_queue(pool: SchedulerInput) -> SchedulerChoice:
    idle = next((server for server in pool.usable if server.active == 0), None)
    if idle is None or not pool.live:
        return _shortest_delay(pool)
    return SchedulerChoice(idle.key, Certainty.NOW, "the first real server without an active connection")


_HIDDEN_RULES: Mapping[str, str] = {
    "rr": "the next in turn after the last connection's; the kernel does not show whose turn it is",
    "wrr": "the next in turn, as often as the weights say; the kernel does not show whose turn it is",
    "lblc": "the one assigned to this virtual address before, or the least loaded",
    "lblcr": "the least loaded of the set assigned to this virtual address before",
    "twos": "the less loaded of two chosen at random",
}


def _hidden(scheduler: str) -> SchedulerRule:
    return lambda _: SchedulerChoice(None, Certainty.OPEN, _HIDDEN_RULES[scheduler])


def _unknown(_: SchedulerInput) -> SchedulerChoice:
    return SchedulerChoice(None, Certainty.OPEN, "kernelbal does not know this scheduler")


_RULES: Mapping[str, SchedulerRule] = {
    "sh": _source_hash,
    "mh": _maglev,
    "dh": _destination_hash,
    "fo": _fail_over,
    "ovf": _overflow,
    "lc": _least_connection,
    "wlc": _weighted_least_connection,
    "sed": _shortest_delay,
    "nq": _never_queue,
    **{name: _hidden(name) for name in _HIDDEN_RULES},
}
