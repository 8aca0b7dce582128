"""The whole status from the director's book."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from kernelbal.kernel.boot import total_memory_bytes
from kernelbal.kernel.modules import table_too_small
from kernelbal.model.health import ServerKey
from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.status import CheckerStatus, DirectorStatus, OrderAnswer, RoundStatus, TableStatus
from kernelbal.plan.desire import desired_state
from kernelbal.runtime.director.configuration import config_status
from kernelbal.runtime.director.documents import Documents
from kernelbal.runtime.director.orders import Meant
from kernelbal.runtime.director.rounds import Outcomes
from kernelbal.runtime.director.status_view import (
    Known,
    connections_in,
    drained,
    iso,
    server_view,
    service_views,
)

if TYPE_CHECKING:
    from kernelbal.runtime.director.director import Book, Parts


@dataclass(frozen=True, slots=True)
class Keys:
    """IPVS services of the documents in force.

    Attributes:
        names: name of the virtual service by IPVS service.
        by_name: IPVS services by the name of their virtual service.
    """

    names: Mapping[ServiceKey, str]
    by_name: Mapping[str, tuple[ServiceKey, ...]]

    @property
    def all(self) -> tuple[ServiceKey, ...]:
        """Every IPVS service."""
        return tuple(self.names)


def keys_of(documents: Documents) -> Keys:
    """Return the IPVS services of documents."""
    policies = desired_state(documents.site, documents.node).policies
    names = {key: policy.name for key, policy in policies.items()}
    by_name: dict[str, tuple[ServiceKey, ...]] = {}
    for key, name in names.items():
        by_name[name] = (*by_name.get(name, ()), key)
    return Keys(names, by_name)


def size_of(documents: Documents) -> str:
    """Return how large a site is, for a log line."""
    services = documents.site.virtual_services
    servers = sum(len(service.real_servers) for service in services)
    return f"virtual services {len(services)}, real servers {servers}, probes {len(documents.probes.probes)}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What rounds came to since the start.

    Attributes:
        ended_at: when the last one ended; None before the first.
        error: why the kernel is not as wanted.
    """

    rounds: int = 0
    changes: int = 0
    repairs: int = 0
    failures: int = 0
    ended_at: float | None = None
    took_s: float | None = None
    error: str = ""

    def after(self, outcomes: Outcomes, now: float) -> Tally:
        """Return the tally after one more round."""
        report = outcomes.report
        done, failed = (len(report.outcomes), len(report.failed)) if report else (0, 0)
        return replace(
            self,
            rounds=self.rounds + 1,
            changes=self.changes + done - failed,
            repairs=self.repairs + len(outcomes.repaired),
            failures=self.failures + failed,
            ended_at=now,
            took_s=outcomes.took_s,
            error=outcomes.error,
        )


NO_ROUNDS: Final = Tally()


def known_of(book: Book, parts: Parts) -> Known:
    """Return what the views are made from."""
    report = book.outcomes.report if book.outcomes else None
    documents = book.force.documents
    return Known(
        now=parts.clocks.boot(),
        wall=parts.clocks.wall(),
        site=documents.site,
        probes=documents.probes,
        states=book.states,
        decision=book.decision,
        keys=book.keys.by_name,
        table=report.observed.services if report else {},
        counted=book.counted,
        before=book.before,
    )


def drained_of(book: Book, parts: Parts) -> frozenset[ServerKey]:
    """Return the real servers under an order to drain that have no connections left."""
    return drained(known_of(book, parts)) if book.orders else frozenset()


def status_of(book: Book, parts: Parts) -> DirectorStatus:
    """Return the status."""
    known = known_of(book, parts)
    now = known.now
    loaded = known.at(book.force.at)
    return DirectorStatus(
        schema=1,
        node=book.force.documents.node.name,
        version=version("kernelbal"),
        pid=os.getpid(),
        started=iso(known.wall - (now - book.started_at)),
        uptime_s=known.age(book.started_at),
        config=config_status(book.force, book.refusal, parts.paths, loaded, now),
        reconcile=_round_status(book.tally, now),
        checker=_checker_status(book, parts, now),
        table=_table_status(book),
        counters_s=known.age(book.counted.at) if book.counted else None,
        virtual_services=list(service_views(known)),
    )


def _round_status(tally: Tally, now: float) -> RoundStatus:
    return RoundStatus(
        rounds=tally.rounds,
        changes=tally.changes,
        repairs=tally.repairs,
        failures=tally.failures,
        last_s=None if tally.ended_at is None else round(max(0.0, now - tally.ended_at), 3),
        duration_ms=None if tally.took_s is None else round(tally.took_s * 1000, 3),
        converged=tally.rounds > 0 and not tally.error,
        error=tally.error,
    )


def _checker_status(book: Book, parts: Parts, now: float) -> CheckerStatus:
    checker = parts.checker
    last_at, late_s = checker.last_report_at, book.late_p99_s
    return CheckerStatus(
        alive=checker.alive,
        probes=book.probing,
        late_ms=None if late_s is None else round(late_s * 1000, 3),
        restarts=checker.restarts,
        last_s=None if last_at is None else round(max(0.0, now - last_at), 3),
    )


def _table_status(book: Book) -> TableStatus:
    report = book.outcomes.report if book.outcomes else None
    buckets = report.observed.connection_table_size if report else 0
    connections = connections_in(book.counted)
    warning = table_too_small(buckets, connections, total_memory_bytes()) or ""
    return TableStatus(buckets=buckets, connections=connections, warning=warning)


def order_answer(book: Book, parts: Parts, meant: tuple[Meant, ...]) -> OrderAnswer:
    """Return real servers as they are after an order."""
    known = known_of(book, parts)
    services = {service.name: service for service in known.site.virtual_services}
    kept = [each for each in meant if each.service.name in services]
    return OrderAnswer(
        servers=[server_view(known, services[each.service.name], each.server) for each in kept],
        services=[each.service.name for each in kept],
    )
