"""From the `edge` section to nftables, addresses and sysctls; policy routes are in `policy_routes`."""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from kernelbal.model.address import AF_INET, Address, family_of, format_address, host_prefix
from kernelbal.model.network import AddressKey, Sysctl
from kernelbal.model.nft import EMPTY_TABLE, Element, NftChain, NftRule, NftSet, NftTable
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.edge import Edge, Forward, OneToOne, SourceNat
from kernelbal.plan.classifier import PRIORITY_SRCNAT, port_text, protocol_text
from kernelbal.plan.edge_rules import (
    FAMILIES,
    FORWARD,
    FORWARD_PORT,
    FROM_HERE_RULE,
    HAIRPIN,
    INBOUND,
    LOOKUPS,
    MASQUERADE,
    ONE_TO_ONE_IN,
    ONE_TO_ONE_OUT,
    OUTBOUND,
    SOURCE_NAT,
    TO_OWN_PUBLIC_RULE,
    VIRTUAL,
    Family,
)
from kernelbal.plan.networks import carrier_of, device_of
from kernelbal.plan.sysctls import EDGE_FORWARDING, no_redirects

PRIORITY_DSTNAT = -100

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
EMPTY_EDGE = Edge()


def edge_table(site: Site, node: Node) -> NftTable:
    """Return the sets and chains of address translation; `EMPTY_TABLE` when there is none.

    Raises:
        PlanRefused: `node.yaml` does not name the device of a network that an entry uses.
    """
    if site.edge is None:
        return EMPTY_TABLE
    sets: dict[str, NftSet] = {}
    for family in FAMILIES:
        for name, elements in _contents(site, node, site.edge, family).items():
            name, key, value, interval, _ = LOOKUPS[family][name]
            if elements:
                sets[name] = NftSet(name, key, value, interval, tuple(sorted(elements)))
    return NftTable(tuple(sets[name] for name in sorted(sets)), tuple(_chains(sets))) if sets else EMPTY_TABLE


def _chains(sets: Mapping[str, NftSet]) -> Iterator[NftChain]:
    inbound, hairpin, outbound = (_rules(names, sets) for names in (INBOUND, (HAIRPIN,), OUTBOUND))
    if inbound:
        yield NftChain("nat_output", "nat", "output", PRIORITY_DSTNAT, inbound)
        yield NftChain("nat_prerouting", "nat", "prerouting", PRIORITY_DSTNAT, inbound)
        hairpin += (TO_OWN_PUBLIC_RULE,)
    if outbound:
        hairpin += (FROM_HERE_RULE,)
    yield NftChain("postrouting", "nat", "postrouting", PRIORITY_SRCNAT, hairpin + outbound)


def _rules(names: Iterable[str], sets: Mapping[str, NftSet]) -> tuple[NftRule, ...]:
    """Return the rules of those sets that there are, in the order of `names`."""
    lookups = [LOOKUPS[family][name] for name in names for family in FAMILIES]
    return tuple(lookup.rule for lookup in lookups if lookup.name in sets)


def merged(first: NftTable, second: NftTable) -> NftTable:
    """Return one table of two: rules of a chain that both have come in this order; names of sets differ."""
    chains = {chain.name: chain for chain in first.chains}
    for chain in second.chains:
        before = chains.get(chain.name)
        chains[chain.name] = chain if before is None else chain._replace(rules=before.rules + chain.rules)
    by_name = sorted(first.sets + second.sets, key=lambda each: each.name)
    return NftTable(tuple(by_name), tuple(chains[name] for name in sorted(chains)))


def leaving(site: Site) -> Iterator[tuple[Address | None, str, str]]:
    """Yield the outside address of each entry, the network that leads there, and what wants it."""
    edge = site.edge or EMPTY_EDGE
    entries: tuple[OneToOne | Forward | SourceNat, ...] = (*edge.one_to_one, *edge.forward, *edge.source_nat)
    for entry in entries:
        network = carrier_of(site, entry.outside, entry.network)
        yield entry.outside, network, f"edge entry `{entry.name}`"


def edge_addresses(site: Site, node: Node, present: set[Address]) -> Iterator[AddressKey]:
    """Yield the outside addresses that this director has to hold and that are not `present` otherwise.

    Raises:
        PlanRefused: `node.yaml` does not name the device of a network that an entry uses.
    """
    seen = set(present)
    for outside, network, wanted_by in leaving(site):
        if outside is not None and outside not in seen:
            seen.add(outside)
            yield AddressKey(device_of(node, network, wanted_by), outside, host_prefix(outside))


def edge_families(edge: Edge) -> frozenset[int]:
    """Return the address families that the director translates, and so has to route."""
    found = [each.outside for each in edge.one_to_one]
    found += [each.outside for each in edge.forward]
    found += [each.inside.address for each in edge.source_nat]
    return frozenset(map(family_of, found))


def edge_sysctls(site: Site, node: Node) -> tuple[Sysctl, ...]:
    """Return the sysctls that a router at the edge needs."""
    if site.edge is None:
        return ()
    families = edge_families(site.edge)
    redirects = no_redirects(frozenset(node.interfaces.values())) if AF_INET in families else ()
    return (*(EDGE_FORWARDING[family] for family in sorted(families)), *redirects)


def _contents(site: Site, node: Node, edge: Edge, family: Family) -> dict[str, set[Element]]:
    """Return the elements of each set of one family; sets may be empty."""
    one_to_one = [each for each in edge.one_to_one if len(each.outside) == family.bytes]
    sources = [each for each in edge.source_nat if len(each.inside.address) == family.bytes]
    found = _forwards([each for each in edge.forward if len(each.outside) == family.bytes])
    found[ONE_TO_ONE_IN] = {
        (format_address(each.outside), format_address(each.inside)) for each in one_to_one
    }
    if edge.hairpin and any(found.values()):
        found[HAIRPIN] = _hairpins(site, edge, family)
    found[ONE_TO_ONE_OUT] = {
        (_device(site, node, each), format_address(each.inside), format_address(each.outside))
        for each in one_to_one
    }
    found.update(_sources([(_device(site, node, each), each) for each in sources]))
    if one_to_one or sources:
        addresses = {service.address for service in site.virtual_services}
        found[VIRTUAL] = {(format_address(each),) for each in addresses if len(each) == family.bytes}
    return found


def _forwards(entries: Iterable[Forward]) -> dict[str, set[Element]]:
    found: dict[str, set[Element]] = {FORWARD_PORT: set(), FORWARD: set()}
    for entry in entries:
        for ports in entry.ports:
            where = (format_address(entry.outside), protocol_text(entry.number), port_text(*ports))
            found[FORWARD].add((*where, format_address(entry.inside)))
            if entry.inside_port is not None:
                found[FORWARD_PORT].add((*where, str(entry.inside_port)))
    return found


def _hairpins(site: Site, edge: Edge, family: Family) -> set[Element]:
    """Return the subnets of the inside machines, each beside itself: from there to there."""
    targets = {each.inside for each in edge.one_to_one} | {each.inside for each in edge.forward}
    subnets = {
        ipaddress.ip_network((shared.address, shared.prefix), strict=False)
        for network in site.networks.values()
        for shared in network.shared_addresses
        if len(shared.address) == family.bytes and any(map(shared.contains, targets))
    }
    texts = {_block_text(block) for block in _disjoint(sorted(subnets, key=lambda one: one.prefixlen))}
    return {(text, text) for text in texts}


def _sources(entries: Iterable[tuple[str, SourceNat]]) -> dict[str, set[Element]]:
    """The kernel takes no overlapping elements; the first entry counts, later ones get what it leaves."""
    found: dict[str, set[Element]] = {SOURCE_NAT: set(), MASQUERADE: set()}
    taken: defaultdict[str, list[IpNetwork]] = defaultdict(list)
    for device, entry in entries:
        block = ipaddress.ip_network(str(entry.inside))
        left = list(_left_of(block, taken[device]))
        taken[device].extend(left)
        for key in ((device, _block_text(one)) for one in left):
            if entry.outside is None:
                found[MASQUERADE].add(key)
            else:
                found[SOURCE_NAT].add((*key, format_address(entry.outside)))
    return found


def _disjoint(blocks: Iterable[IpNetwork]) -> list[IpNetwork]:
    kept: list[IpNetwork] = []
    for block in blocks:
        kept.extend(_left_of(block, kept))
    return kept


def _left_of(block: IpNetwork, taken: Iterable[IpNetwork]) -> list[IpNetwork]:
    """Return the blocks that are left of one when others are taken out of it."""
    left = [block]
    for other in taken:
        left = [part for one in left for part in _without(one, other)]
    return left


def _without(block: IpNetwork, other: IpNetwork) -> Iterable[IpNetwork]:
    if not block.overlaps(other):
        return (block,)
    if block.prefixlen >= other.prefixlen:
        return ()
    match block, other:
        case ipaddress.IPv4Network(), ipaddress.IPv4Network():
            return block.address_exclude(other)
        case ipaddress.IPv6Network(), ipaddress.IPv6Network():
            return block.address_exclude(other)
        case _:
            raise AssertionError((block, other))


def _device(site: Site, node: Node, entry: OneToOne | SourceNat) -> str:
    """Return the device by which an entry's packets leave as it stands in elements: with quotes."""
    carrier = carrier_of(site, entry.outside, entry.network)
    return json.dumps(device_of(node, carrier, f"edge entry `{entry.name}`"))


def _block_text(block: IpNetwork) -> str:
    """Return a block as nft lists it: a single address without its length."""
    return str(block.network_address) if block.prefixlen == block.max_prefixlen else str(block)
