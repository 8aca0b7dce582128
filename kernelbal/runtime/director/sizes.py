"""What can be counted of documents and rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from kernelbal.model.ipvs import ServiceKey
from kernelbal.plan.desire import service_names
from kernelbal.runtime.director.documents import Documents
from kernelbal.runtime.director.rounds import RoundResult


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
    names = service_names(documents.site)
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

    def after(self, result: RoundResult, now: float) -> Tally:
        """Return the tally after one more round."""
        report = result.report
        done, failed = (len(report.outcomes), len(report.failed)) if report else (0, 0)
        return replace(
            self,
            rounds=self.rounds + 1,
            changes=self.changes + done - failed,
            repairs=self.repairs + len(result.repaired),
            failures=self.failures + failed,
            ended_at=now,
            took_s=result.took_s,
            error=result.error,
        )


NO_ROUNDS: Final = Tally()
