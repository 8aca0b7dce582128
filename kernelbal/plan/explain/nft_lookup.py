"""Lookups in the sets and maps of our nftables table, which is read as data."""

from __future__ import annotations

import json

from kernelbal.model.address import Address, host_prefix, in_network, parse_address
from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import Element, NftSet, NftTable


def find_in(table: NftTable | None, name: str, key: tuple[object, ...]) -> Element | None:
    """Return the element of a named set that a key falls into; None without one, or without the set."""
    for each in table.sets if table is not None else ():
        if each.name == name:
            return find_element(each, key)
    return None


def find_element(nft_set: NftSet, key: tuple[object, ...]) -> Element | None:
    """Return the element of a set that a key falls into, or None.

    Args:
        nft_set: a set or map.
        key: an address, protocol, port or device for each of its key types; None matches nothing.
    """
    kinds = nft_set.key_types
    return next((e for e in nft_set.elements if all(map(_matches, kinds, e, key))), None)


def _matches(kind: str, text: str, value: object) -> bool:
    match kind:
        case "ipv4_addr" | "ipv6_addr":
            address, _, length = text.partition("/")
            network = parse_address(address)
            return isinstance(value, bytes) and in_network(
                Address(value), network, int(length or host_prefix(network))
            )
        case "inet_proto":
            return isinstance(value, Protocol) and text in (value.name.lower(), str(value.value))
        case "inet_service":
            low, _, high = text.partition("-")
            return isinstance(value, int) and int(low) <= value <= int(high or low)
        case "ifname":
            return value is not None and bool(json.loads(text) == value)
        case _:
            return False
