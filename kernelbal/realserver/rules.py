"""The nftables tables of a real server (`nft(8)`), for the methods `arp` and `redirect`, and for tunnels.

The arp table is what `arptables -A INPUT -d VIP -j DROP` and `-A OUTPUT -s VIP -j mangle --mangle-ip-s REAL`
were: requests for virtual addresses are dropped, and what the host sends itself never names one as sender,
by whatever interface a reply leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kernelbal.model.address import Address, family_of, format_address
from kernelbal.model.headers import most_encapsulation_bytes, segment_bytes
from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import NftChain, NftRule, NftSet, NftTable
from kernelbal.plan.classifier import canonical
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.setup import ARP_TABLE, INET_TABLE

VIRTUAL_SET: Final = "virtual4"
PRIORITY_DSTNAT: Final = -100
PRIORITY_AFTER_SRCNAT: Final = 150
"""Behind source NAT at 100, where replies of the method `redirect` have the virtual address already."""
_PACKED_PROTOCOLS: Final = {4: "ip", 16: "ip6"}

Own = Mapping[str, Address]
"""Own IPv4 address by interface."""


def tables(preparations: Iterable[Preparation], own: Own) -> tuple[NftTable, ...]:
    """Return the tables that preparations need, without empty ones."""
    prepared = tuple(preparations)
    both = (_arp_table(prepared, own), _inet_table(prepared))
    return tuple(table for table in both if not table.empty)


def _match(left: Mapping[str, Any], right: object, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


def _payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


# --- arp ---


def _arp_table(preparations: tuple[Preparation, ...], own: Own) -> NftTable:
    chosen = [each for each in preparations if each.method is Method.ARP and len(each.virtual) == 4]
    if not chosen:
        return ARP_TABLE
    elements = tuple(sorted((format_address(each.virtual),) for each in chosen))
    virtual = NftSet(VIRTUAL_SET, ("ipv4_addr",), "", interval=False, elements=elements)
    silent = NftRule(
        canonical([_match(_payload("arp", "daddr ip"), f"@{VIRTUAL_SET}"), {"drop": None}]),
        f"arp daddr ip @{VIRTUAL_SET} drop",
    )
    rewritten = (_rewrite(name, address) for name, address in sorted(own.items()))
    chains = (
        NftChain("input", "filter", "input", 0, (silent,)),
        NftChain("output", "filter", "output", 0, (*rewritten, NAMELESS)),
    )
    return ARP_TABLE._replace(sets=(virtual,), chains=chains)


def _rewrite(interface: str, address: Address) -> NftRule:
    real = format_address(address)
    sender = _payload("arp", "saddr ip")
    expression = [
        _match({"meta": {"key": "oifname"}}, interface),
        _match(sender, f"@{VIRTUAL_SET}"),
        {"mangle": {"key": sender, "value": real}},
    ]
    text = f'oifname "{interface}" arp saddr ip @{VIRTUAL_SET} arp saddr ip set {real}'
    return NftRule(canonical(expression), text)


NAMELESS: Final = NftRule(
    canonical([_match(_payload("arp", "saddr ip"), f"@{VIRTUAL_SET}"), {"drop": None}]),
    f"arp saddr ip @{VIRTUAL_SET} drop",
)
"""Behind the rewriting: by an interface without an address of its own, the host asks nobody in their name."""


# --- redirect and MSS ---


def _inet_table(preparations: tuple[Preparation, ...]) -> NftTable:
    redirected = [each for each in preparations if each.method is Method.REDIRECT]
    tunnelled = [each for each in preparations if each.tunnel is not None]
    chains: list[NftChain] = []
    if tunnelled:
        clamps = tuple(_clamp(each) for each in tunnelled)
        chains.append(NftChain("postrouting", "filter", "postrouting", PRIORITY_AFTER_SRCNAT, clamps))
    if redirected:
        rules = tuple(rule for each in redirected for rule in _redirections(each))
        chains.append(NftChain("prerouting", "nat", "prerouting", PRIORITY_DSTNAT, rules))
    return INET_TABLE._replace(chains=tuple(chains))


def most_segment_bytes(one: Preparation) -> int:
    """Return the largest TCP segment from the client that still fits into the tunnel (RFC 6691)."""
    taken = most_encapsulation_bytes(family_of(one.real), one.tunnel.kind) if one.tunnel else 0
    return segment_bytes(one.virtual, one.mtu_bytes - taken)


def _clamp(preparation: Preparation) -> NftRule:
    """Only SYN packets carry the option; the kernel lowers an MSS by this and never raises one.

    See `nft_exthdr_tcp_set_eval`. A match of TCP flags is left out: libnftables versions differ in its JSON.
    """
    protocol = _PACKED_PROTOCOLS[len(preparation.virtual)]
    virtual, size = format_address(preparation.virtual), most_segment_bytes(preparation)
    option = {"tcp option": {"name": "maxseg", "field": "size"}}
    expression = [
        _match(_payload(protocol, "saddr"), virtual),
        _match({"meta": {"key": "l4proto"}}, int(Protocol.TCP)),
        {"mangle": {"key": option, "value": size}},
    ]
    return NftRule(
        canonical(expression),
        f"{protocol} saddr {virtual} meta l4proto tcp tcp option maxseg size set {size}",
    )


def _redirections(preparation: Preparation) -> Iterable[NftRule]:
    if not preparation.ports:
        yield _redirection(preparation, None)
    for port in preparation.ports:
        yield _redirection(preparation, port)


def _redirection(preparation: Preparation, port: PortMap | None) -> NftRule:
    protocol = _PACKED_PROTOCOLS[len(preparation.virtual)]
    virtual, real = format_address(preparation.virtual), format_address(preparation.own or preparation.real)
    expression: list[dict[str, Any]] = [_match(_payload(protocol, "daddr"), virtual)]
    target: dict[str, Any] = {"family": protocol, "addr": real}
    text = f"{protocol} daddr {virtual} "
    if port is None:
        text += f"dnat {protocol} to {real}"
    else:
        name = Protocol(port.protocol).name.lower()
        expression.append(_match(_payload(name, "dport"), port.port))
        target["port"] = port.to_port
        shown = real if len(preparation.virtual) == 4 else f"[{real}]"
        text += f"{name} dport {port.port} dnat {protocol} to {shown}:{port.to_port}"
    return NftRule(canonical([*expression, {"dnat": target}]), text)


def arptables_commands(preparations: Iterable[Preparation], own: Own) -> tuple[str, ...]:
    """Return the arp table as commands of `arptables(8)`, for hosts that have it and no nftables."""
    commands: list[str] = []
    for each in preparations:
        if len(each.virtual) != 4:
            continue
        virtual = format_address(each.virtual)
        commands.append(f"arptables -A INPUT -d {virtual} -j DROP")
        commands += [
            f"arptables -A OUTPUT -s {virtual} -o {name} -j mangle --mangle-ip-s {format_address(address)}"
            for name, address in sorted(own.items())
        ]
        commands.append(f"arptables -A OUTPUT -s {virtual} -j DROP")
    return tuple(commands)
