"""Path MTUs of a real network: narrow in silence, narrow with ICMP errors, IPv4 and IPv6."""

import subprocess
import time

import pytest

from kernelbal.kernel.path_mtu import MtuTarget, path_mtus
from kernelbal.lab import linuxns
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.model.address import format_address, parse_address

pytestmark = pytest.mark.needs_root

NARROW_BYTES = (1400, 1404)
"""Some kernels' virtual devices take 4 bytes beyond their MTU: room for a VLAN tag (`is_skb_forwardable`)."""


def measured(made: NamespaceLab, *servers: str, host: str = "director") -> dict[str, int]:
    destinations = [MtuTarget(parse_address(server), 1500) for server in servers]
    with made[host].inside():
        return {format_address(address): mtu for address, mtu in path_mtus(destinations).items()}


def test_all_are_measured_at_a_time_and_silence_is_no_mtu(lab: LabFactory) -> None:
    made = lab("one-arm")
    with linuxns.inside("switches"):
        subprocess.run(["ip", "link", "set", "rs2.eth0", "mtu", "1400"], check=True)
    servers = ("10.0.0.11", "10.0.0.12", "10.0.0.99", "fd00::11", "fd00::12", "fd00::99")
    found = measured(made, *servers)
    assert found.keys() == {"10.0.0.11", "10.0.0.12", "fd00::11", "fd00::12"}
    assert found["10.0.0.11"] == found["fd00::11"] == 1500
    assert found["10.0.0.12"] == found["fd00::12"]
    assert found["10.0.0.12"] in NARROW_BYTES


def test_a_router_on_the_path_reports_its_mtu(lab: LabFactory) -> None:
    made = lab("two-arm")
    made.director.run(["ip", "link", "set", "eth1", "mtu", "1300"])
    made["rs1"].run(["ip", "link", "set", "eth0", "mtu", "1300"])
    began_at = time.monotonic()
    assert measured(made, "10.0.0.11", "fd00::11", host="client") == {"10.0.0.11": 1300, "fd00::11": 1300}
    assert time.monotonic() - began_at < 3.0  # no size waits for its time to be over


def test_what_the_kernel_believes_of_a_path_bounds_it(lab: LabFactory) -> None:
    made = lab("one-arm")
    for network in ("10.0.0.12/32", "fd00::12/128"):
        made.director.run(["ip", "route", "add", network, "dev", "eth0", "mtu", "1400"])
    servers = ("10.0.0.11", "10.0.0.12", "fd00::11", "fd00::12")
    assert list(measured(made, *servers).values()) == [1500, 1400, 1500, 1400]


def test_progress_is_reported(lab: LabFactory) -> None:
    made = lab("one-arm")
    done: list[int] = []
    with made.director.inside():
        path_mtus([MtuTarget(parse_address("10.0.0.11"), 1500)], done.append)
    assert done == [1]
