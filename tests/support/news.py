"""Waiting in an event loop for what callbacks bring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 30.0


class News:
    """Callbacks note that something is new; a test waits until something holds."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def note(self) -> None:
        """Have `until` look again."""
        self._came.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait.

        Raises:
            TimeoutError: it does not hold within `LIMIT_S`.
        """
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self._came.clear()
                await self._came.wait()
