"""One computation for many: counted, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kernelbal.runtime.api.shared import Shared
from tests.support.director_harness import VirtualLoop


class Computation:
    """Counts how often it runs; takes two tenths of a second."""

    def __init__(self) -> None:
        self.runs = 0
        self.epoch = 0
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        number = self.runs
        await asyncio.sleep(0.2)
        if self.error is not None:
            raise self.error
        return number


def play(scene: Callable[[Computation, Shared[int]], Awaitable[None]]) -> Computation:
    computation = Computation()

    async def main() -> None:
        await scene(computation, Shared(computation, lambda: computation.epoch, fresh_s=1.0))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    return computation


def test_parallel_readers_cost_one_computation() -> None:
    async def scene(_: Computation, shared: Shared[int]) -> None:
        assert await asyncio.gather(*(shared.get() for _ in range(100))) == [1] * 100

    assert play(scene).runs == 1


def test_result_is_handed_out_while_it_is_fresh_and_not_longer() -> None:
    async def scene(_: Computation, shared: Shared[int]) -> None:
        assert await shared.get() == 1
        await asyncio.sleep(0.7)
        assert await shared.get() == 1
        await asyncio.sleep(0.2)
        assert await shared.get() == 2

    assert play(scene).runs == 2


def test_who_asks_after_a_change_sees_the_change() -> None:
    async def scene(computation: Computation, shared: Shared[int]) -> None:
        early = asyncio.ensure_future(shared.get())
        await asyncio.sleep(0.1)
        computation.epoch += 1
        late = [asyncio.ensure_future(shared.get()) for _ in range(50)]
        await asyncio.sleep(0)
        computation.epoch += 1
        assert (await early, await asyncio.gather(*late)) == (1, [2] * 50)

    assert play(scene).runs == 2


def test_who_hangs_up_takes_the_result_from_nobody() -> None:
    async def scene(_: Computation, shared: Shared[int]) -> None:
        first, second = (asyncio.ensure_future(shared.get()) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        assert await second == 1

    assert play(scene).runs == 1


def test_error_reaches_all_who_wait_and_is_not_kept() -> None:
    async def scene(computation: Computation, shared: Shared[int]) -> None:
        computation.error = ValueError("damaged")
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                await shared.get()
        computation.error = None
        assert await shared.get() == 3

    assert play(scene).runs == 3


def test_old_result_occupies_no_memory() -> None:
    async def scene(_: Computation, shared: Shared[int]) -> None:
        await shared.get()
        assert shared._task is not None
        await asyncio.sleep(1.1)
        assert shared._task is None

    play(scene)
