"""What address translation at the edge does to a packet, and the way back.

The maps of our nftables table are read as data. Destinations are translated before anything else looks at
the packet, sources after it has been routed.
"""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.model.address import Address, format_address, format_endpoint, in_network, parse_address
from kernelbal.model.network import Route
from kernelbal.model.nft import NftTable
from kernelbal.plan.edge_rules import (
    FORWARD,
    FORWARD_PORT,
    HAIRPIN,
    MASQUERADE,
    ONE_TO_ONE_IN,
    ONE_TO_ONE_OUT,
    SOURCE_NAT,
)
from kernelbal.plan.explain.nft_lookup import find_in
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import ExplainOutcome, Explanation, StepTopic, StepVerdict, TraceStep
from kernelbal.plan.reachability import RouteTable, hop_text


class TranslationTarget(NamedTuple):
    """Where a translated packet goes.

    Attributes:
        name: the map that says so.
    """

    address: Address
    port: int
    name: str


class SourceTranslation(NamedTuple):
    """How a packet of an inside machine leaves.

    Attributes:
        source: the address that it bears then; None: whatever address the director has on the device.
        name: the map or set that says so.
    """

    source: Address | None
    name: str


def translation_target(table: NftTable | None, query: ExplainQuery) -> TranslationTarget | None:
    """Return where the destination of a packet is translated to, or None."""
    suffix = _suffix(query.virtual)
    key = (query.virtual, query.protocol, query.port)
    found = find_in(table, f"{FORWARD}{suffix}", key)
    if found is not None:
        port = find_in(table, f"{FORWARD_PORT}{suffix}", key)
        kept = query.port if port is None else int(port[-1])
        return TranslationTarget(parse_address(found[-1]), kept, f"{FORWARD}{suffix}")
    found = find_in(table, f"{ONE_TO_ONE_IN}{suffix}", (query.virtual,))
    if found is not None:
        return TranslationTarget(parse_address(found[-1]), query.port, f"{ONE_TO_ONE_IN}{suffix}")
    return None


def whole_address(table: NftTable | None, address: Address) -> bool:
    """Return whether every port of an address leads to one inside machine."""
    return find_in(table, f"{ONE_TO_ONE_IN}{_suffix(address)}", (address,)) is not None


def source_translation(table: NftTable | None, source: Address, device: str) -> SourceTranslation | None:
    """Return how a packet from an inside machine leaves by a device; None: as it is."""
    suffix, key = _suffix(source), (device, source)
    for name in (ONE_TO_ONE_OUT, SOURCE_NAT):
        found = find_in(table, f"{name}{suffix}", key)
        if found is not None:
            return SourceTranslation(parse_address(found[-1]), f"{name}{suffix}")
    found = find_in(table, f"{MASQUERADE}{suffix}", key)
    return None if found is None else SourceTranslation(None, f"{MASQUERADE}{suffix}")


def inbound(
    query: ExplainQuery, view: KernelView, routes: RouteTable, target: TranslationTarget, first: TraceStep
) -> Explanation:
    """Return the explanation of a packet whose destination is translated."""
    shown = format_endpoint(target.address, target.port) if target.port else format_address(target.address)
    reason = f"map `{target.name}` of nftables table `inet kernelbal` rewrites the destination to {shown}"
    way = route_of(view, routes, query.client, target.address)
    steps = (
        first,
        TraceStep(StepTopic.TRANSLATION, StepVerdict.TRANSLATED, reason, view.source),
        TraceStep(StepTopic.FORWARDING, StepVerdict.NAT, f"{shown} is reached {_way_out(way)}", view.source),
        _way_back(query, view, target),
    )
    local = first.verdict is StepVerdict.LOCAL
    answer = f"goes to inside machine {shown}"
    if not local:
        answer = f"{first.reason}; a director that holds the address would translate it: {answer}"
    outcome = ExplainOutcome.TRANSLATED if local else ExplainOutcome.ELSEWHERE
    return Explanation(query, view.source, outcome, answer, steps, translated_to=shown)


def _way_back(query: ExplainQuery, view: KernelView, target: TranslationTarget) -> TraceStep:
    pair = (query.client, target.address)
    back = f"the reply comes back here, where {format_address(query.virtual)} is restored"
    from_here = view.local(query.client) is not None
    if from_here or find_in(view.nft, f"{HAIRPIN}{_suffix(target.address)}", pair) is not None:
        why = "is this director" if from_here else "and the inside machine are in one subnet"
        reason = (
            f"the client {why}, so the inside machine sees an address of this director as the client; {back}"
        )
        return TraceStep(StepTopic.RETURN, StepVerdict.MASQUERADED, reason, view.source)
    subnet = next((key for key in view.addresses if _holds_both(key.address, key.prefix, pair)), None)
    if subnet is not None:
        reason = (
            "the client is in the inside machine's own subnet, so the reply goes to it directly, from an"
            " address that it did not connect to (`hairpin: true` helps)"
        )
        return TraceStep(StepTopic.RETURN, StepVerdict.STRAIGHT, reason, view.source)
    reason = f"where the inside machine's route to the client leads through this director, {back}"
    return TraceStep(StepTopic.RETURN, StepVerdict.VIA_DIRECTOR, reason, view.source)


def _holds_both(network: Address, prefix: int, pair: tuple[Address, Address]) -> bool:
    return prefix < len(network) * 8 and all(in_network(address, network, prefix) for address in pair)


def outbound(query: ExplainQuery, view: KernelView, routes: RouteTable) -> TraceStep | None:
    """Return what becomes of the source of a packet that is only routed; None when it stays as it is."""
    way = route_of(view, routes, query.client, query.virtual)
    if way is None or view.local(query.client) is not None:
        return None
    leaving = source_translation(view.nft, query.client, way.device)
    if leaving is None:
        return None
    kind = "set" if leaving.source is None else "map"
    named = f"{kind} `{leaving.name}` of nftables table `inet kernelbal`"
    if leaving.source is None:
        reason = f"{named}: it leaves {_way_out(way)} with an address of this director as its source"
        return TraceStep(StepTopic.TRANSLATION, StepVerdict.MASQUERADED, reason, view.source)
    reason = f"{named}: it leaves {_way_out(way)} with source {format_address(leaving.source)}"
    return TraceStep(StepTopic.TRANSLATION, StepVerdict.TRANSLATED, reason, view.source)


def route_of(view: KernelView, routes: RouteTable, source: Address, destination: Address) -> Route | None:
    """Return the route of a packet: by a policy route of ours, else by the main table."""
    for rule in sorted(view.rules, key=lambda rule: rule.priority):
        from_there = in_network(source, rule.source, rule.source_prefix)
        if from_there and in_network(destination, rule.destination, rule.destination_prefix):
            fitting = [
                key
                for key in view.table_routes
                if key.table == rule.table and in_network(destination, key.destination, key.prefix)
            ]
            if fitting:
                key = max(fitting, key=lambda key: key.prefix)
                hop = view.table_routes[key]
                return Route(key.destination, key.prefix, hop.gateway, hop.device, 0)
    return routes.lookup(destination)


def _way_out(route: Route | None) -> str:
    return "by no known route" if route is None else f"by {hop_text(route)}"


def _suffix(address: Address) -> str:
    return "4" if len(address) == 4 else "6"
