"""What every guest gets to see."""

import sys
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import GuestCommand, guest_environment, needed_directories


def test_environment_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("NO_COLOR", "1")
    environment = guest_environment(GuestCommand(("true",), Path("/"), env={"A": "b"}))
    assert "SECRET_TOKEN" not in environment
    assert environment["NO_COLOR"] == "1"
    assert environment["A"] == "b"


def test_command_cannot_deny_that_it_is_in_a_lab() -> None:
    command = GuestCommand(("true",), Path("/"), env={"KERNELBAL_IN_LAB": ""})
    assert guest_environment(command)["KERNELBAL_IN_LAB"] == "1"


def test_interpreter_libraries_and_checkout_are_needed() -> None:
    needed = needed_directories(GuestCommand(("true",), Path("/srv")))
    assert {Path("/srv"), Path(sys.prefix).resolve(), Path(__file__).resolve().parents[4]} <= set(needed)
