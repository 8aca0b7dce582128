"""Who shares addresses on a segment."""

import struct

from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.radar import MAX_ROUTERS, HeardRouter, Radar, RadarProtocol, RouterKey, free_ids
from kernelbal.vrrp.receive import Reason
from tests.support.vrrp_packets import (
    ADVERT,
    ADVERT2,
    ADVERT6,
    PEER,
    PEER6,
    VIP,
    advert_packet,
    ip_packet,
)
from tests.unit.vrrp.test_hsrp import V1

MAC = "00:00:5e:00:01:33"
OTHER = parse_address("192.0.2.66")


def frame(packet: bytes, kind: int = 0x0800) -> bytes:
    return bytes(6) + bytes.fromhex(MAC.replace(":", "")) + struct.pack("!H", kind) + packet


def heard(*packets: bytes) -> dict[RouterKey, HeardRouter]:
    radar = Radar()
    for packet in packets:
        radar.hear(frame(packet))
    return radar.routers


def test_vrrp() -> None:
    found = heard(advert_packet(), advert_packet(ADVERT._replace(priority=0), style=ChecksumStyle.RFC5798))
    assert found == {
        RouterKey(RadarProtocol.VRRP, AF_INET, 51, PEER): HeardRouter(
            MAC, 3, 0, 1000, (VIP,), ChecksumStyle.RFC5798, None, 2
        )
    }


def test_every_router_of_a_virtual_router_is_named() -> None:
    found = heard(advert_packet(ADVERT2), advert_packet(ADVERT2, source=OTHER), advert_packet(ADVERT6))
    assert [key.source for key in found] == [PEER, OTHER, PEER6]


def test_what_others_discard_is_shown_with_its_fault() -> None:
    (router,) = heard(advert_packet(ttl=64)).values()
    assert (router.fault, router.checksum) == (Reason.TTL, ChecksumStyle.RFC9568)


def test_carp_and_hsrp() -> None:
    carp = ip_packet(bytes.fromhex("21070a0700010000") + bytes(28))
    hsrp = ip_packet(struct.pack("!HHHH", 1985, 1985, 8 + len(V1), 0) + V1, protocol=17)
    assert heard(carp, hsrp) == {
        RouterKey(RadarProtocol.CARP, AF_INET, 7, PEER): HeardRouter(MAC, 2, 10, 1000),
        RouterKey(RadarProtocol.HSRP, AF_INET, 1, PEER): HeardRouter(
            MAC, 1, 110, 10_000, (parse_address("192.0.2.1"),)
        ),
    }


def test_anything_else_is_passed_over() -> None:
    other_port = struct.pack("!HHHH", 1985, 53, 8 + len(V1), 0) + V1
    assert not heard(
        b"", b"\x45", ip_packet(b"", protocol=17), ip_packet(other_port, protocol=17), ip_packet(b"\x31\1")
    )
    radar = Radar()
    radar.hear(b"short")
    assert not radar.routers


def test_routers_are_bounded() -> None:
    radar = Radar()
    for number in range(MAX_ROUTERS + 3):
        radar.hear(frame(advert_packet(source=Address(b"\x0a" + number.to_bytes(3, "big")))))
    assert (len(radar.routers), radar.left_out) == (MAX_ROUTERS, 3)


def test_free_ids() -> None:
    found = heard(advert_packet(ADVERT._replace(vrid=10)), advert_packet(ADVERT6._replace(vrid=11)))
    assert free_ids(found, AF_INET)[:2] == [11, 12]
    assert free_ids(found, AF_INET6)[:2] == [10, 12]
    assert len(free_ids({}, AF_INET)) == 246
