"""Which nftables rules of others could drop a packet (`libnftables-json(5)`).

Comparisons end in yes, no or perhaps: what is not understood, such as a named set or a match of iptables, is
a perhaps. So nothing that drops is overlooked, and what is named with certainty does drop.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from kernelbal.model.address import Address

DEEPEST: Final = 16
"""How deep chains may call chains (`NFT_JUMP_STACK_SIZE`)."""
_NUMBERS: Final = {
    "l4proto": {
        1: "icmp",
        4: "ipencap",
        6: "tcp",
        17: "udp",
        41: "ipv6",
        47: "gre",
        58: "ipv6-icmp",
        132: "sctp",
    },
    "nfproto": {2: "ipv4", 10: "ipv6"},
    "protocol": {0x0800: "ip", 0x86DD: "ip6", 0x0806: "arp"},
    "state": {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"},
}
"""Numbers of values that may stand as words."""
_PROTOCOLS_OF: Final = {"ip": "ipv4", "ip6": "ipv6"}
_META_NAMES: Final = {"iif": "iifname", "oif": "oifname"}
_TARGETS_THAT_DROP: Final = ("REJECT", "DROP", "TARPIT")


class Tri(Enum):
    """Whether something matches."""

    NO = "no"
    PERHAPS = "perhaps"
    YES = "yes"


class Packet(NamedTuple):
    """What is known of a packet, and where it passes.

    Attributes:
        fields: value by name: `nfproto`, `saddr`, `daddr`, `l4proto`, `sport`, `dport`, `iifname`, `oifname`,
            `state`, `arp daddr`; what is missing is not known.
        hooks: such as `input`.
        families: of the tables that see it.
    """

    fields: Mapping[str, str | int | Address]
    hooks: tuple[str, ...]
    families: tuple[str, ...]


class Suspect(NamedTuple):
    """What may drop a packet: `inet filter input: tcp dport 80 drop`; `certain` when it does."""

    text: str
    certain: bool


def suspects(objects: Iterable[Mapping[str, Any]], packet: Packet) -> tuple[Suspect, ...]:
    """Return what may drop a packet, without repetitions.

    Args:
        objects: of a listed ruleset.
        packet: what is known of it.
    """
    rules: dict[tuple[str, str, str], list[Sequence[Mapping[str, Any]]]] = {}
    bases: list[Mapping[str, Any]] = []
    for each in objects:
        for kind, body in each.items():
            if kind == "rule":
                where = (body["family"], body["table"], body["chain"])
                rules.setdefault(where, []).append(body.get("expr", ()))
            elif kind == "chain" and body.get("hook") in packet.hooks and body["family"] in packet.families:
                bases.append(body)
    found: dict[str, Suspect] = {}
    for base in bases:
        for suspect in _Walk(rules, packet, base).suspects():
            known = found.get(suspect.text)
            if known is None or suspect.certain:
                found[suspect.text] = suspect
    return tuple(found.values())


@dataclass(slots=True)
class _Walk:
    """A packet on its way through one base chain and those that it calls."""

    rules: Mapping[tuple[str, str, str], Sequence[Sequence[Mapping[str, Any]]]]
    packet: Packet
    base: Mapping[str, Any]
    doubt: bool = False
    found: list[Suspect] = field(default_factory=list)

    def suspects(self) -> list[Suspect]:
        """Walk to the end of the base chain and its policy."""
        if not self._on_device():
            return []
        name = self.base["name"]
        ended = self._run(name, DEEPEST)
        if not ended and self.base.get("policy") == "drop":
            self.found.append(Suspect(f"{self._title(name)} (policy drop)", not self.doubt))
        return self.found

    def _on_device(self) -> bool:
        devices = self.base.get("dev")
        known = self.packet.fields.get("iifname")
        names = [devices] if isinstance(devices, str) else devices
        return names is None or known is None or known in names

    def _title(self, chain: str) -> str:
        return f"{self.base['family']} {self.base['table']} {chain}"

    def _run(self, chain: str, depth: int) -> bool:
        """Return whether the packet certainly goes no further, let through or dropped."""
        if depth == 0:
            self.doubt = True
            return False
        for expressions in self.rules.get((self.base["family"], self.base["table"], chain), ()):
            matched = all_of(self._compare(each["match"]) for each in expressions if "match" in each)
            if any("xt" in each for each in expressions) and matched is Tri.YES:
                matched = Tri.PERHAPS
            if matched is not Tri.NO:
                ended = self._follow(chain, expressions, matched, depth)
                if ended is not None:
                    return ended
        return False

    def _follow(
        self, chain: str, expressions: Sequence[Mapping[str, Any]], matched: Tri, depth: int
    ) -> bool | None:
        """Take the verdict of a rule; None when the packet goes on to the next one."""
        for each in expressions:
            ended = self._take(chain, each, matched, depth)
            if matched is not Tri.YES:
                continue
            if ended is not None:
                return ended
        return None

    def _take(self, chain: str, each: Mapping[str, Any], matched: Tri, depth: int) -> bool | None:
        sure = matched is Tri.YES and not self.doubt
        match next(iter(each), ""):
            case "drop" | "reject" as verdict:
                self.found.append(Suspect(f"{self._title(chain)}: {verdict}", sure))
                return True
            case "accept":
                self.doubt |= matched is not Tri.YES
                return True
            case "return":
                self.doubt |= matched is not Tri.YES
                return False
            case "jump" | "goto" as call:
                return self._call(each[call]["target"], matched, depth, leaves=call == "goto")
            case "vmap":
                self._choose(chain, each["vmap"], depth)
            case "xt":
                self._opaque(chain, each["xt"])
            case _:
                pass  # it counts, logs, marks or compares
        return None

    def _call(self, target: str, matched: Tri, depth: int, *, leaves: bool) -> bool | None:
        before = self.doubt
        self.doubt |= matched is not Tri.YES
        ended = self._run(target, depth - 1)
        if matched is Tri.YES and not ended and not leaves:
            return None
        self.doubt |= before
        return ended

    def _choose(self, chain: str, body: Mapping[str, Any], depth: int) -> None:
        """Verdicts that depend on a key: each of them may be taken."""
        self.doubt = True
        data = body.get("data")
        pairs = data.get("set", ()) if isinstance(data, dict) else ()
        if isinstance(data, str):
            self.found.append(Suspect(f"{self._title(chain)}: verdict map {data}", certain=False))
        for _, verdict in pairs:
            self._take(chain, verdict, Tri.PERHAPS, depth)

    def _opaque(self, chain: str, body: Mapping[str, Any]) -> None:
        if body.get("type") == "target" and body.get("name") in _TARGETS_THAT_DROP:
            self.found.append(Suspect(f"{self._title(chain)}: {body['name']}", certain=False))

    # --- comparing ---

    def _compare(self, body: Mapping[str, Any]) -> Tri:
        implied, name = _name_of(body["left"])
        known = self.packet.fields
        for key, value in implied:
            if key in known and known[key] != value:
                return Tri.NO
        if name not in known:
            return Tri.PERHAPS
        equal = _equals(name, known[name], body["right"])
        match body["op"]:
            case "==" | "in":
                return equal
            case "!=":
                return {Tri.YES: Tri.NO, Tri.NO: Tri.YES}.get(equal, equal)
            case _:
                return Tri.PERHAPS


def all_of(parts: Iterable[Tri]) -> Tri:
    """Return NO when one is, else PERHAPS when one is, else YES."""
    seen = set(parts)
    return Tri.NO if Tri.NO in seen else Tri.PERHAPS if Tri.PERHAPS in seen else Tri.YES


def _name_of(left: object) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return what a comparison takes for granted, and the field that it looks at; empty for none of ours."""
    match left:
        case {"payload": {"protocol": str(protocol), "field": str(name)}}:
            return _payload_name(protocol, name)
        case {"meta": {"key": str(key)}}:
            return (), _META_NAMES.get(key, key)
        case {"ct": {"key": "state"}}:
            return (), "state"
        case _:
            return (), ""


def _payload_name(protocol: str, name: str) -> tuple[tuple[tuple[str, str], ...], str]:
    if protocol == "arp":
        return (), f"arp {name.removesuffix(' ip')}"
    if protocol in _PROTOCOLS_OF:
        implied = (("nfproto", _PROTOCOLS_OF[protocol]),)
        return implied, {"protocol": "l4proto", "nexthdr": "l4proto"}.get(name, name)
    return () if protocol == "th" else (("l4proto", protocol),), name


def _equals(name: str, value: str | int | Address, right: object) -> Tri:
    match right:
        case {"set": list(members)} | list(members):
            answers = {_equals(name, value, member) for member in members}
            return Tri.YES if Tri.YES in answers else Tri.PERHAPS if Tri.PERHAPS in answers else Tri.NO
        case {"elem": {"val": inner}}:
            return _equals(name, value, inner)
        case {"prefix": {"addr": str(text), "len": int(bits)}} if isinstance(value, bytes):
            return _tri(_in_network(value, text, bits))
        case {"range": [first, last]}:
            return _in_range(value, first, last)
        case str(text) if text.startswith("@"):
            return Tri.PERHAPS
        case str() | int():
            return _tri(_same(name, value, right))
        case _:
            return Tri.PERHAPS


def _tri(answer: bool) -> Tri:
    return Tri.YES if answer else Tri.NO


def _same(name: str, value: str | int | Address, right: str | int) -> bool:
    if isinstance(value, bytes):
        return isinstance(right, str) and _packed(right) == value
    words = _NUMBERS.get(name, {})
    if isinstance(right, int) and right in words:
        right = words[right]
    if isinstance(value, str) and isinstance(right, str) and right.endswith("*"):
        return value.startswith(right[:-1])
    return value == right


def _packed(text: str) -> bytes:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return b""


def _in_network(value: bytes, text: str, bits: int) -> bool:
    network = ipaddress.ip_network(f"{text}/{bits}", strict=False)
    return ipaddress.ip_address(value) in network


def _in_range(value: str | int | Address, first: object, last: object) -> Tri:
    if isinstance(value, int) and isinstance(first, int) and isinstance(last, int):
        return _tri(first <= value <= last)
    if isinstance(value, bytes) and isinstance(first, str) and isinstance(last, str):
        low, high = _packed(first), _packed(last)
        return _tri(len(low) == len(value) and low <= value <= high)
    return Tri.PERHAPS
