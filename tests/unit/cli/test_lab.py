"""`kernelbal lab`: what it prints and how it passes programs on."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from kernelbal.cli import lab
from kernelbal.lab import session
from kernelbal.lab.backends import choose
from kernelbal.lab.backends.base import StandardStreams, Unavailable
from kernelbal.lab.backends.choose import Candidate
from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.backends.uml import UmlBackend


def call(*arguments: str) -> int:
    status: int = lab.app(args=list(arguments), standalone_mode=False)
    return status


@pytest.fixture
def _two_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Candidate(NetnsBackend(), Unavailable("no root", "use sudo")), Candidate(UmlBackend(), None)]
    monkeypatch.setattr(choose, "candidates", lambda: found)


@pytest.mark.usefixtures("_two_backends")
def test_backends_are_shown_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("backends") == 0
    assert capsys.readouterr().out == "netns  not usable: no root (use sudo)\numl    usable\n"


@pytest.mark.usefixtures("_two_backends")
def test_backends_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("backends", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "backends": [
            {"name": "netns", "usable": False, "reason": "no root (use sudo)"},
            {"name": "uml", "usable": True, "reason": None},
        ],
    }


def test_kernel_that_is_there_is_only_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kernel = tmp_path / "linux"
    kernel.touch(mode=0o755)
    monkeypatch.setenv("KERNELBAL_LAB_KERNEL", str(kernel))
    assert call("kernel") == 0
    assert capsys.readouterr() == (f"{kernel}\n", "")


@pytest.mark.parametrize(
    ("given", "host", "program"),
    [
        (("rs1", "ip", "-br", "addr"), "rs1", ["ip", "-br", "addr"]),
        (("rs1", "--", "ip", "addr"), "rs1", ["ip", "addr"]),
        (
            ("client", "--", "sh", "-c", "exit 3", "--", "--help"),
            "client",
            ["sh", "-c", "exit 3", "--", "--help"],
        ),
    ],
)
def test_program_is_passed_on_with_its_options(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], host: str, program: list[str]
) -> None:
    asked: list[tuple[str, list[str], bool]] = []

    def run(host: str, argv: Sequence[str], streams: StandardStreams, *, terminal: bool) -> int:
        asked.append((host, list(argv), terminal))
        return 3

    monkeypatch.setattr(session, "run", run)
    assert call("run", *given) == 3
    assert asked == [(host, program, False)]
