"""The whole status from the director's book."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import version

from kernelbal.kernel.modules import table_too_small
from kernelbal.model.site.services import ServerKey
from kernelbal.model.status import CheckerStatus, DirectorStatus, OrderAnswer, RoundStatus, TableStatus
from kernelbal.runtime.director.book import Book, Parts
from kernelbal.runtime.director.configuration import config_status
from kernelbal.runtime.director.orders import Meant
from kernelbal.runtime.director.sizes import Tally, size_of
from kernelbal.runtime.director.status_view import (
    Known,
    connections_in,
    drained,
    iso,
    server_view,
    service_views,
)
from kernelbal.store.boot import total_memory_bytes


@cache
def program_version() -> str:
    """Return the version of the running program, which an upgrade of its files does not change."""
    return version("kernelbal")


def summary_of(book: Book) -> str:
    """Return in one line how things are, for `systemctl status`."""
    size = size_of(book.force.documents)
    if book.decision is None:
        return f"{size}; waiting for first results"
    usable = sum(view.usable for view in book.decision.services.values())
    fault = f"; {book.tally.error}" if book.tally.error else ""
    return f"{size}, usable real servers {usable}{fault}"


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
        table=report.observed.services if report else None,
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
        version=program_version(),
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
    return TableStatus(buckets=buckets, connections=connections, warning=warning, hidden_clients=book.hidden)


def order_answer(book: Book, parts: Parts, meant: tuple[Meant, ...]) -> OrderAnswer:
    """Return real servers as they are after an order."""
    known = known_of(book, parts)
    services = {service.name: service for service in known.site.virtual_services}
    kept = [each for each in meant if each.service.name in services]
    return OrderAnswer(
        servers=[server_view(known, services[each.service.name], each.server) for each in kept],
        services=[each.service.name for each in kept],
    )
