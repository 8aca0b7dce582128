"""The site and node documents as the daemon holds them."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernelbal.config.document import paused_gc
from kernelbal.config.load import load_node, load_site
from kernelbal.errors import ConfigError, KernelbalError, PlanRefused, Problem
from kernelbal.health.probes import plan_probes
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.health import ProbePlan
from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_network, service_names
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.reachability import ReachabilityProblem, reachability_problems, unroutable_servers
from kernelbal.store.daemon import GoodDocuments
from kernelbal.store.documents import read_document

WARNINGS: Final = 10
"""Most warnings that are reported of one document."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the documents are."""

    site: Path
    node: Path


@dataclass(frozen=True, slots=True)
class Documents:
    """Both documents and what follows from them alone.

    Attributes:
        text: as they were written.
        digest: SHA-256 of the site document.
    """

    site: Site
    node: Node
    probes: ProbePlan
    text: GoodDocuments
    digest: str


def read_texts(paths: Paths) -> GoodDocuments:
    """Return the bytes of both documents; of an endless one, more than a document may have.

    Raises:
        FileUnreadable: with the operating system's reason.
    """
    return GoodDocuments(read_document(paths.site, "site"), read_document(paths.node, "node"))


def parse(text: GoodDocuments, paths: Paths) -> Documents:
    """Return the documents when they are valid and fit together.

    Raises:
        ConfigError: one is not valid.
        PlanRefused: they do not fit together.
    """
    with paused_gc():
        site = load_site(text.site, str(paths.site))
        node = load_node(text.node, str(paths.node))
        desired_network(site, node)
        probes = plan_probes(site)
        gc.freeze()  # a collector that walked a large site now and then would hold every thread for long
    return Documents(site, node, probes, text, hashlib.sha256(text.site).hexdigest())


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


def new_faults(new: Documents, old: Documents, observed: ObservedState) -> tuple[ReachabilityProblem, ...]:
    """Return why virtual services of new documents would not work, but for what holds of the old ones too."""
    found = reachability_problems(new.site, new.node, observed)
    known = set(reachability_problems(old.site, old.node, observed))
    return tuple(fault for fault in found if fault not in known)


def warning_events(documents: Documents, observed: ObservedState) -> list[Event]:
    """Return what of documents in force may not work here, such as a real server without a route."""
    found = (
        *reachability_problems(documents.site, documents.node, observed),
        *unroutable_servers(documents.site, observed),
    )
    return [_warning(fault) for fault in found[:WARNINGS]]


def _warning(fault: ReachabilityProblem) -> Event:
    message = f"virtual service `{fault.service}`: {fault.message} (hint: {fault.hint})"
    return Event(Topic.CONFIG_LOADED, Severity.WARNING, message, service=fault.service)


def refusal_of(found: Iterable[ReachabilityProblem]) -> PlanRefused:
    """Return the error for faults."""
    faults_found = tuple(found)
    lines = [f"virtual service `{fault.service}`: {fault.message}" for fault in faults_found]
    hints = dict.fromkeys(fault.hint for fault in faults_found)
    return PlanRefused("this would not work: " + "; ".join(lines), "; ".join(hints))


def problem_lines(error: KernelbalError) -> list[str]:
    """Return one line per problem, with its place and its remedy."""
    if isinstance(error, ConfigError):
        return [problem_line(problem) for problem in error.problems]
    return [f"{error.message} (hint: {error.hint})" if error.hint else error.message]


def problem_line(problem: Problem) -> str:
    """Return a problem as `site.yaml:3:5: key: message; expected ... (hint: ...)`."""
    where = [str(problem.span)] if problem.span else []
    keys = [problem.key] if problem.key else []
    expected = f"; expected {problem.expected}" if problem.expected else ""
    hint = f" (hint: {problem.hint})" if problem.hint else ""
    return ": ".join([*where, *keys, problem.message]) + expected + hint
