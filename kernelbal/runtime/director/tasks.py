"""Tasks beside the rounds: an error in one, which is a defect, ends neither that task nor the daemon."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from kernelbal.model.event import Event, Severity, Topic

LOG: Final = logging.getLogger("kernelbal.director")

FIRST_WAIT_S: Final = 1.0
"""Wait before a task is started again, in seconds; it doubles with each error."""
LONGEST_WAIT_S: Final = 60.0
"""Longest wait; a task that ran longer begins with the shortest again."""


class Tasks:
    """Keeps tasks running.

    Attributes:
        errors: how many ended with an error.

    Args:
        emit: takes events.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.errors = 0
        self._emit = emit

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a task until it returns or is cancelled; after an error again, with back-off.

        Args:
            name: what it does, for messages.
            run: begins it.
        """
        clock, wait_s = asyncio.get_running_loop().time, FIRST_WAIT_S
        while True:
            began_at = clock()
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - whatever it is, the site is served on
                if clock() - began_at > LONGEST_WAIT_S:
                    wait_s = FIRST_WAIT_S
                self._report(name, error, wait_s)
            else:
                return
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _report(self, name: str, error: Exception, wait_s: float) -> None:
        self.errors += 1
        LOG.error("internal error in %s", name, exc_info=error)
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        message = (
            f"internal error in {name}: {type(cause).__name__}: {cause}; started again in {wait_s:g} s"
            " (hint: report this with the traceback in the log)"
        )
        self._emit(Event(Topic.DIRECTOR_ERROR, Severity.ERROR, message, fields=(("task", name),)))
