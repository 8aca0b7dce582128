"""Every check of a site, in the order of the document, with what it reads.

A check is left out where a value that it reads is faulty itself: it would only guess.
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
from kernelbal.config.checks.subject import Context, Subject
from kernelbal.config.finding import Finding


class ServiceCheck(NamedTuple):
    """A check of one virtual service at a time.

    Attributes:
        reads: fields of the service that it looks at.
        sections: sections of the document that must be free of faults.
    """

    run: Callable[[Subject, Context], Iterable[Finding]]
    reads: frozenset[str]
    sections: frozenset[str] = frozenset()


class CrossCheck(NamedTuple):
    """A check of all virtual services against each other; `reads` names fields of them."""

    run: Callable[[Sequence[Subject], Context], Iterable[Finding]]
    reads: frozenset[str]


SiteCheck = Callable[[Context], Iterable[Finding]]
"""A check of what is valid outside of the virtual services."""


def _reads(names: str) -> frozenset[str]:
    return frozenset(names.split())


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
    ServiceCheck(addresses.other_network, _reads("address network")),
    ServiceCheck(services.known_network, _reads("network"), _NETWORKS),
    ServiceCheck(services.own_ports, _reads("ports")),
    ServiceCheck(addresses.partner_port, _reads("address protocol ports")),
    ServiceCheck(services.one_armed, _reads("one_armed forwarding")),
    ServiceCheck(services.tunnel_section, _reads("tunnel forwarding sorry_server")),
    ServiceCheck(services.tunnel_port, _reads("tunnel")),
    ServiceCheck(services.tunnel_checksum, _reads("tunnel")),
    ServiceCheck(services.scheduler_flags, _reads("scheduler scheduler_flags")),
    ServiceCheck(services.persistence_prefix, _reads("persistence address")),
    ServiceCheck(services.persistence_timeout, _reads("persistence")),
    ServiceCheck(services.persistence_engine, _reads("persistence_engine persistence protocol")),
    ServiceCheck(services.one_packet, _reads("one_packet protocol")),
    ServiceCheck(servers.virtual_address, _reads("real_servers")),
    ServiceCheck(addresses.server_addresses, _reads("real_servers")),
    ServiceCheck(servers.duplicates, _reads("real_servers ports")),
    ServiceCheck(servers.families, _reads("real_servers address forwarding")),
    ServiceCheck(servers.ports, _reads("real_servers ports forwarding")),
    ServiceCheck(servers.thresholds, _reads("real_servers")),
    ServiceCheck(servers.sorry_virtual_address, _reads("sorry_server")),
    ServiceCheck(addresses.sorry_addresses, _reads("sorry_server")),
    ServiceCheck(servers.sorry_family, _reads("sorry_server address forwarding")),
    ServiceCheck(servers.sorry_port, _reads("sorry_server ports forwarding")),
    ServiceCheck(servers.sorry_is_real, _reads("sorry_server real_servers ports")),
    ServiceCheck(probing.one_protocol, _reads("check")),
    ServiceCheck(probing.rhythm, _reads("check")),
    ServiceCheck(probing.check_port, _reads("check protocol ports")),
    ServiceCheck(probing.through, _reads("check protocol ports forwarding")),
    ServiceCheck(probing.source, _reads("check address real_servers forwarding")),
    ServiceCheck(probing.usable, _reads("check protocol ports")),
    ServiceCheck(probing.http_body, _reads("check")),
    ServiceCheck(probing.http_headers, _reads("check")),
    ServiceCheck(probing.script_path, _reads("check")),
    ServiceCheck(probing.ca_file, _reads("check")),
    ServiceCheck(pool.hysteresis, _reads("hysteresis quorum")),
    ServiceCheck(pool.quorum, _reads("quorum hysteresis real_servers")),
    ServiceCheck(pool.sorry_when_down, _reads("all_down sorry_server")),
    ServiceCheck(pool.adaptive_source, _reads("adaptive")),
    ServiceCheck(pool.adaptive_rhythm, _reads("adaptive")),
    ServiceCheck(pool.response_time_of_nothing, _reads("adaptive check")),
)

ADVICE: tuple[ServiceCheck, ...] = (
    ServiceCheck(advice.overflow_of_datagrams, _reads("scheduler protocol")),
    ServiceCheck(advice.port_hash_of_followed_ports, _reads("scheduler_flags port_following")),
    ServiceCheck(advice.persistence_of_hash, _reads("persistence scheduler")),
    ServiceCheck(advice.one_packet_nat, _reads("one_packet forwarding")),
    ServiceCheck(advice.quiesced_hash, _reads("scheduler scheduler_flags real_servers")),
    ServiceCheck(advice.ignored_weights, _reads("scheduler real_servers")),
    ServiceCheck(advice.nobody_serves, _reads("real_servers sorry_server")),
    ServiceCheck(advice.unused_mark, _reads("mark one_armed port_following ports")),
    ServiceCheck(advice.port_following_alone, _reads("port_following persistence scheduler")),
    ServiceCheck(advice.foreign_subnet, _reads("network address"), _NETWORKS),
    ServiceCheck(pool.unused_sorry_server, _reads("sorry_server all_down")),
    ServiceCheck(pool.withdrawn_with_others, _reads("all_down address")),
    ServiceCheck(pool.ramp_of_ignored_weights, _reads("slow_start scheduler")),
    ServiceCheck(pool.adaptive_of_ignored_weights, _reads("adaptive scheduler")),
)

SITE_ADVICE: tuple[SiteCheck, ...] = (
    edge.unreachable_inside,
    edge.hidden_clients,
    edge.idle_sources,
    edge_routes.off_link_gateways,
)


def find_conflicts(context: Context) -> Iterator[Finding]:
    """Yield what makes the site impossible."""
    for check in SITE_CHECKS:
        yield from check(context)
    for cross in CROSS_CHECKS:
        yield from cross.run([s for s in context.subjects if s.invalid.isdisjoint(cross.reads)], context)
    yield from _each_service(SERVICE_CHECKS, context)


def find_advice(context: Context) -> Iterator[Finding]:
    """Yield what works, but hardly as intended."""
    yield from _each_service(ADVICE, context)
    for check in SITE_ADVICE:
        yield from check(context)


def _each_service(checks: Iterable[ServiceCheck], context: Context) -> Iterator[Finding]:
    for check in checks:
        if not check.sections.isdisjoint(context.incomplete):
            continue
        reads, run = check.reads, check.run
        subjects = (subject for subject in context.subjects if subject.invalid.isdisjoint(reads))
        yield from chain.from_iterable(run(subject, context) for subject in subjects)
