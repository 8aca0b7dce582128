"""The unit's capabilities: enough for a whole site, and not one too many."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import http_counts
from kernelbal.render import unit_directory
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
    check: CHECK
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
APPLY = f"Type=oneshot\nExecStart=\nExecStart={PROGRAM} apply\nRestart=no\nWatchdogSec=0\n"
RUN = "Restart=no\n"
UNPRIVILEGED = (
    "{script: {argv: [/usr/bin/test, '!', -O, /proc/1]}, interval: 2s, timeout: 1s, rise: 1, fall: 1}"
)
"""A script that is content when it does not run as root."""
HANGS = "{script: {argv: [/usr/bin/sleep, '1000']}, interval: 2s, timeout: 1s, rise: 1, fall: 1}"
LEAKS = "{script: {argv: [/bin/sh, -c, 'setsid sleep 1000 &']}, interval: 2s, timeout: 1s, rise: 1, fall: 1}"
PING = "{icmp: {}, interval: 2s, timeout: 1s, rise: 1, fall: 1}"
BOTH = {"rs1": 2, "rs2": 2}


def listed() -> set[str]:
    """The capabilities that the unit names."""
    text = (unit_directory() / UNIT).read_text()
    found = re.search(r"^CapabilityBoundingSet=(.+)$", text, re.MULTILINE)
    assert found is not None
    return set(found[1].split())


@pytest.fixture
def machine(lab: LabFactory, tmp_path: Path) -> Callable[..., Machine]:
    def make(check: str, **drop_ins: str) -> Machine:
        made = lab("two-arm")
        lab.serve(made.real_servers)
        machine = Machine(made, tmp_path)
        machine.write(SITE.replace("CHECK", check))
        for name, lines in drop_ins.items():
            machine.service(name, lines)
        machine.boot()
        return machine

    return make


def sleepers(at: Machine) -> set[str]:
    """The check scripts that are under way."""
    find = "grep --files-with-matches --line-regexp sleep /proc/[0-9]*/comm"
    return set(at.run("sh", "-c", find, check=False).stdout.split())


def test_an_apply_works_with_all_restrictions_of_the_unit(machine: Callable[..., Machine]) -> None:
    at = machine("none", apply=APPLY)
    at.systemctl("start", UNIT)
    assert at.show("Result") == "success"
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == BOTH
    assert "no changes" in at.kernelbal("apply").stdout


@pytest.mark.parametrize("capability", ["CAP_NET_ADMIN", "CAP_NET_RAW"])
def test_an_apply_fails_and_names_what_is_missing(machine: Callable[..., Machine], capability: str) -> None:
    assert capability in listed()
    at = machine("none", apply=APPLY, less=f"CapabilityBoundingSet=~{capability}")
    at.systemctl("start", UNIT, code=1)
    assert capability in at.log


@pytest.mark.parametrize("check", [PING, UNPRIVILEGED], ids=["icmp", "script"])
def test_the_daemon_works_with_all_restrictions_of_the_unit(
    machine: Callable[..., Machine], check: str
) -> None:
    at = machine(check, run=RUN)
    at.systemctl("start", UNIT)
    assert at.show("ActiveState") == "active"
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == BOTH
    at.systemctl("stop", UNIT)
    assert at.show("Result") == "success"
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == BOTH, "it serves on without the daemon"


@pytest.mark.parametrize(
    ("capability", "check"),
    [("CAP_NET_RAW", PING), ("CAP_SETUID", UNPRIVILEGED), ("CAP_SETGID", UNPRIVILEGED)],
)
def test_without_a_capability_a_check_finds_nothing_out(
    machine: Callable[..., Machine], capability: str, check: str
) -> None:
    assert capability in listed()
    at = machine(check, run=RUN, less=f"CapabilityBoundingSet=~{capability}")
    at.systemctl("start", UNIT)
    assert capability in at.log
    assert "10.0.0.11" not in at.run("ipvsadm", "-Ln").stdout


@pytest.mark.parametrize("check", [HANGS, LEAKS], ids=["hangs", "leaks"])
def test_a_script_ends_with_all_it_has_started_without_a_capability_to_kill(
    machine: Callable[..., Machine], check: str
) -> None:
    at = machine(check, run=RUN)
    at.systemctl("start", UNIT)
    before = sleepers(at)
    time.sleep(20)
    assert not before & sleepers(at)
    at.systemctl("stop", UNIT)
    assert sleepers(at) == set()


def test_every_capability_of_the_unit_has_been_taken_away_above() -> None:
    assert listed() == {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID"}
