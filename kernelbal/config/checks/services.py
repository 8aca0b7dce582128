"""Settings of one virtual service that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Violation
from kernelbal.model.address import AF_INET, Address, family_of
from kernelbal.model.choices import ForwardingName, ProtocolName, TunnelChecksum, TunnelTypeName
from kernelbal.model.units import format_duration

MAX_PERSISTENCE_S = 31 * 86400
"""Longest persistence timeout: `MAX_TIMEOUT` of ipvsadm."""


def persistence_prefix(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """An IPv4 client has 32 bits."""
    persistence = subject.service.persistence
    prefix = persistence.source_ip.prefix if persistence else None
    if prefix is not None and prefix > 32 and family_of(Address(subject.service.address)) == AF_INET:
        yield subject.violation(
            ("persistence", "source_ip", "prefix"),
            f"prefix {prefix} for IPv4 clients",
            "a prefix length 1-32",
            "remove it to distinguish single addresses",
        )


def persistence_timeout(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """IPVS counts persistence in whole seconds."""
    persistence = subject.service.persistence
    if persistence is None:
        return
    timeout_s = persistence.source_ip.timeout
    if timeout_s != int(timeout_s) or not 1 <= timeout_s <= MAX_PERSISTENCE_S:
        yield subject.violation(
            ("persistence", "source_ip", "timeout"),
            f"a persistence timeout of {format_duration(timeout_s)}",
            "whole seconds from `1s` to `31d`",
            "without persistence, remove the whole key `persistence`",
        )


def persistence_engine(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The engine `sip` reads the Call-ID of UDP datagrams and needs a template to keep it in."""
    service = subject.service
    if service.persistence_engine is None:
        return
    if service.protocol is not ProtocolName.UDP:
        hint = "write `protocol: udp`, or remove the key"
        message = f"persistence engine `sip` with protocol {service.protocol.value}"
        yield subject.violation(("persistence_engine",), message, "`protocol: udp`", hint)
    if service.persistence is None:
        hint = "add `persistence: {source_ip: {timeout: 5m}}`: it gives the timeout"
        message = "persistence engine `sip` without persistence"
        yield subject.violation(("persistence_engine",), message, "a key `persistence`", hint)


def scheduler_flags(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Each flag belongs to one scheduler, and counts once."""
    service = subject.service
    for index, flag in enumerate(service.scheduler_flags):
        if flag.scheduler is not service.scheduler:
            yield subject.violation(
                ("scheduler_flags", index),
                f"`{flag.value}` with scheduler `{service.scheduler.value}`",
                f"a flag of `{service.scheduler.value}`, or none",
                f"remove it, or write `scheduler: {flag.scheduler.value}`",
            )
        elif flag in service.scheduler_flags[:index]:
            yield subject.violation(
                ("scheduler_flags", index), f"`{flag.value}` twice", "each flag once", "remove one of them"
            )


def one_packet(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only UDP can be scheduled datagram by datagram (`ip_vs_schedule`)."""
    service = subject.service
    if service.one_packet and service.protocol is not ProtocolName.UDP:
        yield subject.violation(
            ("one_packet",),
            f"one-packet scheduling with protocol {service.protocol.value}",
            "`protocol: udp`",
            "remove the key: each connection is scheduled as a whole",
        )


def one_armed(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only NAT needs masquerading: replies of the other methods do not pass the director."""
    service = subject.service
    if service.one_armed and service.forwarding is not ForwardingName.NAT:
        yield subject.violation(
            ("one_armed",),
            f"one-armed with forwarding `{service.forwarding.value}`",
            "`forwarding: nat`",
            "remove the key: real servers answer the client by themselves",
        )


def tunnel_section(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A tunnel is described where one is used."""
    service, sorry = subject.service, subject.service.sorry_server
    methods = {service.forwarding, sorry.forwarding if sorry else None}
    if service.tunnel is not None and ForwardingName.TUNNEL not in methods:
        yield subject.violation(
            ("tunnel",),
            f"a tunnel with forwarding `{service.forwarding.value}`",
            "`forwarding: tunnel`",
            "remove the key, or write `forwarding: tunnel`",
        )


def tunnel_port(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """GUE is carried by UDP; the other encapsulations have no port."""
    tunnel = subject.service.tunnel
    if tunnel is None:
        return
    if tunnel.type is TunnelTypeName.GUE and tunnel.port is None:
        hint = "add `port`: where the real servers listen, such as `port: 6080`"
        yield subject.violation(("tunnel", "port"), "a gue tunnel without port", "a port 1-65535", hint)
    if tunnel.type is not TunnelTypeName.GUE and tunnel.port is not None:
        message = f"a port for tunnel type `{tunnel.type.value}`"
        yield subject.violation(("tunnel", "port"), message, "no port", "remove it, or write `type: gue`")


def tunnel_checksum(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """IPIP has no checksum; remote checksum offload is part of GUE (`ip_vs_xmit.c`)."""
    tunnel = subject.service.tunnel
    if tunnel is None or tunnel.checksum is TunnelChecksum.NONE:
        return
    possible = {
        TunnelTypeName.IPIP: (TunnelChecksum.NONE,),
        TunnelTypeName.GRE: (TunnelChecksum.NONE, TunnelChecksum.FULL),
        TunnelTypeName.GUE: tuple(TunnelChecksum),
    }[tunnel.type]
    if tunnel.checksum not in possible:
        yield subject.violation(
            ("tunnel", "checksum"),
            f"checksum `{tunnel.checksum.value}` with tunnel type `{tunnel.type.value}`",
            f"one of {', '.join(f'`{choice.value}`' for choice in possible)}",
            "remove the key, or choose another `type`",
        )


def own_ports(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The ports of one service do not overlap."""
    ordered = sorted((ports, index) for index, ports in enumerate(subject.service.ports))
    high, before = -1, ordered[0]
    for ports, index in ordered:
        if ports.low <= high:
            message = f"port {ports} is in `{before[0]}` too"
            yield subject.violation(("ports", index), message, "each port once", "remove one of them")
        if ports.high > high:
            high, before = ports.high, (ports, index)


def known_network(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """The network of a service is one of the site's."""
    name, networks = subject.service.network, context.site.networks
    if name is None or not networks or name in networks:
        return
    known = ", ".join(f"`{network}`" for network in networks)
    hint = "add it to `networks`, or remove the key"
    yield subject.violation(("network",), f"unknown network `{name}`", f"one of {known}", hint)
