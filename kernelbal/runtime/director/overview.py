"""The whole status from the director's state."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from heapq import nsmallest
from importlib.metadata import version
from operator import attrgetter
from typing import Final

from msgspec import structs

from kernelbal.kernel.modules import table_too_small
from kernelbal.model.address import Address
from kernelbal.model.answers import ExplanationDocument
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.ipvs import DestinationKey
from kernelbal.model.network import AddressKey
from kernelbal.model.site.services import ServerKey, VirtualService
from kernelbal.model.status import (
    CheckerStatus,
    DamagedRecord,
    DirectorStatus,
    FailingStatus,
    OrderAnswer,
    QuarantineStatus,
    RoundStatus,
    ServiceStatus,
    StateStatus,
    TableStatus,
)
from kernelbal.model.units import counted
from kernelbal.plan.action import Action, Names
from kernelbal.plan.kinds.services import IPVS, SERVICES
from kernelbal.runtime.director.configuration import Origin, config_status, refusal_text
from kernelbal.runtime.director.context import DirectorContext, DirectorState
from kernelbal.runtime.director.documents import Paths, size_of
from kernelbal.runtime.director.drift import service_name
from kernelbal.runtime.director.orders import Meant
from kernelbal.runtime.director.status_view import (
    StatusInputs,
    connections_in,
    drained,
    failing_status,
    server_view,
    service_view,
)
from kernelbal.store.boot import total_memory_bytes

SHOWN_FAILING: Final = 100
"""So many failing objects are described in the status."""


@cache
def program_version() -> str:
    """Return the version of the running program, which an upgrade of its files does not change."""
    return version("kernelbal")


def start_events(state: DirectorState) -> Iterator[Event]:
    """Yield what there is to report of a start."""
    message = f"kernelbal {program_version()} runs; {size_of(state.force.documents)}"
    pid = (("pid", str(os.getpid())),)
    yield Event(Topic.DIRECTOR_STARTED, Severity.NOTICE, message, fields=pid)
    for damage in state.damages:
        kept = f"kept as {damage.kept}" if damage.kept else "it cannot be renamed"
        message = f"{damage.error}; {kept}; {damage.consequence}"
        yield Event(Topic.STATE_DAMAGED, Severity.ERROR, message, fields=(("file", damage.file),))
    if state.refusal.why:
        origin = state.force.origin
        topic = Topic.CONFIG_ROLLED_BACK if origin is Origin.BEFORE else Topic.CONFIG_REFUSED
        yield Event(topic, Severity.ERROR, refusal_text(state.refusal, origin))


def summary_of(state: DirectorState) -> str:
    """Return the status in one line, for `systemctl status`."""
    size = size_of(state.force.documents)
    if state.decision is None:
        return f"{size}; waiting for first results"
    usable = sum(view.usable for view in state.decision.services.values())
    failing = f"; the kernel refuses {counted(len(state.failing), 'object')}" if state.failing else ""
    error = f"; {state.error}" if state.error else ""
    return f"{size}, usable real servers {usable}{failing}{error}"


def inputs_of(state: DirectorState, context: DirectorContext) -> StatusInputs:
    """Return what the views are made from."""
    report = state.result.report if state.result else None
    documents = state.force.documents
    return StatusInputs(
        now=context.clocks.boot(),
        wall=context.clocks.wall(),
        site=documents.site,
        probes=documents.probes,
        states=state.states,
        decision=state.decision,
        keys=state.keys.by_name,
        table=report.observed.of(SERVICES) if report else None,
        counted=state.counted,
        before=state.before,
    )


def drained_of(state: DirectorState, context: DirectorContext) -> frozenset[ServerKey]:
    """Return the real servers under an order to drain that have no connections left."""
    return drained(inputs_of(state, context)) if state.orders else frozenset()


@dataclass(frozen=True, slots=True)
class DirectorSnapshot:
    """The director's status at one moment; see `StatusSnapshot`.

    Attributes:
        state: a copy that nobody changes.
        checker: as it was at that moment.
        unsaved: why the state directory cannot be written.
        errors: internal errors of tasks.
        services: virtual services by name.
    """

    state: DirectorState
    known: StatusInputs
    paths: Paths
    checker: CheckerStatus
    unsaved: tuple[str, ...]
    errors: int
    services: Mapping[str, VirtualService]

    def names(self) -> tuple[str, ...]:
        """Return the names of the virtual services in the order of the site file."""
        return tuple(self.services)

    def service(self, name: str) -> ServiceStatus:
        """Return one virtual service; no other one is looked at."""
        return service_view(self.known, self.services[name])

    def summary(self) -> DirectorStatus:
        """Return everything but the virtual services."""
        state, known = self.state, self.known
        loaded = known.at(state.force.at)
        return DirectorStatus(
            node=state.force.documents.node.name,
            version=program_version(),
            pid=os.getpid(),
            started=known.at(state.started_at),
            uptime_s=known.age(state.started_at),
            config=config_status(
                state.force, state.refusal, state.unconfirmed, self.paths, loaded, known.now
            ),
            reconcile=_round_status(state, known),
            checker=structs.replace(self.checker, unable=sum(1 for s in state.states.values() if s.unable)),
            table=_table_status(state),
            counters_s=known.age(state.counted.at) if state.counted else None,
            state=StateStatus(
                unsaved=list(self.unsaved),
                damaged=[DamagedRecord(**each._asdict()) for each in state.damages],
            ),
            internal_errors=self.errors,
            virtual_services=[],
        )


def snapshot_of(state: DirectorState, context: DirectorContext, errors: int = 0) -> DirectorSnapshot:
    """Return the status as it is now.

    Of everything that a director knows only the states of probes are changed in place; whatever else is new
    replaces the old, so that a flat copy stays as it is.
    """
    kept = replace(state, states=dict(state.states))
    known = inputs_of(kept, context)
    services = {service.name: service for service in known.site.virtual_services}
    checker = _checker_status(state, context, known.now)
    return DirectorSnapshot(kept, known, context.paths, checker, context.saver.unsaved, errors, services)


def epoch_of(state: DirectorState) -> object:
    """Return what the status depends on, but for the results of single probes and the time."""
    counted_at = state.counted.at if state.counted else None
    documents = state.force.at, state.refusal.why, state.refusal.problems, state.unconfirmed is None
    return state.tally.rounds, documents, counted_at


def _round_status(state: DirectorState, known: StatusInputs) -> RoundStatus:
    tally, result, now = state.tally, state.result, known.now
    longest = nsmallest(SHOWN_FAILING, state.failing.values(), key=attrgetter("since_at"))
    return RoundStatus(
        rounds=tally.rounds,
        changes=tally.changes,
        reverts=tally.reverts,
        failures=tally.failures,
        last_s=None if tally.ended_at is None else round(max(0.0, now - tally.ended_at), 3),
        duration_ms=None if result is None else round(result.took_s * 1000, 3),
        converged=result is not None and result.converged,
        error=state.error,
        failing=len(state.failing),
        failing_objects=[failing_status(each, state.keys.names, known) for each in longest],
    )


def _checker_status(state: DirectorState, context: DirectorContext, now: float) -> CheckerStatus:
    checker = context.checker
    last_at, late_s = checker.last_report_at, state.late_p99_s
    return CheckerStatus(
        alive=checker.alive,
        probes=state.probing,
        late_ms=None if late_s is None else round(late_s * 1000, 3),
        restarts=checker.restarts,
        unstable=checker.unstable,
        quarantined=[
            QuarantineStatus(
                check=probe.described, reason=each.cause, next_s=round(max(0.0, each.until_at - now), 3)
            )
            for probe, each in checker.quarantined
        ],
        last_s=None if last_at is None else round(max(0.0, now - last_at), 3),
    )


def _table_status(state: DirectorState) -> TableStatus:
    report = state.result.report if state.result else None
    buckets = report.observed.of(IPVS).connection_buckets if report else 0
    connections = connections_in(state.counted)
    warning = table_too_small(buckets, connections, total_memory_bytes()) or ""
    return TableStatus(buckets=buckets, connections=connections, warning=warning, hidden_clients=state.hidden)


def failing_for(state: DirectorState, context: DirectorContext, virtual: Address) -> list[FailingStatus]:
    """Return what the kernel refuses, but for other virtual addresses and the services on them."""
    known, names = inputs_of(state, context), state.keys.names
    here = {each.name for each in known.site.virtual_services if Address(each.address) == virtual}
    concerns = (each for each in state.failing.values() if _concerns(each.action, names, here, virtual))
    return [failing_status(each, names, known) for each in concerns][:SHOWN_FAILING]


def with_reasons(document: ExplanationDocument, state: DirectorState) -> ExplanationDocument:
    """Return an explanation whose real servers have the reason of their state, such as why they are down."""
    servers = state.decision.servers if state.decision else {}
    reasons = {
        str(DestinationKey(key.address, port)): view.reason
        for key, view in servers.items()
        if key.service == document.service_name
        for port in (key.port, key.port or document.port)
    }
    candidates = [
        structs.replace(each, reason=reasons.get(each.real_server, "")) for each in document.candidates
    ]
    return structs.replace(document, candidates=candidates)


def _concerns(action: Action, names: Names, here: Collection[str], virtual: Address) -> bool:
    if service := service_name(action, names):
        return service in here
    return not isinstance(action.key, AddressKey) or action.key.address == virtual


def order_answer(state: DirectorState, context: DirectorContext, meant: tuple[Meant, ...]) -> OrderAnswer:
    """Return real servers as they are after an order."""
    known = inputs_of(state, context)
    services = {service.name: service for service in known.site.virtual_services}
    kept = [each for each in meant if each.service.name in services]
    return OrderAnswer(
        servers=[server_view(known, services[each.service.name], each.server) for each in kept],
        services=[each.service.name for each in kept],
    )
