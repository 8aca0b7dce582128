"""Documents of the status from what a director knows: of one virtual service, or one real server, each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from kernelbal.health.decision import Decision, ServerView, ServiceView
from kernelbal.health.evaluation import cannot_be_checked
from kernelbal.model.address import Address, format_address, with_port
from kernelbal.model.health import Health, Probe, ProbePlan, ProbeState, ProbeStates
from kernelbal.model.ipvs import CounterTable, DestinationCounters, DestinationKey, ServiceKey, ServiceTable
from kernelbal.model.overlay import Admin, Mode, Order, ServerState
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService
from kernelbal.model.status import AdminStatus, CheckStatus, FailingStatus, ServerStatus, ServiceStatus
from kernelbal.model.units import PortRange
from kernelbal.plan.action import Names
from kernelbal.plan.drain import open_connections
from kernelbal.plan.kinds import describe, operation_of
from kernelbal.reconcile.retry import FailingObject
from kernelbal.runtime.director.drift import service_name
from kernelbal.runtime.director.failing import error_name

NO_COUNTERS: Final = DestinationCounters(0, 0, 0)


def iso(wall: float) -> str:
    """Return an instant, in seconds since 1970, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Counted(NamedTuple):
    """Counters and when they were read, in seconds on the boot clock."""

    at: float
    table: CounterTable


class Rates(NamedTuple):
    """Per second; None before a second measurement."""

    connections: float | None = None
    bytes_in: float | None = None
    bytes_out: float | None = None


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """What the views are made from.

    Attributes:
        now: seconds on the boot clock.
        wall: seconds since 1970, at the same moment.
        keys: IPVS services by the name of their virtual service.
        table: the IPVS table after the last round; None when that could not read it.
        counted: the newest counters, and those before; None when there are none.
    """

    now: float
    wall: float
    site: Site
    probes: ProbePlan
    states: ProbeStates
    decision: Decision | None
    keys: Mapping[str, tuple[ServiceKey, ...]]
    table: ServiceTable | None
    counted: Counted | None
    before: Counted | None

    def at(self, instant: float) -> str:
        """Return an instant of the boot clock as ISO 8601."""
        return iso(self.wall - (self.now - instant))

    def age(self, instant: float) -> float:
        """Return the age of an instant of the boot clock."""
        return round(max(0.0, self.now - instant), 3)


def service_view(known: StatusInputs, service: VirtualService) -> ServiceStatus:
    """Return one virtual service with its real servers."""
    view = known.decision.services.get(service.name) if known.decision else None
    view = view or ServiceView(Mode.SERVING, known.now, 0)
    return ServiceStatus(
        name=service.name,
        address=format_address(Address(service.address)),
        ports=", ".join(map(_ports, service.ports)),
        protocol=service.protocol.value,
        forwarding=service.forwarding.value,
        scheduler=service.scheduler.value,
        mode=view.mode,
        since=known.at(view.since_at),
        since_s=known.age(view.since_at),
        usable=view.usable,
        quorum=service.quorum,
        real_servers=[server_view(known, service, server) for server in service.real_servers],
    )


def _ports(ports: PortRange) -> str:
    return str(ports.low) if ports.low == ports.high else f"{ports.low}-{ports.high}"


def server_view(known: StatusInputs, service: VirtualService, server: RealServer) -> ServerStatus:
    """Return one real server in a virtual service."""
    key = service.server_key(server)
    view = known.decision.servers.get(key) if known.decision else None
    view = view or ServerView(
        ServerState.UNKNOWN, Health.UNKNOWN, known.now, "not decided yet", 0, "", None, None
    )
    counters = _sum(_counters(known.counted, places := places_of(known, key)))
    rates = _rates(known, places)
    agent = known.states.get(known.probes.agents.get(key, ""))
    return ServerStatus(
        name=server.name,
        address=format_address(key.address),
        port=key.port,
        state=view.state,
        health=view.health,
        since=known.at(view.since_at),
        since_s=known.age(view.since_at),
        reason=view.reason,
        weight=view.weight,
        configured_weight=server.weight,
        weight_reason=view.weight_reason,
        ramp_left_s=view.ramp_left_s,
        admin=_admin(known, key, view),
        checks=[_check(known, each) for each in known.probes.checks.get(key, ())],
        agent=agent.reading.text if agent and agent.reading else None,
        active=counters.active,
        inactive=counters.inactive,
        connections=counters.connections,
        bytes_in=counters.bytes_in,
        bytes_out=counters.bytes_out,
        connections_per_s=rates.connections,
        bytes_in_per_s=rates.bytes_in,
        bytes_out_per_s=rates.bytes_out,
    )


Place = tuple[ServiceKey, DestinationKey]


def places_of(known: StatusInputs, key: ServerKey) -> tuple[Place, ...]:
    """Return where a real server stands in the kernel: once per IPVS service of its virtual service."""
    services = known.keys.get(key.service, ())
    return tuple((service, DestinationKey(key.address, key.port or service.port)) for service in services)


def _admin(known: StatusInputs, key: ServerKey, view: ServerView) -> AdminStatus | None:
    order = view.order
    if order is None:
        return None
    done = _is_drained(known, key, view)
    return AdminStatus(
        order=order.admin,
        by=order.by,
        reason=order.reason,
        since=iso(order.since),
        everywhere=view.everywhere,
        hold=order.hold,
        left_s=None if done else _left_s(known, key, order),
        done=done,
    )


def drained(known: StatusInputs) -> frozenset[ServerKey]:
    """Return the real servers under an order to drain that have no connections left."""
    decision = known.decision
    if decision is None:
        return frozenset()
    return frozenset(
        key
        for key, view in decision.servers.items()
        if view.order is not None and view.order.admin is Admin.DRAIN and _is_drained(known, key, view)
    )


def _is_drained(known: StatusInputs, key: ServerKey, view: ServerView) -> bool:
    places, table = places_of(known, key), known.table
    if table is None:
        return view.state is ServerState.DRAINED
    if not any(service in table and name in table[service].destinations for service, name in places):
        return True
    counted = known.counted
    fresh = counted is not None and counted.at > view.since_at
    return fresh and not any(open_connections(service, c) for service, c in _counted(counted, places))


def _left_s(known: StatusInputs, key: ServerKey, order: Order) -> float | None:
    """Return for how long connections still have time; setting the wall clock changes nothing in that."""
    if order.admin is not Admin.DRAIN or order.hold or known.decision is None:
        return None
    return round(max(0.0, known.decision.memory.servers[key].cut_at - known.now), 1)


def _check(known: StatusInputs, key: str) -> CheckStatus:
    state = known.states.get(key, ProbeState())
    unable = cannot_be_checked(state.unable) if state.unable else ""
    response_s = state.response_s
    return CheckStatus(
        key=key,
        check=describe_probe(known.probes.probes[key]) if key in known.probes.probes else key,
        health=Health.UNKNOWN if unable else state.health,
        since_s=known.age(state.since_at),
        reason=unable or state.reason,
        last_s=None if state.last_at is None else known.age(state.last_at),
        response_ms=None if response_s is None else round(response_s * 1000, 3),
        warning=unable or state.warning,
    )


def describe_probe(probe: Probe) -> str:
    """Return what is probed in few words, such as `http 10.0.0.11:80 /health`."""
    where = with_port(format_address(probe.target.address), probe.target.port)
    words = [probe.protocol.kind, where, getattr(probe.protocol, "path", "") or ""]
    if probe.target.mark:
        words.append(f"by way of {format_address(probe.target.server)}")
    return " ".join(word for word in words if word)


def _counted(
    counted: Counted | None, places: tuple[Place, ...]
) -> Iterator[tuple[ServiceKey, DestinationCounters]]:
    for service, key in places if counted else ():
        assert counted is not None
        found = counted.table.get(service, {}).get(key)
        if found is not None:
            yield service, found


def _counters(counted: Counted | None, places: tuple[Place, ...]) -> Iterator[DestinationCounters]:
    return (counters for _, counters in _counted(counted, places))


def _sum(found: Iterator[DestinationCounters]) -> DestinationCounters:
    rows = list(found)
    if not rows:
        return NO_COUNTERS
    return DestinationCounters._make(map(sum, zip(*rows, strict=True)))


def _rates(known: StatusInputs, places: tuple[Place, ...]) -> Rates:
    new, old = known.counted, known.before
    if new is None or old is None or new.at <= old.at:
        return Rates()
    then = list(_counters(old, places))
    if not then:
        return Rates()
    was, now, span_s = _sum(iter(then)), _sum(_counters(new, places)), new.at - old.at
    return Rates(
        *(
            round(max(0, after - before) / span_s, 3)
            for before, after in (
                (was.connections, now.connections),
                (was.bytes_in, now.bytes_in),
                (was.bytes_out, now.bytes_out),
            )
        )
    )


def failing_status(failing: FailingObject, names: Names, known: StatusInputs) -> FailingStatus:
    """Return an object that the kernel refuses."""
    action, outcome = failing.action, failing.outcome
    line = describe(action, names)
    return FailingStatus(
        service=service_name(action, names),
        operation=operation_of(action),
        change=f"{line.sign} {line.text}",
        errno=error_name(outcome.errno),
        error=outcome.message,
        hint=outcome.hint,
        since=known.at(failing.since_at),
        since_s=known.age(failing.since_at),
        attempts=failing.attempts,
        next_s=round(max(0.0, failing.next_at - known.now), 3),
        holds_back=failing.holds_back,
    )


def connections_in(counted: Counted | None) -> int:
    """Return how many connections all services have together."""
    if counted is None:
        return 0
    return sum(c.active + c.inactive for each in counted.table.values() for c in each.values())
