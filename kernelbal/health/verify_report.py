"""The result of a verification, by virtual service and real server, and what follows for the services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.health.verification import Claim, Finding, ServerFacts, Subject, Verdict, findings, verdict_of
from kernelbal.model.address import Address, format_address
from kernelbal.model.site.services import RealServer, VirtualService


class Neighbour(NamedTuple):
    """Somebody else than this director who answers for a virtual address on its segment.

    Attributes:
        claim: as whom.
        server: the real server of the service that answers so; None for anybody else.
    """

    claim: Claim
    server: Address | None = None


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One real server."""

    server: RealServer
    facts: ServerFacts

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with it."""
        return findings(self.facts)

    @property
    def verdict(self) -> Verdict:
        """What becomes of that."""
        return verdict_of(self.findings)


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
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the service as a whole."""
        return tuple(_service_findings(self))

    @property
    def verdict(self) -> Verdict:
        """The worst of the service and its real servers."""
        return worst([verdict_of(self.findings), *(server.verdict for server in self.servers)])

    @property
    def strangers(self) -> tuple[Claim, ...]:
        """Those who answer for the address and are no real servers of the service."""
        return tuple(each.claim for each in self.neighbours if each.server is None)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on several."""
    found = set(verdicts)
    return next((each for each in (Verdict.FAIL, Verdict.UNKNOWN) if each in found), Verdict.OK)


def _service_findings(report: ServiceReport) -> Iterable[Finding]:
    address = format_address(Address(report.service.address))
    strangers = report.strangers
    if not report.servers:
        yield Finding(
            Verdict.UNKNOWN, Subject.PROBE, "it has no real servers", "add `real_servers` to the service"
        )
    if report.holds and strangers:
        yield Finding(
            Verdict.FAIL,
            Subject.NEIGHBOURS,
            f"{_listed(strangers)} on `{report.device}` answers for {address}, which this director holds",
            "find it by its MAC address at the switch, and take the address from it; "
            "if it is the other director, both are active",
        )
    elif len(strangers) > 1:
        yield Finding(
            Verdict.FAIL,
            Subject.NEIGHBOURS,
            f"{len(strangers)} machines on `{report.device}` answer for {address}: {_listed(strangers)}",
            "one of them can be the active director; take the address from the others",
        )
    elif report.asked and not report.holds and not report.neighbours:
        yield Finding(
            Verdict.UNKNOWN,
            Subject.NEIGHBOURS,
            f"nobody on `{report.device}` answers for {address}: no director is active there",
            "`kernelbal apply` makes this one active",
        )


def _listed(claims: Sequence[Claim]) -> str:
    return ", ".join(map(str, claims))
