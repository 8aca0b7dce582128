"""The page about the state machine."""

import json
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.vrrp.machine import TIMERS, TRANSITIONS
from kernelbal.vrrp.reference import vrrp_page

PAGE = Path(__file__).parents[3] / "docs/reference/vrrp.md"


def test_page_is_that_of_the_table() -> None:
    command = "kernelbal schema vrrp --format markdown > docs/reference/vrrp.md"
    assert PAGE.read_text() == vrrp_page(), f"write it anew: {command}"


def test_every_row_says_what_becomes_of_the_timer() -> None:
    assert {row.change for row in TRANSITIONS} == set(TIMERS)


def test_rows_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "vrrp"]) == 0
    rows = json.loads(capsys.readouterr().out)["transitions"]
    assert len(rows) == len(TRANSITIONS)
    assert rows[1] == {
        "state": "initialize",
        "event": "start",
        "if": "it owns the addresses, and has no wait",
        "then": "send an advertisement; take the addresses; announce the addresses",
        "timer": "interval",
        "next": "active",
        "others": "",
        "why": "owner",
        "section": "6.4.1",
    }
