"""Starting the daemon through systemd; a script plays `systemctl`."""

import subprocess
from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.kernel.systemctl import enable_now


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    return tmp_path / "asked"


def script(tmp_path: Path, asked: Path, rest: str = "") -> list[str]:
    path = tmp_path / "systemctl"
    path.write_text(f'#!/bin/sh\necho "$*" >>{asked}\n{rest}\n')
    return ["sh", str(path)]


def test_units_are_read_anew_before_the_start(tmp_path: Path, asked: Path) -> None:
    enable_now(script(tmp_path, asked))
    assert asked.read_text().splitlines() == [
        "daemon-reload",
        "enable kernelbal.service",
        "restart kernelbal.service",
    ]


def test_a_refusal_is_quoted_and_ends_it(tmp_path: Path, asked: Path) -> None:
    refusing = script(tmp_path, asked, '[ "$1" = enable ] && echo "Unit is masked." >&2 && exit 1; exit 0')
    with pytest.raises(StateError, match=r"enable kernelbal\.service` failed: Unit is masked") as caught:
        enable_now(refusing)
    assert caught.value.hint is not None
    assert "journalctl -u kernelbal" in caught.value.hint
    assert len(asked.read_text().splitlines()) == 2


def test_without_systemctl_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no") as caught:
        enable_now([str(tmp_path / "systemctl")])
    assert caught.value.hint == "start `kernelbal run` by other means"


def test_a_start_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_more: object) -> None:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(StateError, match="did not end within 300 s"):
        enable_now()
