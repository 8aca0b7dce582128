"""What the daemon makes of a pool on a real kernel: load, quorum, the sorry server, a withdrawn address."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelbal.lab import process
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import http_counts
from tests.support.lab_commands import Operator
from tests.support.lab_daemon import PATIENCE_S, Daemon, Servers, eventually

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
HTTP_AGENT, TEXT_AGENT = 8008, 8009
QUICK = "interval: 1s, timeout: 1s, smoothing: 1s"
SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    scheduler: wrr
    check: {{tcp: {{}}, interval: 1s, timeout: 1s, rise: 1, fall: 1}}
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}]
    {more}
"""
BOTH = {"10.0.0.11": 100, "10.0.0.12": 100}


class Pool:
    """A daemon that keeps two real servers, and what they say of their load."""

    def __init__(self, daemon: Daemon, servers: Servers, folder: Path) -> None:
        self.daemon, self.servers = daemon, servers
        self.loads = {host.name: folder / f"load-{host.name}" for host in self.hosts}

    @property
    def hosts(self) -> tuple[Host, ...]:
        return self.daemon.at.lab.real_servers[:2]

    def begin(self, more: str, wanted: dict[str, int]) -> None:
        """Start the daemon on a site with more settings."""
        self.daemon.at.write(SITE.format(more=more))
        self.daemon.start()
        self.daemon.await_ipvs(wanted)

    def say(self, **loads: str) -> None:
        """Let agents say something else."""
        for name, text in loads.items():
            self.loads[name].write_text(text)

    def addresses(self) -> str:
        shown: str = self.daemon.at.director.run(["ip", "-oneline", "-4", "address"]).stdout
        return shown


@pytest.fixture
def pool(lab: LabFactory, tmp_path: Path) -> Iterator[Pool]:
    """Three web servers, two agents, and a daemon that is not started yet."""
    made = lab("two-arm")
    servers = Servers()
    for host in made.real_servers:
        servers.start(host)
    found = Pool(Daemon(Operator(made, tmp_path)), servers, tmp_path)
    for host in found.hosts:
        found.say(**{host.name: "0"})
        command = [sys.executable, "-m", "tests.support.load_agents", str(found.loads[host.name])]
        host.spawn([*command, str(HTTP_AGENT), str(TEXT_AGENT)])
    with ExitStack() as stack:
        stack.callback(lambda: [process.stop(each) for each in found.daemon.started])
        yield found


def test_weights_follow_the_load_that_a_loadmaster_agent_tells(pool: Pool) -> None:
    pool.begin(f"adaptive: {{http_agent: {{port: {HTTP_AGENT}, path: /}}, {QUICK}}}", BOTH)
    pool.say(rs1="75")
    pool.daemon.await_ipvs({"10.0.0.11": 25, "10.0.0.12": 100})
    answers = http_counts(pool.daemon.at.lab.client, "192.0.2.10", count=50)
    assert answers == {"rs1": 10, "rs2": 40}
    pool.say(rs1="0")
    pool.daemon.await_ipvs(BOTH)


def test_real_server_drains_and_returns_at_its_agents_word(pool: Pool) -> None:
    pool.say(rs1="up ready 100%", rs2="up ready 100%")
    pool.begin(f"adaptive: {{text_agent: {{port: {TEXT_AGENT}}}, {QUICK}}}", BOTH)
    pool.say(rs1="drain")
    pool.daemon.await_ipvs({"10.0.0.11": 0, "10.0.0.12": 100})
    assert http_counts(pool.daemon.at.lab.client, "192.0.2.10", count=4) == {"rs2": 4}
    pool.say(rs1="ready 50%")
    pool.daemon.await_ipvs({"10.0.0.11": 50, "10.0.0.12": 100})


def test_sorry_server_answers_below_the_quorum_alone(pool: Pool) -> None:
    pool.begin("quorum: 2\n    sorry_server: {address: 10.0.0.13}", BOTH)
    client, (first, _) = pool.daemon.at.lab.client, pool.hosts
    assert http_counts(client, "192.0.2.10", count=4) == {"rs1": 2, "rs2": 2}
    pool.servers.kill(first)
    pool.daemon.await_line(r"virtual_service\.quorum_lost service=web")
    assert http_counts(client, "192.0.2.10", count=4) == {"rs3": 4}
    pool.servers.start(first)
    pool.daemon.await_ipvs(BOTH)
    assert http_counts(client, "192.0.2.10", count=4) == {"rs1": 2, "rs2": 2}


def test_address_is_withdrawn_while_nobody_can_answer(pool: Pool) -> None:
    pool.begin("all_down: withdraw", BOTH)
    assert "192.0.2.10/32" in pool.addresses()
    for host in pool.hosts:
        pool.servers.kill(host)
    eventually(lambda: "192.0.2.10" not in pool.addresses(), PATIENCE_S, pool.daemon.log)
    pool.servers.start(pool.hosts[0])
    eventually(lambda: "192.0.2.10/32" in pool.addresses(), PATIENCE_S, pool.daemon.log)
    assert http_counts(pool.daemon.at.lab.client, "192.0.2.10", count=4) == {"rs1": 4}


def test_clients_are_refused_at_once_while_nobody_can_answer(pool: Pool) -> None:
    pool.begin("", BOTH)
    for host in pool.hosts:
        pool.servers.kill(host)
    pool.daemon.await_line(r"virtual_service\.quorum_lost service=web")
    assert http_counts(pool.daemon.at.lab.client, "192.0.2.10", count=2) == {"connection refused": 2}
