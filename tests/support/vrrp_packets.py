"""VRRP packets as they come from the wire."""

import struct

from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.vrrp.hmac_trailer import sign
from kernelbal.vrrp.ip import IPPROTO_VRRP
from kernelbal.vrrp.packet import CHECKSUM, GROUPS, Advertisement, ChecksumStyle, build_advertisement
from kernelbal.vrrp.receive import VirtualRouter

PEER, LOCAL, VIP = map(parse_address, ("192.0.2.10", "192.0.2.11", "192.0.2.100"))
PEER6, LOCAL6, VIP6 = map(parse_address, ("fe80::10", "fe80::11", "2001:db8::100"))
LINK_LOCAL_VIP = parse_address("fe80::100")
ADVERT = Advertisement(3, 51, 100, 100, (VIP,))
ADVERT2 = ADVERT._replace(version=2)
ADVERT6 = ADVERT._replace(addresses=(LINK_LOCAL_VIP, VIP6))
RECEIVER = VirtualRouter(3, AF_INET, 51, 100, LOCAL, (VIP,))
RECEIVER2 = VirtualRouter(2, AF_INET, 51, 100, LOCAL, (VIP,))
RECEIVER6 = VirtualRouter(3, AF_INET6, 51, 100, LOCAL6, (LINK_LOCAL_VIP, VIP6))
KEY = bytes(range(32))
NOW_S = 1_700_000_000


def ip_packet(
    payload: bytes,
    source: Address = PEER,
    destination: Address | None = None,
    ttl: int = 255,
    protocol: int = IPPROTO_VRRP,
) -> bytes:
    """Return a whole packet; to the group where no destination is given."""
    v4 = len(source) == 4
    to = destination or GROUPS[AF_INET if v4 else AF_INET6]
    if v4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(payload), 0, 0, ttl, protocol, 0, source, to)
    else:
        head = struct.pack("!IHBB16s16s", 0x6C000000, len(payload), protocol, ttl, source, to)
    return head + payload


def advert_packet(
    advert: Advertisement = ADVERT,
    source: Address | None = None,
    destination: Address | None = None,
    ttl: int = 255,
    style: ChecksumStyle = ChecksumStyle.RFC9568,
) -> bytes:
    """Return a packet with an advertisement."""
    v4 = len(advert.addresses[0]) == 4 if advert.addresses else True
    sender = source or (PEER if v4 else PEER6)
    to = destination or GROUPS[AF_INET if v4 else AF_INET6]
    return ip_packet(build_advertisement(advert, sender, to, style), sender, to, ttl)


def signed_packet(sequence: int = NOW_S << 32, key: bytes = KEY, key_id: int = 1) -> bytes:
    """Return a packet with the trailer of an HMAC, over IPv4."""
    message = build_advertisement(ADVERT, PEER, GROUPS[AF_INET])
    return ip_packet(message + sign(message, key_id, key, PEER, sequence))


def with_octet(packet: bytes, at: int, value: int, *, checksum_at: int = 20) -> bytes:
    """Return a packet over IPv4 with another octet in its message, and the checksum that fits."""
    from kernelbal.model.headers import internet_checksum

    data = bytearray(packet)
    data[at] = value
    place = slice(checksum_at + CHECKSUM.start, checksum_at + CHECKSUM.stop)
    data[place] = bytes(2)
    data[place] = internet_checksum(bytes(data[checksum_at:])).to_bytes(2, "big")
    return bytes(data)
