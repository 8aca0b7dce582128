"""The lab's own servers and clients: a lab is only as good as its witnesses."""

from collections import Counter

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.traffic import (
    ask_connection,
    connect,
    held_connections,
    http_counts,
    http_get,
    ping,
    udp_counts,
)

pytestmark = pytest.mark.needs_root

FAMILIES = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture
def site(lab: LabFactory) -> NamespaceLab:
    made = lab("two-arm")
    lab.serve(made.real_servers, tcp_ports=(80, 443), udp_ports=(53,))
    return made


@FAMILIES
def test_http_counts_who_answered(site: NamespaceLab, version: int) -> None:
    assert http_counts(site.client, site["rs2"].address(version), count=20) == Counter(rs2=20)


@FAMILIES
def test_udp_counts_who_answered(site: NamespaceLab, version: int) -> None:
    address = site["rs3"].address(version)
    assert udp_counts(site.client, address, count=5) == Counter(rs3=5)
    assert udp_counts(site.client, address, count=5, one_socket=True) == Counter(rs3=5)


@FAMILIES
def test_udp_answer_comes_from_the_address_that_was_asked(site: NamespaceLab, version: int) -> None:
    extra, via = {4: ("10.9.9.9/32", "10.0.0.11"), 6: ("fd99::9/128", "fd00::11")}[version]
    site["rs1"].run(["ip", "addr", "add", extra, "dev", "lo"])
    site.director.run(["ip", "route", "add", extra, "via", via])
    gateway = site.director.address(version, "eth0")
    site.client.run(["ip", "route", "add", extra, "via", gateway])
    assert udp_counts(site.client, extra.split("/")[0], count=3) == Counter(rs1=3)


def test_curl_understands_the_server(site: NamespaceLab) -> None:
    assert site.client.run(["curl", "-sS", "http://10.0.0.11:443/"]).stdout.startswith("rs1")
    assert "200 OK" in site.client.run(["curl", "-sSI", "http://[fd00::12]/"]).stdout


def test_refused_and_unanswered_requests_are_counted_as_such(site: NamespaceLab) -> None:
    assert http_counts(site.client, "10.0.0.11", 81, count=2) == Counter({"connection refused": 2})
    site["rs1"].run(["ip", "link", "set", "eth0", "down"])
    assert udp_counts(site.client, "10.0.0.11", count=1, timeout_s=0.2) == Counter(timeout=1)


def test_open_connections_are_held(site: NamespaceLab) -> None:
    with held_connections(site.client, "10.0.0.12", count=4) as answers:
        shown = site["rs2"].run(["ss", "-Htn", "state", "established", "sport", "= :80"]).stdout
        assert answers == Counter(rs2=4)
        assert len(shown.splitlines()) == 4


def test_connection_is_asked_again(site: NamespaceLab) -> None:
    with connect(site.client, "10.0.0.13", 80) as connection:
        assert [ask_connection(connection) for _ in range(3)] == ["rs3"] * 3


def test_request_from_a_chosen_source(site: NamespaceLab) -> None:
    site.client.run(["ip", "addr", "add", "192.0.2.101/24", "dev", "eth0"])
    assert http_get(site.client, "10.0.0.11", source="192.0.2.101").startswith("rs1")


@FAMILIES
def test_ping_tells_life_from_silence(site: NamespaceLab, version: int) -> None:
    address = site["rs1"].address(version)
    assert ping(site.client, address)
    site["rs1"].run(["ip", "link", "set", "eth0", "down"])
    assert not ping(site.client, address, timeout_s=0.2)
