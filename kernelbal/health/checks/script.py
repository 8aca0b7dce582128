"""Checks by a program: its environment, and what its end means."""

from __future__ import annotations

import signal
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, Verdict, shown
from kernelbal.model.address import format_address
from kernelbal.model.health import Target

MAX_OUTPUT_BYTES: Final = 4096
"""Most of its standard error that is worth keeping."""
_SHELL_STATUSES: Final = {126: "cannot be executed", 127: "program not found"}


def environment(target: Target) -> dict[str, str]:
    """Return the variables that a program gets."""
    return {
        "KERNELBAL_ADDRESS": format_address(target.address),
        "KERNELBAL_PORT": str(target.port),
        "KERNELBAL_SERVICE_ADDRESS": target.host,
    }


def verdict_of(returncode: int, stderr: bytes = b"") -> Verdict:
    """Return the verdict on a program that ended by itself.

    Args:
        returncode: exit status, or the negative number of the signal that killed it.
        stderr: as far as it was kept; the last line that says something is quoted.
    """
    if returncode == 0:
        return GOOD
    said = [line for line in stderr.splitlines() if line.strip()]
    words = f": {shown(said[-1])}" if said else ""
    if returncode < 0:
        return Verdict(False, f"script killed by {_signal_name(-returncode)}{words}")
    known = f" ({_SHELL_STATUSES[returncode]})" if returncode in _SHELL_STATUSES else ""
    return Verdict(False, f"script exit status {returncode}{known}, wanted 0{words}")


def timed_out(timeout_s: float) -> Verdict:
    """Return the verdict on a program that was killed because it took too long."""
    return Verdict(False, f"script still ran after {timeout_s:g} s and was killed")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
