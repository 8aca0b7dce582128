"""What is measured, one after the other, with one director."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from bench.status.director import CountingDirector, running
from bench.status.figures import Figures
from bench.status.reader import read
from bench.status.site import Size, site_text
from kernelbal.runtime.director.worker import SWITCH_S

TICK_S: Final = 0.001
READERS: Final = 100
ANSWERS: Final = 50
ONE_SERVICE: Final = "/v1/virtual-services/s0"
_NOT_FRESH_S: Final = 1.2
"""After so long nobody gets a document that was made before, in seconds."""


class Moment(NamedTuple):
    """Seconds of clocks, read in the loop's thread.

    Attributes:
        wall_s: of any steady clock.
        cpu_s: processor time of the process.
        queued_s: for how long the thread was ready to run and the machine did something else
            (`/proc/thread-self/schedstat`, second field).
    """

    wall_s: float
    cpu_s: float
    queued_s: float

    @classmethod
    def now(cls) -> Self:
        """Read the clocks."""
        queued_ns = int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1])
        return cls(time.perf_counter(), time.process_time(), queued_ns / 1e9)


class Holds:
    """The longest time that the event loop was held: between two ticks, as far as this process was at work.

    What other processes take from a busy machine does not count; work of other threads that keeps the loop
    from running does.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            began = Moment.now()
            await asyncio.sleep(TICK_S)
            ended = Moment.now()
            passed_s = ended.wall_s - began.wall_s - (ended.queued_s - began.queued_s)
            held_s = min(passed_s, ended.cpu_s - began.cpu_s) - TICK_S
            self.longest_s = max(self.longest_s, held_s)

    @contextlib.contextmanager
    def measured(self, held_ms: dict[str, float], name: str) -> Iterator[None]:
        """Note the longest hold meanwhile, in milliseconds."""
        self.longest_s = 0.0
        yield
        held_ms[name] = self.longest_s * 1000


async def measure(size: Size, repeat: int) -> Figures:
    """Return the figures of a site."""
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        socket = folder / "control.sock"
        async with running(folder, site_text(size), socket) as director:
            holds = Holds()
            ticks = asyncio.ensure_future(holds.run())
            try:
                return await _measured(director, holds, folder, socket, size, repeat)
            finally:
                ticks.cancel()


async def _measured(
    director: CountingDirector, holds: Holds, folder: Path, socket: Path, size: Size, repeat: int
) -> Figures:
    held_ms: dict[str, float] = {}
    for name, target in (("status", "/v1/status"), ("metrics", "/metrics")):
        with holds.measured(held_ms, name):
            for _ in range(repeat):
                await read(socket, target)
                await asyncio.sleep(_NOT_FRESH_S)
    before = time.process_time()
    one = await read(socket, ONE_SERVICE, repeat=ANSWERS)
    one_cpu_s = time.process_time() - before
    await asyncio.sleep(_NOT_FRESH_S)
    single_cpu_s = await _cpu_s(socket, 1)
    await asyncio.sleep(_NOT_FRESH_S)
    taken = director.taken
    with holds.measured(held_ms, "readers"):
        readers_cpu_s = await _cpu_s(socket, READERS)
    computations = director.taken - taken
    with holds.measured(held_ms, "reload"):
        for number in range(repeat):
            (folder / "site.yaml").write_text(site_text(size, ("rr", "wlc")[number % 2]))
            await asyncio.gather(
                director.reload("benchmark"), read(socket, "/v1/status"), read(socket, "/metrics")
            )
            await asyncio.sleep(_NOT_FRESH_S)
    return Figures(
        hold_status_ms=held_ms["status"],
        hold_metrics_ms=held_ms["metrics"],
        hold_readers_ms=held_ms["readers"],
        hold_reload_ms=held_ms["reload"],
        one_service_ms=one.median_s * 1000,
        one_service_cpu_ms=one_cpu_s * 1000 / ANSWERS,
        computations_of_100=computations,
        cpu_s_of_1=single_cpu_s,
        cpu_s_of_100=readers_cpu_s,
    )


async def _cpu_s(socket: Path, readers: int) -> float:
    """Return the processor time of this process while so many read the metrics."""
    before = time.process_time()
    await read(socket, "/metrics", parallel=readers)
    return time.process_time() - before
