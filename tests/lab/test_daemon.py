"""The real daemon on a real kernel: checks, drift, reload, crash and restart."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelbal.lab import process
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import ask_connection, connect, http_counts
from tests.support.damage import DAMAGES
from tests.support.lab_commands import Operator, run_here
from tests.support.lab_daemon import PATIENCE_S, Daemon, Servers, eventually

pytestmark = pytest.mark.needs_ipvs

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: rr
    drain: 20s
    check: {tcp: {}, interval: 2s, timeout: 1s, rise: 1, fall: 2}
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
SIX = """
  - name: six
    address: 2001:db8:1::10
    ports: [80]
    forwarding: nat
    check: {tcp: {}, interval: 2s, timeout: 1s, rise: 1, fall: 2}
    real_servers: [{address: "fd00::11"}, {address: "fd00::12"}]
"""
WLC = SITE.replace("scheduler: rr", "scheduler: wlc")
BOTH = {"10.0.0.11": 100, "10.0.0.12": 100}


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def daemon(lab: LabFactory, servers: Servers, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that has found both real servers up."""
    made = lab("two-arm")
    for host in made.real_servers:
        servers.start(host)
    found = Daemon(Operator(made, tmp_path))
    found.at.write(SITE)
    with ExitStack() as stack:
        stack.callback(lambda: [process.stop(each) for each in found.started])
        found.start()
        found.await_ipvs(BOTH)
        yield found


def test_a_real_server_that_dies_gets_no_clients_until_it_is_back(daemon: Daemon, servers: Servers) -> None:
    client, (first, _) = daemon.at.lab.client, daemon.at.lab.real_servers[:2]
    assert http_counts(client, "192.0.2.10", count=4) == {"rs1": 2, "rs2": 2}
    servers.kill(first)
    daemon.await_ipvs({"10.0.0.11": 0, "10.0.0.12": 100})
    assert http_counts(client, "192.0.2.10", count=4) == {"rs2": 4}
    servers.start(first)
    daemon.await_ipvs(BOTH)
    assert len(daemon.lines("real_server.down")) == len(daemon.lines("real_server.up")) == 1
    assert "drift" not in daemon.log()


@pytest.mark.parametrize(
    ("by_hand", "told"),
    [
        ("ipvsadm -D -t 192.0.2.10:80", "service `web` 192.0.2.10:80/tcp"),
        ("ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.11:80", "real server 10.0.0.11:80"),
        ("ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 7", "weight 7 -> 100"),
        ("ip address del 192.0.2.10/32 dev eth0", "address 192.0.2.10/32 dev eth0"),
        ("nft delete table inet kernelbal", "nftables table inet kernelbal"),
    ],
)
def test_what_is_removed_by_hand_is_back_within_a_second(daemon: Daemon, by_hand: str, told: str) -> None:
    before, began_at, length = daemon.kernel(), time.monotonic(), len(daemon.log())
    daemon.at.director.run(["bash", "-c", by_hand])
    daemon.await_line(r"drift\.reverted", after=length, within_s=5)
    assert time.monotonic() - began_at < 1.0
    assert daemon.kernel() == before
    time.sleep(5)
    (line,) = daemon.log()[length:].splitlines()
    assert told in line


def test_nothing_is_done_where_nothing_happens_with_either_family(daemon: Daemon) -> None:
    daemon.at.write(SITE + SIX)
    eventually(lambda: "[fd00::12]:80" in daemon.at.snapshot()["ipvs"], PATIENCE_S, daemon.log)
    time.sleep(5)
    rounds, length = daemon.ask("GET", "/v1/status")["reconcile"]["rounds"], len(daemon.log())
    time.sleep(20)
    assert daemon.ask("GET", "/v1/status")["reconcile"]["rounds"] <= rounds + 1, "a resync at most"
    assert daemon.log()[length:] == ""


def test_an_order_by_the_api_drains_and_outlives_a_crash(daemon: Daemon) -> None:
    first, second = (connect(daemon.at.lab.client, "192.0.2.10", 80) for _ in range(2))
    with first, second:
        names = {ask_connection(each): each for each in (first, second)}
        answer = daemon.ask("POST", "/v1/real-servers/drain", {"server": "10.0.0.12", "reason": "update"})
        (server,) = answer["servers"]
        assert (server["state"], server["admin"]["reason"], server["weight"]) == ("draining", "update", 0)
        daemon.crash()
        daemon.start()
        assert http_counts(daemon.at.lab.client, "192.0.2.10", count=4) == {"rs1": 4}
        assert ask_connection(names["rs2"]) == "rs2"
    daemon.await_ipvs({"10.0.0.11": 100})
    daemon.await_line(r"real_server\.drained")
    daemon.ask("POST", "/v1/real-servers/enable", {"server": "10.0.0.12"})
    daemon.await_ipvs(BOTH, within_s=2)
    status = daemon.ask("GET", "/v1/status")
    assert [s["state"] for s in status["virtual_services"][0]["real_servers"]] == ["serving", "serving"]
    assert status["reconcile"]["converged"]
    assert status["counters_s"] < 3


def test_a_crash_cuts_no_connection_and_a_restart_does_not_flap(daemon: Daemon) -> None:
    first, second = (connect(daemon.at.lab.client, "192.0.2.10", 80) for _ in range(2))
    with first, second:
        names = [ask_connection(each) for each in (first, second)]
        assert sorted(names) == ["rs1", "rs2"]
        before = daemon.kernel()
        daemon.crash()
        assert daemon.kernel() == before
        assert [ask_connection(each) for each in (first, second)] == names
        length = len(daemon.log())
        daemon.start()
        daemon.await_line("checker.started", after=length)
        time.sleep(10)
        assert daemon.kernel() == before
        assert [ask_connection(each) for each in (first, second)] == names
    said = daemon.log()[length:]
    assert "real_server" not in said
    assert "round.changed" not in said


def test_the_end_leaves_everything_in_the_kernel(daemon: Daemon) -> None:
    before = daemon.kernel()
    assert daemon.end() == 0
    assert daemon.kernel() == before
    assert "director.stopped" in daemon.log()
    assert http_counts(daemon.at.lab.client, "192.0.2.10", count=2) == {"rs1": 1, "rs2": 1}


def test_a_replaced_file_comes_into_force_and_a_broken_one_does_not(daemon: Daemon) -> None:
    folder = daemon.at.folder
    (folder / ".site.yaml.swp").write_text(SITE.replace("scheduler: rr", "scheduler: wlc"))
    os.replace(folder / ".site.yaml.swp", folder / "site.yaml")
    daemon.await_line(r"config\.loaded .*by=")
    eventually(lambda: "wlc" in daemon.at.snapshot()["ipvs"], 5, daemon.log)
    daemon.at.write(SITE.replace("scheduler: rr", "scheduler: rrr"))
    line = daemon.await_line(r"config\.refused")
    assert "site.yaml:8:" in line
    time.sleep(5)
    assert "wlc" in daemon.at.snapshot()["ipvs"]
    assert len(daemon.lines("config.refused")) == 1


def test_hangup_loads_the_documents_again(daemon: Daemon) -> None:
    daemon.at.write(SITE.replace("rr\n", "wrr\n"))
    daemon.running.send_signal(signal.SIGHUP)
    daemon.await_line(r"config\.loaded")
    eventually(lambda: "-s wrr" in daemon.at.snapshot()["ipvs"], 5, daemon.log)


def test_nobody_else_changes_this_kernel_meanwhile(daemon: Daemon) -> None:
    said = daemon.at.kernelbal("release", code=74).stderr
    assert f"pid {daemon.running.pid}" in said
    daemon.start()
    assert daemon.running.wait(PATIENCE_S) == 74


def test_with_a_broken_file_it_starts_with_the_last_good_copy_or_not_at_all(daemon: Daemon) -> None:
    before = daemon.kernel()
    daemon.end()
    daemon.at.write("virtual_services: [")
    length = len(daemon.log())
    daemon.start()
    daemon.await_line("last good copy", after=length)
    daemon.await_line("checker.started", after=length)
    assert daemon.kernel() == before
    daemon.end()
    (daemon.at.folder / "state/good.json").unlink()
    daemon.start()
    assert daemon.running.wait(PATIENCE_S) == 78


def asked(
    daemon: Daemon, command: str, *options: str, site: Path | None = None, code: int = 0
) -> process.Completed:
    """Run a command that speaks to the daemon, and demand its exit code."""
    folder = daemon.at.folder
    documents = [str(site or folder / "site.yaml"), "--node", str(folder / "node.yaml")]
    argv = [command, *(documents if command in ("plan", "apply") else ())]
    done = run_here(daemon.at.director, [*argv, *options, "--socket", str(folder / "control.sock")])
    assert done.returncode == code, f"{command} exited with {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def beside(daemon: Daemon, command: str, *options: str, site: Path | None = None) -> str:
    """Return what a command prints beside the daemon."""
    return asked(daemon, command, *options, site=site).stdout


class TestRefused:
    """What the kernel refuses is said, held back and retried by itself; everything else serves."""

    def test_device_without_ipv6_refuses_an_address_and_the_other_service_serves(
        self, daemon: Daemon
    ) -> None:
        ipv6_off = "net.ipv6.conf.eth0.disable_ipv6"
        daemon.at.director.run(["sysctl", "-w", f"{ipv6_off}=1"])
        length = len(daemon.log())
        daemon.at.write(SITE + SIX)
        beside(daemon, "reload")
        line = daemon.await_line(r"object\.failing", after=length)
        assert "+ address 2001:db8:1::10/128 dev eth0" in line
        assert re.search(r"the device takes no IPv6 address .*\(hint: IPv6 is switched off", line), line
        assert "error=EACCES" in line
        assert http_counts(daemon.at.lab.client, "192.0.2.10", count=2) == {"rs1": 1, "rs2": 1}
        eventually(lambda: "[fd00::12]:80" in daemon.at.snapshot()["ipvs"], PATIENCE_S, daemon.log)
        time.sleep(16)
        said = beside(daemon, "status")
        assert "kernel does not match site.yaml: 1 object is refused" in said
        assert "add address: EACCES, the device takes no IPv6 address" in said
        assert re.search(r"for 1\ds, 5 attempts, next in 1?\ds", said), said
        assert len(daemon.lines("object.failing")) == 1
        daemon.at.director.run(["sysctl", "-w", f"{ipv6_off}=0"])
        beside(daemon, "reload")
        assert "2001:db8:1::10/128" in daemon.at.snapshot()["addresses"]
        assert "succeeded, after" in daemon.await_line(r"object\.recovered", after=length)
        assert "kernel matches site.yaml" in beside(daemon, "status")

    def test_address_comes_as_soon_as_its_device_is_there(self, daemon: Daemon) -> None:
        daemon.end()
        daemon.at.director.run(["bash", "-c", "ip link set eth0 down; ip link set eth0 name away"])
        length = len(daemon.log())
        daemon.start()
        daemon.await_line(r"object\.failing .*address 192.0.2.10/32 dev eth0: there is no", after=length)
        time.sleep(8)
        failing = daemon.ask("GET", "/v1/status")["reconcile"]["failing_objects"]
        assert len(failing) > 1, "its sysctls are not there either"
        assert all(each["next_s"] > 3 for each in failing)
        daemon.at.director.run(["ip", "link", "set", "away", "name", "eth0"])
        daemon.await_line(r"object\.recovered .*address 192.0.2.10/32", after=length, within_s=1)
        assert daemon.ask("GET", "/v1/status")["reconcile"]["converged"]


class TestApply:
    """Commands beside the daemon: it is asked, and what it says is what it does."""

    def test_what_plan_prints_is_what_the_daemon_does(self, daemon: Daemon, servers: Servers) -> None:
        servers.kill(daemon.at.lab.real_servers[0])
        daemon.await_ipvs({"10.0.0.11": 0, "10.0.0.12": 100})
        assert beside(daemon, "plan").startswith("no changes"), "a dead real server is no pending change"
        other = daemon.at.folder / "other.yaml"
        other.write_text(WLC)
        before = daemon.kernel()
        planned = beside(daemon, "plan", site=other)
        assert "scheduler rr -> wlc" in planned
        assert "10.0.0.11" not in planned
        assert daemon.kernel() == before
        daemon.at.write(WLC)
        assert "matches site.yaml" in beside(daemon, "apply")
        assert "-s wlc" in daemon.at.snapshot()["ipvs"]
        assert beside(daemon, "plan").startswith("no changes")
        assert daemon.ipvs() == {"10.0.0.11": 0, "10.0.0.12": 100}

    def test_another_file_is_refused_with_the_way_to_apply_it(self, daemon: Daemon) -> None:
        other = daemon.at.folder / "other.yaml"
        other.write_text(WLC)
        said = asked(daemon, "apply", site=other, code=1)
        assert f"cp {other} {daemon.at.folder}/site.yaml" in said.stderr
        assert "-s rr" in daemon.at.snapshot()["ipvs"]

    def test_what_is_confirmed_stays(self, daemon: Daemon) -> None:
        daemon.at.write(WLC)
        beside(daemon, "apply", "--confirm", "5s")
        asked(daemon, "confirm")
        time.sleep(7)
        assert "-s wlc" in daemon.at.snapshot()["ipvs"]
        assert asked(daemon, "rollback", code=1).stderr.startswith("error: nothing awaits confirmation")

    @pytest.mark.parametrize("crash", [False, True])
    def test_what_nobody_confirms_is_rolled_back_also_over_a_crash(self, daemon: Daemon, crash: bool) -> None:
        before = daemon.kernel()
        daemon.at.write(WLC)
        beside(daemon, "apply", "--confirm", "8s")
        assert "-s wlc" in daemon.at.snapshot()["ipvs"]
        assert daemon.ask("GET", "/v1/status")["config"]["confirm_left_s"] > 5
        if crash:
            daemon.crash()
            daemon.start()
        time.sleep(10)
        assert daemon.kernel() == before
        assert "not confirmed in time" in daemon.ask("GET", "/v1/status")["config"]["refused"]
        daemon.crash()
        length = len(daemon.log())
        daemon.start()
        daemon.await_line("checker.started", after=length)
        assert daemon.kernel() == before, "what was rolled back does not come back by itself"
        assert "reloaded" in asked(daemon, "reload").stdout
        assert "-s wlc" in daemon.at.snapshot()["ipvs"]

    def test_explain_needs_no_privileges_of_its_own(self, daemon: Daemon) -> None:
        said = asked(daemon, "explain", "198.51.100.7", "192.0.2.10").stdout
        assert "real servers of `web` 192.0.2.10:80/tcp" in said


@pytest.mark.parametrize("damage", ["empty", "random", "directory"])
def test_a_damaged_state_directory_keeps_no_site_down(daemon: Daemon, damage: str) -> None:
    """What was drained stays out, the site is served, and nothing of others is touched."""
    director, state = daemon.at.director, daemon.at.folder / "state"
    director.run(["ipvsadm", "--add-service", "--tcp-service", "192.0.2.200:80", "--scheduler", "rr"])
    director.run(["ipvsadm", "-a", "-t", "192.0.2.200:80", "-r", "10.0.0.12:80", "-m", "-w", "7"])
    director.run(["ip", "address", "add", "192.0.2.77/32", "dev", "lo"])
    daemon.ask("POST", "/v1/real-servers/drain", {"server": "10.0.0.11", "hold": True})
    daemon.crash()
    before, seen = daemon.kernel(), len(daemon.log())
    for name in ("owned.json", "orders.json", "standings.json"):
        DAMAGES[damage](state / name)
    daemon.start()
    for name in ("owned.json", "orders.json", "standings.json"):
        daemon.await_line(rf"state\.damaged.*{name}\.bad", after=seen)
    status = daemon.ask("GET", "/v1/status")
    assert {Path(each["file"]).name for each in status["state"]["damaged"]} >= {"owned.json", "orders.json"}
    eventually(lambda: daemon.ask("GET", "/v1/status")["reconcile"]["converged"], PATIENCE_S, daemon.log)
    assert daemon.kernel() == before
    servers = daemon.ask("GET", "/v1/status")["virtual_services"][0]["real_servers"]
    assert {each["address"]: each["weight"] for each in servers} == {"10.0.0.11": 0, "10.0.0.12": 100}
