"""The unit's capabilities: enough for a whole site, and not one too many."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import http_counts
from kernelbal.render import unit_directory
from tests.lab.machine import PROGRAM, UNIT, Machine

pytestmark = pytest.mark.needs_machine

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: rr
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
APPLY = f"Type=oneshot\nExecStart=\nExecStart={PROGRAM} apply\nRestart=no\nWatchdogSec=0\n"


def listed() -> set[str]:
    """The capabilities that the unit names."""
    text = (unit_directory() / UNIT).read_text()
    found = re.search(r"^CapabilityBoundingSet=(.+)$", text, re.MULTILINE)
    assert found is not None
    return set(found[1].split())


@pytest.fixture
def machine(lab: LabFactory, tmp_path: Path) -> Callable[..., Machine]:
    def make(**drop_ins: str) -> Machine:
        made = lab("two-arm")
        lab.serve(made.real_servers)
        machine = Machine(made, tmp_path)
        machine.write(SITE)
        for name, lines in drop_ins.items():
            machine.drop_in(name, lines)
        machine.boot()
        return machine

    return make


def test_an_apply_works_with_all_restrictions_of_the_unit(machine: Callable[..., Machine]) -> None:
    at = machine(apply=APPLY)
    at.systemctl("start", UNIT)
    assert at.show("Result") == "success"
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == {"rs1": 2, "rs2": 2}
    assert "no changes" in at.kernelbal("apply").stdout


@pytest.mark.parametrize(
    ("capability", "words"), [("CAP_NET_ADMIN", "CAP_NET_ADMIN"), ("CAP_NET_RAW", "CAP_NET_RAW")]
)
def test_an_apply_fails_without(machine: Callable[..., Machine], capability: str, words: str) -> None:
    assert capability in listed()
    at = machine(apply=APPLY, less=f"CapabilityBoundingSet=~{capability}")
    at.systemctl("start", UNIT, code=1)
    assert words in at.log
