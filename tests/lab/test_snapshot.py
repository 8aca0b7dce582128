"""A snapshot of a host misses nothing that kernelbal could change."""

import pytest

from kernelbal.lab.demo.snapshot import differences, settle, take
from kernelbal.lab.errors import LabError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host

pytestmark = pytest.mark.needs_ipvs


@pytest.fixture
def director(lab: LabFactory) -> Host:
    """A director."""
    return lab("one-arm").director


def test_nothing_happened(director: Host) -> None:
    assert differences(take(director), take(director)) == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["ip", "address", "add", "10.0.0.80/32", "dev", "eth0"], "address"),
        (["ip", "address", "add", "fd00::80/128", "dev", "eth0", "nodad"], "address"),
        (["ip", "link", "set", "eth0", "mtu", "1400"], "link"),
        (["ip", "route", "add", "192.0.2.0/24", "via", "10.0.0.11"], "IPv4 route"),
        (["ip", "-6", "route", "add", "2001:db8::/64", "via", "fd00::11"], "IPv6 route"),
        (["nft", "add", "table", "inet", "left_behind"], "nftables table inet left_behind"),
        (["ipvsadm", "-A", "-t", "10.0.0.1:80", "-s", "rr"], "IPVS TCP"),
        (["sysctl", "-qw", "net.ipv4.vs.conntrack=1"], "sysctl net/ipv4/vs/conntrack = 1"),
        (["sysctl", "-qw", "net.ipv6.conf.eth0.mtu=1300"], "sysctl net/ipv6/conf/eth0/mtu = 1300"),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else "",
)
def test_change_is_seen(director: Host, argv: list[str], words: str) -> None:
    before = take(director)
    director.run(argv)
    assert any(line.startswith(f"+ {words}") for line in differences(before, take(director)))


def test_link_without_carrier_does_not_settle(director: Host) -> None:
    director.run(["ip", "link", "add", "loose0", "type", "veth", "peer", "loose1"])
    director.run(["ip", "link", "set", "loose0", "up"])
    with pytest.raises(LabError, match="links of director do not settle"):
        settle(director)
