"""A thread for what would block the event loop."""

import asyncio
import threading
from contextlib import closing

import pytest

from kernelbal.runtime.director.worker import Thread


def test_calls_run_in_one_thread_in_order_and_raise_what_they_raise() -> None:
    def fail() -> None:
        raise LookupError("no")

    async def scene() -> None:
        with closing(Thread("kernel")) as thread:
            names = await asyncio.gather(
                *(thread.call(lambda: threading.current_thread().name) for _ in range(3))
            )
            assert set(names) == {"kernel_0"}
            seen: list[int] = []
            await asyncio.gather(*(thread.call(seen.append, number) for number in range(20)))
            assert seen == list(range(20))
            with pytest.raises(LookupError, match="no"):
                await thread.call(fail)

    asyncio.run(scene())


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def scene() -> None:
        let_go = threading.Event()
        with closing(Thread("kernel")) as thread:
            waiting = asyncio.ensure_future(thread.call(let_go.wait, 30))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            let_go.set()
            assert await waiting

    asyncio.run(scene())
