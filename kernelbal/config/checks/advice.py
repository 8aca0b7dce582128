"""Settings that work, but hardly as intended: warnings."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.checks.subject import Context, Subject
from kernelbal.config.finding import Finding
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName, ProtocolName, Scheduler, SchedulerFlag
from kernelbal.plan.marks import needs_mark

_HASHING = frozenset({Scheduler.SH, Scheduler.MH, Scheduler.DH})
_FALLBACKS = {Scheduler.SH: SchedulerFlag.SH_FALLBACK, Scheduler.MH: SchedulerFlag.MH_FALLBACK}
"""The flag with which a hash gives the clients of a quiesced real server another one; `dh` has none."""
_IGNORES_WEIGHT = frozenset({Scheduler.RR, Scheduler.LC, Scheduler.DH})


def overflow_of_datagrams(subject: Subject, _: Context) -> Iterator[Finding]:
    """`ovf` counts active connections, which UDP has none of (ipvsadm(8))."""
    service = subject.service
    if service.scheduler is Scheduler.OVF and service.protocol is ProtocolName.UDP:
        message = "scheduler `ovf` counts active connections, and udp has none"
        yield subject.finding(("scheduler",), message, "tcp or sctp", "use `fo`, or `wlc`")


def port_hash_of_followed_ports(subject: Subject, _: Context) -> Iterator[Finding]:
    """Hashing the port sends a client's connections to several real servers."""
    service = subject.service
    for index, flag in enumerate(service.scheduler_flags):
        if service.port_following and flag in {SchedulerFlag.SH_PORT, SchedulerFlag.MH_PORT}:
            message = f"`{flag.value}` spreads a client's connections, and port following ties them together"
            hint = "remove one of the two"
            yield subject.finding(("scheduler_flags", index), message, "one of the two", hint)


def persistence_of_hash(subject: Subject, _: Context) -> Iterator[Finding]:
    """A hash of the client's address already sends it to the same real server."""
    service = subject.service
    if service.persistence is not None and service.scheduler in _HASHING:
        message = f"persistence costs memory, and scheduler `{service.scheduler.value}` does without"
        hint = "remove `persistence`, or use `wlc`"
        yield subject.finding(("persistence",), message, "one of the two", hint)


def one_packet_nat(subject: Subject, _: Context) -> Iterator[Finding]:
    """One-packet scheduling keeps no connection, so replies keep the real server's address."""
    service = subject.service
    if service.one_packet and service.forwarding is ForwardingName.NAT:
        message = "with one-packet scheduling, nat does not translate the replies"
        hint = "use `forwarding: dsr` or `tunnel`, unless there are no replies"
        yield subject.finding(("one_packet",), message, "`forwarding: dsr` or `tunnel`", hint)


def quiesced_hash(subject: Subject, _: Context) -> Iterator[Finding]:
    """A hash without fallback refuses the clients of a quiesced real server (`ip_vs_sh.c`, `ip_vs_mh.c`)."""
    service = subject.service
    fallback = _FALLBACKS.get(service.scheduler)
    if service.scheduler not in _HASHING or fallback in service.scheduler_flags:
        return
    hint = f"add `scheduler_flags: [{fallback.value}]`" if fallback else "use `mh` with `mh-fallback`"
    for position, server in enumerate(service.real_servers):
        if server.weight == 0:
            message = f"clients of quiesced {format_address(Address(server.address))} get no connection"
            yield Finding(subject.server_path(position), message, "a scheduler that falls back", hint)


def ignored_weights(subject: Subject, _: Context) -> Iterator[Finding]:
    """Some schedulers only ask whether a weight is 0."""
    service = subject.service
    if service.scheduler not in _IGNORES_WEIGHT:
        return
    weights = {server.weight for server in service.real_servers} - {0}
    if len(weights) > 1:
        message = f"scheduler `{service.scheduler.value}` ignores the different weights"
        hint = "use `wrr`, `wlc` or `mh`, or give all real servers the same weight"
        yield subject.finding(("scheduler",), message, "a scheduler with weights", hint)


def nobody_serves(subject: Subject, _: Context) -> Iterator[Finding]:
    """A service without a real server refuses every client."""
    service = subject.service
    if service.sorry_server is not None or any(server.weight for server in service.real_servers):
        return
    what = "all its real servers have weight 0" if service.real_servers else "it has no real servers"
    hint = "add a real server or a `sorry_server`"
    steps = ("real_servers",) if service.real_servers else ()
    yield subject.finding(steps, f"nobody serves: {what}", "at least one real server", hint)


def unused_mark(subject: Subject, _: Context) -> Iterator[Finding]:
    """A mark without ports to tie or packets to masquerade does nothing."""
    if subject.service.mark is not None and not needs_mark(subject.service):
        message = "the mark is not used: a single port without port following needs none"
        yield subject.finding(("mark",), message, "no mark", "remove the key")


def port_following_alone(subject: Subject, _: Context) -> Iterator[Finding]:
    """Port following without persistence decides nothing for a client."""
    service = subject.service
    if service.port_following and service.persistence is None and service.scheduler not in _HASHING:
        message = "port following without persistence: each connection is scheduled by itself"
        hint = "add `persistence: {source_ip: {timeout: 5m}}`"
        yield subject.finding(("port_following",), message, "a key `persistence`", hint)


def foreign_subnet(subject: Subject, context: Context) -> Iterator[Finding]:
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
            hint = "remove the key, unless the routers know better"
            yield subject.finding(("network",), message, f"`{name}`", hint)
            return
