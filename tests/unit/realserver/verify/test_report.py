"""The table of requirements: what applies to what, and that nothing fails on a good host."""

from pathlib import Path

import pytest

from kernelbal.realserver.preparation import Encapsulation, Method
from kernelbal.realserver.verify.report import REQUIREMENTS, judge, verdict_of
from kernelbal.realserver.verify.row import Row, Verdict, fail, ok, skipped
from tests.unit.realserver.samples import GRE, GUE, HTTP, IPIP, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import good, judged, verdicts

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
    rows = judge((one,), good(one))
    assert verdicts(rows) == {Verdict.OK}, rows
    of_tunnels = ({"mss"} if tunnel else set()) | ({"gue"} if tunnel == GUE else set())
    assert {row.requirement for row in rows} == ALWAYS | MORE[len(virtual), method] | of_tunnels


def test_rows_come_in_the_order_of_the_table() -> None:
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


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ((), Verdict.SKIPPED),
        ((skipped("why"),), Verdict.SKIPPED),
        ((skipped("why"), ok("up")), Verdict.OK),
        ((ok("up"), fail("down", "up with it"), skipped("why")), Verdict.FAIL),
    ],
)
def test_worst_verdict_counts(findings: tuple[object, ...], verdict: Verdict) -> None:
    rows = [Row("vip", VIP, each, "why") for each in findings]
    assert verdict_of(rows) is verdict
