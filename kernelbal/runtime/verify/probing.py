"""Runs each probe of a plan once, by the checker that the daemon uses; one that fails has a second try."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.health.schedule import START_S_PER_PROBE
from kernelbal.health.wire import Lines, ReportReader, WireError, encode_probes
from kernelbal.model.health import Health, Probe, ProbeState
from kernelbal.runtime.checker.supervisor import COMMAND, END_LIMIT_S

TRIES: Final = 2
"""Failures in a row that count."""
SPARE_S: Final = 5.0
"""What the checker may take beyond the time of its probes: to start, and on a busy machine."""
_POLL_S: Final = 0.5
_READ_BYTES: Final = 256 * 1024

Progress = Callable[[int, int], None]
"""Called with the number of probes that are done and the number of all."""


def probe_once(
    probes: Mapping[str, Probe], progress: Progress | None = None, command: Sequence[str] = COMMAND
) -> dict[str, ProbeState]:
    """Return the result of each probe, by key; without a result its health is unknown, and the reason why.

    Args:
        probes: each is run until it is good, or has failed `TRIES` times.
        progress: told how far it is.
        command: of the checker.

    Raises:
        KernelError: the checker does not run.
    """
    if not probes:
        return {}
    results = _Results(probes)
    with _checker(command) as connection:
        connection.settimeout(END_LIMIT_S)
        for line in encode_probes(probes, {}):
            connection.sendall(line)
        connection.settimeout(_POLL_S)
        give_up_at = time.monotonic() + _longest_s(probes)
        while results.open and time.monotonic() < give_up_at:
            results.read(connection)
            if progress is not None:
                progress(len(probes) - len(results.open), len(probes))
    return results.states


def _longest_s(probes: Mapping[str, Probe]) -> float:
    slowest_s = max(probe.timing.interval_s + probe.timing.timeout_s for probe in probes.values())
    return TRIES * slowest_s + len(probes) * START_S_PER_PROBE + SPARE_S


class _Results:
    """States as they come in.

    Attributes:
        open: keys of the probes that are not done, with how often each has failed.
        states: by key.
    """

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self.open = dict.fromkeys(probes, 0)
        self.states = dict.fromkeys(probes, ProbeState())
        self._lines, self._reader = Lines(), ReportReader()

    def read(self, connection: socket.socket) -> None:
        """Take what the checker has to say.

        Raises:
            KernelError: it ended.
        """
        try:
            data = connection.recv(_READ_BYTES)
        except TimeoutError:
            return
        except ConnectionError:
            data = b""
        if not data:
            raise _lost("it ended")
        try:
            for line in self._lines.feed(data):
                report = self._reader.feed(line)
                for key, state in (report.states if report else {}).items():
                    self._take(key, state)
        except WireError as error:
            raise _lost(error.message) from error

    def _take(self, key: str, state: ProbeState) -> None:
        if key not in self.open:
            return
        failed_again = state.health is Health.DOWN and state.last_at != self.states[key].last_at
        self.states[key] = state
        self.open[key] += failed_again
        if state.health is Health.UP or self.open[key] >= TRIES:
            del self.open[key]


def _lost(why: str) -> KernelError:
    return KernelError("probe", "", 0, f"the checker was lost: {why}", "its messages are above")


@contextlib.contextmanager
def _checker(command: Sequence[str]) -> Iterator[socket.socket]:
    """Start a checker; it ends with the block.

    Raises:
        KernelError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            arguments = [*command, f"--fd={theirs.fileno()}"]
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            except OSError as error:
                raise _lost(f"it cannot be started: {error}") from error
        try:
            yield ours
        finally:
            ours.close()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a checker that nobody listens to has ended, and help it if it does not."""
    for help_it in (process.terminate, process.kill):
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            help_it()
        else:
            return
    process.wait()
