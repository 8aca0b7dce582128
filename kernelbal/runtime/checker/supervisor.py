"""The director's side of the checker: starts it, feeds it, reads its reports, starts it anew when lost.

The checker hangs on a socket pair. When this end closes, also because the director was killed, it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kernelbal.health.wire import Lines, Report, ReportReader, WireError, encode_probes
from kernelbal.model.health import Probe, ProbeState, ProbeStates

COMMAND: Final = (sys.executable, "-m", "kernelbal.runtime.checker")
FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 30.0
SILENCE_LIMIT_S: Final = 30.0
"""A checker that says nothing for so long hangs; it reports every second, also without news."""
END_LIMIT_S: Final = 3.0
"""How long the checker may take to end once nobody listens."""
_READ_BYTES: Final = 256 * 1024


class CheckerSupervisor:
    """Keeps one checker running while `run` runs.

    Attributes:
        alive: whether a checker runs that has reported.
        restarts: how often a checker was lost.
        last_report_at: when the last report came (boot clock), or None.
        end_limit_s: how long a checker may take to end by itself before it is sock to.
    """

    def __init__(
        self,
        on_report: Callable[[Report], None],
        on_lost: Callable[[str], None],
        *,
        command: Sequence[str] = COMMAND,
        first_backoff_s: float = FIRST_BACKOFF_S,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        """Start nothing yet.

        Args:
            on_report: called in the event loop for each report.
            on_lost: called with the reason when a checker ended, or could not be started.
            command: program and arguments; `--fd=N` is added.
            first_backoff_s: wait before the first start anew; doubled up to `LAST_BACKOFF_S`.
            silence_limit_s: a checker that says nothing for so long is lost.
        """
        self._on_report = on_report
        self._on_lost = on_lost
        self._command = command
        self._first_backoff_s = first_backoff_s
        self._silence_limit_s = silence_limit_s
        self._probes: Mapping[str, Probe] = {}
        self._states: dict[str, ProbeState] = {}
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self.end_limit_s = END_LIMIT_S
        self.alive = False
        self.restarts = 0
        self.last_report_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running checker, or None."""
        return None if self._process is None else self._process.pid

    def set_probes(self, probes: Mapping[str, Probe], states: ProbeStates) -> None:
        """Replace what is probed.

        Args:
            probes: by key.
            states: to start from; of a probe that runs already the checker knows better and keeps its own.
        """
        self._probes = dict(probes)
        known = {**states, **self._states}
        self._states = {key: known[key] for key in self._probes if key in known}
        self._changed.set()

    async def run(self) -> None:
        """Keep a checker running until cancelled; then end it."""
        backoff_s = self._first_backoff_s
        while True:
            began_at = time.monotonic()
            reason = await self._run_once()
            self.restarts += 1
            self._on_lost(reason)
            if time.monotonic() - began_at > LAST_BACKOFF_S:
                backoff_s = self._first_backoff_s
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LAST_BACKOFF_S)

    async def _run_once(self) -> str:
        """Run a checker to its end and return why it ended."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            try:
                with theirs:
                    process = self._process = await self._start(theirs)
            except OSError as error:
                return f"the checker cannot be started: {error}"
            try:
                reason = await self._attend(ours)
            finally:
                self.alive = False
                ours.close()
                status = await _end(process, self.end_limit_s)
                self._process = None
        return f"{reason} (exit status {status})"

    async def _start(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            f"--fd={theirs.fileno()}",
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def _attend(self, ours: socket.socket) -> str:
        self._changed.set()
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send(ours))
            try:
                return await self._receive(ours)
            finally:
                sender.cancel()

    async def _send(self, ours: socket.socket) -> None:
        """Send each set of probes; one that was replaced before its turn is left out."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # the receiver tells
            while True:
                await self._changed.wait()
                self._changed.clear()
                for line in encode_probes(self._probes, dict(self._states)):
                    await loop.sock_sendall(ours, line)

    async def _receive(self, ours: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        lines, reader = Lines(), ReportReader()
        try:
            while True:
                async with asyncio.timeout(self._silence_limit_s):
                    data = await loop.sock_recv(ours, _READ_BYTES)
                if not data:
                    return "the checker ended"
                for line in lines.feed(data):
                    report = reader.feed(line)
                    if report is not None:
                        self._take(report)
        except TimeoutError:
            return f"the checker said nothing for {self._silence_limit_s:g} s"
        except ConnectionError:
            return "the checker ended"
        except WireError as error:
            return f"the checker was given up: {error}"

    def _take(self, report: Report) -> None:
        self.alive = True
        self.last_report_at = report.at
        for key, state in report.states.items():
            if key in self._probes:
                self._states[key] = state
        self._on_report(report)


async def _end(process: asyncio.subprocess.Process, limit_s: float) -> int:
    """Wait until a checker that nobody listens to has ended, and help it if it does not."""
    for help_it in (process.terminate, process.kill):
        try:
            async with asyncio.timeout(limit_s):
                return await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                help_it()
    return await process.wait()
