"""Grammar of VRRP packets: IP, advertisement, addresses, authentication, and what a link adds."""

from __future__ import annotations

from kernelbal.model.address import AF_INET, AF_INET6, Address
from kernelbal.model.headers import internet_checksum, transport_checksum
from kernelbal.vrrp.hmac_trailer import sign
from kernelbal.vrrp.ip import IPPROTO_AH, IPPROTO_VRRP
from kernelbal.vrrp.packet import GROUPS, MAX_INTERVAL_CS
from tests.property.fuzz import Choices
from tests.support.vrrp_packets import ADVERT, ADVERT6, KEY, NOW_S, PEER, PEER6, ip_packet


def packet4(choices: Choices) -> tuple[bytes, ...]:
    """An advertisement of version 3 over IPv4, in either style of checksum."""
    message = _message(choices, ADVERT.addresses)
    if choices.below(2):
        message = _summed(choices, message, transport_checksum(PEER, GROUPS[AF_INET], IPPROTO_VRRP, message))
    else:
        message = _summed(choices, message, internet_checksum(message))
    return _on_the_wire(choices, message, PEER)


def packet6(choices: Choices) -> tuple[bytes, ...]:
    """The same over IPv6."""
    message = _message(choices, ADVERT6.addresses)
    checksum = transport_checksum(PEER6, GROUPS[AF_INET6], IPPROTO_VRRP, message)
    return _on_the_wire(choices, _summed(choices, message, checksum), PEER6)


def signed(choices: Choices) -> tuple[bytes, ...]:
    """An advertisement with an authenticated trailer."""
    message = _message(choices, ADVERT.addresses)
    message = _summed(choices, message, internet_checksum(message))
    if len(message) < 8:
        return _on_the_wire(choices, message, PEER)
    sequence = choices.number(NOW_S, 32) << 32 | choices.number(1, 32)
    key = KEY[::-1] if choices.odd() else KEY
    trailer = sign(message, choices.number(1, 8), key, PEER, sequence)
    return _on_the_wire(choices, message + choices.damaged(trailer), PEER)


def hsrp(choices: Choices) -> tuple[bytes, ...]:
    """An Ethernet frame with a hello message of HSRP, of version 1 or 2."""
    group = choices.number(7, 8) & 0xFF
    if choices.below(2):
        hello = bytes((choices.number(0, 8), choices.number(0, 8), 16, 3, 10, 100, group, 0)) + bytes(12)
    else:
        head = (choices.number(1, 8), choices.number(40, 8), 2, choices.number(0, 8), 6, choices.pick((4, 6)))
        hello = bytes((*head, 0, group)) + bytes(34)
    hello = choices.damaged(hello)
    ports = choices.number(1985, 16).to_bytes(2, "big") * 2
    datagram = ports + choices.number(8 + len(hello), 16).to_bytes(2, "big") + bytes(2) + hello
    packet = ip_packet(datagram, protocol=choices.number(17, 8))
    return (choices.damaged(bytes(12) + b"\x08\0" + packet),)


def _message(choices: Choices, addresses: tuple[Address, ...]) -> bytes:
    """A message whose checksum is 0."""
    listed = b"".join(addresses)
    if choices.odd():
        listed = addresses[0] * choices.up_to(400)
    count = choices.number(len(listed) // len(addresses[0]), 8) & 0xFF
    head = bytes([choices.number(0x31, 8), choices.number(51, 8), choices.number(100, 8), count])
    interval = choices.number(100, 16) & (0xFFFF if choices.odd() else MAX_INTERVAL_CS)
    return choices.damaged(head + interval.to_bytes(2, "big") + bytes(2) + listed)


def _summed(choices: Choices, message: bytes, checksum: int) -> bytes:
    value = choices.number(checksum, 16).to_bytes(2, "big")
    return message[:6] + value + message[8:]


def _authentication_header(choices: Choices, protocol: int) -> bytes:
    return choices.damaged(bytes((protocol, choices.number(4, 8))) + bytes(22))


def _extensions(choices: Choices, protocol: int) -> tuple[int, bytes]:
    """Extension headers of IPv6: the number of the first, and all of them."""
    headers = b""
    for _ in range(choices.times(0, 2, 12)):
        words = choices.number(choices.below(3), 8)
        body = bytes((choices.number(0, 8), choices.number(0, 8))) + bytes(8 * min(words, 3) + 4)
        headers = bytes((protocol, words)) + body + headers
        protocol = choices.number(choices.pick((0, 43, 60)), 8)
    return protocol, choices.damaged(headers)


def _on_the_wire(choices: Choices, payload: bytes, source: Address) -> tuple[bytes, ...]:
    protocol = choices.number(IPPROTO_VRRP, 8)
    if choices.odd():
        protocol, payload = IPPROTO_AH, _authentication_header(choices, protocol) + payload
    if len(source) == 16:
        protocol, extensions = _extensions(choices, protocol)
        payload = extensions + payload
    packet = ip_packet(
        payload, Address(source[::-1]) if choices.odd() else source, None, choices.number(255, 8), protocol
    )
    return (choices.damaged(packet), bytes(choices.times(0, 30, 60)))
