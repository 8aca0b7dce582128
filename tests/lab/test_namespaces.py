"""Topologies built from namespaces, seen from inside them."""

import os
import socket
import threading
from pathlib import Path

import pytest

from kernelbal.lab import linuxns
from kernelbal.lab.errors import LabError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import NamespaceLab, require_private_namespaces
from kernelbal.lab.topology import load_topology, topology_names
from kernelbal.lab.traffic import ping

pytestmark = pytest.mark.needs_root

PAIRS = [
    ("two-arm", "client", "rs3"),
    ("two-arm", "rs1", "client"),
    ("one-arm", "client", "rs2"),
    ("one-arm", "director", "rs1"),
]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("topology", "source", "target"), PAIRS)
def test_hosts_reach_each_other(
    lab: LabFactory, topology: str, source: str, target: str, version: int
) -> None:
    site = lab(topology)
    assert ping(site[source], site[target].address(version))


def test_two_arm_goes_through_the_director(lab: LabFactory) -> None:
    site = lab("two-arm")
    site.director.sysctl("net.ipv4.ip_forward", 0)
    assert not ping(site.client, site["rs1"].address(), timeout_s=0.3)


def test_addresses_are_usable_at_once(lab: LabFactory) -> None:
    site = lab("two-arm")
    for host in site.hosts.values():
        shown = host.run(["ip", "-6", "addr"]).stdout
        assert "tentative" not in shown
        assert "dadfailed" not in shown


def test_hosts_have_their_sysctls(lab: LabFactory) -> None:
    site = lab("two-arm")
    for spec in site.topology.hosts:
        for name, value in spec.sysctls.items():
            assert site[spec.name].sysctl(name) == str(value), f"{spec.name} {name}"
    assert site.director.sysctl("net.ipv4.conf.eth1.send_redirects") == "0"


def test_sysctls_are_each_hosts_own(lab: LabFactory) -> None:
    site = lab("two-arm")
    site["rs1"].sysctl("net.ipv4.ip_forward", 1)
    assert site["rs2"].sysctl("net.ipv4.ip_forward") == "0"


@pytest.mark.parametrize("name", topology_names())
def test_nothing_is_left(name: str) -> None:
    before = (os.readlink("/proc/thread-self/ns/net"), set(os.listdir("/run/netns")), socket.if_nameindex())
    with NamespaceLab(load_topology(name)) as site:
        site["rs1"].spawn(["sleep", "1000"])
        assert set(site.hosts) < set(os.listdir("/run/netns"))
    after = (os.readlink("/proc/thread-self/ns/net"), set(os.listdir("/run/netns")), socket.if_nameindex())
    assert after == before


def test_spawned_programs_end_with_the_lab() -> None:
    with NamespaceLab(load_topology("one-arm")) as site:
        sleeper = site["rs1"].spawn(["sleep", "1000"])
        assert sleeper.poll() is None
    assert sleeper.poll() is not None


def test_two_labs_live_side_by_side(lab: LabFactory) -> None:
    first, second = lab("one-arm"), lab("one-arm", prefix="b-")
    first["rs1"].run(["ip", "link", "set", "eth0", "down"])
    assert not ping(first.client, first["rs1"].address(), timeout_s=0.3)
    assert ping(second.client, second["rs1"].address())


def test_failed_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    topology = load_topology("one-arm")
    (linuxns.NAMED_NAMESPACES / "rs2").touch()
    with pytest.raises(FileExistsError), NamespaceLab(topology):
        pass
    (linuxns.NAMED_NAMESPACES / "rs2").unlink()
    assert not os.listdir("/run/netns")


def test_inside_is_the_threads_own(lab: LabFactory) -> None:
    site = lab("one-arm")
    seen: list[str] = []
    with site["rs1"].inside():
        inside = os.readlink("/proc/thread-self/ns/net")
        thread = threading.Thread(target=lambda: seen.append(os.readlink("/proc/thread-self/ns/net")))
        thread.start()
        thread.join()
        main = os.readlink("/proc/thread-self/ns/net")
    assert seen == [inside]  # a thread begins where its maker is
    assert main == inside != os.readlink("/proc/thread-self/ns/net")


def test_unknown_namespace_leaves_the_thread_where_it_is() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with pytest.raises(FileNotFoundError), linuxns.inside("no-such-host"):
        pass
    assert os.readlink("/proc/thread-self/ns/net") == before


def test_failed_program_is_an_error_with_its_words(lab: LabFactory) -> None:
    site = lab("one-arm")
    with pytest.raises(LabError, match=r"exited with 1: Device \"nope\" does not exist"):
        site["rs1"].run(["ip", "addr", "show", "dev", "nope"])


def test_host_is_private() -> None:
    assert Path("/run").stat().st_dev != Path("/").stat().st_dev
    assert [name for _, name in socket.if_nameindex() if name.startswith(("eth", "ens"))] == []


def test_build_outside_of_a_lab_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERNELBAL_IN_LAB")
    with pytest.raises(LabError, match="namespaces of its own"):
        require_private_namespaces()
