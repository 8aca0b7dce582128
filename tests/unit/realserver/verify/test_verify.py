"""The table of requirements: what applies to what, and that nothing fails on a good host."""

from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Encapsulation, Method
from kernelbal.realserver.verify import evidence as known
from kernelbal.realserver.verify.prepared_address import prepared_address
from kernelbal.realserver.verify.requirements import REQUIREMENTS
from tests.unit.realserver.samples import GRE, GUE, HTTP, IPIP, REAL, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import CLIENT, ROUTER, good, judged, path, verified, with_sysctl

ALWAYS = {"device", "real address", "vip", "return route", "listening", "mtu", "firewall", "silent", "answer"}
MORE = {
    (4, Method.LOOPBACK): {"arp_ignore", "arp_announce", "rp_filter"},
    (4, Method.ARP): {"arp table", "rp_filter"},
    (4, Method.REDIRECT): {"redirect rule", "rp_filter"},
    (16, Method.LOOPBACK): set(),
    (16, Method.ARP): set(),
    (16, Method.REDIRECT): {"redirect rule"},
}


@pytest.mark.parametrize("virtual", [VIP, VIP6])
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("tunnel", [None, IPIP, GRE, GUE])
def test_good_host_fails_nothing(virtual: bytes, method: Method, tunnel: Encapsulation | None) -> None:
    one = prepared(virtual, method, tunnel, HTTP)
    results = verified(one, good(one))
    assert {result.status for result in results} == {ResultStatus.OK}, results
    of_tunnels = ({"mss"} if tunnel else set()) | ({"gue"} if tunnel == GUE else set())
    assert {result.requirement for result in results} == ALWAYS | MORE[len(virtual), method] | of_tunnels


def test_results_come_in_the_order_of_the_table() -> None:
    one = prepared(VIP, Method.LOOPBACK, GUE, HTTP)
    order = [requirement.name for requirement in REQUIREMENTS]
    found = list(judged(one, good(one)))
    assert found == [name for name in order if name in found]


def test_names_are_unique_and_reasons_are_sentences() -> None:
    names = [requirement.name for requirement in REQUIREMENTS]
    assert len(set(names)) == len(names)
    assert all(requirement.why.endswith(".") for requirement in REQUIREMENTS)


def test_page_shows_the_table() -> None:
    page = (Path(__file__).parents[4] / "docs/explanation/verify.md").read_text()
    rows = "".join(f"| {each.name} | {each.why} |\n" for each in REQUIREMENTS)
    assert f"| requirement | why |\n|---|---|\n{rows}\n" in page


# --- what is known of one virtual address ---


def test_holder_and_target() -> None:
    for one, holder, target in (
        (prepared(VIP), "lo", VIP),
        (prepared(VIP, Method.LOOPBACK, IPIP), "tunl0", VIP),
        (prepared(VIP, Method.REDIRECT), "lo", REAL),
    ):
        address = prepared_address(one, good(one))
        assert (address.holder, address.target) == (holder, target)


def test_greater_of_all_and_device() -> None:
    one = prepared(VIP)
    host = with_sysctl(one, all__rp_filter="2", eth0__rp_filter="1")
    address = prepared_address(one, good(one, host=host))
    assert address.effective("rp_filter", "eth0") == 2
    assert address.effective("rp_filter", "nothing") is None


def test_devices_that_ask_for_neighbours() -> None:
    one = prepared(VIP)
    evidence = good(one)
    assert prepared_address(one, evidence).asking == ("eth0",)
    way = path(one)
    by = [way._replace(reply=way.reply and way.reply._replace(device=name)) for name in ("eth1", "lo")]
    assert [prepared_address(one, replace(evidence, paths={VIP: each})).asking for each in by] == [
        ("eth0", "eth1"),
        ("eth0",),
    ]


def test_what_is_in_force_is_not_missing() -> None:
    one = prepared(VIP, Method.REDIRECT, None, HTTP)
    address = prepared_address(one, good(one))
    (table,) = address.setup.tables
    assert address.missing(table, "prerouting") == []
    assert prepared_address(prepared(VIP6), good(prepared(VIP6))).missing(table, "prerouting") == []


def test_next_hop_is_the_router_or_the_client() -> None:
    way: known.Path = path(prepared(VIP))
    assert way.next_hop == ROUTER
    assert way.reply is not None
    assert way._replace(reply=way.reply._replace(gateway=None)).next_hop == CLIENT
    assert way._replace(reply=None).next_hop == CLIENT
