"""What usually is behind a packet that does not count."""

from pathlib import Path

import pytest

from kernelbal.model.address import AF_INET
from kernelbal.model.headers import transport_checksum
from kernelbal.vrrp.causes import LEGACY_CHECKSUM, LIKELY, likely_cause
from kernelbal.vrrp.ip import IPPROTO_VRRP, parse_ip
from kernelbal.vrrp.packet import GROUPS, Advertisement, ChecksumStyle, build_advertisement
from kernelbal.vrrp.receive import Reason, judge
from tests.support.vrrp_packets import ADVERT, ADVERT2, ADVERT6, LOCAL, PEER, advert_packet, ip_packet

PAGE = Path(__file__).parents[3] / "docs/how-to/shared-addresses.md"
SUMMED_FOR_THE_GROUP = build_advertisement(ADVERT, PEER, GROUPS[AF_INET], ChecksumStyle.RFC5798)


def test_every_reason_has_a_cause_and_is_on_the_page() -> None:
    assert set(LIKELY) == set(Reason)
    page = PAGE.read_text()
    for reason, cause in LIKELY.items():
        assert f" `{reason}` | {cause} |\n" in page


def test_what_counts_has_no_cause() -> None:
    assert likely_cause(judge(advert_packet())) == ""


def test_cause_of_a_reason() -> None:
    assert likely_cause(judge(advert_packet(ttl=254))) == LIKELY[Reason.TTL]
    assert likely_cause(judge(b"")) == LIKELY[Reason.LENGTH]


def test_unicast_of_an_old_keepalived_is_recognized() -> None:
    judged = judge(ip_packet(SUMMED_FOR_THE_GROUP, destination=LOCAL))
    assert (judged.reason, likely_cause(judged)) == (Reason.CHECKSUM, LEGACY_CHECKSUM)


def test_sum_of_an_old_keepalived_is_no_other_cause() -> None:
    multicast = judge(ip_packet(SUMMED_FOR_THE_GROUP, ttl=254))
    assert (multicast.reason, likely_cause(multicast)) == (Reason.TTL, LIKELY[Reason.TTL])


@pytest.mark.parametrize("advert", [ADVERT2, ADVERT6], ids=["v2", "IPv6"])
def test_only_version_3_over_ipv4_has_that_sum(advert: Advertisement) -> None:
    packet = parse_ip(advert_packet(advert))
    size = 8 + 4 * len(advert.addresses)
    zeroed = packet.payload[:6] + bytes(2) + packet.payload[8:]
    checksum = transport_checksum(packet.source, GROUPS[AF_INET], IPPROTO_VRRP, zeroed[:size])
    payload = zeroed[:6] + checksum.to_bytes(2, "big") + zeroed[8:]
    judged = judge(ip_packet(payload, packet.source))
    assert (judged.reason, likely_cause(judged)) == (Reason.CHECKSUM, LIKELY[Reason.CHECKSUM])


@pytest.mark.parametrize("advert", [ADVERT, ADVERT2, ADVERT6], ids=["v3", "v2", "IPv6"])
def test_damage_is_another_cause(advert: Advertisement) -> None:
    packet = bytearray(advert_packet(advert))
    packet[-1] ^= 1
    assert likely_cause(judge(bytes(packet))) == LIKELY[Reason.CHECKSUM]
