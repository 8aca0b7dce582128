"""Settings that work, but hardly as intended: warnings."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Violation
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName, ProtocolName, Scheduler, SchedulerFlag
from kernelbal.plan.marks import needs_mark

_HASHING = frozenset({Scheduler.SH, Scheduler.MH, Scheduler.DH})
_FALLBACKS = {Scheduler.SH: SchedulerFlag.SH_FALLBACK, Scheduler.MH: SchedulerFlag.MH_FALLBACK}
"""The flag with which a hash gives the clients of a quiesced real server another one; `dh` has none."""
_IGNORES_WEIGHT = frozenset({Scheduler.RR, Scheduler.LC, Scheduler.DH})


def overflow_of_datagrams(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """`ovf` counts active connections, which UDP has none of (ipvsadm(8))."""
    service = subject.service
    if service.scheduler is Scheduler.OVF and service.protocol is ProtocolName.UDP:
        message = "scheduler `ovf` counts active connections, and udp has none"
        yield subject.violation(("scheduler",), message, "tcp or sctp", "use `fo`, or `wlc`")


def port_hash_of_followed_ports(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Hashing the port sends a client's connections to several real servers."""
    service = subject.service
    for index, flag in enumerate(service.scheduler_flags):
        if service.port_following and flag in {SchedulerFlag.SH_PORT, SchedulerFlag.MH_PORT}:
            message = f"`{flag.value}` spreads a client's connections, and port following ties them together"
            hint = "remove one of the two"
            yield subject.violation(("scheduler_flags", index), message, "one of the two", hint)


def persistence_of_hash(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A hash of the client's address already sends it to the same real server."""
    service = subject.service
    if service.persistence is not None and service.scheduler in _HASHING:
        name = service.scheduler.value
        message = f"persistence with scheduler `{name}`, which keeps clients in place anyway"
        hint = "remove `persistence`, or use `wlc`"
        yield subject.violation(("persistence",), message, "one of the two", hint)


def one_packet_nat(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """One-packet scheduling keeps no connection, so replies keep the real server's address."""
    service = subject.service
    if service.one_packet and service.forwarding is ForwardingName.NAT:
        message = "with one-packet scheduling, nat does not translate the replies"
        hint = "use `forwarding: dsr` or `tunnel`, unless there are no replies"
        yield subject.violation(("one_packet",), message, "`forwarding: dsr` or `tunnel`", hint)


def quiesced_hash(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A hash without fallback refuses the clients of a quiesced real server (`ip_vs_sh.c`, `ip_vs_mh.c`)."""
    service = subject.service
    fallback = _FALLBACKS.get(service.scheduler)
    if service.scheduler not in _HASHING or fallback in service.scheduler_flags:
        return
    hint = f"add `scheduler_flags: [{fallback.value}]`" if fallback else "use `mh` with `mh-fallback`"
    for position, server in enumerate(service.real_servers):
        if server.weight == 0:
            message = f"clients of quiesced {format_address(Address(server.address))} get no connection"
            yield Violation(subject.server_path(position), message, "a scheduler that falls back", hint)


def ignored_weights(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Some schedulers only ask whether a weight is 0."""
    service = subject.service
    if service.scheduler not in _IGNORES_WEIGHT:
        return
    weights = {server.weight for server in service.real_servers} - {0}
    if len(weights) > 1:
        message = f"scheduler `{service.scheduler.value}` ignores the different weights"
        hint = "use `wrr`, `wlc` or `mh`, or give all real servers the same weight"
        yield subject.violation(("scheduler",), message, "a scheduler with weights", hint)


def nobody_serves(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A service without a real server refuses every client."""
    service = subject.service
    if service.sorry_server is not None or any(server.weight for server in service.real_servers):
        return
    what = "all its real servers have weight 0" if service.real_servers else "it has no real servers"
    hint = "add a real server or a `sorry_server`"
    steps = ("real_servers",) if service.real_servers else ()
    yield subject.violation(
        steps, f"no real server takes connections: {what}", "at least one real server", hint
    )


def unused_mark(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A mark without ports to tie or packets to masquerade does nothing."""
    if subject.service.mark is not None and not needs_mark(subject.service):
        message = "the mark is not used: a single port without port following needs none"
        yield subject.violation(("mark",), message, "no mark", "remove the key")


def port_following_alone(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Port following without persistence decides nothing for a client."""
    service = subject.service
    if service.port_following and service.persistence is None and service.scheduler not in _HASHING:
        message = "port following without persistence: each connection is scheduled by itself"
        hint = "add `persistence: {source_ip: {timeout: 5m}}`"
        yield subject.violation(("port_following",), message, "a key `persistence`", hint)


def foreign_subnet(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """A virtual address in the subnet of one network, announced on another, is not found there."""
    service = subject.service
    if service.network not in context.site.networks or Address(service.address) in context.shared:
        return
    for name, network in context.site.networks.items():
        holds = any(shared.contains(service.address) for shared in network.shared_addresses)
        if name == service.network and holds:
            return
        if holds:
            message = f"{format_address(Address(service.address))} lies in the subnet of network `{name}`"
            hint = "remove the key, unless your routers route it there"
            yield subject.violation(("network",), message, f"`{name}`", hint)
            return
