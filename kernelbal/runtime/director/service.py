"""The daemon: a director with its workers and children in one event loop, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from errno import EPERM
from pathlib import Path
from typing import Final

from kernelbal.errors import KernelbalError, NotPermitted, StateError
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.kernel.watch import KernelWatch
from kernelbal.model.event import Severity, Topic
from kernelbal.model.node import ApiSettings
from kernelbal.plan.action import AS_ROOT
from kernelbal.runtime.checker.checkers import Checkers
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.context import Clocks, DirectorContext, DirectorState, begin
from kernelbal.runtime.director.director import Director
from kernelbal.runtime.director.documents import Paths
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log, SafeFormatter
from kernelbal.runtime.director.record import LiveRecord
from kernelbal.runtime.director.reporter import Reporter
from kernelbal.runtime.director.rounds import Rounds
from kernelbal.runtime.director.saver import Saver
from kernelbal.runtime.director.status_view import iso
from kernelbal.runtime.director.worker import SWITCH_S, Thread
from kernelbal.runtime.systemd import SHARE, Notifier
from kernelbal.store.boot import boot_clock_s, wall_clock_s
from kernelbal.store.daemon import DaemonState

LONGEST_ROUND_S: Final = 60.0
"""A round that takes longer hangs: systemd's watchdog gets no answer, and starts the daemon anew."""
LONGEST_SILENCE_S: Final = 120.0
"""The same holds when there was no checker for so long, in seconds."""
LAST_HOOKS_S: Final = 2.0
"""At the end, hooks have this long for what is queued, in seconds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `kernelbal run` was called with.

    Attributes:
        socket: of the control API; None takes that of the node document.
    """

    paths: Paths
    state_dir: Path
    socket: str | None = None


def run(settings: Settings) -> None:
    """Be the daemon until SIGTERM or SIGINT; the kernel stays as it is.

    Raises:
        KernelbalError: it cannot start; the message says why.
    """
    state = DaemonState(settings.state_dir)
    notifier = Notifier.from_environment(os.environ, os.getpid())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter(priorities=_under_systemd()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    with contextlib.closing(notifier), state.lock():
        began = begin(settings.paths, state, boot_clock_s())
        _require_privilege()
        sys.setswitchinterval(SWITCH_S)
        with _one_error():
            asyncio.run(_run(settings, state, began, notifier))


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    """Turn a group of errors that users may see into its first one; the others follow from it."""
    try:
        yield
    except BaseExceptionGroup as group:
        known, others = group.split(KernelbalError)
        if others is not None or known is None:
            raise
        raise _first(known) from group


def _first(group: BaseExceptionGroup[KernelbalError]) -> KernelbalError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _require_privilege() -> None:
    """Refuse a daemon that may not listen to the kernel; it could not change anything either."""
    try:
        KernelWatch.open().close()
    except PermissionError as error:
        message = "the daemon may not listen to the kernel, which requires CAP_NET_ADMIN"
        raise NotPermitted("listen", "netlink", error.errno or EPERM, message, AS_ROOT) from error


@dataclass(frozen=True, slots=True)
class _Daemon:
    """The running daemon."""

    director: Director
    context: DirectorContext
    checker: Checkers
    stop: asyncio.Event


async def _run(settings: Settings, state: DaemonState, began: DirectorState, notifier: Notifier) -> None:
    async with AsyncExitStack() as stack:
        daemon = _assemble(settings, state, began, notifier, stack)
        await daemon.director.started()
        try:
            await _serve(daemon, settings, stack)
        finally:
            await _finish(daemon)
    if daemon.director.loop.fatal is not None:
        raise daemon.director.loop.fatal


def _assemble(
    settings: Settings, state: DaemonState, began: DirectorState, notifier: Notifier, stack: AsyncExitStack
) -> _Daemon:
    journal = Journal(lambda: iso(wall_clock_s()))
    stack.callback(journal.close)
    reporter = Reporter(journal, Log(sys.stderr, priorities=_under_systemd(), terminal=sys.stderr.isatty()))
    hooks = Hooks(reporter.emit, boot_clock_s)
    reporter.use_hooks(hooks)
    kernel, files = Thread("kernel"), Thread("files")
    stack.callback(files.close)
    stack.callback(kernel.close)
    checker = Checkers(
        lambda report: director.intake.take_report(report), lambda why: director.intake.lose_checker(why)
    )
    saver = Saver(state, files, reporter.emit, lambda: (began.states, began.memory), boot_clock_s)
    loop = asyncio.get_running_loop()

    def written(error: StateError | None) -> None:
        loop.call_soon_threadsafe(saver.note, "ownership", error)

    context = DirectorContext(
        paths=settings.paths,
        clocks=Clocks(boot_clock_s, wall_clock_s, time.thread_time),
        kernel=kernel,
        files=files,
        rounds=Rounds(LinuxKernel(), LiveRecord(state, written), boot_clock_s),
        reporter=reporter,
        hooks=hooks,
        checker=checker,
        saver=saver,
        notifier=notifier,
    )
    director = Director(context, began)
    return _Daemon(director, context, checker, asyncio.Event())


async def _serve(daemon: _Daemon, settings: Settings, stack: AsyncExitStack) -> None:
    """Do everything at once until SIGTERM or SIGINT."""
    director, context = daemon.director, daemon.context
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop.set)
        stack.callback(loop.remove_signal_handler, number)
    async with asyncio.TaskGroup() as group:
        rounds = group.create_task(director.loop.run())
        rounds.add_done_callback(lambda _: daemon.stop.set())
        others = [
            group.create_task(director.tasks.keep("checker", daemon.checker.run)),
            group.create_task(director.attend()),
            group.create_task(_keep_watchdog(daemon)),
        ]
        with director.intake.listening():
            async with _api(daemon, settings):
                await _notify_ready(daemon)
                await daemon.stop.wait()
                context.notifier.stopping()
            director.loop.stop()
            await rounds
        for task in others:
            task.cancel()


async def _notify_ready(daemon: _Daemon) -> None:
    """Notify systemd that the first round is over; that the end came first is fine too."""
    waits = [asyncio.ensure_future(each.wait()) for each in (daemon.director.loop.ready, daemon.stop)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    if daemon.director.loop.ready.is_set():
        daemon.context.notifier.ready(overview.summary_of(daemon.director.state))


async def _keep_watchdog(daemon: _Daemon) -> None:
    """Answer the watchdog as long as rounds end and there is a checker."""
    every_s = (daemon.context.notifier.watchdog_s or LONGEST_ROUND_S) / SHARE
    seen_at = boot_clock_s()
    while True:
        if daemon.checker.alive:
            seen_at = boot_clock_s()
        checked = boot_clock_s() - seen_at < LONGEST_SILENCE_S
        if checked and daemon.director.loop.stuck_s() < LONGEST_ROUND_S:
            daemon.context.notifier.alive()
        await asyncio.sleep(every_s)


@contextlib.asynccontextmanager
async def _api(daemon: _Daemon, settings: Settings) -> AsyncIterator[None]:
    """Serve the control API; one that cannot be served is no reason to leave the kernel alone."""
    from kernelbal.runtime.api.server import ApiServer

    director = daemon.director

    def settings_of(api: ApiSettings) -> ApiSettings:
        if settings.socket is None:
            return api
        return ApiSettings.model_validate({**api.model_dump(), "socket": settings.socket})

    server = ApiServer(director, settings_of(director.state.force.documents.node.api))
    try:
        await server.start()
    except (KernelbalError, OSError) as error:
        message = f"the control API is not served: {error}"
        daemon.context.reporter.report(Topic.DIRECTOR_STARTED, message, Severity.WARNING)
        yield
        return
    director.reloads.on_load = lambda api: server.reload(settings_of(api))
    try:
        yield
    finally:
        await server.stop()


async def _finish(daemon: _Daemon) -> None:
    """Save, report, and let go; the kernel stays as it is."""
    context = daemon.context
    await context.saver.save_health()
    await context.kernel.call(context.rounds.close)
    context.reporter.report(
        Topic.DIRECTOR_STOPPED, "the daemon stops; services stay in the kernel, and no connection is cut"
    )
    await context.hooks.flush(LAST_HOOKS_S)


def _under_systemd() -> bool:
    """Return whether standard error goes to systemd's journal (`systemd.exec(5)`, JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
