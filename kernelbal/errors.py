"""The exceptions that a user may see.

Each class is named for what its catcher can do. `message` says what failed and on what, `hint` says what to
do about it; only `kernelbal.cli` turns one into an exit code.
"""

from __future__ import annotations

from dataclasses import dataclass


class KernelbalError(Exception):
    """Base of every error that is shown to a user.

    Attributes:
        message: what failed and on what; lower case, without a full stop.
        hint: the remedy, or None when there is none to name.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a configuration file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one place of a configuration document.

    Attributes:
        key: path of the setting, such as `virtual_services[0].ports[1]`; empty for the whole document.
        message: what is wrong.
        expected: what would have been right, or None.
        hint: the remedy, or None.
        span: where, or None when the document was not read from a file.
    """

    key: str
    message: str
    expected: str | None = None
    hint: str | None = None
    span: Span | None = None


class ConfigError(KernelbalError):
    """A configuration document was refused; `problems` holds all that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the configuration")
        self.problems = problems


class FileUnreadable(KernelbalError):
    """A document cannot be read from disk."""


class PlanRefused(KernelbalError):
    """The plan would not work or would cut traffic, and nothing was changed."""


def awaits_confirmation(left_s: float, *, watched: bool = True) -> PlanRefused:
    """Return the error of whoever would change what awaits confirmation.

    Args:
        left_s: time left to confirm, in seconds.
        watched: whether a process lives that rolls back when the time is over.
    """
    left = f"still awaits confirmation, {max(0.0, left_s):.0f} s left"
    ended = "was neither confirmed nor rolled back, and the process that would roll it back has ended"
    return PlanRefused(
        f"the last apply {left if watched else ended}",
        "keep it with `kernelbal confirm`, or undo it with `kernelbal rollback`",
    )


class OrderRefused(KernelbalError):
    """An operator's order names no real server or virtual service that there is; nothing was changed."""


class InvalidRequest(KernelbalError):
    """What was asked cannot be answered as it was asked; the hint says what to add."""


class ApiFailed(KernelbalError):
    """The control API cannot be served, or refused what it was asked."""


class NoDaemon(KernelbalError):
    """No daemon answers at the control socket."""


class AccessDenied(KernelbalError):
    """The daemon does not let this user do what was asked."""


class NotConverged(KernelbalError):
    """An apply ran to its end, but the kernel is not what the plan wanted."""


class KernelError(KernelbalError):
    """The kernel refused an operation.

    Attributes:
        operation: what was tried, such as `add real server`.
        target: on what, such as `192.0.2.10:80/tcp -> 10.0.0.11:80`.
        errno: the kernel's error number (positive), 0 when it gave none.
    """

    def __init__(
        self, operation: str, target: str, errno: int, message: str, hint: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.operation = operation
        self.target = target
        self.errno = errno


class NotPermitted(KernelError):
    """EPERM or EACCES: a capability is missing."""


class NotSupported(KernelError):
    """The kernel lacks the feature; the hint names the module and its `modprobe` line."""


class StateError(KernelbalError):
    """The state directory cannot be read or written, or holds something unexpected."""


class RecordDamaged(StateError):
    """A record in the state directory is damaged, or cannot be read."""
