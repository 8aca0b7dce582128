"""Checks by a program."""

import pytest

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.script import environment, result_of, timed_out
from kernelbal.model.address import parse_address
from kernelbal.model.health import Target


def test_its_environment() -> None:
    target = Target(parse_address("2001:db8::5"), 8080, "192.0.2.1", parse_address("2001:db8::5"))
    assert environment(target) == {
        "KERNELBAL_ADDRESS": "2001:db8::5",
        "KERNELBAL_PORT": "8080",
        "KERNELBAL_SERVICE_ADDRESS": "192.0.2.1",
    }


def test_zero_is_good() -> None:
    assert result_of(0, b"a warning\n") == GOOD


@pytest.mark.parametrize(
    ("returncode", "stderr", "reason"),
    [
        (1, b"", "script exit status 1, expected 0"),
        (3, b"warming up\nqueue is full\n\n", 'script exit status 3, expected 0: "queue is full"'),
        (127, b"", "script exit status 127 (program not found), expected 0"),
        (126, b"\xff\x00", r'script exit status 126 (cannot be executed), expected 0: "\xff\x00"'),
        (-9, b"", "script killed by SIGKILL"),
        (-24, b"x", 'script killed by SIGXCPU: "x"'),
        (-200, b"", "script killed by signal 200"),
    ],
)
def test_anything_else_is_bad(returncode: int, stderr: bytes, reason: str) -> None:
    assert result_of(returncode, stderr) == (False, reason, "", None)


def test_one_that_takes_too_long() -> None:
    assert timed_out(4.0).reason == "script still running after 4 s, killed"
