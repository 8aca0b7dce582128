"""Who shares addresses on a segment: routers of VRRP, CARP or HSRP, from the frames that they send."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from kernelbal.model.address import Address
from kernelbal.vrrp.hsrp import PORTS, parse_hello
from kernelbal.vrrp.ip import IPPROTO_VRRP, IpPacket, NotIp, parse_ip
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.receive import Reason, judge_packet

MAX_ROUTERS: Final = 1024
"""Routers that are remembered; of more, only how many messages they sent."""
LEAST_ID: Final = 10
"""Least that is proposed: lower ones are what people choose first."""
MOST_ID: Final = 255

_ETHERNET: Final = struct.Struct("!6s6sH")
_IPPROTO_UDP: Final = 17
_UDP: Final = struct.Struct("!HHHH")


class RadarProtocol(StrEnum):
    """By which routers share an address."""

    VRRP = "vrrp"
    CARP = "carp"
    HSRP = "hsrp"


class RouterKey(NamedTuple):
    """One router in one virtual router.

    Attributes:
        family: `AF_INET` or `AF_INET6`.
        number: virtual ID, or group.
    """

    protocol: RadarProtocol
    family: int
    number: int
    source: Address


class HeardRouter(NamedTuple):
    """What it said last.

    Attributes:
        hardware: MAC address that it sends from.
        version: of its protocol.
        interval_ms: between its messages; 0 where that is not known.
        addresses: that it shares; CARP does not tell.
        checksum: of VRRP; None: it is wrong.
        fault: why every VRRP router discards it; None: it does not.
        messages: how many there were.
    """

    hardware: str
    version: int
    priority: int
    interval_ms: int
    addresses: tuple[Address, ...] = ()
    checksum: ChecksumStyle | None = None
    fault: Reason | None = None
    messages: int = 1


@dataclass(slots=True)
class Radar:
    """All that was heard on one segment.

    Attributes:
        routers: by key, in the order in which they were heard first.
        left_out: messages of routers for which there was no room.
    """

    routers: dict[RouterKey, HeardRouter] = field(default_factory=dict)
    left_out: int = 0

    def hear(self, frame: bytes) -> None:
        """Take in one Ethernet frame; what is none of the protocols changes nothing."""
        if len(frame) < _ETHERNET.size:
            return
        _, hardware, _ = _ETHERNET.unpack_from(frame)
        try:
            packet = parse_ip(frame[_ETHERNET.size :])
        except NotIp:
            return
        found = _vrrp(packet) if packet.protocol == IPPROTO_VRRP else _hsrp(packet)
        if found is not None:
            key, heard = found
            self._remember(key, heard._replace(hardware=hardware.hex(":")))

    def _remember(self, key: RouterKey, heard: HeardRouter) -> None:
        before = self.routers.get(key)
        if before is None and len(self.routers) >= MAX_ROUTERS:
            self.left_out += 1
            return
        self.routers[key] = heard._replace(messages=before.messages + 1 if before else 1)


def free_ids(routers: Mapping[RouterKey, HeardRouter], family: int) -> list[int]:
    """Return the virtual IDs from 10 on that nobody uses for a family.

    CARP counts: it shares its virtual MAC addresses with VRRP. HSRP has others.
    """
    used = {key.number for key in routers if key.family == family and key.protocol is not RadarProtocol.HSRP}
    return [number for number in range(LEAST_ID, MOST_ID + 1) if number not in used]


def _vrrp(packet: IpPacket) -> tuple[RouterKey, HeardRouter] | None:
    judged = judge_packet(packet)
    if judged.carp is not None:
        vhid, advskew, advbase_s = judged.carp
        key = RouterKey(RadarProtocol.CARP, packet.family, vhid, packet.source)
        return key, HeardRouter("", 2, advskew, advbase_s * 1000)
    advert = judged.advert
    if advert is None:
        return None
    key = RouterKey(RadarProtocol.VRRP, packet.family, advert.vrid, packet.source)
    interval_ms = advert.interval_cs * 10
    return key, HeardRouter(
        "", advert.version, advert.priority, interval_ms, advert.addresses, judged.checksum, judged.reason
    )


def _hsrp(packet: IpPacket) -> tuple[RouterKey, HeardRouter] | None:
    if packet.protocol != _IPPROTO_UDP or len(packet.payload) < _UDP.size:
        return None
    _, port, _, _ = _UDP.unpack_from(packet.payload)
    hello = parse_hello(packet.payload[_UDP.size :]) if port in PORTS else None
    if hello is None:
        return None
    key = RouterKey(RadarProtocol.HSRP, packet.family, hello.group, packet.source)
    return key, HeardRouter("", hello.version, hello.priority, hello.hello_ms, (hello.address,))
