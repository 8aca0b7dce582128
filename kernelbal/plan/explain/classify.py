"""What our nftables table makes of a packet: which firewall mark, and whether it is masqueraded.

The table is read as data: a map from address, protocol and port to a mark sets the mark in prerouting, and a
set of marks says which packets are masqueraded in postrouting.
"""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.model.address import Address, format_address
from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import NftTable
from kernelbal.plan.explain.nft_lookup import find_element
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import StepTopic, StepVerdict, TraceStep


class Classification(NamedTuple):
    """A packet after our table.

    Attributes:
        mark: firewall mark; 0 without one.
        masquerade: whether its source address becomes the director's on the way out.
        set_name: the map that set the mark, or empty.
    """

    mark: int = 0
    masquerade: bool = False
    set_name: str = ""


UNMARKED = Classification()
"""A packet that our table does not touch."""


def classify(table: NftTable | None, virtual: Address, protocol: Protocol, port: int) -> Classification:
    """Return what the table makes of a packet to `virtual`:`port`."""
    if table is None:
        return UNMARKED
    parts = {"ipv4_addr": virtual, "ipv6_addr": virtual, "inet_proto": protocol, "inet_service": port}
    for candidate in table.sets:
        if candidate.value_type != "mark":
            continue
        found = find_element(candidate, tuple(map(parts.get, candidate.key_types)))
        if found is not None:
            mark = int(found[-1], 0)
            return Classification(mark, mark in _masqueraded(table), candidate.name)
    return UNMARKED


def classifier_step(query: ExplainQuery, view: KernelView) -> tuple[Classification, TraceStep]:
    """Return the classification of the packet with its reason."""
    found = classify(view.nft, query.virtual, query.protocol, query.port)
    if found.mark:
        reason = f"map `{found.set_name}` of nftables table `inet kernelbal` sets mark {found.mark:#x}"
        if found.masquerade:
            reason += "; packets with it are masqueraded on their way out"
        return found, TraceStep(StepTopic.CLASSIFIER, StepVerdict.MARKED, reason, view.source)
    if view.nft is None or view.nft.empty:
        reason = "no nftables table `inet kernelbal`, so the packet has no mark of ours"
    else:
        reason = f"nftables table `inet kernelbal` has no entry for {format_address(query.virtual)}"
        reason += f" port {query.port}/{query.protocol.name.lower()}, so the packet has no mark"
    if view.foreign_nft:
        reason += f"; not evaluated: {', '.join(view.foreign_nft)}"
    return found, TraceStep(StepTopic.CLASSIFIER, StepVerdict.UNMARKED, reason, view.source)


def _masqueraded(table: NftTable) -> frozenset[int]:
    return frozenset(
        int(element[0], 0)
        for candidate in table.sets
        if candidate.key_types == ("mark",) and not candidate.value_type
        for element in candidate.elements
    )
