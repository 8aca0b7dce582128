"""Real servers and sorry servers that do not fit their service.

A site may hold 100,000 real servers: each check looks at all of them with one comprehension or set, and
takes a closer look at suspects only.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Path, Violation
from kernelbal.model.address import Address, format_address, format_endpoint
from kernelbal.model.choices import ForwardingName
from kernelbal.model.site.services import VirtualService


def virtual_address(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """A real server has an address of its own: the director holds the virtual and shared ones."""
    taken = context.taken
    if taken.isdisjoint(subject.addresses):
        return
    for position, address in enumerate(subject.addresses):
        if address in taken:
            yield _own_address(subject.server_path(position, "address"), "real server", address, context)


def sorry_virtual_address(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """A sorry server has an address of its own, too."""
    sorry = subject.service.sorry_server
    if sorry is not None:
        address = Address(sorry.address)
        if address in context.taken:
            yield _own_address(subject.path("sorry_server", "address"), "sorry server", address, context)


def _own_address(path: Path, what: str, address: Address, context: SiteContext) -> Violation:
    holder = context.virtual.get(address)
    if holder is not None:
        whose, other = "virtual address", (holder.path("address"), holder.title)
    else:
        network, place = context.shared[address]
        whose, other = "shared address", (place, f"network {network}")
    return Violation(
        path,
        f"{what} {format_address(address)} is a {whose} of the director",
        "an address of the machine itself",
        "with dsr and tunnel, too, name the address that the machine has beside the virtual one",
        other=other,
    )


def duplicates(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A real server stands once in a service; another port makes another one."""
    if len(set(subject.addresses)) == len(subject.addresses):
        return
    default = _only_port(subject.service) or 0
    first: dict[tuple[Address, int], int] = {}
    for position, server in enumerate(subject.service.real_servers):
        key = (Address(server.address), server.port or default)
        before = first.setdefault(key, position)
        if before != position:
            shown = format_endpoint(*key) if server.port else format_address(key[0])
            yield Violation(
                subject.server_path(position),
                f"real server {shown} is given twice",
                "each real server once",
                "remove one of them; a weight says how much it serves",
                other=(subject.server_path(before), "the first"),
            )


def families(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only a tunnel carries packets of one family to a real server of another (`ip_vs_genl_set_cmd`)."""
    service = subject.service
    if service.forwarding is ForwardingName.TUNNEL:
        return
    size = len(service.address)
    for position in [i for i, address in enumerate(subject.addresses) if len(address) != size]:
        path = subject.server_path(position, "address")
        yield _other_family(path, "real server", service, service.forwarding)


def sorry_family(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The same for the sorry server."""
    service, sorry = subject.service, subject.service.sorry_server
    if sorry is None or len(sorry.address) == len(service.address):
        return
    method = sorry.forwarding or service.forwarding
    if method is not ForwardingName.TUNNEL:
        yield _other_family(subject.path("sorry_server", "address"), "sorry server", service, method)


def _other_family(path: Path, what: str, service: VirtualService, method: ForwardingName) -> Violation:
    ours, other = ("IPv4", "IPv6") if len(service.address) == 4 else ("IPv6", "IPv4")
    return Violation(
        path,
        f"an {other} {what} behind an {ours} virtual address, with forwarding `{method.value}`",
        f"an {ours} address",
        "only `forwarding: tunnel` crosses address families",
    )


def ports(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only NAT rewrites the port, and a single one."""
    service = subject.service
    wrong = _port_conflict(service, service.forwarding)
    if wrong is None:
        return
    message, hint = wrong
    for position in [i for i, server in enumerate(service.real_servers) if server.port is not None]:
        path = subject.server_path(position, "port")
        yield Violation(path, f"a port of the real server's own with {message}", "no port", hint)


def sorry_port(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The same for the sorry server."""
    service, sorry = subject.service, subject.service.sorry_server
    if sorry is None or sorry.port is None:
        return
    wrong = _port_conflict(service, sorry.forwarding or service.forwarding)
    if wrong is not None:
        message, hint = wrong
        path = subject.path("sorry_server", "port")
        yield Violation(path, f"a port of the sorry server's own with {message}", "no port", hint)


def _port_conflict(service: VirtualService, method: ForwardingName) -> tuple[str, str] | None:
    if method is not ForwardingName.NAT:
        hint = "remove it: the packet keeps the client's port; or write `forwarding: nat`"
        return f"forwarding `{method.value}`", hint
    if _only_port(service) is None:
        return "several ports", "remove it: each port keeps its number; or split the service, one port each"
    return None


def _only_port(service: VirtualService) -> int | None:
    if len(service.ports) == 1 and service.ports[0].low == service.ports[0].high:
        return service.ports[0].low
    return None


def thresholds(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The kernel refuses a lower threshold above the upper one, or without one."""
    for position, server in enumerate(subject.service.real_servers):
        if server.lower_threshold > server.upper_threshold:
            upper = server.upper_threshold
            yield Violation(
                subject.server_path(position, "lower_threshold"),
                f"lower threshold {server.lower_threshold} above upper threshold {upper}"
                if upper
                else "a lower threshold without an upper one",
                f"at most {upper}" if upper else "an `upper_threshold` as well",
                "remove it: the kernel then uses 3/4 of the upper one",
            )


def sorry_is_real(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A sorry server answers while the real servers cannot, so it is none of them."""
    service, sorry = subject.service, subject.service.sorry_server
    if sorry is None or sorry.address not in subject.addresses:
        return
    default = _only_port(service) or 0
    port = sorry.port or default
    for position, server in enumerate(service.real_servers):
        if server.address == sorry.address and (server.port or default) == port:
            yield Violation(
                subject.path("sorry_server"),
                f"sorry server {format_address(Address(sorry.address))} is a real server too",
                "a machine or port that is none of the real servers",
                "remove one of the two",
                other=(subject.server_path(position), "the real server"),
            )
            return
