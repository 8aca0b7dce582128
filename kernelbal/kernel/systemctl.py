"""Asking systemd to start what was set up."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from kernelbal.errors import StateError

UNIT: Final = "kernelbal.service"
_TIMEOUT_S: Final = 300
"""Longer than a start of the unit may take."""


def enable_now(command: Sequence[str] = ("systemctl",)) -> None:
    """Let systemd read its units anew, start the daemon, and start it at every boot.

    Args:
        command: the program `systemctl`, with first arguments.

    Raises:
        StateError: systemd refuses, or the daemon does not start.
    """
    for arguments in (("daemon-reload",), ("enable", UNIT), ("restart", UNIT)):
        _run((*command, *arguments))


def _run(command: Sequence[str]) -> None:
    shown = " ".join(command)
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the arguments are our own
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise StateError(f"there is no {command[0]}", "start `kernelbal run` by other means") from error
    except subprocess.TimeoutExpired as error:
        raise StateError(f"`{shown}` did not end within {_TIMEOUT_S} s", f"journalctl -u {UNIT}") from error
    if done.returncode != 0:
        said = done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
        raise StateError(f"`{shown}` failed: {said}", f"journalctl -u {UNIT}, systemctl status {UNIT}")
