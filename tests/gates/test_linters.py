"""Ruff and mypy, as pyproject.toml sets them up, go red on what the project forbids."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("planted", "code"),
    [
        ("def add(a, b):\n    return a + b\n", "ANN001"),
        ("try:\n    work()\nexcept Exception:\n    pass\n", "BLE001"),
        ("try:\n    work()\nexcept ValueError:\n    pass\n", "SIM105"),
        ("try:\n    work()\nexcept ValueError as error:\n    raise KeyError from None\n", "F841"),
        ("import time\nnow = time.time()\n", "TID251"),
        ("import asyncio\nasyncio.create_task(work())\n", "TID251"),
        ("import datetime\nnow = datetime.datetime.now()\n", "DTZ005"),
        ("print(1)\n", "T201"),
        ("def public() -> None:\n    return\n", "D103"),
        ("x = [\n" + "    0,\n" * 3 + "]" + " " * 120 + "\n", "W291"),
    ],
)
def test_ruff_refuses(planted: str, code: str) -> None:
    command = [str(BIN / "ruff"), "check", "--no-cache", "--stdin-filename", "kernelbal/planted.py", "-"]
    done = subprocess.run(
        command, cwd=ROOT, input=planted, text=True, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert code in done.stdout


MISSED_CASE = """
from enum import Enum
from typing import assert_never

class State(Enum):
    BACKUP = 1
    ACTIVE = 2

def name(state: State) -> str:
    match state:
        case State.BACKUP:
            return "backup"
        case _:
            assert_never(state)
"""


def test_mypy_refuses_a_missed_case(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(MISSED_CASE)
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path)]
    command = [str(BIN / "mypy"), *settings, str(planted)]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "assert_never" in done.stdout
