"""What verification leaves on the host and on the wire: nothing, however it ends."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.errors import KernelError
from kernelbal.kernel import nftables
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.scratch_wire import NEAR_DEVICE, exclusive
from kernelbal.kernel.traffic_control import leftovers
from kernelbal.lab import linuxns
from kernelbal.lab.demo import snapshot
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import SWITCHES, Host, NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.lab.topology import parse_topology
from kernelbal.lab.traffic import http_get
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import Protocol, TunnelType
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.verify.gather import Outside
from tests.lab.test_realserver_verify import CLIENT, DIRECT, HTTP, REAL, VIRTUAL, Case
from tests.support.lab_commands import run_here
from tests.support.lab_realserver_verify import faults, prepare, shown, unclear, verify

pytestmark = pytest.mark.needs_ipvs

ETH_P_ALL = 0x0003
OUTGOING = 4
CASES = [
    *DIRECT,
    Case(4, Method.LOOPBACK, TunnelType.IPIP, 4),
    Case(6, Method.LOOPBACK, TunnelType.IPIP, 4),
    Case(6, Method.LOOPBACK, TunnelType.GUE, 6),
]
APPEARS_WITHIN_S = 30.0


def traffic_control(host: Host) -> list[str]:
    """Every queueing discipline and filter, in the words of `tc`."""
    devices = [link["ifname"] for link in json.loads(host.run(["ip", "-json", "link"]).stdout)]
    lines = host.run(["tc", "qdisc", "show"]).stdout.splitlines()
    for device in devices:
        for way in ("ingress", "egress"):
            done = host.run(["tc", "filter", "show", "dev", device, way], check=False)
            lines += done.stdout.splitlines()
    return [line.strip() for line in lines]


def neighbours(host: Host) -> set[str]:
    """Who is known to the host, by address."""
    shown_ = [
        *host.run(["ip", "-4", "neigh"]).stdout.splitlines(),
        *host.run(["ip", "-6", "neigh"]).stdout.splitlines(),
    ]
    return {line.split()[0] for line in shown_}


def traces(host: Host) -> snapshot.Snapshot:
    found = snapshot.take(host)
    return found | {snapshot.Fact("tc", line) for line in traffic_control(host)}


@contextlib.contextmanager
def cable(host: Host) -> Iterator[list[bytes]]:
    """Yield the list of frames that come out of the host; it is filled at the end of the block."""
    frames: list[bytes] = []
    with linuxns.inside(SWITCHES):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with raw:
        raw.bind((f"{host.name}.eth0", ETH_P_ALL))
        raw.setblocking(False)
        yield frames
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, _, kind, _, _) = raw.recvfrom(65536)
                if kind != OUTGOING:
                    frames.append(data)


def betrays(frame: bytes, virtual: str) -> bool:
    """Whether a frame is by or for the probe, or names the virtual address at all."""
    probe = b"\x02KB"
    return probe in (frame[:3], frame[6:9]) or parse_address(virtual) in frame


@pytest.fixture
def made(lab: LabFactory) -> NamespaceLab:
    made = lab("one-arm")
    lab.serve([made["rs1"]])
    snapshot.settle(made["rs1"])
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("betraying", [False, True])
def test_nothing_stays_and_nothing_is_on_the_wire(made: NamespaceLab, case: Case, *, betraying: bool) -> None:
    server = made["rs1"]
    prepare(server, case.preparation)
    if betraying:
        for name in ("arp_ignore", "arp_announce"):
            for device in ("all", "eth0"):
                server.sysctl(f"net/ipv4/conf/{device}/{name}", 0)
        server.run(["nft", "flush", "ruleset"])
    before, known = traces(server), neighbours(server)
    with cable(server) as frames:
        verify(server, case.preparation, outside=case.outside)
    assert snapshot.differences(before, traces(server)) == []
    assert neighbours(server) - known <= {CLIENT[case.virtual], CLIENT[10 - case.virtual]}
    assert [frame.hex() for frame in frames if betrays(frame, case.address)] == []


def test_cable_is_listened_to(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    made.client.run(["ip", "route", "add", VIRTUAL[4], "via", REAL[4]])
    with cable(server) as frames:
        assert http_get(made.client, VIRTUAL[4]) == "rs1"
    assert [frame for frame in frames if betrays(frame, VIRTUAL[4])]


# --- ends ---


def start(server: Host) -> subprocess.Popen[str]:
    """Start a verification and return when the wire is there."""
    argv = [sys.executable, "-m", "kernelbal", "realserver", "verify", VIRTUAL[4], "--port", "80"]
    process = server.spawn([*argv, "--client", CLIENT[4]], stdout=subprocess.PIPE)
    until = time.monotonic() + APPEARS_WITHIN_S
    with server.inside(), RtNetlink.open() as rtnetlink:
        while time.monotonic() < until:
            if leftovers(rtnetlink, [link.ifindex for link in observe_links(rtnetlink)]):
                return process
            time.sleep(0.01)
    raise AssertionError("no probe was sent")


def test_interrupted_verification_leaves_nothing(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    before = traces(server)
    process = start(server)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert snapshot.differences(before, traces(server)) == []


def test_killed_verification_harms_nothing_and_the_next_one_tidies_up(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    made.client.run(["ip", "route", "add", VIRTUAL[4], "via", REAL[4]])
    before = traces(server)
    process = start(server)
    process.kill()
    process.wait(30)
    until = time.monotonic() + APPEARS_WITHIN_S
    while NEAR_DEVICE in server.run(["ip", "link"]).stdout and time.monotonic() < until:
        time.sleep(0.05)
    assert any("flower" in line for line in traffic_control(server))
    assert http_get(made.client, VIRTUAL[4]) == "rs1"
    results = verify(server, Case(4).preparation, outside=Case(4).outside)
    assert {result.status for result in results} == {ResultStatus.OK}, shown(results)
    assert snapshot.differences(before, traces(server)) == []


# --- others ---


def test_filters_of_others_stay(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    server.run(["tc", "qdisc", "add", "dev", "eth0", "clsact"])
    rule = "tc filter add dev eth0 egress pref 7 protocol ip flower ip_proto tcp dst_port 4444 "
    rule += "action mirred egress mirror dev lo"
    server.run(rule.split())
    before = traces(server)
    results = verify(server, Case(4).preparation, outside=Case(4).outside)
    assert {result.status for result in results} == {ResultStatus.OK}, shown(results)
    assert snapshot.differences(before, traces(server)) == []


def test_where_there_is_no_room_it_is_skipped_with_the_reason(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    server.run(["tc", "qdisc", "add", "dev", "eth0", "ingress"])
    before = traces(server)
    results = verify(server, Case(4).preparation, outside=Case(4).outside)
    assert set(unclear(results)) == {"silent", "answer"}, shown(results)
    (result,) = [result for result in results if result.requirement == "silent"]
    assert "eth0" in result.message
    assert "kernelbal rs verify" in result.message
    assert faults(results) == set()
    assert snapshot.differences(before, traces(server)) == []


def test_two_at_a_time_do_not_get_into_each_others_way(made: NamespaceLab) -> None:
    server = made["rs1"]
    prepare(server, Case(4).preparation)
    with server.inside(), exclusive():
        results = verify(server, Case(4).preparation, outside=Case(4).outside)
        with pytest.raises(KernelError, match="another verification is running"), exclusive():
            pass
    assert set(unclear(results)) == {"silent", "answer"}, shown(results)


@pytest.mark.parametrize(
    ("method", "unknown"), [(Method.LOOPBACK, set()), (Method.REDIRECT, {"redirect rule"})]
)
def test_host_without_libnftables_is_verified_by_its_answers(
    made: NamespaceLab, monkeypatch: pytest.MonkeyPatch, method: Method, unknown: set[str]
) -> None:
    server, case = made["rs1"], Case(4, method)
    prepare(server, case.preparation)
    monkeypatch.setattr(nftables, "LIBRARY", "libnothing.so.1")
    results = verify(server, case.preparation, outside=case.outside)
    assert set(unclear(results)) == unknown, shown(results)
    assert faults(results) == set(), shown(results)


# --- two networks ---

TWO_LEGS = """
name: two-legs
switches: [inside, outside]
hosts:
  - name: client
    role: client
    links: [{device: eth0, switch: outside, addresses: [192.0.2.100/24]}]
  - name: rs1
    role: real_server
    links:
      - {device: eth0, switch: inside, addresses: [10.0.0.11/24]}
      - {device: eth1, switch: outside, addresses: [192.0.2.11/24]}
"""


@pytest.fixture
def two_legs(lab: LabFactory) -> Host:
    made = lab(parse_topology(TWO_LEGS, "two-legs"))
    lab.serve([made["rs1"]])
    prepare(made["rs1"], LEGS)
    return made["rs1"]


LEGS = Preparation(
    parse_address("192.0.2.80"),
    parse_address("10.0.0.11"),
    ("eth0",),
    own=parse_address("10.0.0.11"),
    ports=HTTP,
)
FAR = Outside((parse_address("192.0.2.100"),))


def test_replies_by_another_interface(two_legs: Host) -> None:
    results = verify(two_legs, LEGS, outside=FAR)
    assert {result.status for result in results} == {ResultStatus.OK}, shown(results)


def test_strict_reverse_path_is_named(two_legs: Host) -> None:
    two_legs.sysctl("net/ipv4/conf/eth0/rp_filter", 1)
    results = verify(two_legs, LEGS, outside=FAR)
    assert faults(results) == {"rp_filter"}, shown(results)
    (result,) = [result for result in results if result.requirement == "rp_filter"]
    assert result.device == "eth0"
    assert "leads by eth1" in result.message
    two_legs.run(result.fix.split())
    results = verify(two_legs, LEGS, outside=FAR)
    assert faults(results) == set(), shown(results)


def test_another_interface_that_would_answer_is_named(two_legs: Host) -> None:
    two_legs.sysctl("net/ipv4/conf/all/arp_ignore", 0)
    results = verify(two_legs, LEGS, outside=FAR)
    assert faults(results) == {"arp_ignore"}, shown(results)
    assert [result.device for result in results if result.status is ResultStatus.FAIL] == ["eth1"]


# --- UDP ---


@pytest.mark.parametrize("family", [4, 6])
def test_udp_without_a_service_is_told_and_silence_is_not_taken_for_an_answer(
    lab: LabFactory, family: int
) -> None:
    server = lab("one-arm")["rs1"]
    port = PortMap(Protocol.UDP, 5353, 5353)
    one = Case(family).preparation
    one = Preparation(one.virtual, one.real, one.interfaces, own=one.own, ports=(port,))
    prepare(server, one)
    results = verify(server, one, outside=Case(family).outside)
    assert faults(results) == {"listening"}, shown(results)
    (answer,) = [result for result in results if result.requirement == "answer"]
    assert (answer.consequence_of, "port unreachable" in answer.message) == ("listening", True)
    lab.serve([server], tcp_ports=(), udp_ports=(5353,))
    with server.inside():
        quiet = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with quiet:
        results = verify(server, one, outside=Case(family).outside)
    assert faults(results) == set(), shown(results)
    assert set(unclear(results)) == {"answer"}, shown(results)


# --- the command ---


def run(server: Host, folder: Path, *options: str) -> Completed:
    return run_here(server, ["realserver", "verify", "--state-dir", str(folder), *options])


def test_command_tells_by_its_exit_code(made: NamespaceLab, tmp_path: Path) -> None:
    server = made["rs1"]
    one = Case(4)
    prepare(server, one.preparation)
    options = (VIRTUAL[4], "--port", "80", "--client", CLIENT[4])
    good = run(server, tmp_path, *options)
    assert good.returncode == 0, good.stdout + good.stderr
    server.sysctl("net/ipv4/conf/eth0/arp_ignore", 3)
    bad = run(server, tmp_path, *options, "--json")
    assert bad.returncode == 1, bad.stdout + bad.stderr
    document = json.loads(bad.stdout)
    failed = [each for each in document["addresses"][0]["results"] if each["result"] == "FAIL"]
    assert document["schema"] == 1
    assert [(each["requirement"], each["consequence_of"]) for each in failed] == [
        ("arp_ignore", None),
        ("silent", "arp_ignore"),
    ]
    server.run(failed[0]["fix"].split())
    assert run(server, tmp_path, *options).returncode == 0


def test_command_says_that_it_needs_root(made: NamespaceLab) -> None:
    server = made["rs1"]
    argv = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-m", "kernelbal", "realserver"]
    options = ["verify", VIRTUAL[4], "--state-dir", "/nonexistent"]
    done = server.run([*argv, *options], check=False)
    assert done.returncode == ExitCode.PERMISSION, done.stdout + done.stderr
    assert "root" in done.stderr


def test_command_knows_what_was_prepared(made: NamespaceLab, tmp_path: Path) -> None:
    server = made["rs1"]
    nothing = run(server, tmp_path)
    assert nothing.returncode == 1
    assert "prepared nothing" in nothing.stderr
    argv = [sys.executable, "-m", "kernelbal", "realserver", "apply", VIRTUAL[4], VIRTUAL[6], "--port", "80"]
    server.run([*argv, "--persist", "none", "--state-dir", str(tmp_path)])
    done = run(server, tmp_path, "--client", CLIENT[4], "--client", CLIENT[6])
    assert done.returncode == 0, done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
