"""The director's end of a checker's connection, for tests that play the director."""

import socket
from collections.abc import Iterator, Mapping

from kernelbal.model.health import Probe, ProbeState, ProbeStates
from kernelbal.runtime.checker.wire import PROBE_PAGES, REPORT_PAGES, CheckerReport, ReportReader, probe_pages
from kernelbal.runtime.parent import READ_BYTES, Frames


class CheckerLink:
    """Sends probes and reads reports over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames, self._reader = Frames(), ReportReader()

    def send(self, probes: Mapping[str, Probe], states: ProbeStates | None = None) -> None:
        """Have these probed."""
        for page in probe_pages(probes, states or {}):
            self._connection.sendall(PROBE_PAGES.encode(page) + b"\n")

    def read(self) -> list[CheckerReport]:
        """Return the reports that are complete after one read."""
        data = self._connection.recv(READ_BYTES)
        assert data, "the checker ended"
        pages = map(REPORT_PAGES.decode, self._frames.feed(data))
        return [report for page in pages if (report := self._reader.take(page)) is not None]

    def reports(self) -> Iterator[CheckerReport]:
        """Yield reports until the caller has enough."""
        while True:
            yield from self.read()


def states_of(reports: list[CheckerReport]) -> dict[str, ProbeState]:
    """Return the last state of each probe."""
    return {key: state for report in reports for key, state in report.states.items()}
