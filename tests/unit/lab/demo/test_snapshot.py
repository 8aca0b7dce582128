"""A director is compared with what it was before; nothing that is gone, new or different is missed."""

from kernelbal.lab.demo.snapshot import Fact, Snapshot, counts, differences

BEFORE: Snapshot = frozenset(
    {
        Fact("address", "2: eth0 inet 10.0.0.1/24"),
        Fact("sysctl", "net/ipv4/vs/conntrack", "0"),
        Fact("sysctl", "net/ipv4/ip_forward", "1"),
    }
)
CONNTRACK_ON = Fact("sysctl", "net/ipv4/vs/conntrack", "1")


def test_same() -> None:
    assert differences(BEFORE, BEFORE) == []


def test_sysctl_that_was_not_restored() -> None:
    after = BEFORE - {Fact("sysctl", "net/ipv4/vs/conntrack", "0")} | {CONNTRACK_ON}
    assert differences(BEFORE, after) == [
        "- sysctl net/ipv4/vs/conntrack = 0",
        "+ sysctl net/ipv4/vs/conntrack = 1",
    ]


def test_address_that_stayed() -> None:
    after = BEFORE | {Fact("address", "2: eth0 inet 10.0.0.80/32")}
    assert differences(BEFORE, after) == ["+ address 2: eth0 inet 10.0.0.80/32"]


def test_address_that_went() -> None:
    after = BEFORE - {Fact("address", "2: eth0 inet 10.0.0.1/24")}
    assert differences(BEFORE, after) == ["- address 2: eth0 inet 10.0.0.1/24"]


def test_sysctl_of_a_new_module_is_no_difference() -> None:
    after = BEFORE | {Fact("sysctl", "net/netfilter/nf_conntrack_tcp_loose", "1")}
    assert differences(BEFORE, after) == []


def test_sysctl_that_vanished_is_a_difference() -> None:
    after = BEFORE - {Fact("sysctl", "net/ipv4/ip_forward", "1")}
    assert differences(BEFORE, after) == ["- sysctl net/ipv4/ip_forward = 1"]


def test_counts() -> None:
    assert counts(BEFORE, ("sysctl", "address")) == "2 sysctls, 1 addresses"
