"""Addresses that no machine can have, and virtual addresses that are in the way."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Path, Violation
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ProtocolName
from kernelbal.model.fields import InterfaceAddress

PARTNER_PORT = 6973
"""TCP port on which partners exchange the site document."""

_SUSPECT = frozenset({0, 127, *range(224, 256)})
"""First bytes of all addresses that `unusable_reason` may refuse, and of some that it does not."""


def unusable_reason(address: Address) -> str | None:
    """Return why an address cannot be a machine's, or None."""
    value = ip_address(bytes(address))
    if value.is_unspecified or (value.version == 4 and address[0] == 0):
        return "the unspecified address"
    if value.is_loopback:
        return "a loopback address"
    if value.is_multicast:
        return "a multicast address"
    if value.version == 4:
        return "a reserved address" if address[0] >= 240 else None
    if value.is_link_local:
        return "a link-local address"
    return "an IPv4 address in IPv6 form" if value.ipv4_mapped is not None else None


def unusable(path: Path, address: Address, why: str) -> Violation:
    """Return the violation for such an address; `why` is what `unusable_reason` says."""
    return Violation(
        path, f"{format_address(address)} is {why}", "a unicast address of one machine", _hint_for(why)
    )


def _hint_for(why: str) -> str:
    if why.startswith("an IPv4"):
        return "write the four numbers with dots"
    return "packets to it are not routed between the director and other machines"


def service_addresses(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Clients reach the virtual address over the network."""
    address = Address(subject.service.address)
    why = unusable_reason(address) if address[0] in _SUSPECT else None
    if why:
        yield unusable(subject.path("address"), address, why)


def server_addresses(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The director reaches real servers over the network."""
    for position in [i for i, address in enumerate(subject.addresses) if address[0] in _SUSPECT]:
        why = unusable_reason(subject.addresses[position])
        if why:
            yield unusable(subject.server_path(position, "address"), subject.addresses[position], why)


def sorry_addresses(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """And the sorry server."""
    sorry = subject.service.sorry_server
    why = unusable_reason(Address(sorry.address)) if sorry else None
    if sorry and why:
        yield unusable(subject.path("sorry_server", "address"), Address(sorry.address), why)


def shared_addresses(context: SiteContext) -> Iterator[Violation]:
    """A shared address is one of the hosts of its subnet, and belongs to one network."""
    for name, network in context.site.networks.items():
        for index, shared in enumerate(network.shared_addresses):
            path: Path = ("networks", name, "shared_addresses", index)
            address = Address(shared.address)
            why = unusable_reason(address)
            if why:
                yield unusable(path, address, why)
            elif edge := _subnet_edge(shared):
                text = f"{format_address(address)}/{shared.prefix} is the {edge} of its subnet"
                yield Violation(path, text, "the address of a host", "name a host's address in the subnet")
            yield from _given_before(context, path, address)


def _given_before(context: SiteContext, path: Path, address: Address) -> Iterator[Violation]:
    network, last = context.shared[address]
    if last != path:
        text = f"shared address {format_address(address)} is given twice"
        hint = "remove one of them"
        yield Violation(path, text, "each address once", hint, other=(last, f"network {network}"))


def _subnet_edge(shared: InterfaceAddress) -> str | None:
    """IPv4 before RFC 3021's /31: the first and the last address of a subnet are no host's."""
    if len(shared.address) != 4 or shared.prefix >= 31:
        return None
    host_bits = 32 - shared.prefix
    host = int.from_bytes(shared.address) & ((1 << host_bits) - 1)
    if host == 0:
        return "network address"
    return "broadcast address" if host == (1 << host_bits) - 1 else None


def other_network(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """A shared address stays on its network."""
    service = subject.service
    network, path = context.shared.get(Address(service.address), (service.network, ()))
    if service.network is not None and network != service.network:
        yield subject.violation(
            ("network",),
            f"{format_address(Address(service.address))} is a shared address of network `{network}`",
            f"`{network}`",
            "remove the key, or use another virtual address",
            other=(path, "the shared address"),
        )


def partner_port(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """The partner's port stays free on the directors' shared addresses."""
    service = subject.service
    if service.protocol is not ProtocolName.TCP or Address(service.address) not in context.shared:
        return
    for index, ports in enumerate(service.ports):
        if ports.low <= PARTNER_PORT <= ports.high:
            yield subject.violation(
                ("ports", index),
                f"port {PARTNER_PORT}/tcp of a shared address is reserved for the partner channel",
                f"other ports than {PARTNER_PORT}",
                "use a virtual address that is no shared address, or leave the port out",
            )
