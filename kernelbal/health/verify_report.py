"""The result of a verification, by virtual service and real server, and what follows for the services."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.health.verification import REQUIREMENTS, Answerer, ServerEvidence
from kernelbal.model.address import Address, format_address
from kernelbal.model.site.services import RealServer, VirtualService
from kernelbal.model.verification import (
    Requirement,
    RequirementResult,
    ResultStatus,
    fail,
    results_of,
    status_of,
    unknown,
    worst,
)


class Neighbour(NamedTuple):
    """Somebody else than this director who answers for a virtual address on its segment.

    Attributes:
        answerer: as whom.
        server: the real server of the service that answers so; None for anybody else.
    """

    answerer: Answerer
    server: Address | None = None


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One real server."""

    server: RealServer
    evidence: ServerEvidence

    @property
    def results(self) -> tuple[RequirementResult, ...]:
        """What is wrong with it, or could not be seen."""
        return results_of(REQUIREMENTS, self.evidence)

    @property
    def status(self) -> ResultStatus:
        """What becomes of that."""
        return status_of(self.results)


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One virtual service.

    Attributes:
        device: that carries its address on this director.
        holds: whether this director holds the address.
        asked: whether the segment could be asked who holds it.
        neighbours: who else answers for it.
        servers: its real servers, in the order of the site.
    """

    service: VirtualService
    device: str
    holds: bool
    asked: bool
    neighbours: tuple[Neighbour, ...]
    servers: tuple[ServerReport, ...]

    @property
    def results(self) -> tuple[RequirementResult, ...]:
        """What is wrong with the service as a whole, or could not be seen."""
        return results_of(_SERVICE_REQUIREMENTS, self)

    @property
    def status(self) -> ResultStatus:
        """The worst of the service and its real servers."""
        return worst([status_of(self.results), *(server.status for server in self.servers)])

    @property
    def strangers(self) -> tuple[Answerer, ...]:
        """Those who answer for the address and are no real servers of the service."""
        return tuple(each.answerer for each in self.neighbours if each.server is None)


def _pool(report: ServiceReport, failed: Collection[str]) -> Iterator[RequirementResult]:
    if not report.servers:
        yield unknown("it has no real servers", fix="add `real_servers` to the service")


def _neighbours(report: ServiceReport, failed: Collection[str]) -> Iterator[RequirementResult]:
    address = format_address(Address(report.service.address))
    strangers, on = report.strangers, f"on `{report.device}`"
    listed = ", ".join(map(str, strangers))
    if report.holds and strangers:
        yield fail(
            f"{listed} {on} answers for {address}, which this director holds",
            "find it by its MAC address at the switch, and take the address from it; "
            "if it is the other director, both are active",
        )
    elif len(strangers) > 1:
        yield fail(
            f"{len(strangers)} machines {on} answer for {address}: {listed}",
            "one of them can be the active director; take the address from the others",
        )
    elif report.asked and not report.holds and not report.neighbours:
        yield unknown(
            f"nobody {on} answers for {address}: no director is active there",
            fix="`kernelbal apply` makes this one active",
        )


_SERVICE_REQUIREMENTS: Final[tuple[Requirement[ServiceReport], ...]] = (
    Requirement("real servers", "Without one there is nothing to verify.", _pool),
    Requirement("neighbours", "Who answers for the address of another gets its packets.", _neighbours),
)
