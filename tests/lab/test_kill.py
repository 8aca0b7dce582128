"""kill -9 before every change of the kernel or the disk: the next run converges, and others lose nothing."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from socket import socket

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.process import Completed
from kernelbal.lab.traffic import ask_connection, connect
from kernelbal.realserver.persist.manager import UNIT, UNIT_FILE
from kernelbal.store.state import WATCH_FILE, StateDirectory
from tests.support.kill_points import Boot, kinds
from tests.support.lab_commands import Operator, ServerOperator, run_here
from tests.support.lab_daemon import Servers
from tests.support.lab_kill import KilledMachine, Stage

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]

NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, 203.0.113.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
"""
SITE = f"""
{NETWORKS}
kernel: {{timeouts: {{tcp: 20m, udp: 1m}}}}
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 443]
    port_following: true
    persistence: {{source_ip: {{timeout: 5m}}}}
    forwarding: nat
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}, {{address: 10.0.0.13}}]
  - name: web6
    address: "2001:db8:1::10"
    ports: [80]
    forwarding: nat
    scheduler: sh
    real_servers: [{{address: "fd00::11"}}, {{address: "fd00::12"}}]
  - {{name: dns, address: 192.0.2.10, protocol: udp, ports: [53], forwarding: nat, one_packet: true,
     real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}]}}
  - {{name: direct, address: 192.0.2.20, ports: [25], forwarding: dsr,
     real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.13}}]}}
  - {{name: far, address: 192.0.2.21, ports: [21], forwarding: tunnel, tunnel: {{type: gre}},
     real_servers: [{{address: 10.0.0.12}}]}}
edge:
  one_to_one: [{{name: geo, outside: 192.0.2.51, inside: 10.0.0.21}}]
  forward: [{{name: jump, outside: 192.0.2.10, ports: [2222], inside: 10.0.0.12, inside_port: 22}}]
  source_nat: [{{name: rest, inside: 10.0.0.0/24, masquerade: true}}]
  routes:
    - {{name: partner, source: 10.0.0.11, destination: 198.51.100.0/24, gateway: 192.0.2.100}}
    - {{name: partner6, source: "fd00::11", destination: "2001:db8:9::/64", gateway: "2001:db8:1::100"}}
"""
CHANGED = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
edge:
  forward: [{name: jump, outside: 192.0.2.10, ports: [2022], inside: 10.0.0.11, inside_port: 22}]
  routes:
    - {name: partner, source: 10.0.0.11, destination: 198.51.100.0/24, gateway: 192.0.2.101}
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 443]
    forwarding: nat
    scheduler: wrr
    real_servers: [{address: 10.0.0.11, weight: 7}, {address: 10.0.0.13}]
  - name: web6
    address: "2001:db8:1::10"
    ports: [80]
    forwarding: nat
    scheduler: sh
    real_servers: [{address: "fd00::12"}, {address: "fd00::13"}]
  - {name: direct, address: 192.0.2.22, ports: [25], forwarding: dsr,
     real_servers: [{address: 10.0.0.11}, {address: 10.0.0.13}]}
"""
ADOPTED = """
  - {name: theirs, address: 192.0.2.1, ports: [9998], forwarding: nat, real_servers: [{address: 10.0.0.11}]}
"""
"""A service that is there already."""
FOREIGN_OF_SERVER = """
ip address add 10.0.0.77/24 dev eth0; ip address add 10.0.0.78/32 dev lo; ip address add fd00::77/128 dev lo
ip link set tunl0 up; ip link set tunl0 down; ip rule add from 10.9.0.0/16 lookup 900 priority 900
nft 'add table arp theirs; add chain arp theirs a { type filter hook input priority 5; policy accept; }'
sysctl -q -w net.ipv4.conf.all.arp_announce=1 net.ipv4.conf.eth0.arp_ignore=8
"""
RUN_SITE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, 203.0.113.10/24]}
edge:
  forward: [{name: jump, outside: 192.0.2.10, ports: [2222], inside: 10.0.0.12, inside_port: 22}]
virtual_services:
  - {name: web, address: 192.0.2.10, ports: [80], forwarding: nat, scheduler: rr, drain: 3s, check: none,
     real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]}
  - {name: direct, address: 192.0.2.20, ports: [25], forwarding: dsr, check: none,
     real_servers: [{address: 10.0.0.11}]}
"""
RUN_CHANGED = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
edge:
  forward: [{name: jump, outside: 192.0.2.10, ports: [2022], inside: 10.0.0.11, inside_port: 22}]
virtual_services:
  - {name: web, address: 192.0.2.10, ports: [80], forwarding: nat, scheduler: wrr, drain: 3s, check: none,
     real_servers: [{address: 10.0.0.11, weight: 7}, {address: 10.0.0.13}]}
  - {name: mail, address: 192.0.2.22, ports: [25], forwarding: nat, check: none,
     real_servers: [{address: 10.0.0.13}]}
"""
FILES_OF_SERVER = {
    "sysctl.d/50-theirs.conf": "net.ipv4.conf.all.arp_announce = 1\n",
    "modules-load.d/theirs.conf": "dummy\n",
    "systemd/system/theirs.service": "[Service]\nExecStart=true\n",
}
SITES = {
    "first": SITE,
    "changed": CHANGED,
    "adopting": CHANGED + ADOPTED,
    "live": RUN_SITE,
    "run": RUN_SITE,
    "run-changed": RUN_CHANGED,
}
FOREIGN = """
ipvsadm -A -t 192.0.2.1:9998 -s wlc; ipvsadm -a -t 192.0.2.1:9998 -r 10.0.0.97:9998 -m -w 3
ipvsadm --set 700 70 200
ipvsadm -A -t 192.0.2.1:9999 -s wrr -p 60; ipvsadm -a -t 192.0.2.1:9999 -r 10.0.0.99:99 -m -w 7
ipvsadm -A -f 77 -s rr; ipvsadm -a -f 77 -r 10.0.0.98 -g
ipvsadm -A -u '[2001:db8:1::1]:53' -s lc; ipvsadm -a -u '[2001:db8:1::1]:53' -r '[fd00::99]:53' -m
ip address add 192.0.2.77/24 dev eth0; ip address add 203.0.113.77/32 dev eth0
ip address add 2001:db8:1::77/64 dev eth0 nodad; ip link add theirs0 type dummy; ip link set theirs0 up
ip rule add from 10.9.0.0/16 lookup 900 priority 900; ip route add 10.8.0.0/16 via 192.0.2.100 table 900
nft 'add table inet theirs; add chain inet theirs a { type filter hook input priority 5; policy accept; }
     add rule inet theirs a tcp dport 4 counter drop; add table ip nat2
     add chain ip nat2 p { type nat hook postrouting priority 99; }; add rule ip nat2 p oifname x masquerade'
sysctl -q -w net.ipv4.vs.drop_entry=1 net.ipv4.vs.expire_nodest_conn=0 net.ipv4.conf.eth1.rp_filter=2
"""
"""What is there before, and belongs to somebody else."""


class Director(Operator):
    """An operator whose commands are killed; each site has a file of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, site in SITES.items():
            (self.folder / f"{name}.yaml").write_text(site)

    def line(self, command: str, site: str = "", *options: str) -> list[str]:
        """Return a command line."""
        documents = (str(self.folder / f"{site}.yaml"), "--node", str(self.folder / "node.yaml"))
        return [command, *(documents if site else ()), "--state-dir", str(self.folder / "state"), *options]

    def do(self, *line: str) -> Completed:
        """Run a command."""
        done = run_here(self.director, self.line(*line))
        assert done.returncode == 0, done
        return done

    def holds(self, site: str) -> None:
        """See that a site is in the kernel, and nothing is left to do."""
        assert json.loads(self.do("plan", site, "--json").stdout)["actions"] == []

    def nothing_ours(self) -> None:
        assert not (self.folder / "state" / "owned.json").exists()

    def release(self) -> None:
        self.do("release", "", "--cut")
        self.nothing_ours()

    def roll_back(self) -> None:
        """Do what the process would do that watches over the time."""
        if (self.folder / "state" / "snapshot.json").exists():
            self.do("rollback")

    def stage(self, work: str, then: str, site: str) -> Stage:
        """Return a command that is killed, and the one that comes next: `release`, or `apply` of a site."""
        check = self.nothing_ours if then == "release" else partial(self.holds, site)
        line, resume = (("release",) if each == "release" else (each, site) for each in (work, then))
        return Stage(f"{work}, {then}", self.line(*line), partial(self.do, *resume), check)

    def story(self) -> tuple[Stage, ...]:
        """Return every change there is, each followed by itself."""
        return (
            self.stage("apply", "apply", "first"),
            self.stage("apply", "apply", "changed"),
            self.stage("release", "release", ""),
        )


@pytest.fixture
def at(lab: LabFactory, tmp_path: Path) -> Director:
    return Director(lab("two-arm"), tmp_path)


@pytest.fixture
def machine(at: Director) -> Iterator[KilledMachine]:
    """The director, with things of others."""
    with KilledMachine(
        at.director, at.folder / "state", FOREIGN, at.release, at.line("plan", "first")
    ) as made:
        yield made


def test_apply_and_release(at: Director, machine: KilledMachine) -> None:
    killed = machine.kill_everywhere(at.story())
    assert len(killed) > 100, kinds(killed)


def test_the_other_way(at: Director, machine: KilledMachine) -> None:
    killed = machine.kill_everywhere(
        (
            at.stage("apply", "release", "first"),
            Stage("applied", at.line("apply", "first")),
            at.stage("release", "apply", "first"),
        ),
        renames=True,
    )
    assert len(killed) > 40, kinds(killed)


def test_roll_back(at: Director, machine: KilledMachine) -> None:
    before, confirm = partial(at.holds, "first"), at.line("apply", "adopting", "--confirm", "60s")
    killed = machine.kill_everywhere(
        (
            Stage("applied", at.line("apply", "first"), None, before),
            Stage("apply --confirm", confirm, at.roll_back, before, adopts=True),
            Stage("not confirmed", confirm, adopts=True),
            Stage("rollback", at.line("rollback"), at.roll_back, before, adopts=True),
        ),
        renames=True,
    )
    assert len(killed) > 30, kinds(killed)


def test_daemon(at: Director, machine: KilledMachine) -> None:
    """The connection that is kept is one to a real server that stays."""
    servers, kept = Servers(), ExitStack()
    for host in at.lab.real_servers[:2]:
        servers.start(host)
    live = at.folder / "live.yaml"
    start = at.line("run", "live", "--socket", str(at.folder / "control.sock"))
    change = [*start, "--then", str(at.folder / "run-changed.yaml")]
    clients: dict[str, socket] = {}

    def connected() -> None:
        at.holds("live")
        made = [kept.enter_context(connect(at.lab.client, "192.0.2.10", 80)) for _ in range(2)]
        clients.update({ask_connection(each): each for each in made})

    def still_connected() -> None:
        at.holds("run-changed")
        assert ask_connection(clients["rs1"]) == "rs1"

    def release() -> None:
        kept.close()
        live.write_text(RUN_SITE)
        at.release()

    machine.release = release
    killed = machine.kill_everywhere(
        (
            Stage("start", start, partial(machine.run, start), connected),
            Stage("change", change, partial(machine.run, change), still_connected),
        ),
        renames=True,
    )
    assert len(killed) > 25, kinds(killed)


def test_watcher(at: Director) -> None:
    """What would roll back is killed: the next command says so, and the operator can go back."""
    at.do("apply", "changed")
    state = StateDirectory(at.folder / "state")
    confirm = at.line("apply", "first", "--confirm", "60s")
    at.director.run([sys.executable, "-m", "kernelbal", *confirm])
    assert state.watched
    os.kill(int((state.path / WATCH_FILE).read_text()), signal.SIGKILL)
    while state.watched:
        time.sleep(0.01)
    for command in ("status", "apply"):
        assert (
            "the process that would roll it back has ended"
            in run_here(at.director, at.line(command, "first")).stderr
        )
    at.do("rollback")
    at.holds("changed")


class RealServer(ServerOperator):
    """An operator at a real server whose commands are killed."""

    def line(self, command: str, *options: str) -> list[str]:
        """Return a command line."""
        persist = () if command == "undo" else ("--persist", "none")
        return ["realserver", command, "--state-dir", str(self.folder / "state"), *persist, *options]

    def do(self, *line: str) -> None:
        """Run a command."""
        done = run_here(self.host, self.line(*line))
        assert done.returncode == 0, done

    def holds(self, *options: str) -> None:
        """See that the host is prepared, and nothing is left to do."""
        self.do("plan", "--detailed-exitcode", *options)

    def release(self) -> None:
        self.do("undo")
        record = self.folder / "state/realserver/record.json"
        assert not record.exists(), record.read_text()

    def stage(self, *options: str) -> Stage:
        """Return an apply that is killed, and another one."""
        line = ("apply", *options)
        return Stage(" ".join(line), self.line(*line), partial(self.do, *line), partial(self.holds, *options))

    def story(self) -> tuple[Stage, ...]:
        """Return every kind of preparation, and the way back."""
        return (
            self.stage("10.0.0.80", "fd00::80"),
            self.stage("10.0.0.80", "10.0.0.81", "--method", "arp"),
            self.stage("10.0.0.83", "--forwarding", "tunnel"),
            Stage("undo", self.line("undo"), self.release),
        )


class BootingServer(RealServer):
    """An operator at a real server that shall be prepared after its next boot, too."""

    machine: KilledMachine

    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__(host, folder)
        self.boot = Boot(self.folder / "etc", self.folder / "systemctl")
        self.told = self.folder / "told"
        for path, text in FILES_OF_SERVER.items():
            (self.boot.etc / path).parent.mkdir(parents=True, exist_ok=True)
            (self.boot.etc / path).write_text(text)
        self.boot.systemctl.write_text(f"#!/bin/sh\n[ $1 != is-active ] && echo $* >>{self.told}\n")
        self.boot.systemctl.chmod(0o755)
        self.theirs = self.files()

    def files(self) -> dict[str, bytes]:
        """Return the contents of `/etc`; directories have none."""
        found = sorted(self.boot.etc.rglob("*"))
        return {str(each): each.read_bytes() if each.is_file() else b"" for each in found}

    def line(self, command: str, *options: str) -> list[str]:
        persist = () if command == "undo" else ("--persist", "unit")
        return ["realserver", command, "--state-dir", str(self.folder / "state"), *persist, *options]

    def do(self, *line: str) -> None:
        self.machine.run(self.line(*line))

    def holds(self, *options: str) -> None:
        """See that nothing is left to do, and that systemd knows the unit and has started it."""
        self.do("plan", "--detailed-exitcode", *options)
        assert self.told.read_text().endswith(f"start {UNIT}\n")
        assert (self.boot.etc / UNIT_FILE.removeprefix("/etc/")).exists()

    def release(self) -> None:
        """Undo, and see that systemd has forgotten the unit if ever it was told of it."""
        super().release()
        assert self.files() == self.theirs
        told = self.told.read_text() if self.told.exists() else ""
        assert told.endswith(f"daemon-reload\nstop {UNIT}*\n") or UNIT not in told, told
        self.told.write_text("")


def test_realserver(lab: LabFactory, tmp_path: Path) -> None:
    at = BootingServer(lab("one-arm").real_servers[0], tmp_path)
    with KilledMachine(
        at.host, tmp_path / "state", FOREIGN_OF_SERVER, at.release, at.line("plan", "10.0.0.80"), at.boot
    ) as machine:
        at.machine = machine
        killed = machine.kill_everywhere(at.story(), renames=True)
    assert len(killed) > 70, kinds(killed)
