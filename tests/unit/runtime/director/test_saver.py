"""Writing to the state directory."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernelbal.errors import StateError
from kernelbal.health.decision import Memory
from kernelbal.model.address import parse_address
from kernelbal.model.event import Event, Topic
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import Admin, OperatorKey, Order, Orders
from kernelbal.runtime.director.saver import LONGEST_S, SHORTEST_S, Saver
from kernelbal.store.daemon import DaemonState, HealthRecord
from tests.support.director_harness import BOOT, Inline, VirtualLoop


class Disk(DaemonState):
    """A state directory whose disk may be full."""

    full = False
    writes = 0

    def save_health(self, health: HealthRecord) -> None:
        self.writes += 1
        if self.full:
            raise StateError("cannot write: No space left on device", "check the disk")
        super().save_health(health)

    def save_orders(self, orders: Orders) -> None:
        if self.full:
            raise StateError("cannot write orders: No space left on device", "check the disk")
        super().save_orders(orders)


def test_health_is_written_at_most_once_a_second_and_the_last_one_wins(tmp_path: Path) -> None:
    loop, disk, states = VirtualLoop(), Disk(tmp_path, lambda: BOOT), {}

    async def scene() -> None:
        saver = Saver(disk, Inline(), lambda _: None, lambda: (states, Memory()), loop.time)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(saver.run())
            for number in range(100):
                states["a"] = ProbeState(Health.UP, float(number))
                saver.health_changed()
                await asyncio.sleep(0.05)
            await asyncio.sleep(2 * SHORTEST_S)
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())
    assert disk.writes <= 7
    assert disk.load_health().states["a"].since_at == 99.0


def test_a_disk_that_hesitated_once_is_written_to_again_soon(tmp_path: Path) -> None:
    loop, states = VirtualLoop(), {"a": ProbeState(Health.UP, 1.0)}
    disk = Disk(tmp_path, lambda: BOOT)

    class Hesitant(Inline):
        """A thread whose first call takes two seconds."""

        async def call(self, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - any function
            if not disk.writes:
                await asyncio.sleep(2.0)
            return await super().call(function, *args, **kwargs)

    async def scene() -> None:
        saver = Saver(disk, Hesitant(), lambda _: None, lambda: (states, Memory()), loop.time)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(saver.run())
            saver.health_changed()
            await asyncio.sleep(3.0)
            states["a"] = ProbeState(Health.DOWN, 2.0)
            saver.health_changed()
            await asyncio.sleep(LONGEST_S)
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())
    assert disk.load_health().states["a"].health is Health.DOWN


def test_a_full_disk_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    loop, disk, told = VirtualLoop(), Disk(tmp_path, lambda: BOOT), list[Event]()

    async def scene() -> None:
        saver = Saver(disk, Inline(), told.append, lambda: ({}, Memory()), loop.time)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(saver.run())
            disk.full = True
            saver.health_changed()
            await asyncio.sleep(10)
            disk.full = False
            await asyncio.sleep(10)
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())
    assert [event.topic for event in told] == [Topic.STATE_UNSAVED, Topic.STATE_SAVED]
    assert "No space left" in told[0].message
    assert "check the disk" in told[0].message
    assert disk.load_health().boot_id == BOOT


def test_orders_that_a_full_disk_refused_are_written_once_there_is_room(tmp_path: Path) -> None:
    loop, disk, told = VirtualLoop(), Disk(tmp_path, lambda: BOOT), list[Event]()
    disabled = {
        OperatorKey(parse_address("10.0.0.11")): Order(Admin.DISABLE, 1.0, 1.0, False, "root", "bad memory")
    }

    async def scene() -> None:
        saver = Saver(disk, Inline(), told.append, lambda: ({}, Memory()), loop.time)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(saver.run())
            disk.full = True
            assert not await saver.save_orders(disabled)
            await asyncio.sleep(10)
            assert disk.load_orders() == {}
            disk.full = False
            await asyncio.sleep(3)
            assert disk.load_orders() == disabled
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())
    unsaved = Topic.STATE_UNSAVED
    assert [event.topic for event in told] == [unsaved, unsaved, Topic.STATE_SAVED], "once for each file"
