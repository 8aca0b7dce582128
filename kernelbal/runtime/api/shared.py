"""One computation for everybody who asks for the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

FRESH_S: Final = 1.0
"""A result is handed out for so long, in seconds, unless its epoch ends before."""


class Shared(Generic[T]):
    """The result of a computation, shared by all who ask for it.

    Who asks gets a result that was begun after the question, or a fresh one of the same epoch. However many
    ask, one computation runs at a time, and at most one more waits for its end.

    Args:
        compute: takes a snapshot of its inputs before anything else.
        epoch: what a result depends on; once it returns another value, older results are not handed out.
        fresh_s: age, in seconds, up to which a result is handed out.
    """

    def __init__(
        self,
        compute: Callable[[], Coroutine[Any, Any, T]],
        epoch: Callable[[], object],
        fresh_s: float = FRESH_S,
    ) -> None:
        self._compute = compute
        self._epoch = epoch
        self._fresh_s = fresh_s
        self._begun = 0
        self._begun_at = 0.0
        self._epoch_begun: object = None
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the result; raises what the computation raises."""
        needed = self._begun if self._is_current() else self._begun + 1
        while self._begun < needed or self._task is None:
            if self._task is None or self._task.done():
                self._begin()
            else:
                await asyncio.wait({self._task})
        return await asyncio.shield(self._task)

    def _is_current(self) -> bool:
        task = self._task
        return (
            task is not None
            and self._epoch_begun == self._epoch()
            and asyncio.get_running_loop().time() - self._begun_at < self._fresh_s
            and not (task.done() and (task.cancelled() or task.exception() is not None))
        )

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._begun += 1
        self._begun_at, self._epoch_begun = loop.time(), self._epoch()
        self._task = task = loop.create_task(self._compute())
        task.add_done_callback(lambda _: loop.call_later(self._fresh_s, self._forget, task))

    def _forget(self, task: asyncio.Task[T]) -> None:
        """Free the memory of a result that nobody gets any more."""
        if self._task is task:
            self._task = None
