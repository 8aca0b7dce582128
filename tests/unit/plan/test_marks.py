"""Which services get a firewall mark, and that they keep it."""

import pytest

from kernelbal.plan.marks import MARK_BASE, assign_marks, by_mark, needs_mark
from tests.support.builders import site


def _one(more: str) -> str:
    return f"virtual_services: [{{name: web, address: 192.0.2.10, forwarding: nat, {more}}}]"


@pytest.mark.parametrize(
    ("settings", "is_by_mark", "is_marked"),
    [
        ("ports: 80", False, False),
        ("ports: [80, 443]", False, False),
        ("ports: 80, one_armed: true", False, True),
        ("ports: [80, 443], port_following: true", True, True),
        ('ports: ["8000-8010"]', True, True),
        ("ports: all", True, True),
    ],
)
def test_mark_only_where_ports_are_tied_or_packets_masqueraded(
    settings: str, is_by_mark: bool, is_marked: bool
) -> None:
    service = site(_one(settings)).virtual_services[0]
    assert (by_mark(service), needs_mark(service)) == (is_by_mark, is_marked)
    assert (list(assign_marks(site(_one(settings)))) == ["web"]) is is_marked


def test_mark_of_the_site_file_is_taken() -> None:
    assert assign_marks(site(_one("ports: all, mark: 7"))) == {"web": 7}


def test_mark_that_nothing_needs_is_none() -> None:
    assert assign_marks(site(_one("ports: 80, mark: 7"))) == {}


def test_derived_marks_are_in_our_range_and_differ() -> None:
    text = "".join(
        f"\n  - {{name: s{n}, address: 192.0.2.10, ports: {n}, one_armed: true, forwarding: nat}}"
        for n in range(1, 300)
    )
    marks = assign_marks(site(f"virtual_services:{text}")).values()
    assert len(set(marks)) == 299
    assert all(MARK_BASE <= mark <= MARK_BASE + 0xFFFFFF for mark in marks)


ALL_PORTS = "{name: web, address: 192.0.2.10, forwarding: nat, ports: all}"
OTHER = "{name: a-web, address: 192.0.2.11, forwarding: nat, ports: all}"


def test_mark_stays_whatever_else_the_site_holds() -> None:
    alone = assign_marks(site(f"virtual_services: [{ALL_PORTS}]"))["web"]
    assert assign_marks(site(f"virtual_services: [{OTHER}, {ALL_PORTS}]"))["web"] == alone
    assert assign_marks(site(f"virtual_services: [{ALL_PORTS}, {OTHER}]"))["web"] == alone


def test_taken_mark_moves_on_to_the_next() -> None:
    derived = assign_marks(site(f"virtual_services: [{ALL_PORTS}]"))["web"]
    other = OTHER.replace("ports: all", f"ports: all, mark: {derived}")
    assert assign_marks(site(f"virtual_services: [{other}, {ALL_PORTS}]"))["web"] == derived + 1


@pytest.mark.parametrize(
    "change",
    [
        ("ports: all", "ports: 80, one_armed: true"),  # the service by mark drains: not with the new packets
        ("192.0.2.10", "192.0.2.11"),  # the old address drains too
    ],
)
def test_successor_has_a_mark_of_its_own(change: tuple[str, str]) -> None:
    before = assign_marks(site(f"virtual_services: [{ALL_PORTS}]"))["web"]
    assert assign_marks(site(f"virtual_services: [{ALL_PORTS.replace(*change)}]"))["web"] != before
