"""Script checks: the environment of the program, and the meaning of its exit status."""

from __future__ import annotations

import signal
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, ProbeResult, shown
from kernelbal.model.address import format_address
from kernelbal.model.health import Target

MAX_OUTPUT_BYTES: Final = 4096
"""Most of its standard error that is worth keeping."""
_SHELL_STATUSES: Final = {126: "cannot be executed", 127: "program not found"}


def environment(target: Target) -> dict[str, str]:
    """Return the environment variables of a program."""
    return {
        "KERNELBAL_ADDRESS": format_address(target.address),
        "KERNELBAL_PORT": str(target.port),
        "KERNELBAL_SERVICE_ADDRESS": target.host,
    }


def result_of(returncode: int, stderr: bytes = b"") -> ProbeResult:
    """Return the result of a program that ended by itself.

    Args:
        returncode: exit status, or the negative number of the signal that killed it.
        stderr: as far as it was kept; the last line that is not empty is quoted.
    """
    if returncode == 0:
        return GOOD
    lines = [line for line in stderr.splitlines() if line.strip()]
    quoted = f": {shown(lines[-1])}" if lines else ""
    if returncode < 0:
        return ProbeResult(False, f"script killed by {_signal_name(-returncode)}{quoted}")
    known = f" ({_SHELL_STATUSES[returncode]})" if returncode in _SHELL_STATUSES else ""
    return ProbeResult(False, f"script exit status {returncode}{known}, expected 0{quoted}")


def timed_out(timeout_s: float) -> ProbeResult:
    """Return the result of a program that was killed at its timeout."""
    return ProbeResult(False, f"script still running after {timeout_s:g} s, killed")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
