"""Address translation at the edge: entries against each other, virtual services and networks.

A list has at most 256 entries (`Few`), but an entry up to 1,000 ports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from kernelbal.config.checks.addresses import PARTNER_PORT, unusable, unusable_reason
from kernelbal.config.checks.context import SiteContext
from kernelbal.config.checks.site import PortClaim, claims_of, overlapping
from kernelbal.config.violation import Path, Violation
from kernelbal.config.wording import called
from kernelbal.model.address import Address, format_address
from kernelbal.model.site.edge import Edge, Forward, OneToOne, SourceNat
from kernelbal.model.units import PortRange
from kernelbal.plan.networks import carrier_of

TRANSLATION = ("one_to_one", "forward", "source_nat")
Entry = OneToOne | Forward | SourceNat


class Placed(NamedTuple):
    """An entry with its place in the document."""

    entry: Entry
    path: Path

    @property
    def title(self) -> str:
        """What other violations call it."""
        return f"{called(type(self.entry))} `{self.entry.name}`"


def entries(context: SiteContext) -> Iterator[Placed]:
    """Yield all entries that translate."""
    edge = context.site.edge or Edge()
    for section in TRANSLATION:
        for index, entry in enumerate(getattr(edge, section)):
            yield Placed(entry, ("edge", section, index))


def names(context: SiteContext) -> Iterator[Violation]:
    """No two entries of a list share a name."""
    edge = context.site.edge or Edge()
    for section in (*TRANSLATION, "routes"):
        first: dict[str, Path] = {}
        for index, entry in enumerate(getattr(edge, section)):
            path: Path = ("edge", section, index, "name")
            before = first.setdefault(entry.name, path)
            if before != path:
                message = f"name `{entry.name}` is given twice"
                other = (before, "the first")
                yield Violation(path, message, "a name of its own", "rename one of them", other=other)


def usable_addresses(context: SiteContext) -> Iterator[Violation]:
    """Outside and inside addresses are those of machines."""
    for entry, path in entries(context):
        for key in ("outside", "inside"):
            value = getattr(entry, key)
            if isinstance(value, bytes) and (why := unusable_reason(Address(value))):
                yield unusable((*path, key), Address(value), why)


def families(context: SiteContext) -> Iterator[Violation]:
    """Address translation keeps the address family."""
    for entry, path in entries(context):
        inside = entry.inside if isinstance(entry.inside, bytes) else entry.inside.address
        if entry.outside is not None and len(entry.outside) != len(inside):
            ours, other = ("IPv4", "IPv6") if len(entry.outside) == 4 else ("IPv6", "IPv4")
            yield Violation(
                (*path, "inside"),
                f"{_an(other)} inside address behind {_an(ours)} outside address",
                f"{_an(ours)} address",
                "address translation does not change the family; a virtual service with a tunnel does",
            )


def _an(family: str) -> str:
    return f"an {family}"


# --- who has an outside address ---


def whole_addresses(context: SiteContext) -> Iterator[Violation]:
    """An address with one machine behind it is that machine's alone."""
    first: dict[bytes, Placed] = {}
    for placed in entries(context):
        if isinstance(placed.entry, OneToOne):
            yield from _of_others(placed, context)
            if (before := first.setdefault(placed.entry.outside, placed)) is not placed:
                yield _taken(placed, before.title, (*before.path, "outside"))
    for placed in entries(context):
        before = first.get(placed.entry.outside or b"", placed)
        if not isinstance(placed.entry, OneToOne) and before is not placed:
            yield _taken(placed, before.title, (*before.path, "outside"))


def _of_others(placed: Placed, context: SiteContext) -> Iterator[Violation]:
    address = Address(placed.entry.outside or b"")
    if address in context.virtual:
        subject = context.virtual[address]
        yield _taken(placed, f"virtual service `{subject.title}`", subject.path("address"))
    elif address in context.shared:
        network, path = context.shared[address]
        yield _taken(placed, f"network `{network}`, as a shared address", path)


def _taken(placed: Placed, owner: str, other: Path) -> Violation:
    shown = format_address(Address(placed.entry.outside or b""))
    return Violation(
        (*placed.path, "outside"),
        f"{shown} belongs to {owner}",
        "an outside address of its own",
        "take another address, or forward single ports of one that several use",
        other=(other, "there"),
    )


def ports(context: SiteContext) -> Iterator[Violation]:
    """A new connection to a port goes one way: inside, or to a virtual service."""
    claims: defaultdict[tuple[bytes, str], list[PortClaim]] = defaultdict(list)
    for index, placed in enumerate(entries(context)):
        entry = placed.entry
        if isinstance(entry, Forward):
            for place, taken in enumerate(entry.ports):
                path: Path = (*placed.path, "ports", place)
                claim = PortClaim(taken, (1, index), placed.title, path)
                claims[entry.outside, entry.protocol].append(claim)
                yield from _partner_port(entry, taken, path, context)
    for subject in context.subjects if claims else ():
        if subject.invalid.isdisjoint(("address", "protocol", "ports")):
            found = claims.get((subject.service.address, subject.service.protocol.value))
            if found is not None:
                found.extend(claims_of(subject))
    for (address, protocol), found in claims.items():
        for first, second, both in overlapping(found):
            if second.order[0]:
                yield Violation(
                    second.path,
                    f"overlaps {first.title} on {format_address(Address(address))}, {protocol} port {both}",
                    "ports that nothing else has on this address",
                    "give one of them another address or other ports",
                    other=(first.path, "there"),
                )


def _partner_port(entry: Forward, ports: PortRange, path: Path, context: SiteContext) -> Iterator[Violation]:
    shared = Address(entry.outside) in context.shared and entry.protocol == "tcp"
    if shared and ports.low <= PARTNER_PORT <= ports.high:
        yield Violation(
            path,
            f"port {PARTNER_PORT}/tcp of a shared address is reserved for the partner channel",
            f"other ports than {PARTNER_PORT}",
            "use an outside address that is no shared address, or leave the port out",
        )


# --- who is behind it ---


def inside_machines(context: SiteContext) -> Iterator[Violation]:
    """Behind an outside address is another machine, not the director, and one machine has one address."""
    held = {placed.entry.outside: placed for placed in entries(context) if placed.entry.outside is not None}
    first: dict[bytes, Placed] = {}
    for placed in entries(context):
        inside, path = placed.entry.inside, (*placed.path, "inside")
        if not isinstance(inside, bytes):
            continue
        if inside in held or Address(inside) in context.taken:
            yield Violation(
                path,
                f"{format_address(Address(inside))} is an address of the director itself",
                "the address of an inside machine",
                "to balance what comes to an address of the director, write a virtual service",
            )
        if isinstance(placed.entry, OneToOne) and (before := first.setdefault(inside, placed)) is not placed:
            yield Violation(
                path,
                f"{format_address(Address(inside))} has an outside address already",
                "each inside machine once",
                "packets that it sends can bear one address only; forward ports of the other one",
                other=((*before.path, "inside"), before.title),
            )


def inside_ports(context: SiteContext) -> Iterator[Violation]:
    """A single port can become another one."""
    for entry, path in entries(context):
        if not isinstance(entry, Forward) or entry.inside_port is None:
            continue
        if len(entry.ports) > 1 or entry.ports[0].low != entry.ports[0].high:
            yield Violation(
                (*path, "inside_port"),
                "several ports with a single one inside",
                "no `inside_port`",
                "remove it: each port keeps its number; or split the entry, one port each",
            )


def source_addresses(context: SiteContext) -> Iterator[Violation]:
    """Inside machines appear with an address that is named, or with whichever the director has."""
    for entry, path in entries(context):
        if isinstance(entry, SourceNat) and (entry.outside is None) is not entry.masquerade:
            both = "both an outside address and masquerading" if entry.masquerade else "no outside address"
            yield Violation(
                path,
                both,
                "either `outside` or `masquerade: true`",
                "an address that you name stays the same on both directors, which partners rely on",
            )


def networks(context: SiteContext) -> Iterator[Violation]:
    """The network of an entry is one of the site's, and that of its address."""
    known = context.site.networks
    if not known or "networks" in context.incomplete:
        return
    for placed in entries(context):
        named = placed.entry.network
        if named is None:
            continue
        if named not in known:
            yield unknown_network((*placed.path, "network"), named, context)
            continue
        network, other = context.shared.get(Address(placed.entry.outside or b""), (named, ()))
        if network != named:
            shown = format_address(Address(placed.entry.outside or b""))
            yield Violation(
                (*placed.path, "network"),
                f"{shown} is a shared address of network `{network}`",
                f"`{network}`",
                "remove the key",
                other=(other, "the shared address"),
            )


def unknown_network(path: Path, name: str, context: SiteContext) -> Violation:
    """Return the violation for the name of a network that the site does not have."""
    known = ", ".join(f"`{network}`" for network in context.site.networks)
    hint = "add it to `networks`, or remove the key"
    return Violation(path, f"unknown network `{name}`", f"one of {known}", hint)


# --- what works, but hardly as intended ---


def unreachable_inside(context: SiteContext) -> Iterator[Violation]:
    """Answers come back here only when the director is their default gateway."""
    shared = [each for network in context.site.networks.values() for each in network.shared_addresses]
    for placed in entries(context):
        inside = placed.entry.inside
        if isinstance(inside, bytes) and not any(each.contains(inside) for each in shared):
            yield Violation(
                (*placed.path, "inside"),
                f"{format_address(Address(inside))} is in the subnet of no shared address",
                "a machine whose default gateway is a shared address of the site",
                "correct the address, or see that its replies come back through this director",
            )


def hidden_clients(context: SiteContext) -> Iterator[Violation]:
    """Source NAT towards inside machines takes their clients' addresses away from them."""
    placed = list(entries(context))
    for source in placed:
        if not isinstance(source.entry, SourceNat):
            continue
        towards = carrier_of(context.site, source.entry.outside, source.entry.network)
        for target in placed:
            inside = target.entry.inside
            if isinstance(inside, Address) and _hides(source.entry, inside, towards, context):
                yield Violation(
                    source.path,
                    f"hides the clients of {target.title} from {format_address(inside)}:"
                    " it sees the director instead",
                    "no source NAT towards inside machines",
                    "persistence by source address and GEO there take all clients for one; leave it out,"
                    " and make a shared address the machine's default gateway",
                )
                break


def _hides(source: SourceNat, inside: Address, towards: str, context: SiteContext) -> bool:
    """Machines of the same subnet are hidden from each other in any case (hairpin)."""
    network = context.site.networks.get(towards)
    for shared in network.shared_addresses if network is not None else ():
        if shared.contains(inside):
            within = shared.contains(source.inside.address) and source.inside.length >= shared.prefix
            return not within and len(source.inside.address) == len(inside)
    return False


def idle_sources(context: SiteContext) -> Iterator[Violation]:
    """The first entry that fits counts."""
    before: list[Placed] = []
    for placed in entries(context):
        entry = placed.entry
        if not isinstance(entry, SourceNat):
            continue
        way = carrier_of(context.site, entry.outside, entry.network)
        for earlier in before:
            other = earlier.entry
            same_way = way == carrier_of(context.site, other.outside, other.network)
            if same_way and isinstance(other, SourceNat) and other.inside.covers(entry.inside):
                yield Violation(
                    (*placed.path, "inside"),
                    f"never used: {earlier.title} covers {entry.inside}",
                    "entries from the smaller block to the larger",
                    "put it before the other one",
                    other=((*earlier.path, "inside"), earlier.title),
                )
                break
        before.append(placed)
