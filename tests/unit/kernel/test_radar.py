"""The filter of the radar, as the kernel would run it; sockets are proved in the lab."""

import pytest

from kernelbal.kernel.radar import ETH_P_IP, ETH_P_IPV6, FILTERS
from tests.support.vrrp_packets import ADVERT6, PEER6, advert_packet, ip_packet

UDP_HSRP, UDP_HSRP6, UDP_DNS = b"\7\xc1\7\xc1", b"\7\xed\7\xed", b"\7\xc1\0\x35"


def accepts(protocol: int, frame: bytes) -> bool:
    """Run the few instructions that the filters have (`linux/bpf_common.h`)."""
    program, at, accumulator, index = FILTERS[protocol], 0, 0, 0
    while True:
        code, true, false, value = program[at]
        at += 1
        match code:
            case 0x30:
                accumulator = frame[value]
            case 0x28:
                accumulator = int.from_bytes(frame[value : value + 2], "big")
            case 0x48:
                accumulator = int.from_bytes(frame[index + value : index + value + 2], "big")
            case 0xB1:
                index = 4 * (frame[value] & 0x0F)
            case 0x15:
                at += true if accumulator == value else false
            case 0x06:
                return bool(value)


@pytest.mark.parametrize(
    ("protocol", "packet", "accepted"),
    [
        (ETH_P_IP, advert_packet(), True),
        (ETH_P_IP, ip_packet(UDP_HSRP + bytes(4), protocol=17), True),
        (ETH_P_IP, b"\x46" + ip_packet(b"")[1:9] + b"\x11" + bytes(10 + 4) + UDP_HSRP, True),
        (ETH_P_IP, ip_packet(UDP_DNS + bytes(4), protocol=17), False),
        (ETH_P_IP, ip_packet(UDP_HSRP + bytes(4), protocol=6), False),
        (ETH_P_IPV6, advert_packet(ADVERT6), True),
        (ETH_P_IPV6, ip_packet(UDP_HSRP6 + bytes(4), PEER6, protocol=17), True),
        (ETH_P_IPV6, ip_packet(UDP_HSRP + bytes(4), PEER6, protocol=17), False),
        (ETH_P_IPV6, ip_packet(UDP_HSRP6 + bytes(4), PEER6, protocol=6), False),
    ],
)
def test_filter(protocol: int, packet: bytes, accepted: bool) -> None:
    assert accepts(protocol, bytes(14) + packet) is accepted
