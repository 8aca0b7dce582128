"""The rules of address translation: constants, since everything that differs per site is in sets and maps.

One lookup per new connection, however many entries there are, and a table that was read from the kernel is
recognized rule by rule. The order of the source rules decides:

1. machines of one subnet reach each other by an outside address (hairpin): the director's address takes the
   place of the client's, so that the answer comes back here and not straight;
2. the director itself reaches an inside machine by its outside address: the same, since its packet would bear
   that very address, and a machine that holds it, too, drops what seems to come from itself;
3. packets that bear an address of the director leave as they are: VRRP, connection sync, outer packets of
   tunnels, health checks;
4. so do packets to a virtual address: IPVS has them, and real servers see the client. `ct original`, because
   NAT has changed the destination by then; without `net.ipv4.vs.conntrack` they are not tracked at all;
5. an outside address of one's own, a shared one, whatever address the director has.

`ct status dnat` tells translated destinations from those that IPVS changed, which does not set this bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernelbal.model.nft import NftRule, NftTable
from kernelbal.plan.classifier import canonical

IPS_DST_NAT = 32
"""`IPS_DST_NAT` of `linux/netfilter/nf_conntrack_common.h`, as nft lists it with numeric symbols."""
RTN_LOCAL = 2
"""`RTN_LOCAL` of `linux/rtnetlink.h`."""


class Family(NamedTuple):
    """The words of one address family.

    Attributes:
        suffix: `4` or `6`, the end of the names of its sets.
        protocol: what nft calls it.
        header: field of the IP header that names the transport protocol.
        address_type: nft's type of an address.
        bytes: length of an address.
    """

    suffix: str
    protocol: str
    header: str
    address_type: str
    bytes: int


IPV4 = Family("4", "ip", "protocol", "ipv4_addr", 4)
IPV6 = Family("6", "ip6", "nexthdr", "ipv6_addr", 16)
FAMILIES = (IPV4, IPV6)

ONE_TO_ONE_IN = "one_to_one_in"
ONE_TO_ONE_OUT = "one_to_one_out"
FORWARD = "forward"
FORWARD_PORT = "forward_port"
HAIRPIN = "hairpin"
VIRTUAL = "virtual"
SOURCE_NAT = "source_nat"
MASQUERADE = "masquerade_out"

Expression = dict[str, Any]


def _field(family: Family, name: str) -> Expression:
    return {"payload": {"protocol": family.protocol, "field": name}}


def _map(key: Expression, name: str) -> Expression:
    return {"map": {"key": key, "data": f"@{name}"}}


def _one_to_one_in(family: Family, name: str) -> NftRule:
    to = {"family": family.protocol, "addr": _map(_field(family, "daddr"), name)}
    return NftRule(
        canonical([{"dnat": to}]), f"dnat {family.protocol} to {family.protocol} daddr map @{name}"
    )


def _arriving(family: Family) -> tuple[Expression, str]:
    """Return the key of what arrives: destination, transport protocol and port."""
    port = {"payload": {"protocol": "th", "field": "dport"}}
    key = {"concat": [_field(family, "daddr"), _field(family, family.header), port]}
    return key, f"{family.protocol} daddr . {family.protocol} {family.header} . th dport"


def _forward(family: Family, name: str) -> NftRule:
    key, words = _arriving(family)
    to = {"family": family.protocol, "addr": _map(key, name)}
    return NftRule(canonical([{"dnat": to}]), f"dnat {family.protocol} to {words} map @{name}")


def _forward_port(family: Family, name: str) -> NftRule:
    """Return the rule for those whose port changes: both lookups have to find something.

    A map to address and port at once does not come through libnftables 1.0.6's JSON, which Debian 12 has.
    """
    key, words = _arriving(family)
    addresses = f"{FORWARD}{family.suffix}"
    to = {"family": family.protocol, "addr": _map(key, addresses), "port": _map(key, name)}
    text = f"dnat {family.protocol} to {words} map @{addresses} : {words} map @{name}"
    return NftRule(canonical([{"dnat": to}]), text)


def _leaving(family: Family) -> tuple[Expression, str]:
    """Return the key of what leaves: device and source."""
    key = {"concat": [{"meta": {"key": "oifname"}}, _field(family, "saddr")]}
    return key, f"oifname . {family.protocol} saddr"


def _snat(family: Family, name: str) -> NftRule:
    key, words = _leaving(family)
    to = {"family": family.protocol, "addr": _map(key, name)}
    return NftRule(canonical([{"snat": to}]), f"snat {family.protocol} to {words} map @{name}")


def _is(left: Expression, right: object, operator: str = "==") -> Expression:
    return {"match": {"op": operator, "left": left, "right": right}}


_TRANSLATED = _is({"ct": {"key": "status"}}, IPS_DST_NAT, "in")
_FROM_HERE = _is({"fib": {"result": "type", "flags": ["saddr"]}}, RTN_LOCAL)


def _hairpin(family: Family, name: str) -> NftRule:
    words = family.protocol
    pair = {"concat": [_field(family, "saddr"), _field(family, "daddr")]}
    expression = canonical([_TRANSLATED, _is(pair, f"@{name}"), {"masquerade": None}])
    return NftRule(expression, f"ct status dnat {words} saddr . {words} daddr @{name} masquerade")


def _untouched(family: Family, name: str) -> NftRule:
    words = family.protocol
    original = {"ct": {"key": f"{words} daddr", "dir": "original"}}
    return NftRule(
        canonical([_is(original, f"@{name}"), {"accept": None}]), f"ct original {words} daddr @{name} accept"
    )


def _masquerade(family: Family, name: str) -> NftRule:
    key, words = _leaving(family)
    return NftRule(canonical([_is(key, f"@{name}"), {"masquerade": None}]), f"{words} @{name} masquerade")


class Lookup(NamedTuple):
    """A set or map and the one rule that looks into it.

    Attributes:
        name: of the set, with the family's suffix.
        key: types of the parts of its keys.
        value: type of its values; empty for a set.
        interval: whether keys may be ranges or blocks.
    """

    name: str
    key: tuple[str, ...]
    value: str
    interval: bool
    rule: NftRule


def _lookups(family: Family) -> dict[str, Lookup]:
    address = family.address_type
    ports = (address, "inet_proto", "inet_service")
    leaving = ("ifname", address)
    shapes: tuple[tuple[str, tuple[str, ...], str, bool, Callable[[Family, str], NftRule]], ...] = (
        (FORWARD_PORT, ports, "inet_service", False, _forward_port),
        (FORWARD, ports, address, True, _forward),
        (ONE_TO_ONE_IN, (address,), address, False, _one_to_one_in),
        (HAIRPIN, (address, address), "", True, _hairpin),
        (VIRTUAL, (address,), "", False, _untouched),
        (ONE_TO_ONE_OUT, leaving, address, False, _snat),
        (SOURCE_NAT, leaving, address, True, _snat),
        (MASQUERADE, leaving, "", True, _masquerade),
    )
    return {
        name: Lookup(full := f"{name}{family.suffix}", key, value, interval, rule(family, full))
        for name, key, value, interval, rule in shapes
    }


LOOKUPS = {family: _lookups(family) for family in FAMILIES}
"""Every set and map of address translation with its rule, by family and by name without suffix."""
INBOUND = (FORWARD_PORT, FORWARD, ONE_TO_ONE_IN)
"""What translates destinations, in the order of its rules."""
OUTBOUND = (VIRTUAL, ONE_TO_ONE_OUT, SOURCE_NAT, MASQUERADE)
"""What translates sources of what inside machines begin, in the order of its rules."""

TO_OWN_PUBLIC_RULE = NftRule(
    canonical([_TRANSLATED, _FROM_HERE, {"masquerade": None}]),
    "ct status dnat fib saddr type local masquerade",
)
FROM_HERE_RULE = NftRule(canonical([_FROM_HERE, {"accept": None}]), "fib saddr type local accept")
BY_EXPRESSION = {
    rule.expression: rule
    for rule in (
        TO_OWN_PUBLIC_RULE,
        FROM_HERE_RULE,
        *(lookup.rule for lookups in LOOKUPS.values() for lookup in lookups.values()),
    )
}
"""Every rule of address translation, by expression."""


def taken_whole(table: NftTable) -> frozenset[str]:
    """Return the addresses of which everything that arrives goes to an inside machine."""
    names = {lookups[ONE_TO_ONE_IN].name for lookups in LOOKUPS.values()}
    return frozenset(element[0] for each in table.sets if each.name in names for element in each.elements)
