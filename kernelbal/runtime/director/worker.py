"""Threads that the event loop hands work to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, Protocol, TypeVar

SWITCH_S: Final = 0.001
"""A thread that computes makes room for another one after so long, in seconds, so that the event loop, which
may have to wait for several of them, goes on soon."""

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Protocol):
    """Somewhere else to run what would block the event loop; one call at a time, in order."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function and return what it returns, or raise what it raises."""
        ...


class Thread:
    """One thread of its own; it begins with the first call, in the network namespace of its caller."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Wait for the call that is under way, and end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
