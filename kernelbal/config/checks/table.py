"""Every check of a site, in the order of the document, with what it reads.

A check is left out where a value that it reads is invalid itself: it would only guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from kernelbal.config.checks import (
    addresses,
    advice,
    edge,
    edge_routes,
    pool,
    probing,
    servers,
    services,
    site,
)
from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Violation

_CheckOfService = Callable[[CheckedService, SiteContext], Iterable[Violation]]


class ServiceCheck(NamedTuple):
    """A check of one virtual service at a time.

    Attributes:
        reads: fields of the service that it looks at.
        sections: sections of the document that must be valid as a whole.
        about: the key, one of `reads`, without which in the document there is nothing to look at.
    """

    run: _CheckOfService
    reads: frozenset[str]
    sections: frozenset[str] = frozenset()
    about: str | None = None


class CrossCheck(NamedTuple):
    """A check of all virtual services against each other; `reads` names fields of them."""

    run: Callable[[Sequence[CheckedService], SiteContext], Iterable[Violation]]
    reads: frozenset[str]


SiteCheck = Callable[[SiteContext], Iterable[Violation]]
"""A check of what is valid outside of the virtual services."""


def _reads(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _about(
    run: _CheckOfService,
    names: str,
    sections: frozenset[str] = frozenset(),
) -> ServiceCheck:
    """Return a check that has nothing to look at where the first key of `names` is not written."""
    reads = names.split()
    return ServiceCheck(run, frozenset(reads), sections, reads[0])


_NETWORKS = frozenset({"networks"})

SITE_CHECKS: tuple[SiteCheck, ...] = (
    addresses.shared_addresses,
    site.timeouts,
    site.sysctl_names,
    site.sysctl_conntrack,
    edge.names,
    edge.usable_addresses,
    edge.families,
    edge.whole_addresses,
    edge.ports,
    edge.inside_machines,
    edge.inside_ports,
    edge.source_addresses,
    edge.networks,
    edge_routes.selectors,
    edge_routes.gateways,
    edge_routes.networks,
    edge_routes.tables,
    edge_routes.priorities,
)

CROSS_CHECKS: tuple[CrossCheck, ...] = (
    CrossCheck(site.names, _reads("name")),
    CrossCheck(site.marks, _reads("mark")),
    CrossCheck(site.overlaps, _reads("address protocol ports")),
    CrossCheck(probing.marks, _reads("mark check")),
)

SERVICE_CHECKS: tuple[ServiceCheck, ...] = (
    ServiceCheck(addresses.service_addresses, _reads("address")),
    _about(addresses.other_network, "network address"),
    _about(services.known_network, "network", _NETWORKS),
    ServiceCheck(services.own_ports, _reads("ports")),
    ServiceCheck(addresses.partner_port, _reads("address protocol ports")),
    _about(services.one_armed, "one_armed forwarding"),
    _about(services.tunnel_section, "tunnel forwarding sorry_server"),
    _about(services.tunnel_port, "tunnel"),
    _about(services.tunnel_checksum, "tunnel"),
    _about(services.scheduler_flags, "scheduler_flags scheduler"),
    _about(services.persistence_prefix, "persistence address"),
    _about(services.persistence_timeout, "persistence"),
    _about(services.persistence_engine, "persistence_engine persistence protocol"),
    _about(services.one_packet, "one_packet protocol"),
    ServiceCheck(servers.virtual_address, _reads("real_servers")),
    ServiceCheck(addresses.server_addresses, _reads("real_servers")),
    ServiceCheck(servers.duplicates, _reads("real_servers ports")),
    ServiceCheck(servers.families, _reads("real_servers address forwarding")),
    ServiceCheck(servers.ports, _reads("real_servers ports forwarding")),
    ServiceCheck(servers.thresholds, _reads("real_servers")),
    _about(servers.sorry_virtual_address, "sorry_server"),
    _about(addresses.sorry_addresses, "sorry_server"),
    _about(servers.sorry_family, "sorry_server address forwarding"),
    _about(servers.sorry_port, "sorry_server ports forwarding"),
    _about(servers.sorry_is_real, "sorry_server real_servers ports"),
    _about(probing.one_protocol, "check"),
    _about(probing.rhythm, "check"),
    _about(probing.check_port, "check protocol ports"),
    ServiceCheck(probing.check_of_all_ports, _reads("check protocol ports")),
    _about(probing.through, "check protocol ports forwarding"),
    _about(probing.source, "check address real_servers forwarding"),
    _about(probing.usable, "check protocol ports"),
    _about(probing.http_body, "check"),
    _about(probing.http_headers, "check"),
    _about(probing.script_program, "check"),
    _about(probing.ca_file, "check"),
    _about(pool.hysteresis, "hysteresis quorum"),
    ServiceCheck(pool.quorum, _reads("quorum hysteresis real_servers")),
    _about(pool.sorry_when_down, "all_down sorry_server"),
    _about(pool.adaptive_source, "adaptive"),
    _about(pool.adaptive_rhythm, "adaptive"),
    _about(pool.response_time_of_nothing, "adaptive check"),
)

ADVICE: tuple[ServiceCheck, ...] = (
    ServiceCheck(advice.overflow_of_datagrams, _reads("scheduler protocol")),
    _about(advice.port_hash_of_followed_ports, "scheduler_flags port_following"),
    _about(advice.persistence_of_hash, "persistence scheduler"),
    _about(advice.one_packet_nat, "one_packet forwarding"),
    ServiceCheck(advice.quiesced_hash, _reads("scheduler scheduler_flags real_servers")),
    ServiceCheck(advice.ignored_weights, _reads("scheduler real_servers")),
    ServiceCheck(advice.nobody_serves, _reads("real_servers sorry_server")),
    _about(advice.unused_mark, "mark one_armed port_following ports"),
    _about(advice.port_following_alone, "port_following persistence scheduler"),
    _about(advice.foreign_subnet, "network address", _NETWORKS),
    _about(pool.unused_sorry_server, "sorry_server all_down"),
    _about(pool.withdrawn_with_others, "all_down address"),
    _about(pool.ramp_of_ignored_weights, "slow_start scheduler"),
    _about(pool.adaptive_of_ignored_weights, "adaptive scheduler"),
)

SITE_ADVICE: tuple[SiteCheck, ...] = (
    edge.unreachable_inside,
    edge.hidden_clients,
    edge.idle_sources,
    edge_routes.off_link_gateways,
)


def find_conflicts(context: SiteContext) -> Iterator[Violation]:
    """Yield what makes the site impossible."""
    for check in SITE_CHECKS:
        yield from check(context)
    for cross in CROSS_CHECKS:
        yield from cross.run([s for s in context.subjects if s.invalid.isdisjoint(cross.reads)], context)
    yield from _each_service(SERVICE_CHECKS, context)


def find_advice(context: SiteContext) -> Iterator[Violation]:
    """Yield what works, but hardly as intended."""
    yield from _each_service(ADVICE, context)
    for check in SITE_ADVICE:
        yield from check(context)


def _each_service(checks: Iterable[ServiceCheck], context: SiteContext) -> Iterator[Violation]:
    for check in checks:
        if not check.sections.isdisjoint(context.incomplete):
            continue
        reads, run = check.reads, check.run
        subjects = context.writing.get(check.about, ()) if check.about else context.subjects
        valid = (subject for subject in subjects if subject.invalid.isdisjoint(reads))
        yield from chain.from_iterable(run(subject, context) for subject in valid)
