"""`kernelbal rs verify` on a real kernel: mistakes on real servers, one by one, and what it makes of them."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernelbal.lab import linuxns
from kernelbal.lab.demo.snapshot import differences, take
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.lab.traffic import http_counts
from tests.lab.test_forwarding import METHODS, VIRTUAL, Method, direct
from tests.lab.test_path_checks import NETWORKS, site_of
from tests.lab.test_path_checks import VIRTUAL as VIRTUALS
from tests.support import realserver_by_hand
from tests.support.lab_commands import NODE, Operator, run_here
from tests.support.lab_daemon import Daemon

pytestmark = pytest.mark.needs_ipvs

BY_NAME = {method.name: method for method in METHODS}
OK, FAIL, UNKNOWN = "ok", "FAIL", "unknown"
ALL_OK = {"rs1": OK, "rs2": OK, "rs3": OK}
RS2_FAILS = {"rs1": OK, "rs2": FAIL, "rs3": OK}


@dataclass
class Report:
    """What a run said."""

    document: dict[str, Any]

    @property
    def service(self) -> dict[str, Any]:
        (found,) = self.document["services"]
        return dict(found)

    def server(self, name: str) -> dict[str, Any]:
        return dict(self.service["real_servers"][int(name[2:]) - 1])

    @property
    def by_server(self) -> dict[str, str]:
        servers = self.service["real_servers"]
        return {f"rs{number}": server["result"] for number, server in enumerate(servers, 1)}

    def told(self, name: str) -> str:
        """Message and hint of everything that is wrong with a real server."""
        return "\n".join(f"{each['message']}\n{each['fix']}" for each in self.server(name)["results"])


@dataclass
class Verifier:
    """Somebody at a director who verifies."""

    lab: NamespaceLab
    folder: Path
    method: Method

    def __post_init__(self) -> None:
        (self.folder / "node.yaml").write_text(NODE[self.lab.topology.name])
        self.write()

    @property
    def virtual(self) -> str:
        return VIRTUAL[self.method.virtual]

    def write(self, protocol: str = "tcp", port: str = "80", check: str = "tcp: {}") -> None:
        text = site_of(self.method, self.virtual, protocol, port, check=check, networks="")
        (self.folder / "site.yaml").write_text(text)

    def hold(self) -> None:
        """Be the active director."""
        prefix = "/32" if self.method.virtual == 4 else "/128"
        more = [] if self.method.virtual == 4 else ["nodad", "preferred_lft", "0"]
        self.lab.director.run(["ip", "address", "add", self.virtual + prefix, "dev", "eth0", *more])

    @property
    def arguments(self) -> list[str]:
        documents = ["--site", str(self.folder / "site.yaml"), "--node", str(self.folder / "node.yaml")]
        return ["rs", "verify", *documents, "--state-dir", str(self.folder / "state")]

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "kernelbal", *self.arguments]

    def run(self, *options: str) -> Completed:
        return run_here(self.lab.director, [*self.arguments, *options])

    def report(self) -> Report:
        done = self.run("--json")
        assert done.stdout, done.stderr
        report = Report(json.loads(done.stdout))
        assert done.returncode == (1 if report.document["result"] == FAIL else 0), done.stderr
        return report


HEADERS = {4: 40, 6: 60}
"""Of IP and TCP, in bytes."""


def clamp(host: Host, version: int, mss_bytes: int) -> None:
    """Let a real server ask for small segments."""
    route = "change 10.0.0.0/24 dev eth0" if version == 4 else "add fd00::/64 dev eth0 metric 100"
    host.run(["ip", "route", *route.split(), "advmss", str(mss_bytes)])


ROOM = {"dsr": 1500, "dsr-6": 1500, "ipip": 1480, "ipip-6": 1460, "4-in-6": 1460, "6-in-4": 1480}
ROOM |= {"gre": 1476, "gre-6": 1456, "gue": 1468, "gue-checksum": 1468}


def prepared(lab: LabFactory, folder: Path, name: str, *, without: str = "") -> Verifier:
    """A site whose real servers can do their part, but for one."""
    made = lab("one-arm")
    method = BY_NAME[name]
    lab.serve(made.real_servers)
    for host in made.real_servers:
        clamp(host, method.virtual, ROOM[name] - HEADERS[method.virtual])
        if host.name != without:
            method.prepare(host, VIRTUAL[method.virtual])
    return Verifier(made, folder, method)


@pytest.mark.parametrize(
    ("name", "holds"), [*((name, True) for name in ROOM), ("dsr", False), ("dsr-6", False), ("ipip", False)]
)
def test_real_servers_that_can_do_their_part_are_ok(
    lab: LabFactory, tmp_path: Path, name: str, holds: bool
) -> None:
    at = prepared(lab, tmp_path, name)
    if holds:
        at.hold()
    report = at.report()
    assert report.by_server == ALL_OK
    assert report.service["holds_address"] is holds
    assert report.server("rs1")["client_packet_bytes"] == ROOM[name]
    assert report.server("rs1")["mss_bytes"] == ROOM[name] - HEADERS[at.method.virtual]


@pytest.mark.parametrize("name", [name for name in ROOM if not name.startswith("dsr")])
def test_the_kernel_takes_as_much_for_tunnels_as_the_table_says(
    lab: LabFactory, tmp_path: Path, name: str
) -> None:
    """A client that sends too much is told what gets through."""
    at = prepared(lab, tmp_path, name)
    Operator(at.lab, tmp_path).apply(site_of(at.method, at.virtual, "udp", "53", networks=""))
    level, discover, do, mtu = (0, 10, 2, 14) if at.method.virtual == 4 else (41, 23, 2, 24)
    with at.lab.client.inside():
        asking = socket.socket(socket.AF_INET if level == 0 else socket.AF_INET6, socket.SOCK_DGRAM)
    with asking:
        asking.setsockopt(level, discover, do)
        asking.connect((at.virtual, 53))
        asking.send(bytes(1500 - HEADERS[at.method.virtual] + 12))
        until = time.monotonic() + 5
        while asking.getsockopt(level, mtu) == 1500 and time.monotonic() < until:
            time.sleep(0.05)
        assert asking.getsockopt(level, mtu) == ROOM[name]


# --- one mistake at a time, on rs2 ---


def no_address(at: Verifier, host: Host) -> None:
    """The tunnel is open, and nobody holds the virtual address."""
    at.method.prepare(host, at.virtual)
    host.run(["ip", "address", "del", at.virtual, "dev", "lo"])


def filtered(at: Verifier, host: Host) -> None:
    at.method.prepare(host, at.virtual)
    family = "ip" if at.method.virtual == 4 else "ip6"
    chain = f"type filter hook input priority 0; {family} daddr {at.virtual} drop;"
    host.run(["nft", "-f", "-"], stdin=f"table inet f {{ chain i {{ {chain} }}; }}\n")


def tunnel_down(at: Verifier, host: Host) -> None:
    at.method.prepare(host, at.virtual)
    for device in ("tunl0", "ip6tnl0", "gre0"):
        host.run(["ip", "link", "set", device, "down"], check=False)


def strict_filter(at: Verifier, host: Host) -> None:
    at.method.prepare(host, at.virtual)
    host.sysctl("net/ipv4/conf/tunl0/rp_filter", 1)


def narrow(at: Verifier, host: Host) -> None:
    """Something on the way to the real server takes less, and says nothing."""
    at.method.prepare(host, at.virtual)
    with linuxns.inside("switches"):
        subprocess.run(["ip", "link", "set", f"{host.name}.eth0", "mtu", "1400"], check=True)


def unclamped(at: Verifier, host: Host) -> None:
    at.method.prepare(host, at.virtual)
    route = "change 10.0.0.0/24 dev eth0" if at.method.virtual == 4 else "del fd00::/64 dev eth0 metric 100"
    host.run(["ip", "route", *route.split()])


APPLY = "on the real server: kernelbal realserver apply {virtual} --port 80/tcp"
IPIP = (
    "on the real server: kernelbal realserver apply {virtual} --forwarding tunnel --tunnel ipip --port 80/tcp"
)
MISSING = "but good by its own address: the virtual address is probably missing on its `lo`"
TUNNEL = "but good by its own address: its tunnel device is probably down"
FAULTS = (
    ("dsr", no_address, (MISSING, APPLY)),
    ("dsr-6", no_address, (MISSING, APPLY)),
    ("ipip", no_address, ("or the virtual address is missing on its `lo`", IPIP)),
    ("dsr", filtered, (MISSING, "or a packet filter drops it", "see its packet filter")),
    ("dsr-6", filtered, (MISSING, "or a packet filter drops it", "see its packet filter")),
    ("ipip", tunnel_down, ("tunnel device is", IPIP)),
    ("ipip-6", tunnel_down, ("tunnel device is", "kernelbal realserver")),
    ("gre", tunnel_down, ("tunnel device is", "kernelbal realserver")),
    ("ipip", strict_filter, (TUNNEL, "strict rp_filter", IPIP)),
    ("dsr", narrow, ("up to 1500 bytes", "segments of 1460", "(its device takes 1500)", "same MTU")),
    ("dsr-6", narrow, ("up to 1500 bytes", "(its device takes 1500)")),
    ("ipip", narrow, ("up to 1480 bytes", "(its device takes 1500), of which the tunnel takes 20: 13", IPIP)),
    ("ipip-6", narrow, ("up to 1460 bytes", "the tunnel takes 40: 13", "here to 130")),
    ("ipip", unclamped, ("segments of 1460; the path to it takes 1500, of which the tunnel takes 20", IPIP)),
    ("ipip-6", unclamped, ("segments of 1440", "takes 1500, of which the tunnel takes 40", "here to 1400")),
    ("gre", unclamped, ("segments of 1460", "of which the tunnel takes 24: 1476 get there", "here to 1436")),
)


@pytest.mark.parametrize(
    ("name", "fault", "told"), FAULTS, ids=[f"{name} {fault.__name__}" for name, fault, _ in FAULTS]
)
def test_a_mistake_is_found_and_named(
    lab: LabFactory, tmp_path: Path, name: str, fault: Callable[[Verifier, Host], None], told: tuple[str, ...]
) -> None:
    at = prepared(lab, tmp_path, name, without="rs2")
    at.hold()
    fault(at, at.lab["rs2"])
    report = at.report()
    assert report.by_server == RS2_FAILS, json.dumps(report.server("rs2"))
    for words in told:
        assert words.format(virtual=at.virtual) in report.told("rs2")


def test_a_standby_director_finds_it_too(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr", without="rs2")
    report = at.report()
    assert report.by_server == RS2_FAILS
    assert MISSING in report.told("rs2")
    assert "nobody on `eth0` answers for 10.0.0.80" in report.service["results"][0]["message"]


@pytest.mark.parametrize("name", ["dsr", "dsr-6", "ipip"])
def test_a_program_that_listens_on_the_own_address_alone(lab: LabFactory, tmp_path: Path, name: str) -> None:
    made, method = lab("one-arm"), BY_NAME[name]
    first, second, third = made.real_servers
    lab.serve([first, third])
    for host in made.real_servers:
        method.prepare(host, VIRTUAL[method.virtual])
        clamp(host, method.virtual, 1400)
    with second.inside():
        family = socket.AF_INET if method.real == 4 else socket.AF_INET6
        listener = socket.create_server((second.address(method.real), 80), family=family)
    at = Verifier(made, tmp_path, method)
    at.hold()
    with listener:
        report = at.report()
    assert report.by_server == RS2_FAILS
    assert "connection refused, but good by its own address" in report.told("rs2")
    assert "kernelbal realserver verify" in report.told("rs2")


def test_a_real_server_that_is_down_is_itself_the_cause(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("one-arm")
    first, _, third = made.real_servers
    lab.serve([first, third])
    for host in made.real_servers:
        direct(host, VIRTUAL[4])
    at = Verifier(made, tmp_path, BY_NAME["dsr"])
    at.hold()
    report = at.report()
    assert report.by_server == RS2_FAILS
    assert "port 80: connection refused, by its own address already" in report.told("rs2")
    assert len(report.server("rs2")["results"]) == 1


# --- who answers for the virtual address ---


VMWARE = "00:50:56:00:00:12"


def loud(host: Host, version: int) -> None:
    """Hold the virtual address so that the segment hears of it, as a device of a known vendor."""
    host.run(["ip", "link", "set", "eth0", "address", VMWARE])
    if version == 4:
        realserver_by_hand.hold_address(host, VIRTUAL[4])
    else:
        host.run(["ip", "address", "add", f"{VIRTUAL[6]}/128", "dev", "eth0", "nodad"])


@pytest.mark.parametrize("holds", [True, False], ids=["active", "standby"])
@pytest.mark.parametrize("name", ["dsr", "dsr-6"])
def test_a_real_server_that_answers_for_the_virtual_address_is_named(
    lab: LabFactory, tmp_path: Path, name: str, holds: bool
) -> None:
    at = prepared(lab, tmp_path, name, without="rs2")
    if holds:
        at.hold()
    loud(at.lab["rs2"], at.method.virtual)
    report = at.report()
    assert report.by_server == RS2_FAILS
    assert f"for {at.virtual} as {VMWARE} (VMware, Inc.)" in report.told("rs2")
    assert "kernelbal realserver apply" in report.told("rs2")
    (neighbour,) = report.service["neighbours"]
    assert neighbour["real_server"] == report.server("rs2")["address"]


def grab(host: Host) -> None:
    host.run(["ip", "address", "add", f"{VIRTUAL[4]}/32", "dev", "eth0"])


def test_a_stranger_beside_an_active_director_is_a_fault(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr")
    at.hold()
    grab(at.lab.client)
    report = at.report()
    assert report.by_server == ALL_OK
    assert report.service["result"] == FAIL
    (result,) = report.service["results"]
    assert "(locally administered: " in result["message"]
    assert "answers for 10.0.0.80, which this director holds" in result["message"]


def test_one_other_holder_is_the_active_director_and_two_are_a_fault(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr", without="rs3")
    grab(at.lab.client)
    report = at.report()
    assert report.service["results"] == []
    assert len(report.service["neighbours"]) == 1
    text = (tmp_path / "site.yaml").read_text()
    (tmp_path / "site.yaml").write_text(text.replace(', {address: "10.0.0.13"}', ""))
    grab(at.lab["rs3"])
    report = at.report()
    assert report.by_server == {"rs1": OK, "rs2": OK}
    assert "2 machines on `eth0` answer for 10.0.0.80" in report.service["results"][0]["message"]


# --- services that are otherwise ---


def test_one_armed_nat_is_probed_plainly(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("one-arm")
    lab.serve([made["rs1"], made["rs3"]])
    at = Verifier(made, tmp_path, BY_NAME["one-armed"])
    at.hold()
    report = at.report()
    assert report.by_server == RS2_FAILS
    assert report.server("rs1")["checks"][0]["virtual_address"] is None
    assert report.server("rs1")["path_mtu_bytes"] is None
    (row,) = [line for line in at.run().stdout.splitlines() if line.startswith("10.0.0.11")]
    assert row.split() == ["10.0.0.11", "ok", "-", "ok", "-", "-", "ok"]


def test_nat_whose_replies_take_another_way(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("one-arm")
    lab.serve(made.real_servers)
    at = Verifier(made, tmp_path, BY_NAME["one-armed"]._replace(extra=""))
    at.hold()
    report = at.report()
    assert set(report.by_server.values()) == {FAIL}
    assert "replies go straight to the clients" in report.told("rs1")
    assert "one_armed: true" in report.told("rs1")
    assert "10.0.0.12" not in report.told("rs1")


@pytest.mark.parametrize(
    ("check", "verdict"),
    [("udp: {send: x, expect: 'rs[0-9]:x'}", OK), ("udp: {send: x}", UNKNOWN), ("icmp: {}", UNKNOWN)],
)
def test_datagrams(lab: LabFactory, tmp_path: Path, check: str, verdict: str) -> None:
    at = prepared(lab, tmp_path, "dsr")
    at.hold()
    at.write("udp", "53", check)
    report = at.report()
    assert set(report.by_server.values()) == {verdict}
    assert ("no check of the service can determine" in report.told("rs1")) is (verdict == UNKNOWN)


@pytest.mark.parametrize("check", ["icmp: {}", "none: {}", "tcp: {}, mark: 7", "tcp: {}, through: real"])
def test_a_check_that_cannot_see_the_virtual_address_gives_way_to_one_that_can(
    lab: LabFactory, tmp_path: Path, check: str
) -> None:
    at = prepared(lab, tmp_path, "dsr", without="rs2")
    at.hold()
    at.write(check=check)
    report = at.report()
    assert report.by_server == RS2_FAILS
    assert MISSING in report.told("rs2")


# --- what it leaves behind ---


def between_segments(lab: LabFactory, folder: Path) -> Verifier:
    """A director that needs sysctls for the answers, and does not have them."""
    made = lab("two-arm")
    lab.serve(made.real_servers)
    method, virtual = BY_NAME["dsr"], VIRTUALS["two-arm"][4]
    for host in made.real_servers:
        direct(host, virtual)
    made.director.sysctl("net/ipv4/conf/all/rp_filter", 1)
    at = Verifier(made, folder, method)
    (folder / "site.yaml").write_text(site_of(method, virtual, networks=NETWORKS))
    made.director.run(["ip", "address", "add", f"{virtual}/32", "dev", "eth0"])
    return at


ACCEPT = "net/ipv4/conf/eth1/accept_local"


def test_nothing_is_left_behind(lab: LabFactory, tmp_path: Path) -> None:
    at = between_segments(lab, tmp_path)
    at.run("--json")  # loads what modules there are
    before = take(at.lab.director)
    report = at.report()
    assert report.by_server == ALL_OK
    assert differences(before, take(at.lab.director)) == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind_by_a_run_that_is_ended(
    lab: LabFactory, tmp_path: Path, end: signal.Signals
) -> None:
    at = between_segments(lab, tmp_path)
    for host in at.lab.real_servers:  # probes last as long as they may
        host.run(["ip", "link", "set", "eth0", "down"])
    at.run("--json")
    before = take(at.lab.director)
    running = at.lab.director.spawn(at.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 20
    while at.lab.director.sysctl(ACCEPT) != "1":
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(end)
    _, said = running.communicate(timeout=20)
    if end == signal.SIGKILL:
        assert any(
            "net/ipv4/conf/eth1/accept_local" in line for line in differences(before, take(at.lab.director))
        )
        assert any("FWM" in line for line in differences(before, take(at.lab.director)))
        at.run("--json")
    else:
        assert running.returncode == 130
        assert "interrupted; what was added for the verification is removed" in said
    assert differences(before, take(at.lab.director)) == []


def test_leftovers_without_a_record_are_known_by_their_mark(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr")
    at.hold()
    director = at.lab.director
    for mark in (0x4D000007, 0x4E000007):
        director.run(["ipvsadm", "--add-service", "--fwmark-service", str(mark), "--scheduler", "rr"])
    assert at.report().by_server == ALL_OK
    left = director.run(["ipvsadm", "--save", "--numeric"]).stdout
    assert str(0x4D000007) not in left
    assert str(0x4E000007) in left


def test_two_runs_at_a_time_do_not_disturb_each_other(lab: LabFactory, tmp_path: Path) -> None:
    at = between_segments(lab, tmp_path)
    for host in at.lab.real_servers:
        host.run(["ip", "link", "set", "eth0", "down"])
    running = at.lab.director.spawn(at.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while at.lab.director.sysctl(ACCEPT) != "1":
        assert time.monotonic() < until
        time.sleep(0.05)
    refused = at.run()
    assert refused.returncode == 74
    assert f"(pid {running.pid})" in refused.stderr
    assert running.wait(30) == 1


def test_beside_a_running_daemon(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr", without="rs2")
    daemon = Daemon(Operator(at.lab, tmp_path))
    daemon.start()
    try:
        daemon.await_line(r"10\.0\.0\.12.*virtual address is probably missing on its `lo`")
        daemon.await_ipvs({"10.0.0.11": 100, "10.0.0.12": 0, "10.0.0.13": 100})
        before, said = daemon.kernel(), len(daemon.log())
        report = at.report()
        assert report.by_server == RS2_FAILS
        assert report.service["holds_address"] is True
        assert daemon.kernel() == before
        assert http_counts(at.lab.client, at.virtual, count=4) == {"rs1": 2, "rs3": 2}
        assert daemon.log()[said:] == ""
    finally:
        assert daemon.end() == 0


# --- refusals ---


def test_without_root_it_is_refused_with_a_hint(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr")
    powerless = ["setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-all", *at.command]
    done = at.lab.director.run(powerless, check=False)
    assert done.returncode == 77, done.stderr
    assert "hint: run it as root" in done.stderr


def test_device_that_is_not_there(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr")
    (tmp_path / "node.yaml").write_text("name: lb1\ninterfaces: {outside: eth7, inside: eth0}\n")
    done = at.run()
    assert done.returncode == 1
    assert "its network is on device `eth7`, which node `lb1` does not have" in done.stderr
    assert "hint: correct `interfaces` in node.yaml" in done.stderr


def test_network_without_a_device(lab: LabFactory, tmp_path: Path) -> None:
    at = prepared(lab, tmp_path, "dsr")
    (tmp_path / "node.yaml").write_text("name: lb1\ninterfaces: {inside: eth0}\n")
    done = at.run()
    assert done.returncode == 1
    assert "needs a device on network `outside`" in done.stderr
    assert "add `interfaces: {outside: eth0}`" in done.stderr
