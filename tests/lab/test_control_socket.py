"""The control socket of a daemon in its unit: reload by systemctl, and groups without more capabilities."""

from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from tests.support.lab_commands import NODE
from tests.support.lab_director_boot import UNIT, Machine

pytestmark = pytest.mark.needs_machine

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: rr
    check: none
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
CONNECT = "import socket; socket.socket(socket.AF_UNIX).connect('/run/kernelbal/control.sock')"


@pytest.fixture
def machine(lab: LabFactory, tmp_path: Path) -> Machine:
    machine = Machine(lab("two-arm"), tmp_path)
    machine.write(SITE)
    machine.boot()
    return machine


def connects(machine: Machine, group: int) -> bool:
    """Whether a user of their own, with one group, reaches the socket."""
    identity = ["setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}"]
    return machine.run(*identity, "/usr/bin/python3", "-c", CONNECT, check=False).returncode == 0


def test_reload_waits_for_the_answer_and_tells_a_refusal(machine: Machine) -> None:
    machine.systemctl("start", UNIT)
    machine.write(SITE.replace("scheduler: rr", "scheduler: wlc"))
    machine.systemctl("reload", UNIT)
    assert "TCP  192.0.2.10:80 wlc" in machine.run("ipvsadm", "-Ln").stdout
    machine.write(SITE.replace("nat", "nut"))
    machine.systemctl("reload", UNIT, code=1)
    assert machine.show("ActiveState") == "active"
    assert "invalid value `nut`" in machine.log


def test_without_groups_only_root_reaches_the_daemon(machine: Machine) -> None:
    machine.systemctl("start", UNIT)
    assert machine.run("/usr/bin/python3", "-c", CONNECT).returncode == 0
    assert not connects(machine, group=4)


@pytest.mark.parametrize("groups", ["[adm]", "[adm, tty]"])
def test_members_of_a_group_reach_the_daemon(machine: Machine, groups: str) -> None:
    node = machine.folder / "etc/node.yaml"
    node.write_text(NODE["two-arm"] + f"api: {{read_groups: {groups}}}\n")
    machine.systemctl("start", UNIT)
    assert connects(machine, group=4), machine.log
