"""The daemon as systemd runs it: crash, hang, restart and a new version cut no connection."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import ask_connection, connect, http_counts
from tests.support.lab_director_boot import PROGRAM, UNIT, Machine

pytestmark = pytest.mark.needs_machine

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: rr
    check: {tcp: {}, interval: 2s, timeout: 1s, rise: 1, fall: 2}
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
BOTH = {"rs1": 2, "rs2": 2}
PATIENCE_S = 120.0


@pytest.fixture
def machine(lab: LabFactory, tmp_path: Path) -> Machine:
    """A director whose daemon serves a site."""
    made = lab("two-arm")
    lab.serve(made.real_servers)
    machine = Machine(made, tmp_path)
    machine.write(SITE)
    machine.boot()
    machine.systemctl("start", UNIT)
    return machine


@pytest.fixture
def unbroken(machine: Machine) -> Iterator[Callable[[], None]]:
    """Demands that connections from before still lead to the real servers that they led to."""
    with ExitStack() as stack:
        held = [stack.enter_context(connect(machine.lab.client, "192.0.2.10", 80)) for _ in range(4)]
        names = [ask_connection(each) for each in held]
        assert sorted(names) == ["rs1", "rs1", "rs2", "rs2"]

        def demand() -> None:
            assert [ask_connection(each) for each in held] == names
            assert http_counts(machine.lab.client, "192.0.2.10", count=4) == BOTH

        yield demand


def await_new_process(machine: Machine, former: int) -> None:
    """Wait until systemd has another daemon, and it is through with its first round."""
    deadline_at = time.monotonic() + PATIENCE_S
    while machine.main_pid() in (0, former) or machine.show("ActiveState") != "active":
        assert time.monotonic() < deadline_at, machine.log
        time.sleep(2)


def changes(machine: Machine, after: int) -> list[str]:
    """Log lines past so many characters that tell of a change in the kernel or of a real server."""
    told = re.findall(
        r"^\S+ ((?:round|real_server|virtual_service)\.\S+.*)$", machine.log[after:], re.MULTILINE
    )
    return [line for line in told if not line.startswith("round.unchanged")]


def test_a_killed_daemon_is_back_and_nothing_was_cut(machine: Machine, unbroken: Callable[[], None]) -> None:
    former, said = machine.main_pid(), len(machine.log)
    assert changes(machine, 0) != [], "the first round is told"
    machine.run("kill", "-KILL", str(former))
    unbroken()
    await_new_process(machine, former)
    assert machine.show("NRestarts") == "1"
    unbroken()
    time.sleep(10)
    assert changes(machine, said) == [], "nothing flaps"


def test_a_daemon_that_hangs_is_ended_and_says_where_it_hung(
    machine: Machine, unbroken: Callable[[], None]
) -> None:
    former = machine.main_pid()
    machine.run("kill", "-STOP", str(former))
    await_new_process(machine, former)
    assert "Fatal Python error: Aborted" in machine.log
    assert "most recent call first" in machine.log
    unbroken()


def test_an_upgrade_cuts_nothing(machine: Machine, unbroken: Callable[[], None]) -> None:
    """A new version is another program at the same place: here one that says that it is."""
    former, said = machine.main_pid(), len(machine.log)
    newer = machine.folder / "etc/kernelbal-next"
    newer.write_text(f'#!/bin/sh\necho next version >&2\nexec {PROGRAM} "$@"\n')
    newer.chmod(0o755)
    machine.service("next", "ExecStart=\nExecStart=/etc/kernelbal/kernelbal-next run")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", UNIT)
    assert machine.main_pid() != former
    assert "next version" in machine.log[said:]
    unbroken()
    time.sleep(10)
    assert changes(machine, said) == [], "nothing flaps"


def test_traffic_flows_while_the_daemon_is_stopped(machine: Machine, unbroken: Callable[[], None]) -> None:
    machine.systemctl("stop", UNIT)
    assert machine.show("Result") == "success"
    unbroken()
    machine.systemctl("start", UNIT)
    unbroken()


def test_a_daemon_that_cannot_start_is_tried_again_until_it_can(machine: Machine) -> None:
    """The last good copy of the documents would do; without it nothing does until they are fixed."""
    machine.systemctl("stop", UNIT)
    machine.write("virtual_services: [\n")
    machine.run("rm", "/var/lib/kernelbal/good.json")
    machine.systemctl("start", UNIT, code=1)
    time.sleep(20)
    assert int(machine.show("NRestarts")) > 2
    machine.write(SITE)
    await_new_process(machine, 0)
    assert http_counts(machine.lab.client, "192.0.2.10", count=4) == BOTH
