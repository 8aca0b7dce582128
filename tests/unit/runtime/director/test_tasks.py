"""Tasks that outlive their errors."""

import asyncio
from itertools import pairwise

import pytest

from kernelbal.model.event import Event, Topic
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.tasks import LONGEST_WAIT_S, Tasks
from tests.support.director_harness import DirectorHarness, VirtualLoop, in_virtual_time


@pytest.mark.parametrize("grouped", [False, True])
def test_a_task_that_fails_is_started_again_with_back_off(grouped: bool) -> None:
    loop, events, began_at = VirtualLoop(), list[Event](), list[float]()
    tasks = Tasks(events.append)

    async def fail() -> None:
        began_at.append(loop.time())
        if len(began_at) == 9:
            return
        error = ZeroDivisionError("by nought")
        raise ExceptionGroup("tasks", [error]) if grouped else error

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(tasks.keep("hooks", fail))
    waits = [later - before for before, later in pairwise(began_at)]
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert tasks.errors == 8
    assert {event.topic for event in events} == {Topic.DIRECTOR_ERROR}
    assert "internal error in hooks: ZeroDivisionError: by nought" in events[0].message


def test_what_is_cancelled_stays_cancelled() -> None:
    async def scene() -> None:
        task = asyncio.ensure_future(Tasks(lambda _: None).keep("hooks", asyncio.Event().wait))  # type: ignore[arg-type] # it never returns
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scene())


@in_virtual_time
async def test_an_error_in_a_task_ends_no_daemon_and_is_counted(
    harness: DirectorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = Hooks.run, list[Hooks]()

    async def fail_once(hooks: Hooks) -> None:
        calls.append(hooks)
        if len(calls) == 1:
            raise ZeroDivisionError
        await run(hooks)

    monkeypatch.setattr(Hooks, "run", fail_once)
    await harness.begin()
    await harness.until(harness.loop.now + 10)
    assert len(calls) == 2
    assert harness.weights() == {"10.0.0.11": 100, "10.0.0.12": 100}
    assert harness.director.status().summary().internal_errors == 1
    assert [event.fields["task"] for event in harness.events("director.error")] == ["hooks"]
