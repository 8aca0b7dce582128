"""A director in virtual time, on a kernel in memory, with a checker that says what a test wants."""

import asyncio
import io
import selectors
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from msgspec import convert

from kernelbal.health.quarantine import Quarantined
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, Probe, ProbeState, ProbeStates
from kernelbal.model.ipvs import CounterTable, DestinationKey, ServiceKey
from kernelbal.model.network import Link, Route
from kernelbal.model.status import OrderRequest, Recorded
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.context import Clocks, DirectorContext, begin
from kernelbal.runtime.director.director import Director
from kernelbal.runtime.director.documents import Paths
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log
from kernelbal.runtime.director.record import LiveRecord
from kernelbal.runtime.director.reporter import Reporter
from kernelbal.runtime.director.rounds import Rounds
from kernelbal.runtime.director.saver import Saver
from kernelbal.runtime.systemd import Notifier
from kernelbal.store.daemon import DaemonState
from tests.support.builders import link, service
from tests.support.fake_kernel import FakeKernel

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: rr
    drain: 20s
    check: {tcp: {}, interval: 5s, timeout: 2s, rise: 1, fall: 1}
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
NODE = "name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n"
WEB = service("192.0.2.10", 80)
BOOT = "5f1b"
WALL_AT_BOOT = 1_700_000_000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due when there is nothing to do."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = selectors.DefaultSelector()
        select = selector.select

        def jump(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            assert timeout is not None, "everything waits for nothing"
            self.now += max(0.0, timeout)
            return select(0)

        selector.select = jump  # type: ignore[method-assign] # only the wait is replaced
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class Inline:
    """A worker that works at once, as far as virtual time is concerned."""

    async def call(self, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - any function
        await asyncio.sleep(0)
        return function(*args, **kwargs)


class Kernel(FakeKernel):
    """A kernel whose sockets can be closed; `fault` is raised by every reading."""

    fault: Exception | None = None
    observations = 0

    def close(self) -> None:
        """Close nothing."""

    def observe(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as FakeKernel's
        self.observations += 1
        if self.fault is not None:
            raise self.fault
        return super().observe(*args, **kwargs)

    def read_counters(self, services: Any) -> CounterTable:  # noqa: ANN401 - as FakeKernel's
        if self.fault is not None:
            raise self.fault
        return super().read_counters(services)


class FakeChecker:
    """Remembers what it was given to probe."""

    alive = True
    restarts = 0
    last_report_at: float | None = None
    unstable = False

    def __init__(self) -> None:
        self.probes: dict[str, Probe] = {}
        self.quarantined: list[tuple[Probe, Quarantined]] = []
        self.sets = 0

    def end_quarantine(self) -> None:
        self.quarantined = []

    def set_probes(self, probes: Mapping[str, Probe], states: ProbeStates) -> None:
        self.probes, self.states = dict(probes), dict(states)
        self.sets += 1


class DirectorHarness:
    """A director with everything around it, for one run of the daemon."""

    def __init__(self, folder: Path, kernel: Kernel, loop: VirtualLoop) -> None:
        self.folder, self.kernel, self.loop = folder, kernel, loop
        self.checker = FakeChecker()
        self.log = io.StringIO()
        self.state = DaemonState(folder / "state", lambda: BOOT)
        paths = Paths(folder / "site.yaml", folder / "node.yaml")
        self.journal = Journal(lambda: f"{loop.now:.3f}")
        reporter = Reporter(self.journal, Log(self.log, priorities=False))
        self.known = begin(paths, self.state, loop.now)
        worker = Inline()
        saver = Saver(
            self.state, worker, reporter.emit, lambda: (self.known.states, self.known.memory), loop.time
        )
        clocks = Clocks(loop.time, lambda: WALL_AT_BOOT + loop.now, lambda: 0.0)
        hooks = Hooks(reporter.emit, loop.time)
        reporter.use_hooks(hooks)
        record = LiveRecord(self.state, lambda error: saver.note("ownership", error))
        rounds = Rounds(kernel, record, loop.time)
        self.notifier = Notifier()
        self.context = DirectorContext(
            paths, clocks, worker, worker, rounds, reporter, hooks, self.checker, saver, self.notifier
        )
        self.director = Director(self.context, self.known)

    def write(self, site: str) -> None:
        (self.folder / "site.yaml").write_text(site)

    def report(self, health: Mapping[str, Health | ProbeState]) -> None:
        """Let the checker find out how real servers are; unnamed ones are not reported."""
        states = {}
        for key, probe in self.checker.probes.items():
            found = health.get(_text(probe))
            if isinstance(found, Health):
                reason = "refused" if found is Health.DOWN else ""
                found = ProbeState(found, self.loop.now, reason, self.loop.now, 0.001)
            if found is not None:
                states[key] = found
        self.director.intake.take_report(
            CheckerReport(self.loop.now, states, probes=len(self.checker.probes))
        )

    def all_up(self) -> None:
        self.report({_text(probe): Health.UP for probe in self.checker.probes.values()})

    async def until(self, at: float) -> None:
        await asyncio.sleep(at - self.loop.now)

    async def begin(self) -> None:
        """Let every first result be good, and the first round pass."""
        await asyncio.sleep(0)
        self.all_up()
        await self.director.loop.ready.wait()

    def weights(self, key: ServiceKey = WEB) -> dict[str, int]:
        """Weight by real server, as the kernel has them."""
        if key not in self.kernel.services:
            return {}
        found = self.kernel.services[key].destinations
        return {str(name).rpartition(":")[0]: values.weight for name, values in found.items()}

    def events(self, topic: str = "") -> list[Recorded]:
        return [e for e in self.journal.recent(0, 10**6) if e.topic.startswith(topic)]

    def request(self, server: str, **more: object) -> OrderRequest:
        return convert({"server": server, **more}, OrderRequest)


def _text(probe: Probe) -> str:
    return ".".join(map(str, probe.target.server))


def new_kernel() -> Kernel:
    links: dict[str, Link] = {"eth0": link("eth0"), "eth1": link("eth1")}
    routes = (
        Route(parse_address("192.0.2.0"), 24, None, "eth0", 0),
        Route(parse_address("10.0.0.0"), 24, None, "eth1", 0),
    )
    kernel = Kernel(links=links, routes=routes)
    kernel.sysctls = _Sysctls()
    return kernel


class _Sysctls(dict[str, str]):
    """A kernel that has every sysctl."""

    def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict.get
        return super().get(path, "0")

    def __contains__(self, path: object) -> bool:
        return True


def destination(address: str, port: int = 80) -> DestinationKey:
    return DestinationKey(parse_address(address), port)


Scene = Callable[[DirectorHarness], Awaitable[None]]


def play(
    scene: Scene,
    folder: Path,
    kernel: Kernel | None = None,
    *,
    start_at: float = 1000.0,
    loop: VirtualLoop | None = None,
) -> DirectorHarness:
    """Run a scene in virtual time with a director that runs; return what is left."""
    if loop is None:
        loop = VirtualLoop()
        loop.now = start_at
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_play(scene, folder, kernel or new_kernel(), loop))


async def _play(scene: Scene, folder: Path, kernel: Kernel, loop: VirtualLoop) -> DirectorHarness:
    harness = DirectorHarness(folder, kernel, loop)
    await harness.director.started()
    async with asyncio.TaskGroup() as group:
        rounds = group.create_task(harness.director.loop.run())
        others = group.create_task(harness.director.attend())
        try:
            await scene(harness)
        finally:
            harness.director.loop.stop()
            with suppress(asyncio.CancelledError):
                await rounds
            harness.journal.close()
            harness.notifier.close()
            others.cancel()
    return harness


def in_virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Give a test a director that runs in virtual time, as its first parameter."""
    _, *others = signature(test).parameters.values()

    @wraps(test)
    def run(folder: Path, **arguments: object) -> None:
        play(lambda harness: test(harness, **arguments), folder)

    folder = Parameter("folder", Parameter.POSITIONAL_OR_KEYWORD, annotation=Path)
    run.__signature__ = signature(test).replace(parameters=[folder, *others])  # type: ignore[attr-defined] # read by pytest
    return run
