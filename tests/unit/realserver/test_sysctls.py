"""When sysctls hold, and when they have to be written."""

import pytest

from kernelbal.plan.kinds.sysctls import inherited
from kernelbal.realserver.sysctls import conf, loose_reverse_path, silent_arp


def test_all_comes_with_each_interface() -> None:
    assert [each.path for each in silent_arp(("eth0", "eth1"))] == [
        f"net/ipv4/conf/{name}/{what}"
        for name in ("all", "eth0", "eth1")
        for what in ("arp_ignore", "arp_announce")
    ]


@pytest.mark.parametrize(
    ("value", "holds"), [("0", False), ("1", True), ("2", True), ("3", False), ("8", False)]
)
def test_arp_ignore_that_does(value: str, holds: bool) -> None:
    ignore = silent_arp(())[0]
    assert ignore.holds({ignore.path: value}) is holds


@pytest.mark.parametrize(("value", "holds"), [("0", False), ("1", False), ("2", True)])
def test_arp_announce_that_does(value: str, holds: bool) -> None:
    announce = silent_arp(())[1]
    assert announce.holds({announce.path: value}) is holds


@pytest.mark.parametrize(
    ("own", "everywhere", "holds"),
    [
        ("0", "0", True),
        ("1", "0", False),
        ("0", "1", False),
        ("2", "1", True),
        ("1", "2", True),
        ("1", "1", False),
    ],
)
def test_reverse_path_by_the_greater_of_both(own: str, everywhere: str, holds: bool) -> None:
    loose = loose_reverse_path("tunl0", "why")
    values: dict[str, str | None] = {conf("tunl0", "rp_filter"): own, conf("all", "rp_filter"): everywhere}
    assert loose.holds(values) is holds


def test_a_new_device_starts_with_the_default() -> None:
    assert inherited("net/ipv4/conf/tunl0/rp_filter") == "net/ipv4/conf/default/rp_filter"
    assert inherited("net/ipv4/conf/eth1.5/rp_filter") == "net/ipv4/conf/default/rp_filter"
