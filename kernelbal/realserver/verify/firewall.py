"""Whether a firewall stands in the way: rules of others are suspects, what was heard decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kernelbal.kernel.probe_frames import PORT_UNREACHABLE
from kernelbal.model.address import Address
from kernelbal.model.ipvs import Protocol, TunnelType
from kernelbal.model.verification import RequirementResult, fail, ok, unknown
from kernelbal.realserver.preparation import PortMap
from kernelbal.realserver.verify.chains import Packet, Suspect, suspects
from kernelbal.realserver.verify.evidence import Answer, Reaction
from kernelbal.realserver.verify.prepared_address import PreparedAddress
from kernelbal.realserver.verify.silence import SENDER_CAUSES

WAY_IN_AND_OUT: Final = (
    "vip",
    "device",
    "real address",
    "gue",
    "redirect rule",
    "rp_filter",
    "return route",
)
"""Requirements without which nothing is answered, in the order in which they are named as a cause."""
_IN: Final = ("ingress", "prerouting", "input")
_OUT: Final = ("output", "postrouting", "egress")
_FAMILIES: Final = {4: ("inet", "ip", "netdev"), 16: ("inet", "ip6", "netdev")}
_VERSIONS: Final = {4: "ipv4", 16: "ipv6"}
_INNER: Final = {4: "ipencap", 16: "ipv6"}
_MANY: Final = 4


def judge_firewall(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """No rule of somebody else drops packets to the virtual address, or replies from it."""
    found = _suspects(subject)
    answers = [answer for _, answer in subject.answers()]
    blocked = [answer for answer in answers if _blocked(subject, answer, failed)]
    passed = [answer for answer in answers if _passed(subject, answer, failed)]
    others = [name for name in causes_of_silence(subject) if name in failed]
    if blocked and not others:
        ports = ", ".join(dict.fromkeys(str(answer.port) for answer in blocked))
        named = _listed(found) or _unread(subject) or "the rule cannot be determined from nftables"
        yield fail(f"packets to {ports} are dropped or refused: {named}", _fix(subject, found))
    elif passed and len(passed) == len(answers):
        yield ok("packets pass" + (f"; looked at {_listed(found)}" if found else ""))
    else:
        yield _by_the_rules(subject, found, others)


def causes_of_silence(subject: PreparedAddress) -> tuple[str, ...]:
    """Return the requirements without which a client hears nothing.

    Who asks for its next hop in the name of the virtual address gets no answer, as the question is kept back.
    """
    kept_back = any(wire.named_sender for wire in subject.evidence.wires.get(subject.one.virtual, ()))
    return (*WAY_IN_AND_OUT, *(SENDER_CAUSES if kept_back else ()))


def _by_the_rules(
    subject: PreparedAddress, found: tuple[Suspect, ...], others: list[str]
) -> RequirementResult:
    """Without an answer that decides, only what is certain counts."""
    certain = tuple(each for each in found if each.certain)
    if certain:
        return fail(f"drops packets: {_listed(certain)}", _fix(subject, certain))
    unread = _unread(subject)
    if found or unread:
        text = "; ".join(part for part in (_listed(found), unread) if part)
        later = f"; decided once {others[0]} is fixed" if others else ""
        return unknown(f"may drop packets, no answer decides: {text}{later}", "", next(iter(others), ""))
    return ok("no rule of nftables drops packets")


def _listed(found: tuple[Suspect, ...]) -> str:
    texts = [each.text for each in sorted(found, key=lambda each: not each.certain)]
    more = f" and {len(texts) - _MANY} more" if len(texts) > _MANY else ""
    return "; ".join(f"`{text}`" for text in texts[:_MANY]) + more


def _unread(subject: PreparedAddress) -> str:
    ruleset = subject.evidence.ruleset
    parts = [f"rules of nftables cannot be read: {ruleset.unreadable}"] if ruleset.unreadable else []
    parts += [f"`{table}` (see {table.split()[0]}-save)" for table in ruleset.legacy]
    return "; ".join(parts)


def _fix(subject: PreparedAddress, found: tuple[Suspect, ...]) -> str:
    port = subject.one.ports[0] if subject.one.ports else None
    family = "ip" if subject.is_ipv4 else "ip6"
    what = f"{family} daddr {subject.virtual}"
    if port is not None:
        what += f" {Protocol(port.protocol).name.lower()} dport {port.port}"
    where = found[0].text.split(":")[0].split(" (")[0] if found else ""
    return f"nft insert rule {where} {what} accept" if where else f"let `{what}` pass"


# --- what was heard ---


def _blocked(subject: PreparedAddress, answer: Answer, failed: Collection[str]) -> bool:
    """Whether an answer, or none, says that something is in the way."""
    match answer.reaction:
        case Reaction.SILENT:
            return answer.port.protocol == Protocol.TCP
        case Reaction.UNREACHABLE:
            return not _nobody_listens(subject, answer)
        case Reaction.REFUSED:
            return subject.named(answer.port) and "listening" not in failed
        case _:
            return False


def _passed(subject: PreparedAddress, answer: Answer, failed: Collection[str]) -> bool:
    if answer.reaction is Reaction.REFUSED:
        return not _blocked(subject, answer, failed)
    return answer.reaction is Reaction.ACCEPTED or _nobody_listens(subject, answer)


def _nobody_listens(subject: PreparedAddress, answer: Answer) -> bool:
    """What a host says of a UDP port without a socket (RFC 1122, 4.1.3.1)."""
    unreachable = answer.reaction is Reaction.UNREACHABLE
    is_udp = answer.port.protocol == Protocol.UDP
    return unreachable and is_udp and answer.code == PORT_UNREACHABLE[len(subject.one.virtual)]


# --- what passes the chains ---


def _suspects(subject: PreparedAddress) -> tuple[Suspect, ...]:
    objects = subject.evidence.ruleset.objects
    found = [suspect for packet in _packets(subject) for suspect in suspects(objects, packet)]
    return tuple({suspect.text: suspect for suspect in found}.values())


def _packets(subject: PreparedAddress) -> Iterator[Packet]:
    for interface in subject.one.interfaces:
        if len(subject.one.real) == 4:
            yield Packet({"arp daddr": subject.one.real, "iifname": interface}, ("input",), ("arp",))
        if subject.one.tunnel is not None:
            yield _wrapped(subject, interface)
        entry = subject.wrapped.device if subject.wrapped else interface
        for port in subject.one.ports or (None,):
            yield from _inner(subject, entry, port)


def _wrapped(subject: PreparedAddress, interface: str) -> Packet:
    one, director = subject.one, subject.evidence.director
    fields: dict[str, str | int | Address] = {
        "nfproto": _VERSIONS[len(one.real)],
        "daddr": one.real,
        "iifname": interface,
        "state": "new",
    }
    if director is not None and len(director) == len(one.real):
        fields["saddr"] = director
    kind = one.tunnel.kind if one.tunnel else TunnelType.IPIP
    words = {TunnelType.GRE: "gre", TunnelType.GUE: "udp"}
    fields["l4proto"] = words.get(kind, _INNER[len(one.virtual)])
    if one.tunnel is not None and one.tunnel.port:
        fields["dport"] = one.tunnel.port
    return Packet(fields, _IN, _FAMILIES[len(one.real)])


def _inner(subject: PreparedAddress, entry: str, port: PortMap | None) -> Iterator[Packet]:
    """The client's packet, before and after `redirect`, and the reply."""
    one, client = subject.one, subject.path.client
    common: dict[str, str | int | Address] = {"nfproto": _VERSIONS[len(one.virtual)]}
    if port is not None:
        common["l4proto"] = Protocol(port.protocol).name.lower()
    number, to_number = (port.port, port.to_port) if port else (0, 0)
    families = _FAMILIES[len(one.virtual)]
    coming = {**common, "saddr": client, "iifname": entry, "state": "new"}
    going = {**common, "daddr": client, "state": "established"}
    if subject.path.reply is not None:
        going["oifname"] = subject.path.reply.device
    yield Packet(_with_port({**coming, "daddr": one.virtual}, "dport", number), _IN[:2], families)
    yield Packet(_with_port({**coming, "daddr": subject.target}, "dport", to_number), _IN[2:], families)
    yield Packet(_with_port({**going, "saddr": subject.target}, "sport", to_number), _OUT[:2], families)
    yield Packet(_with_port({**going, "saddr": one.virtual}, "sport", number), _OUT[2:], families)


def _with_port(
    fields: dict[str, str | int | Address], name: str, number: int
) -> dict[str, str | int | Address]:
    return {**fields, name: number} if number else fields
