"""The real daemon on a real kernel: checks, drift, reload, crash and restart."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kernelbal.lab import process
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import ask_connection, connect, http_counts
from tests.lab.commands import Operator

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
PATIENCE_S = 30.0
T = TypeVar("T")
POLL_S = 0.05


@dataclass
class Daemon:
    """A running `kernelbal run` and what it writes."""

    at: Operator
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def log_file(self) -> Path:
        return self.at.folder / "daemon.log"

    def start(self) -> None:
        folder = self.at.folder
        documents = [str(folder / "site.yaml"), "--node", str(folder / "node.yaml")]
        places = ["--state-dir", str(folder / "state"), "--socket", str(folder / "control.sock")]
        with self.log_file.open("a") as log, self.at.director.inside():
            command = [sys.executable, "-m", "kernelbal", "run", *documents, *places]
            self.started.append(process.start(command, stdout=log.fileno(), stderr=log.fileno()))

    @property
    def running(self) -> subprocess.Popen[str]:
        return self.started[-1]

    def end(self) -> int:
        """End it as systemd does, and return its exit status."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(20)

    def crash(self) -> None:
        self.running.kill()
        self.running.wait(20)

    def log(self) -> str:
        return self.log_file.read_text()

    def lines(self, topic: str) -> list[str]:
        """Log lines of a topic, without the time."""
        found = (line.partition(" ")[2] for line in self.log().splitlines())
        return [line for line in found if line.startswith(topic)]

    def await_line(self, pattern: str, *, after: int = 0, within_s: float = PATIENCE_S) -> str:
        """Wait for a log line that matches, past so many characters; return it."""
        return eventually(
            lambda: next((x for x in self.log()[after:].splitlines() if re.search(pattern, x)), ""),
            within_s,
            lambda: f"no line matches {pattern}\n{self.log()}",
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the control API once it listens, and return its answer."""
        path_of_socket = self.at.folder / "control.sock"
        asking = eventually(lambda: _dial(path_of_socket), PATIENCE_S, self.log)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = asking
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            said = response.read()
        assert response.status == 200, said
        found: dict[str, Any] = json.loads(said)
        return found

    def kernel(self) -> dict[str, str]:
        """What the kernel holds, but for counts that change with every connection."""
        found = self.at.snapshot()
        found["sysctls"] = re.sub(r".*_count = .*", "", found["sysctls"])
        return found

    def ipvs(self) -> dict[str, int]:
        """Weight by real server, in ipvsadm's words."""
        said = self.at.director.run(["ipvsadm", "--save", "--numeric"]).stdout
        return {m[1]: int(m[2]) for m in re.finditer(r"-a \S+ \S+ -r (\S+):80 .*-w (\d+)", said)}

    def await_ipvs(self, wanted: dict[str, int], within_s: float = PATIENCE_S) -> float:
        """Wait for weights; return how long that took, in seconds."""
        began_at = time.monotonic()
        eventually(
            lambda: self.ipvs() == wanted, within_s, lambda: f"{self.ipvs()} is not {wanted}\n{self.log()}"
        )
        return time.monotonic() - began_at


def eventually(ask: Callable[[], T], within_s: float, complain: Callable[[], str]) -> T:
    """Ask until the answer is a true value, and return that."""
    deadline_at = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline_at, complain()
        time.sleep(POLL_S)
    return answer


def _dial(path: Path) -> socket.socket | None:
    asking = socket.socket(socket.AF_UNIX)
    try:
        asking.connect(str(path))
    except OSError:
        asking.close()
        return None
    return asking


@dataclass
class Servers:
    """HTTP servers on real servers, each a process of its own."""

    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, host: Host) -> None:
        command = [sys.executable, "-m", "kernelbal.lab.traffic", host.name, "80"]
        self.running[host.name] = host.spawn(command)
        eventually(lambda: _accepts(host), PATIENCE_S, lambda: f"{host.name} does not listen")

    def kill(self, host: Host) -> None:
        self.running[host.name].kill()
        self.running[host.name].wait(20)


def _accepts(host: Host) -> bool:
    with host.inside():
        asking = socket.socket()
    with asking:
        return asking.connect_ex(("127.0.0.1", 80)) == 0


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
    daemon.await_line(r"drift\.repaired", after=length, within_s=5)
    assert time.monotonic() - began_at < 1.0
    assert daemon.kernel() == before
    time.sleep(5)
    (line,) = daemon.log()[length:].splitlines()
    assert told in line


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
    said = daemon.at.kernelbal("apply", code=74).stderr
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
    for copy in (daemon.at.folder / "state").glob("*.good.yaml"):
        copy.unlink()
    daemon.start()
    assert daemon.running.wait(PATIENCE_S) == 78
