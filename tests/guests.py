"""Guests of the lab that run tests of this run: who starts them, what they take, what they say.

Outside, a `Batch` holds the tests that need the same kind of guest. Every guest of a batch is a pytest that
takes the next test nobody has taken, until none is left: a directory that it could make is a test that it has
taken. So as many guests as there are processors share the work, one fewer while tests outside run.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import Backend, GuestCommand, StandardStreams
from kernelbal.lab.errors import LabError

EXCHANGE_VARIABLE = "KERNELBAL_LAB_EXCHANGE"
"""The directory of a batch."""
REPORTS_VARIABLE = "KERNELBAL_LAB_REPORTS"
"""The file that a guest writes the reports of its tests to."""
SELECTED_FILE = "selected"
TAKEN_DIRECTORY = "taken"
PASSED_ON = ("KERNELBAL_", "HYPOTHESIS_", "PYTEST_", "PYTHON")
VIRTUAL_TIME = ("uml",)
"""Back ends whose guests do not mind what else the machine does."""
WORTH_A_GUEST = 8
"""Tests that have to be left for another guest to be started."""
STALL_LIMIT_S = 300.0
POLL_S = 0.02
OUTPUT_TAIL_LINES = 40


class Guest:
    """One guest while it runs tests, and after."""

    def __init__(self, exchange: Path, number: int) -> None:
        self.reports_file = exchange / f"reports-{number}"
        self.output_file = exchange / f"output-{number}"
        self.ended_because: str | None = None
        self._read_bytes = 0

    def new_lines(self) -> list[bytes]:
        """Return the reports that have come since the last call."""
        if not self.reports_file.exists():
            return []
        with self.reports_file.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(complete)
        return complete.splitlines()

    def last_words(self) -> str:
        """Return why it ended, and the end of what it said."""
        ended = self.ended_because or f"no word for {STALL_LIMIT_S:g} s"
        with contextlib.suppress(FileNotFoundError):
            said = self.output_file.read_text(errors="replace").splitlines()
            return "\n".join([ended, *said[-OUTPUT_TAIL_LINES:]])
        return ended


class Batch:
    """All tests of this run that need the same kind of guest."""

    def __init__(self, config: pytest.Config, choose_backend: Callable[[], Backend]) -> None:
        self._config = config
        self._choose_backend = choose_backend
        self._exchange = Path(tempfile.mkdtemp(prefix="kernelbal-tests-"))
        self._guests: list[Guest] = []
        self._stop_reading, self._stop_writing = os.pipe()
        self._stopped = False
        self._reports: dict[str, dict[str, pytest.TestReport]] = {}
        self._backend: Backend | None = None
        self.node_ids: list[str] = []
        self.done: set[str] = set()
        self.refusal: str | None = None

    def prepare(self) -> None:
        """Choose the back end, and write down what there is to do."""
        try:
            self._backend = self._choose_backend()
        except LabError as error:
            self.refusal = error.message
            return
        (self._exchange / SELECTED_FILE).write_text(json.dumps(self.node_ids))
        (self._exchange / TAKEN_DIRECTORY).mkdir()

    def next_guest(self) -> Guest | None:
        """Return the guest that is to run now; None when no other is of use."""
        if self._backend is None or self._stopped:
            return None
        left = len(self.node_ids) - len(list((self._exchange / TAKEN_DIRECTORY).iterdir()))
        alone = self._backend.name not in VIRTUAL_TIME
        failed = any(guest.ended_because and not guest.reports_file.exists() for guest in self._guests)
        if self._guests and (alone or failed or left < WORTH_A_GUEST):
            return None
        self._guests.append(Guest(self._exchange, len(self._guests)))
        return self._guests[-1]

    def run(self, guest: Guest) -> None:
        """Run tests in a guest until none is left, or it is told to stop."""
        assert self._backend is not None
        with guest.output_file.open("wb") as output:
            try:
                streams = StandardStreams(stdout=output.fileno(), stderr=output.fileno())
                status = self._backend.run(self._command(guest), streams)
                guest.ended_because = f"pytest in the guest exited with {status}"
            except LabError as error:
                guest.ended_because = error.message

    def _command(self, guest: Guest) -> GuestCommand:
        option = self._config.option
        files = dict.fromkeys(node_id.split("::", 1)[0] for node_id in self.node_ids)
        environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        shown = [f"--tb={option.tbstyle}", *(["-l"] if option.showlocals else []), *["-v"] * option.verbose]
        return GuestCommand(
            argv=(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *shown, *files),
            cwd=self._config.rootpath,
            env={
                "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
                **environment,
                EXCHANGE_VARIABLE: str(self._exchange),
                REPORTS_VARIABLE: str(guest.reports_file),
            },
            results=self._exchange,
            virtual_time=True,
            stop_descriptor=self._stop_reading,
        )

    def reports(self, node_id: str) -> dict[str, pytest.TestReport]:
        """Return a test's reports, one per phase.

        Raises:
            LabError: the guest ended before the test was through.
        """
        if node_id not in self.done:
            raise LabError(f"the guest ended before this test was through: {self._last_words()}")
        return self._reports[node_id]

    def listen(self) -> bool:
        """Take in what guests report; return whether there was anything."""
        lines = [line for guest in self._guests for line in guest.new_lines()]
        for line in lines:
            report = self._config.hook.pytest_report_from_serializable(
                config=self._config, data=json.loads(line)
            )
            if isinstance(report.longrepr, list):  # where and why a test was skipped; JSON has no tuples
                report.longrepr = tuple(report.longrepr)
            self._reports.setdefault(report.nodeid, {})[report.when] = report
            if report.when == "teardown":
                self.done.add(report.nodeid)
        return bool(lines)

    def _last_words(self) -> str:
        return "\n".join(guest.last_words() for guest in self._guests)

    def tell_to_stop(self) -> None:
        """Let every guest end, wherever it is."""
        self._stopped = True
        os.write(self._stop_writing, b"x")

    def clean_up(self) -> None:
        """Remove what the guests left."""
        shutil.rmtree(self._exchange, ignore_errors=True)
        os.close(self._stop_reading)
        os.close(self._stop_writing)


class Crew:
    """The workers of a run: each runs one guest after another, as long as a batch has use for one."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = batches
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._wanted = os.cpu_count() or 1

    def start(self) -> None:
        """Begin, with one processor left to tests outside."""
        for batch in self._batches:
            batch.prepare()
        for _ in range(max(1, self._wanted - 1)):
            self._add()

    def join_in(self) -> None:
        """Use the last processor too: no test outside is left."""
        if len(self._workers) < self._wanted:
            self._add()

    def through(self) -> Iterator[str]:
        """Yield all node ids: of tests that are through as they come, then of those that never will be.

        A guest that says nothing for `STALL_LIMIT_S` is ended.
        """
        waiting = dict.fromkeys(node_id for batch in self._batches for node_id in batch.node_ids)
        heard_at = time.monotonic()
        while waiting:
            at_work = any(worker.is_alive() for worker in self._workers)  # before the last words are read
            if sum(batch.listen() for batch in self._batches):  # all of them are heard
                heard_at = time.monotonic()
            elif not at_work or time.monotonic() - heard_at > STALL_LIMIT_S:
                self._tell_to_stop()
                break
            done = [node_id for batch in self._batches for node_id in batch.done if node_id in waiting]
            for node_id in done:
                del waiting[node_id]
                yield node_id
            time.sleep(POLL_S)
        yield from waiting

    def _add(self) -> None:
        self._workers.append(threading.Thread(target=self._work, daemon=True))
        self._workers[-1].start()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            batch, guest = task
            batch.run(guest)

    def _next(self) -> tuple[Batch, Guest] | None:
        with self._lock:
            for batch in self._batches:
                if (guest := batch.next_guest()) is not None:
                    return batch, guest
        return None

    def stop(self) -> None:
        """End all guests, and clean up."""
        self._tell_to_stop()
        for worker in self._workers:
            worker.join()
        for batch in self._batches:
            batch.clean_up()

    def _tell_to_stop(self) -> None:
        for batch in self._batches:
            batch.tell_to_stop()


# --- inside ---


def selected(exchange: Path) -> list[str]:
    """Return the node ids of a batch."""
    return list(json.loads((exchange / SELECTED_FILE).read_text()))


def taken(exchange: Path, items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield the tests that this guest is the first to take."""
    for number, item in enumerate(items):
        try:
            (exchange / TAKEN_DIRECTORY / str(number)).mkdir()
        except FileExistsError:
            continue
        yield item


class ReportWriter:
    """Writes every report to a file that the outside follows."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._path.open("a") as file:
            file.write(json.dumps(data) + "\n")
            file.flush()
            os.fsync(file.fileno())  # past the guest's page cache
