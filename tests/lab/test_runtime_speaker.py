"""The speaker on real interfaces: with another one, and with keepalived."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.model.address import Address, parse_address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.runtime.speaker.linux import LinuxSpeakerKernel
from kernelbal.runtime.speaker.realtime import become_realtime
from kernelbal.store.codec import Codec
from kernelbal.vrrp.plan import RoleInstance, RolePlan

pytestmark = pytest.mark.needs_root

VIP, VIP6 = "10.0.0.200", "fd00::200"
SHARED = [(VIP, 32), (VIP6, 128)]
V6_ATTRIBUTES = AddressAttributes(no_dad=True, deprecated=True)
INTERVAL_CS = 20
PATIENCE_S = 20.0
CREATE = """
ip link add mv0 link eth0 type macvlan mode bridge
ip address add 10.0.0.9/24 dev mv0
ip link set mv0 up
"""
OWN_ADDRESS = (
    ["ip", "address", "delete", "10.0.0.1/24", "dev", "eth0"],
    ["ip", "address", "add", "10.0.0.1/24", "dev", "eth0"],
)
KEEPALIVED = """
global_defs {{
    vrrp_version {version}
}}
vrrp_instance four {{
    interface eth0
    state BACKUP
    virtual_router_id 51
    priority 100
    advert_int {interval}
    {preempt}
    virtual_ipaddress {{ 10.0.0.200/32 }}
}}
"""


def link_local(host: Host) -> Address:
    """The link-local address of a host, as soon as it is there to be used."""
    while True:
        said = host.run(["ip", "-6", "-oneline", "address", "show", "dev", "eth0", "scope", "link"]).stdout
        if said.strip() and "tentative" not in said:
            return parse_address(said.split()[3].partition("/")[0])
        time.sleep(0.05)


def role_plan(host: Host, source: str, priority: int, *, v6: bool = True, **more: object) -> RolePlan:
    four = RoleInstance(
        name="four",
        device="eth0",
        source=parse_address(source),
        vrid=51,
        addresses=(parse_address(VIP),),
        holds=((AddressKey("eth0", parse_address(VIP), 32), AddressAttributes()),),
        priority=priority,
        **{"interval_cs": INTERVAL_CS, **more},  # type: ignore[arg-type]  # fields by name
    )
    if not v6:
        return RolePlan(host.name, (four,))
    six = RoleInstance(
        name="six",
        device="eth0",
        source=link_local(host),
        vrid=51,
        addresses=(parse_address("fe80::200"), parse_address(VIP6)),
        holds=((AddressKey("eth0", parse_address(VIP6), 128), V6_ATTRIBUTES),),
        priority=priority,
        **{"interval_cs": INTERVAL_CS, **more},  # type: ignore[arg-type]  # fields by name
    )
    return RolePlan(host.name, (four, six))


class Spoken:
    """Speakers on hosts of a lab."""

    def __init__(self, lab: NamespaceLab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def speak(self, host: Host, plan: RolePlan) -> "subprocess.Popen[str]":
        path = self.folder / f"{host.name}.plan"
        path.write_bytes(Codec(RolePlan).encode(plan))
        return host.spawn([sys.executable, "-m", "kernelbal.runtime.speaker", str(path)])

    def keepalived(self, host: Host, **settings: object) -> "subprocess.Popen[str]":
        path = self.folder / "keepalived.conf"
        path.write_text(KEEPALIVED.format(**settings))
        files = (f"--use-file={path}", f"--pid={path}.pid", f"--vrrp_pid={path}.vrrp.pid")
        return host.spawn(["keepalived", "--dont-fork", "--vrrp", "--no-syslog", "--dont-respawn", *files])


def held(host: Host, device: str = "eth0") -> set[str]:
    """Which shared addresses a host has."""
    words = set(host.run(["ip", "-oneline", "address", "show", "dev", device], check=False).stdout.split())
    return {address for address, prefix in SHARED if f"{address}/{prefix}" in words}


def within(limit_s: float, condition: Callable[[], bool], what: str) -> float:
    """Wait for a condition, and return how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < limit_s, what
        time.sleep(0.005)
    return time.monotonic() - start


def test_two_speakers(lab: LabFactory, tmp_path: Path) -> None:
    """After a death the kernel alone removes the addresses of the dead; a polite end is followed at once."""
    made = lab("one-arm")
    spoken = Spoken(made, tmp_path)
    first, second = made.director, made.real_servers[0]
    both = {VIP, VIP6}
    one = spoken.speak(first, role_plan(first, "10.0.0.1", 150))
    within(PATIENCE_S, lambda: held(first) == both, "the first one takes the addresses")
    two = spoken.speak(second, role_plan(second, "10.0.0.11", 100))
    time.sleep(1.0)
    assert (held(first), held(second)) == (both, set())
    one.kill()
    within(3.0, lambda: held(second) == both, "the second one takes over")
    within(2.0, lambda: not held(first), "the kernel removes the addresses of the dead")
    again = spoken.speak(first, role_plan(first, "10.0.0.1", 150))
    time.sleep(3.0)
    assert (held(first), held(second)) == (set(), both)
    two.send_signal(signal.SIGTERM)
    within(3.0, lambda: held(first) == both, "the first one follows at once")
    assert two.wait(PATIENCE_S) == 0
    assert held(second) == set()
    again.send_signal(signal.SIGTERM)
    assert again.wait(PATIENCE_S) == 0
    assert held(first) == set()


def neighbour(lab: NamespaceLab) -> str:
    """The MAC address that the client knows the shared address by."""
    said = lab.client.run(["ip", "neighbour", "show", VIP], check=False).stdout.split()
    return said[said.index("lladdr") + 1] if "lladdr" in said else ""


def hardware(host: Host) -> str:
    (link,) = json.loads(host.run(["ip", "-json", "link", "show", "dev", "eth0"]).stdout)
    return str(link["address"])


def test_frozen_speaker(lab: LabFactory, tmp_path: Path) -> None:
    """Without any process of ours acting, nobody holds an address twice; thawed, it listens first."""
    made = lab("one-arm")
    spoken = Spoken(made, tmp_path)
    first, second = made.director, made.real_servers[0]
    one = spoken.speak(first, role_plan(first, "10.0.0.1", 150, preempt=True))
    within(PATIENCE_S, lambda: held(first) == {VIP, VIP6}, "the first one takes the addresses")
    made.client.run(["ping", "-c", "1", "-W", "5", VIP])
    assert neighbour(made) == hardware(first)
    spoken.speak(second, role_plan(second, "10.0.0.11", 100))
    time.sleep(1.0)
    one.send_signal(signal.SIGSTOP)
    within(3.0, lambda: held(second) == {VIP, VIP6}, "the second one takes over")
    within(1.0, lambda: neighbour(made) == hardware(second), "the client learns the new MAC address")
    within(1.3, lambda: not held(first), "the kernel removes the addresses of the frozen one")
    one.send_signal(signal.SIGCONT)
    within(5.0, lambda: held(first) == {VIP, VIP6}, "thawed, it takes its role back by an election")
    within(1.0, lambda: not held(second), "the other one yields")
    within(1.0, lambda: neighbour(made) == hardware(first), "the client learns the MAC address again")


def test_speaker_is_before_all_others(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("one-arm")
    host = made.director
    speaker = Spoken(made, tmp_path).speak(host, role_plan(host, "10.0.0.1", 150, v6=False))
    within(PATIENCE_S, lambda: held(host) == {VIP}, "it takes the address")
    assert os.sched_getscheduler(speaker.pid) == os.SCHED_RR | os.SCHED_RESET_ON_FORK
    status = Path(f"/proc/{speaker.pid}/status").read_text()
    assert int(status.partition("VmLck:")[2].split()[0]) > 1000


def test_speaker_that_runs_wild_steps_back() -> None:
    """It ends as an ordinary process, and is not killed."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(run_wild).result(30) == ([], os.SCHED_OTHER | os.SCHED_RESET_ON_FORK)


def run_wild() -> tuple[list[str], int]:
    refused = become_realtime(most_run_us=20_000)
    end = time.monotonic() + 5
    while os.sched_getscheduler(0) & os.SCHED_RR and time.monotonic() < end:
        pass
    return refused, os.sched_getscheduler(0)


def test_what_the_host_has(lab: LabFactory) -> None:
    host = lab("one-arm").director
    plan = role_plan(host, "10.0.0.1", 150, v6=False)
    with host.inside(), LinuxSpeakerKernel(plan) as kernel:
        found = kernel.look()
        assert found.devices["eth0"]
        assert ("eth0", parse_address("10.0.0.1")) in found.addresses
        assert list(kernel.wires) == ["four"]


def test_device_that_comes_back(lab: LabFactory, tmp_path: Path) -> None:
    """It has another index then: the speaker is heard again on it, and hears."""
    made = lab("one-arm")
    spoken = Spoken(made, tmp_path)
    first, second = made.director, made.real_servers[0]
    first.run(["sh", "-ec", CREATE])
    plan = role_plan(first, "10.0.0.9", 150, v6=False, preempt=True)
    key = AddressKey("mv0", parse_address(VIP), 32)
    (four,) = plan.instances
    moved = replace(four, device="mv0", holds=((key, AddressAttributes()),))
    spoken.speak(first, replace(plan, instances=(moved,)))
    within(PATIENCE_S, lambda: held(first, "mv0") == {VIP}, "the first one takes the address")
    spoken.speak(second, role_plan(second, "10.0.0.11", 100, v6=False))
    first.run(["ip", "link", "delete", "mv0"])
    within(5.0, lambda: held(second) == {VIP}, "the second one takes over")
    first.run(["sh", "-ec", CREATE])
    within(5.0, lambda: held(first, "mv0") == {VIP}, "the first one is back")
    within(1.0, lambda: held(second) == set(), "the second one hears it, and yields")


def test_other_managers_of_the_host(lab: LabFactory, tmp_path: Path) -> None:
    """Shared addresses are restored at once; without its own address or its link a node gives up the role."""
    made = lab("one-arm")
    spoken = Spoken(made, tmp_path)
    first, second = made.director, made.real_servers[0]
    spoken.speak(first, role_plan(first, "10.0.0.1", 150, v6=False, preempt=True))
    within(PATIENCE_S, lambda: held(first) == {VIP}, "the first one takes the address")
    spoken.speak(second, role_plan(second, "10.0.0.11", 100, v6=False))
    time.sleep(1.0)
    first.run(["ip", "address", "delete", f"{VIP}/32", "dev", "eth0"])
    within(0.5, lambda: held(first) == {VIP}, "the address is restored")
    assert held(second) == set()
    for broken, mended in (
        OWN_ADDRESS,
        (["ip", "link", "set", "eth0", "down"], ["ip", "link", "set", "eth0", "up"]),
    ):
        first.run(broken)
        within(3.0, lambda: held(second) == {VIP}, f"the second one takes over after {broken}")
        assert held(first) == set()
        first.run(mended)
        within(5.0, lambda: held(first) == {VIP}, f"the first one is back after {mended}")
        within(1.0, lambda: held(second) == set(), "the second one yields")


@pytest.mark.parametrize(("version", "interval"), [(3, "0.2"), (2, "1")])
def test_keepalived(lab: LabFactory, tmp_path: Path, version: int, interval: str) -> None:
    """Each yields to the other, and follows it."""
    made = lab("one-arm")
    spoken = Spoken(made, tmp_path)
    ours, theirs = made.director, made.real_servers[0]
    peer = spoken.keepalived(theirs, version=version, interval=interval, preempt="")
    within(PATIENCE_S, lambda: held(theirs) == {VIP}, "keepalived takes the address")
    cs = 20 if version == 3 else 100
    plan = role_plan(ours, "10.0.0.1", 150, v6=False, version=version, interval_cs=cs, preempt=True)
    speaker = spoken.speak(ours, plan)
    within(PATIENCE_S, lambda: held(ours) == {VIP}, "the speaker preempts")
    within(3.0, lambda: held(theirs) == set(), "keepalived yields")
    speaker.send_signal(signal.SIGTERM)
    within(4.0, lambda: held(theirs) == {VIP}, "keepalived follows")
    assert speaker.wait(PATIENCE_S) == 0
    low = spoken.speak(ours, role_plan(ours, "10.0.0.1", 50, v6=False, version=version, interval_cs=cs))
    time.sleep(2.0)
    assert (held(ours), held(theirs)) == (set(), {VIP})
    peer.terminate()
    within(6.0, lambda: held(ours) == {VIP}, "the speaker follows")
    low.send_signal(signal.SIGTERM)
    assert low.wait(PATIENCE_S) == 0
