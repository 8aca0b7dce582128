"""Exit codes, one table (`sysexits.h` where it has a word for it)."""

from __future__ import annotations

from enum import IntEnum

from kernelbal.errors import (
    AccessDenied,
    ApiFailed,
    ConfigError,
    FileUnreadable,
    InvalidRequest,
    KernelbalError,
    KernelError,
    NoDaemon,
    NotConverged,
    NotPermitted,
    NotSupported,
    OrderRefused,
    PlanRefused,
    StateError,
)


class ExitCode(IntEnum):
    """What an exit code means to its caller."""

    OK = 0
    FAILED = 1
    """Something was tried and did not work, such as an apply that did not converge."""
    CHANGES = 2
    """`plan --detailed-exitcode`: the kernel differs from the site file."""
    USAGE = 64
    NO_INPUT = 66
    """A file cannot be read."""
    UNAVAILABLE = 69
    """The kernel lacks a module or feature, or no daemon runs."""
    SOFTWARE = 70
    """A bug in kernelbal itself."""
    STATE = 74
    """The state directory cannot be read or written."""
    PERMISSION = 77
    """A capability or root is missing, or the daemon refuses this user."""
    CONFIG = 78
    """A document is not valid."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell counts it: 128 and SIGINT."""


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "failed",
    ExitCode.CHANGES: "changes pending (plan --detailed-exitcode)",
    ExitCode.USAGE: "usage",
    ExitCode.NO_INPUT: "file not readable",
    ExitCode.UNAVAILABLE: "kernel feature or daemon missing",
    ExitCode.SOFTWARE: "internal error",
    ExitCode.STATE: "state directory",
    ExitCode.PERMISSION: "not permitted",
    ExitCode.CONFIG: "configuration",
    ExitCode.INTERRUPTED: "interrupted",
}
"""Each code in few words, for the help."""

_BY_ERROR: tuple[tuple[type[KernelbalError], ExitCode], ...] = (
    (ConfigError, ExitCode.CONFIG),
    (InvalidRequest, ExitCode.USAGE),
    (FileUnreadable, ExitCode.NO_INPUT),
    (NotPermitted, ExitCode.PERMISSION),
    (NotSupported, ExitCode.UNAVAILABLE),
    (KernelError, ExitCode.FAILED),
    (StateError, ExitCode.STATE),
    (PlanRefused, ExitCode.FAILED),
    (OrderRefused, ExitCode.FAILED),
    (NotConverged, ExitCode.FAILED),
    (ApiFailed, ExitCode.FAILED),
    (NoDaemon, ExitCode.UNAVAILABLE),
    (AccessDenied, ExitCode.PERMISSION),
)


def exit_code_of(error: KernelbalError) -> ExitCode:
    """Return the exit code for an error; the first class that fits decides."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)
