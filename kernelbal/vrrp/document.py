"""Packets and receivers as JSON: what `kernelbal ha decode` reads and prints."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from kernelbal.model.address import AF_INET, AF_INET6, Address, format_address
from kernelbal.vrrp import packet as wire
from kernelbal.vrrp.causes import likely_cause
from kernelbal.vrrp.hmac_trailer import MAX_KEY_BYTES, MIN_KEY_BYTES
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.receive import (
    Delivery,
    HmacKeys,
    HmacMode,
    Judgement,
    PacketNote,
    Reason,
    Verdict,
    VirtualRouter,
)

Octet = Annotated[int, Meta(ge=0, le=255)]
Seconds = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
HexKey = Annotated[
    str,
    Meta(pattern=f"^([0-9A-Fa-f]{{2}}){{{MIN_KEY_BYTES},{MAX_KEY_BYTES}}}$", max_length=2 * MAX_KEY_BYTES),
]


class AuthDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How packets are authenticated.

    Attributes:
        password: of type simple.
        keys: of type hmac: 32 to 64 octets each, by number.
        active_key: with which packets are signed; says nothing about those that are received.
        now_s: UTC of the receiver, in seconds.
    """

    type: Literal["none", "simple", "hmac"] = "none"
    password: Annotated[str, Meta(max_length=wire.AUTH_BYTES)] = ""
    keys: dict[str, HexKey] = field(default_factory=dict)
    active_key: Octet = 0
    window_s: Seconds = 5
    mode: HmacMode = HmacMode.ENFORCE
    now_s: Seconds = 0


class ReceiverDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One virtual router that receives packets.

    Attributes:
        family: 4 or 6, or as `ipv4` and `ipv6`.
        priority: its own, on which no packet depends.
        local: address of the interface from which it sends.
        addresses: of the virtual router.
    """

    version: Literal[2, 3] = 3
    family: Literal[4, 6, "ipv4", "ipv6"] = 4
    vrid: Annotated[int, Meta(ge=1, le=255)]
    priority: Octet = 100
    interval_cs: Annotated[int, Meta(ge=1, le=255 * 100)] = 100
    local: Address
    addresses: list[Address]
    mode: Delivery = Delivery.MULTICAST
    peers: list[Address] = field(default_factory=list)
    min_ttl: Annotated[int, Meta(ge=1, le=255)] = wire.TTL
    auth: AuthDocument = field(default_factory=AuthDocument)
    checksum: Literal["auto", "rfc9568", "rfc5798"] = "auto"


class DecodedFields(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the packet says, as far as it could be read."""

    version: int | UnsetType = UNSET
    type: int | UnsetType = UNSET
    vrid: int | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    count: int | UnsetType = UNSET
    interval_cs: int | UnsetType = UNSET
    addresses: list[str] | UnsetType = UNSET
    checksum_style: str | UnsetType = UNSET
    carp_vhid: int | UnsetType = UNSET
    advskew: int | UnsetType = UNSET
    advbase_s: int | UnsetType = UNSET


class DecodedPacket(Struct, frozen=True, kw_only=True):
    """What becomes of one packet.

    Attributes:
        reason: why it does not count; null: it does.
        text: the same for people.
        likely_cause: what usually is behind it; empty: it counts.
        source: of the IP packet; null: it is none.
    """

    verdict: Verdict
    reason: Reason | None
    text: str
    likely_cause: str
    source: str | None
    destination: str | None
    ttl: int | None
    fields: DecodedFields
    notes: list[PacketNote]


def receiver_of(document: ReceiverDocument) -> VirtualRouter:
    """Return the receiver.

    Raises:
        ValueError: its parts contradict each other; the message names the place.
    """
    family = AF_INET if document.family in (4, "ipv4") else AF_INET6
    places = {"local": [document.local], "addresses": document.addresses, "peers": document.peers}
    for place, addresses in places.items():
        if any((len(each) == 4) != (family == AF_INET) for each in addresses):
            raise ValueError(f"an address is of another family than `family` - at `$.{place}`")
    if document.version == 2 and family == AF_INET6:
        raise ValueError("version 2 has no IPv6 - at `$.version`")
    styles = frozenset(ChecksumStyle)
    return VirtualRouter(
        version=document.version,
        family=family,
        vrid=document.vrid,
        interval_cs=document.interval_cs,
        local=document.local,
        addresses=tuple(document.addresses),
        mode=document.mode,
        peers=frozenset(document.peers),
        min_ttl=document.min_ttl,
        password=document.auth.password.encode() if document.auth.type == "simple" else b"",
        hmac=_keys(document.auth) if document.auth.type == "hmac" else None,
        checksum=styles if document.checksum == "auto" else frozenset([ChecksumStyle(document.checksum)]),
    )


def _keys(auth: AuthDocument) -> HmacKeys:
    if not all(number.isdecimal() and int(number) <= 255 for number in auth.keys):
        raise ValueError("a key is numbered 0-255 - at `$.auth.keys`")
    keys = {int(number): bytes.fromhex(key) for number, key in auth.keys.items()}
    return HmacKeys(keys, auth.mode, auth.window_s)


def decoded(judged: Judgement) -> DecodedPacket:
    """Return a judgement as a document."""
    packet = judged.packet
    return DecodedPacket(
        verdict=judged.verdict,
        reason=judged.reason,
        text=judged.text,
        likely_cause=likely_cause(judged),
        source=format_address(packet.source) if packet else None,
        destination=format_address(packet.destination) if packet else None,
        ttl=packet.ttl if packet else None,
        fields=_fields(judged),
        notes=list(judged.remarks),
    )


def _fields(judged: Judgement) -> DecodedFields:
    packet, advert = judged.packet, judged.advert
    if judged.carp is not None:
        vhid, advskew, advbase_s = judged.carp
        return DecodedFields(carp_vhid=vhid, advskew=advskew, advbase_s=advbase_s)
    if packet is None or judged.reason is Reason.NOT_VRRP or len(packet.payload) < wire.HEADER_BYTES:
        return DecodedFields()
    head, vrid, priority, count, _, _ = wire.header_of(packet.payload)
    read = DecodedFields(version=head >> 4, type=head & 0x0F, vrid=vrid, priority=priority, count=count)
    if advert is None:
        return read
    return DecodedFields(
        version=advert.version,
        type=head & 0x0F,
        vrid=vrid,
        priority=priority,
        count=count,
        interval_cs=advert.interval_cs,
        addresses=[format_address(each) for each in advert.addresses],
        checksum_style=UNSET if judged.checksum is None else judged.checksum.value,
    )
