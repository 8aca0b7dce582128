"""Which packets count: what a receiver does with octets that came to protocol 112.

The order of the checks is that of RFC 5798 7.1 and keepalived's. A packet that is refused is counted by its
reason and has no other effect: whoever can send on the network can send anything.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6, Address, format_address
from kernelbal.vrrp import packet as wire
from kernelbal.vrrp.hmac_trailer import (
    SHA256,
    TRAILER_BYTES,
    in_window,
    is_later,
    is_signed_by,
    parse_trailer,
)
from kernelbal.vrrp.ip import IPPROTO_AH, IPPROTO_VRRP, IpPacket, NotIp, parse_ip, without_ah
from kernelbal.vrrp.packet import Advertisement, AuthType, ChecksumStyle

MAX_SENDERS: Final = 16
"""Senders whose last sequence number is remembered; only who has a key gets in."""
CARP_BYTES: Final = 36
"""Length of an advertisement of CARP (OpenBSD `netinet/ip_carp.h`)."""

_CARP: Final = struct.Struct("!BBBBxB")


class Verdict(StrEnum):
    """What becomes of a packet."""

    ACCEPT = "accept"
    REJECT = "reject"
    """It is about this virtual router, and wrong."""
    IGNORE = "ignore"
    """It is none of this virtual router's."""


class Reason(StrEnum):
    """Why a packet does not count."""

    LENGTH = "length"
    TTL = "ttl"
    VERSION = "version"
    TYPE = "type"
    CHECKSUM = "checksum"
    VRID = "vrid"
    INTERVAL = "interval"
    COUNT = "count"
    AUTH = "auth"
    STALE = "stale"
    REPLAY = "replay"
    DESTINATION = "destination"
    PEER = "peer"
    SOURCE = "source"
    OWN = "own"
    NOT_VRRP = "not_vrrp"


class PacketNote(StrEnum):
    """What is odd about a packet that counts."""

    ADDRESSES_DIFFER = "addresses_differ"
    ADDRESSES_FOREIGN = "addresses_foreign"
    """Not one of its addresses is ours: a stranger with our virtual ID."""
    INTERVAL_DIFFERS = "interval_differs"
    CHECKSUM_RFC5798 = "checksum_rfc5798"
    NOT_AUTHENTICATED = "not_authenticated"
    TRAILER_NOT_VERIFIED = "trailer_not_verified"
    FIRST_NOT_LINK_LOCAL = "first_not_link_local"
    """Of IPv6 addresses (RFC 9568 5.2.9)."""


class Delivery(StrEnum):
    """Where packets go."""

    MULTICAST = "multicast"
    UNICAST = "unicast"


class HmacMode(StrEnum):
    """How far the introduction of keys is; a trailer that is wrong is refused in each."""

    RECEIVE_ONLY = "receive-only"
    """Trailers are verified, and none is sent."""
    PERMISSIVE = "permissive"
    """Trailers are sent, and packets without one count."""
    ENFORCE = "enforce"
    """Packets without a trailer do not count."""


@dataclass(frozen=True, slots=True)
class HmacKeys:
    """Keys of the trailer.

    Attributes:
        keys: 32 to 64 octets by number.
        window_s: how far clocks may differ.
    """

    keys: Mapping[int, bytes]
    mode: HmacMode = HmacMode.ENFORCE
    window_s: int = 5


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """One virtual router, as far as packets to it are concerned.

    Attributes:
        family: `AF_INET` or `AF_INET6`.
        interval_cs: its own.
        local: address of the interface from which it sends.
        addresses: of the virtual router, as configured here.
        peers: who may send, by unicast.
        min_ttl: least TTL of a unicast packet.
        password: of version 2; empty: none.
        hmac: None: trailers are not verified.
        checksum: styles that are accepted over IPv4.
    """

    version: int
    family: int
    vrid: int
    interval_cs: int
    local: Address
    addresses: tuple[Address, ...]
    mode: Delivery = Delivery.MULTICAST
    peers: frozenset[Address] = frozenset()
    min_ttl: int = wire.TTL
    password: bytes = b""
    hmac: HmacKeys | None = None
    checksum: frozenset[ChecksumStyle] = frozenset(ChecksumStyle)


@dataclass(slots=True)
class Senders:
    """The last sequence number of each sender that has signed: what comes again does not count."""

    last: OrderedDict[Address, int] = field(default_factory=OrderedDict)

    def is_replay(self, source: Address, sequence: int, now_s: int, window_s: int) -> bool:
        """Return whether a sequence number is none that follows, and remember it if it does.

        A number outside the window is forgotten: it orders only what is stale, and a sender whose clock was
        corrected starts anew.
        """
        before = self.last.get(source)
        if before is not None and in_window(before, now_s, window_s) and not is_later(sequence, before):
            return True
        self.last[source] = sequence
        self.last.move_to_end(source)
        if len(self.last) > MAX_SENDERS:
            self.last.popitem(last=False)
        return False


class Carp(NamedTuple):
    """An advertisement of CARP, which shares protocol and group with VRRP."""

    vhid: int
    advskew: int
    advbase_s: int


class Judgement(NamedTuple):
    """What a receiver makes of one packet.

    Attributes:
        reason: why it does not count; None: it does.
        text: the same for people: what was received, and what was expected.
        packet: None: it is no IP packet; without an authentication header.
        advert: what it says, as far as that could be read.
        checksum: its style; None: it is wrong, or was not verified.
        remarks: what is odd about it.
        carp: what it is instead.
    """

    verdict: Verdict
    reason: Reason | None = None
    text: str = ""
    packet: IpPacket | None = None
    advert: Advertisement | None = None
    checksum: ChecksumStyle | None = None
    remarks: tuple[PacketNote, ...] = ()
    carp: Carp | None = None


class _Refused(Exception):
    """A check failed."""

    def __init__(self, reason: Reason, text: str, verdict: Verdict = Verdict.REJECT) -> None:
        super().__init__(text)
        self.reason, self.verdict = reason, verdict


def judge(
    data: bytes, receiver: VirtualRouter | None = None, senders: Senders | None = None, now_s: int = 0
) -> Judgement:
    """Return what becomes of a packet.

    Args:
        data: the whole IP packet; what a link adds behind it may follow.
        receiver: None: whatever is true of every virtual router is checked.
        senders: of this virtual router; a packet that counts is remembered there.
        now_s: UTC, in whole seconds.
    """
    try:
        packet = parse_ip(data)
    except NotIp as error:
        return Judgement(Verdict.REJECT, Reason.LENGTH, str(error))
    return judge_packet(packet, receiver, senders, now_s)


def judge_packet(
    packet: IpPacket, receiver: VirtualRouter | None = None, senders: Senders | None = None, now_s: int = 0
) -> Judgement:
    """Do what `judge` does with a packet whose header the kernel has read."""
    judged, protected = Judgement(Verdict.ACCEPT, packet=packet), packet.protocol == IPPROTO_AH
    try:
        if protected:
            packet = _inside(packet)
            judged = judged._replace(packet=packet)
        carp = _demand_vrrp(packet)
        if carp is not None:
            text = "CARP, which shares protocol and group with VRRP"
            return Judgement(Verdict.IGNORE, Reason.NOT_VRRP, text, packet, carp=carp)
        length = _demand_whole(packet)
        advert = wire.parse_advertisement(packet.payload, packet.family)
        styles = wire.checksum_styles(packet, length)
        judged = judged._replace(advert=advert, checksum=styles[0] if styles else None)
        if receiver is not None:
            _demand_ours(packet, advert, receiver)
        _demand_valid(packet, advert)
        _demand_checksum(packet, styles, receiver)
        _demand_no_ah(protected=protected)
        if receiver is None:
            return judged._replace(remarks=tuple(_remarks(packet, advert, judged.checksum)))
        _demand_way(packet, receiver)
        _demand_interval(advert, receiver)
        trailing = len(packet.payload) - length
        unverified = _demand_authentic(packet, advert, trailing, receiver, senders or Senders(), now_s)
        remarks = (*_remarks(packet, advert, judged.checksum), *unverified, *_differences(advert, receiver))
        return judged._replace(remarks=remarks)
    except _Refused as refused:
        return judged._replace(verdict=refused.verdict, reason=refused.reason, text=str(refused))


def _inside(packet: IpPacket) -> IpPacket:
    try:
        return without_ah(packet)
    except NotIp as error:
        raise _Refused(Reason.AUTH, str(error)) from error


def _demand_no_ah(*, protected: bool) -> None:
    """Last of what holds for every virtual router, so that all else about the packet is named first."""
    if protected:
        raise _Refused(Reason.AUTH, "IPsec AH (RFC 2338 type 2), which is not supported")


def _demand_vrrp(packet: IpPacket) -> Carp | None:
    if packet.protocol != IPPROTO_VRRP:
        expected = f"protocol {packet.protocol}, expected {IPPROTO_VRRP}"
        raise _Refused(Reason.NOT_VRRP, expected, Verdict.IGNORE)
    payload = packet.payload
    if len(payload) < wire.HEADER_BYTES:
        raise _Refused(Reason.LENGTH, f"{len(payload)} octets, expected a header of {wire.HEADER_BYTES}")
    # CARP: version 2, 7 words of authentication where VRRP counts addresses, and a length that no count has.
    head, vhid, advskew, words, advbase_s = _CARP.unpack_from(payload)
    if len(payload) == CARP_BYTES and head == 0x21 and words == 7:
        return Carp(vhid, advskew, advbase_s)
    return None


def _demand_whole(packet: IpPacket) -> int:
    """Return the length of the message; behind it there is nothing, or the trailer of an HMAC."""
    version_type, _, _, count, _, _ = wire.header_of(packet.payload)
    version, received = version_type >> 4, len(packet.payload)
    if version not in (2, 3) or (version == 2 and packet.family == AF_INET6):
        raise _Refused(Reason.VERSION, f"version {version} over {_family(packet.family)}, expected 2 or 3")
    length = wire.message_bytes(version, count, packet.family)
    if received in (length, length + TRAILER_BYTES):
        return length
    text = f"{received} octets, expected {length} with {count} addresses of {_family(packet.family)}"
    raise _Refused(Reason.LENGTH, text)


def _demand_ours(packet: IpPacket, advert: Advertisement, receiver: VirtualRouter) -> None:
    """What is about another virtual router is ignored before anything about it is judged."""
    if packet.family != receiver.family:
        text = f"{_family(packet.family)}, expected {_family(receiver.family)}"
        raise _Refused(Reason.VRID, text, Verdict.IGNORE)
    if advert.vrid != receiver.vrid:
        text = f"virtual ID {advert.vrid}, expected {receiver.vrid}"
        raise _Refused(Reason.VRID, text, Verdict.IGNORE)
    if packet.source == receiver.local:
        raise _Refused(Reason.OWN, "sent by this router, and looped back", Verdict.IGNORE)
    if receiver.mode is Delivery.MULTICAST and packet.ttl != wire.TTL:
        raise _Refused(Reason.TTL, f"TTL {packet.ttl}, expected {wire.TTL}: it passed a router")
    if receiver.mode is Delivery.UNICAST and packet.ttl < receiver.min_ttl:
        raise _Refused(Reason.TTL, f"TTL {packet.ttl}, expected at least {receiver.min_ttl}")
    if advert.version != receiver.version:
        raise _Refused(Reason.VERSION, f"version {advert.version}, expected {receiver.version}")


def _demand_valid(packet: IpPacket, advert: Advertisement) -> None:
    """What holds for every virtual router (RFC 9568 7.1)."""
    if packet.destination == wire.GROUPS[packet.family] and packet.ttl != wire.TTL:
        raise _Refused(Reason.TTL, f"TTL {packet.ttl}, expected {wire.TTL}: it passed a router")
    kind = packet.payload[0] & 0x0F
    if kind != wire.ADVERTISEMENT:
        raise _Refused(Reason.TYPE, f"type {kind}, expected {wire.ADVERTISEMENT}")
    if not advert.vrid:
        raise _Refused(Reason.VRID, "virtual ID 0, expected 1-255")
    if not advert.addresses:
        raise _Refused(Reason.COUNT, "no addresses, expected at least one")
    if not advert.interval_cs:
        raise _Refused(Reason.INTERVAL, "interval 0")
    if not _can_send(packet.source):
        raise _Refused(Reason.SOURCE, f"source {format_address(packet.source)} is no address of a router")
    multicast6 = packet.destination == wire.GROUPS[AF_INET6]
    if multicast6 and not wire.is_link_local(packet.source):
        text = f"source {format_address(packet.source)}, expected a link-local address"
        raise _Refused(Reason.SOURCE, text)


def _demand_checksum(
    packet: IpPacket, styles: Sequence[ChecksumStyle], receiver: VirtualRouter | None
) -> None:
    two_styles = packet.family == AF_INET and packet.payload[0] >> 4 == 3
    if not styles:
        raise _Refused(Reason.CHECKSUM, "the checksum is wrong" + (" in both styles" if two_styles else ""))
    if two_styles and receiver is not None and not receiver.checksum.intersection(styles):
        text = f"checksum as {styles[0]}, expected {' or '.join(sorted(receiver.checksum))}"
        raise _Refused(Reason.CHECKSUM, text)


def _demand_way(packet: IpPacket, receiver: VirtualRouter) -> None:
    group = wire.GROUPS[packet.family]
    expected = group if receiver.mode is Delivery.MULTICAST else receiver.local
    if packet.destination != expected:
        text = f"destination {format_address(packet.destination)}, expected {format_address(expected)}"
        raise _Refused(Reason.DESTINATION, text)
    if receiver.mode is Delivery.UNICAST and packet.source not in receiver.peers:
        raise _Refused(Reason.PEER, f"source {format_address(packet.source)} is no peer")


def _demand_interval(advert: Advertisement, receiver: VirtualRouter) -> None:
    if advert.version == 2 and advert.interval_cs != receiver.interval_cs:
        text = f"interval {advert.interval_cs / 100:g} s, expected {receiver.interval_cs / 100:g} s"
        raise _Refused(Reason.INTERVAL, text)


def _demand_authentic(
    packet: IpPacket,
    advert: Advertisement,
    trailing: int,
    receiver: VirtualRouter,
    senders: Senders,
    now_s: int,
) -> tuple[PacketNote, ...]:
    """Return what was not verified."""
    if advert.version == 2:
        _demand_password(advert, receiver)
    if receiver.hmac is None:
        return (PacketNote.TRAILER_NOT_VERIFIED,) if trailing else ()
    if not trailing:
        if receiver.hmac.mode is HmacMode.ENFORCE:
            raise _Refused(Reason.AUTH, "no HMAC")
        return (PacketNote.NOT_AUTHENTICATED,)
    _demand_signed(packet, receiver.hmac, senders, now_s)
    return ()


def _demand_password(advert: Advertisement, receiver: VirtualRouter) -> None:
    expected = AuthType.SIMPLE if receiver.password else AuthType.NONE
    if advert.auth_type != expected.value:
        raise _Refused(Reason.AUTH, f"authentication type {advert.auth_type}, expected {expected.value}")
    if receiver.password and advert.auth_data != receiver.password.ljust(wire.AUTH_BYTES, b"\0"):
        raise _Refused(Reason.AUTH, "another password")


def _demand_signed(packet: IpPacket, hmac: HmacKeys, senders: Senders, now_s: int) -> None:
    """The clock comes before the HMAC, which costs more; nothing is remembered before that holds."""
    trailer = parse_trailer(packet.payload[-TRAILER_BYTES:])
    if trailer.kind != SHA256 or trailer.reserved:
        raise _Refused(Reason.AUTH, f"trailer of type {trailer.kind}, expected {SHA256}")
    if not in_window(trailer.sequence, now_s, hmac.window_s):
        text = f"signed at {trailer.sequence >> 32}, now {now_s}, expected at most {hmac.window_s} s between"
        raise _Refused(Reason.STALE, text)
    key = hmac.keys.get(trailer.key_id)
    if key is None:
        raise _Refused(Reason.AUTH, f"key {trailer.key_id} is not known")
    if not is_signed_by(packet.payload, key, packet.source):
        raise _Refused(Reason.AUTH, f"another HMAC than with key {trailer.key_id}")
    if senders.is_replay(packet.source, trailer.sequence, now_s, hmac.window_s):
        raise _Refused(Reason.REPLAY, "a sequence number that was there before, or a later one")


def _remarks(packet: IpPacket, advert: Advertisement, style: ChecksumStyle | None) -> list[PacketNote]:
    found = []
    if style is ChecksumStyle.RFC5798:
        found.append(PacketNote.CHECKSUM_RFC5798)
    if packet.family == AF_INET6 and not wire.is_link_local(advert.addresses[0]):
        found.append(PacketNote.FIRST_NOT_LINK_LOCAL)
    return found


def _differences(advert: Advertisement, receiver: VirtualRouter) -> list[PacketNote]:
    found = []
    theirs, ours = frozenset(advert.addresses), frozenset(receiver.addresses)
    if theirs != ours:
        found.append(PacketNote.ADDRESSES_DIFFER)
    if not theirs & ours:
        found.append(PacketNote.ADDRESSES_FOREIGN)
    if advert.interval_cs != receiver.interval_cs:
        found.append(PacketNote.INTERVAL_DIFFERS)
    return found


def _can_send(source: Address) -> bool:
    """Whether an address is neither unspecified, multicast, broadcast nor loopback."""
    if len(source) == 4:
        return 0 < source[0] < 224 and source[0] != 127
    return source[0] != 0xFF and any(source[:15])


def _family(family: int) -> str:
    return "IPv4" if family == AF_INET else "IPv6"
