"""What judges ask of a subject."""

from dataclasses import replace

from kernelbal.realserver.preparation import Method
from kernelbal.realserver.verify.subject import silences_by_sysctls, subject_for
from tests.unit.realserver.samples import HTTP, IPIP, REAL, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import good, path, with_sysctl


def test_holder_and_target() -> None:
    for one, holder, target in (
        (prepared(VIP), "lo", VIP),
        (prepared(VIP, Method.LOOPBACK, IPIP), "tunl0", VIP),
        (prepared(VIP, Method.REDIRECT), "lo", REAL),
    ):
        subject = subject_for(one, good(one))
        assert (subject.holder, subject.target) == (holder, target)


def test_greater_of_all_and_device() -> None:
    one = prepared(VIP)
    host = with_sysctl(one, all__rp_filter="2", eth0__rp_filter="1")
    subject = subject_for(one, good(one, host=host))
    assert subject.effective("rp_filter", "eth0") == 2
    assert subject.effective("rp_filter", "nothing") is None


def test_devices_that_ask_for_neighbours() -> None:
    one = prepared(VIP)
    facts = good(one)
    assert subject_for(one, facts).asking == ("eth0",)
    way = path(one)
    by = [way._replace(reply=way.reply and way.reply._replace(device=name)) for name in ("eth1", "lo")]
    assert [subject_for(one, replace(facts, paths={VIP: each})).asking for each in by] == [
        ("eth0", "eth1"),
        ("eth0",),
    ]


def test_what_is_in_force_is_not_missing() -> None:
    one = prepared(VIP, Method.REDIRECT, None, HTTP)
    subject = subject_for(one, good(one))
    (table,) = subject.setup.tables
    assert subject.missing(table, "prerouting") == []
    assert subject_for(prepared(VIP6), good(prepared(VIP6))).missing(table, "prerouting") == []


def test_only_loopback_silences_by_sysctls() -> None:
    assert silences_by_sysctls(prepared(VIP))
    assert not silences_by_sysctls(prepared(VIP6))
    assert not silences_by_sysctls(prepared(VIP, Method.ARP))
