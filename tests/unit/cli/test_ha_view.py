"""What the radar prints."""

import json

import pytest

from kernelbal.cli.ha_view import put_radars
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.radar import Radar
from tests.support.vrrp_packets import ADVERT, VIP, advert_packet
from tests.unit.vrrp.test_radar import MAC, OTHER, frame


@pytest.fixture
def radars() -> dict[str, Radar]:
    busy = Radar()
    busy.hear(frame(advert_packet(style=ChecksumStyle.RFC5798)))
    many = ADVERT._replace(vrid=10, addresses=(VIP,) * 5)
    busy.hear(frame(advert_packet(many, source=OTHER, ttl=9)))
    return {"eth0": busy, "eth1": Radar()}


def test_for_people(radars: dict[str, Radar], capsys: pytest.CaptureFixture[str]) -> None:
    put_radars(radars, as_json=False)
    said = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in said.splitlines()]
    vip = "192.0.2.100"
    assert f"vrrpv3 51 192.0.2.10 100 1s {vip} {MAC} checksum rfc5798 ICANN, IANA Department" in lines
    (faulty,) = (line for line in lines if "discarded by others: ttl" in line)
    assert f"{vip} {vip} {vip} +2" in faulty
    assert "free virtual ID: 11 (IPv4), 10 (IPv6)" in lines
    assert "eth1: nobody speaks VRRP, CARP or HSRP" in lines


def test_for_programs(radars: dict[str, Radar], capsys: pytest.CaptureFixture[str]) -> None:
    put_radars(radars, as_json=True)
    document = json.loads(capsys.readouterr().out)["devices"]
    assert document["eth1"]["routers"] == []
    assert document["eth0"]["free_ids"]["ipv4"][0] == 11
    assert document["eth0"]["routers"][1] == {
        "protocol": "vrrp",
        "version": 3,
        "family": "ipv4",
        "id": 51,
        "router": "192.0.2.10",
        "mac": MAC,
        "vendor": "ICANN, IANA Department",
        "priority": 100,
        "interval_ms": 1000,
        "addresses": ["192.0.2.100"],
        "checksum_style": "rfc5798",
        "fault": None,
        "messages": 1,
    }
