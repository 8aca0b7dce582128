"""The kernel's error numbers in words: what each means is a row of the action's kind (`plan.kinds`).

What an action does not list is looked up in `COMMON_ERRORS`, and what that does not list is worded by the C
library.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.plan.action import COMMON_ERRORS, Action, Errors, Meaning, Outcome, Result, failed
from kernelbal.plan.kinds import BY_ACTION

_CLASSES: dict[int, type[KernelError]] = {
    errno.EPERM: NotPermitted,
    errno.EACCES: NotPermitted,
    errno.EAFNOSUPPORT: NotSupported,
    errno.EPROTONOSUPPORT: NotSupported,
    errno.EOPNOTSUPP: NotSupported,
}


def refused(action: Action, number: int, text: str = "") -> Outcome:
    """Return the outcome of an action that the kernel refused.

    Args:
        action: what was refused.
        number: the kernel's error number (positive).
        text: what the kernel itself said, if anything.
    """
    row = BY_ACTION[type(action)].rows[type(action)]
    result, message, hint = _meaning(row.errors, number, action)
    if text and result is Result.FAILED:
        message = f"{message} (kernel: {text})"
    return Outcome(action, result, number, message, hint)


def all_failed(actions: Iterable[Action], fault: KernelError) -> list[Outcome]:
    """Return the outcomes of actions of which none could be tried."""
    return [
        Outcome(action, Result.FAILED, fault.errno, fault.message, fault.hint or "") for action in actions
    ]


def error(
    operation: str, target: str, number: int, text: str = "", errors: Errors = COMMON_ERRORS
) -> KernelError:
    """Return the exception for an error number, of the class that says what its catcher can do.

    Args:
        operation: what was asked of the kernel, such as `read sysctl`.
        target: what it was about, or empty.
        number: the kernel's error number (positive).
        text: what the kernel itself said, if anything.
        errors: what numbers mean for the operation.
    """
    _, meaning, hint = _meaning(errors, number, None)
    message = f"cannot {operation}: {meaning}" + (f" (kernel: {text})" if text else "")
    return _CLASSES.get(number, KernelError)(operation, target, number, message, hint or None)


def read_error(what: str, cause: OSError) -> KernelError:
    """Return the exception for something that cannot be read; `cause` without errno speaks for itself."""
    operation = f"read {what}"
    if cause.errno:
        return error(operation, "", cause.errno)
    return KernelError(operation, "", 0, f"cannot {operation}: {cause.strerror}", "try again")


def _meaning(errors: Errors, number: int, action: Any) -> Meaning:  # noqa: ANN401 - the action of the row
    row = errors.get(number) or COMMON_ERRORS.get(number) or failed(os.strerror(number).lower())
    if callable(row):
        row = row(action)
    if action is None:
        return row
    fields = action._asdict()
    return row._replace(message=row.message.format_map(fields), hint=row.hint.format_map(fields))
