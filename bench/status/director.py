"""A director with its control API in this process: kernel and checker are in memory, the rest is real."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from bench.status.site import NODE
from kernelbal.health.quarantine import Quarantined
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, Probe, ProbeState, ProbeStates
from kernelbal.model.ipvs import DestinationCounters
from kernelbal.model.network import Link, Route
from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.server import ApiServer
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.context import Clocks, DirectorContext, begin
from kernelbal.runtime.director.director import Director
from kernelbal.runtime.director.documents import Paths
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log
from kernelbal.runtime.director.overview import DirectorSnapshot
from kernelbal.runtime.director.record import LiveRecord
from kernelbal.runtime.director.reporter import Reporter
from kernelbal.runtime.director.rounds import Rounds
from kernelbal.runtime.director.saver import Saver
from kernelbal.runtime.director.status_view import iso
from kernelbal.runtime.director.worker import Thread
from kernelbal.runtime.systemd import Notifier
from kernelbal.store.boot import boot_clock_s, wall_clock_s
from kernelbal.store.daemon import DaemonState
from tests.support.fake_kernel import FakeKernel


class MemoryKernel(FakeKernel):
    """A kernel in memory with two devices, every sysctl, and counters of each real server."""

    def __init__(self) -> None:
        networks = {"eth0": ("192.0.2.0", 24), "eth1": ("10.0.0.0", 8)}
        super().__init__(
            links={
                name: Link(name, index, up=True, kind="veth", mtu_bytes=1500, hardware_address="")
                for index, name in enumerate(networks, 1)
            },
            routes=tuple(
                Route(parse_address(network), prefix, None, name, 0)
                for name, (network, prefix) in networks.items()
            ),
            sysctls=_EverySysctl(),
        )

    def close(self) -> None:
        """Close nothing."""

    def count(self) -> None:
        """Let each real server have connections."""
        self.counters = {
            key: dict.fromkeys(service.destinations, DestinationCounters(12, 3, 0, 4321, 5, 6, 7, 8))
            for key, service in self.services.items()
        }


class _EverySysctl(dict[str, str]):
    def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict.get
        return super().get(path, "0")

    def __contains__(self, path: object) -> bool:
        return True


class MemoryChecker:
    """A checker that finds every real server up."""

    def __init__(self) -> None:
        self.alive = True
        self.restarts = 0
        self.unstable = False
        self.quarantined: list[tuple[Probe, Quarantined]] = []
        self.last_report_at: float | None = None
        self.probes: Mapping[str, Probe] = {}
        self.begun = asyncio.Event()

    def end_quarantine(self) -> None:
        """There is none."""

    def set_probes(self, probes: Mapping[str, Probe], _: ProbeStates) -> None:
        """Replace what is probed."""
        self.probes = dict(probes)
        self.begun.set()

    def report(self) -> CheckerReport:
        """Return a result of each probe."""
        now = self.last_report_at = boot_clock_s()
        up = ProbeState(Health.UP, now, "", now, 0.001)
        return CheckerReport(now, dict.fromkeys(self.probes, up), probes=len(self.probes))


class CountingDirector(Director):
    """A director that counts how often its status was taken."""

    taken = 0

    def status(self) -> DirectorSnapshot:
        """Return the status as it is known now."""
        self.taken += 1
        return super().status()


@contextlib.asynccontextmanager
async def running(folder: Path, site: str, socket: Path) -> AsyncIterator[CountingDirector]:
    """Run a director with a site that has come into force, and serve its API.

    Args:
        folder: takes its files, such as `site.yaml`.
        site: the site document.
        socket: of the API.
    """
    (folder / "site.yaml").write_text(site)
    (folder / "node.yaml").write_text(NODE)
    kernel, checker, journal = MemoryKernel(), MemoryChecker(), Journal(lambda: iso(wall_clock_s()))
    context, director = _assemble(folder, kernel, checker, journal)
    async with asyncio.TaskGroup() as group:
        rounds = group.create_task(director.loop.run())
        others = [group.create_task(run()) for run in (director.reloads.run, context.saver.run)]
        await checker.begun.wait()
        director.intake.take_report(checker.report())
        await director.loop.ready.wait()
        kernel.count()
        api = ApiServer(director, ApiSettings(socket=str(socket)))
        await api.start()
        try:
            yield director
        finally:
            await api.stop()
            director.loop.stop()
            await rounds
            for task in others:
                task.cancel()


def _assemble(
    folder: Path, kernel: MemoryKernel, checker: MemoryChecker, journal: Journal
) -> tuple[DirectorContext, CountingDirector]:
    store = DaemonState(folder / "state", lambda: "this boot")
    paths = Paths(folder / "site.yaml", folder / "node.yaml")
    state = begin(paths, store, boot_clock_s())
    reporter, files = Reporter(journal, Log(io.StringIO(), priorities=False)), Thread("files")
    context = DirectorContext(
        paths=paths,
        clocks=Clocks(boot_clock_s, wall_clock_s, time.thread_time),
        kernel=Thread("kernel"),
        files=files,
        rounds=Rounds(kernel, LiveRecord(store, lambda _: None), boot_clock_s),
        reporter=reporter,
        hooks=Hooks(reporter.emit, boot_clock_s),
        checker=checker,
        saver=Saver(store, files, reporter.emit, lambda: (state.states, state.memory), boot_clock_s),
        notifier=Notifier(),
    )
    return context, CountingDirector(context, state)
