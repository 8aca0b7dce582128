"""Runs tests that need a kernel of their own in the lab, and reports each as a result of this run.

Tests marked `needs_ipvs` run in a lab back end (`KERNELBAL_LAB_BACKEND`, default `auto`; User-mode Linux in
virtual time), tests marked `needs_machine` always in User-mode Linux, tests marked `needs_root` in private
namespaces on the running kernel. All of a kind run in one guest, which is started when the first of them is
due; `-k`, node ids and `-x` work as ever. Without a usable back end they are skipped with the reason, and
fail where `CI` or `KERNELBAL_REQUIRE_IPVS` is set.
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from kernelbal.lab.backends.base import Backend, GuestCommand, Streams
from kernelbal.lab.backends.choose import choose
from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import BackendUnavailable, LabError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.names import BackendName
from kernelbal.lab.namespaces import IN_LAB_VARIABLE

EXCHANGE_VARIABLE = "KERNELBAL_LAB_EXCHANGE"
SELECTED_FILE = "selected"
REPORTS_FILE = "reports"
OUTPUT_FILE = "output"
PASSED_ON = ("KERNELBAL_", "HYPOTHESIS_", "PYTEST_", "PYTHON")
STALL_LIMIT_S = 300.0
POLL_S = 0.02
OUTPUT_TAIL_LINES = 40

TracebackStyle = Literal["long", "short", "line", "no", "native", "value", "auto"]
Report = pytest.TestReport | pytest.CollectReport


# --- outside: tests that run in a guest ---


class Batch:
    """All tests of this run that need the same kind of guest."""

    def __init__(self, config: pytest.Config, choose_backend: Callable[[], Backend]) -> None:
        self._config = config
        self._choose_backend = choose_backend
        self._exchange = Path(tempfile.mkdtemp(prefix="kernelbal-tests-"))
        self._thread: threading.Thread | None = None
        self._stop_reading, self._stop_writing = os.pipe()
        self._reports: dict[str, dict[str, pytest.TestReport]] = {}
        self._read_bytes = 0
        self._ended_because: str | None = None
        self.node_ids: list[str] = []
        self.refusal: str | None = None

    def reports(self, node_id: str) -> dict[str, pytest.TestReport]:
        """Wait for a test's reports, one per phase.

        Raises:
            LabError: the guest ended, or said nothing for too long, before the test was through.
        """
        self._start_once()
        heard_at = time.monotonic()
        while "teardown" not in self._reports.get(node_id, {}):
            running = self._thread is not None and self._thread.is_alive()
            if self._read_reports():
                heard_at = time.monotonic()
            elif not running:
                raise LabError(f"the guest ended before this test was through: {self._last_words()}")
            elif time.monotonic() - heard_at > STALL_LIMIT_S:
                self.stop()
                raise LabError(f"no word from the guest for {STALL_LIMIT_S:g} s: {self._last_words()}")
            else:
                time.sleep(POLL_S)
        return self._reports[node_id]

    def _start_once(self) -> None:
        if self._thread is not None or self.refusal is not None:
            return
        try:
            backend = self._choose_backend()
        except LabError as error:
            self.refusal = error.message
            return
        (self._exchange / SELECTED_FILE).write_text(json.dumps(self.node_ids))
        self._thread = threading.Thread(target=self._run, args=(backend,), daemon=True)
        self._thread.start()

    def refused(self) -> str | None:
        """Start the guest when it is not; return why there is none, or None."""
        self._start_once()
        return self.refusal

    def _run(self, backend: Backend) -> None:
        with (self._exchange / OUTPUT_FILE).open("wb") as output:
            try:
                status = backend.run(self._command(), Streams(stdout=output.fileno(), stderr=output.fileno()))
                self._ended_because = f"pytest in the guest exited with {status}"
            except LabError as error:
                self._ended_because = error.message

    def _command(self) -> GuestCommand:
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
            },
            results=self._exchange,
            virtual_time=True,
            stop_descriptor=self._stop_reading,
        )

    def _read_reports(self) -> bool:
        path = self._exchange / REPORTS_FILE
        if not path.exists():
            return False
        with path.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(complete)
        for line in complete.splitlines():
            report = self._config.hook.pytest_report_from_serializable(
                config=self._config, data=json.loads(line)
            )
            if isinstance(report.longrepr, list):  # where and why a test was skipped; JSON has no tuples
                report.longrepr = tuple(report.longrepr)
            self._reports.setdefault(report.nodeid, {})[report.when] = report
        return bool(complete)

    def _last_words(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            said = (self._exchange / OUTPUT_FILE).read_text(errors="replace").splitlines()
            return "\n".join([str(self._ended_because), *said[-OUTPUT_TAIL_LINES:]])
        return str(self._ended_because)

    def stop(self) -> None:
        """End the guest, wherever it is, and clean up."""
        os.write(self._stop_writing, b"x")
        if self._thread is not None:
            self._thread.join()
        for path in self._exchange.glob("*"):
            path.unlink()
        with contextlib.suppress(FileNotFoundError):
            self._exchange.rmdir()


class GuestItem(pytest.Item):
    """Stands for a test that runs in a guest."""

    original: pytest.Item
    batch: Batch
    reports: dict[str, pytest.TestReport]

    @classmethod
    def stand_in(cls, original: pytest.Item, batch: Batch) -> "GuestItem":
        """Returns the item that takes the place of `original`."""
        assert original.parent is not None, "a test is always in a module"
        item: GuestItem = cls.from_parent(original.parent, name=original.name)
        item.original, item.batch, item.reports = original, batch, {}
        item.own_markers = original.own_markers
        return item

    def setup(self) -> None:
        """Wait for the guest's verdict; fails or skips when there is no guest."""
        refusal = self.batch.refused()
        if refusal is not None:
            if os.environ.get("CI") or os.environ.get("KERNELBAL_REQUIRE_IPVS"):
                pytest.fail(refusal, pytrace=False)
            pytest.skip(refusal)
        self.reports = self.batch.reports(self.nodeid)

    def runtest(self) -> None:
        """Nothing: the test has run."""

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: TracebackStyle | None = None
    ) -> str:
        """A guest that went away is a message, not a stack of this file."""
        if isinstance(excinfo.value, LabError):
            return excinfo.value.message
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the test is."""
        return self.original.reportinfo()


BACKENDS: dict[str, Callable[[], Backend]] = {
    "needs_ipvs": lambda: choose(BackendName(os.environ.get("KERNELBAL_LAB_BACKEND", "auto"))),
    "needs_machine": lambda: _machine(),
    "needs_root": lambda: _running_kernel(),
}


def _machine() -> Backend:
    backend = UmlBackend()
    refusal = backend.refusal()
    if refusal is not None:
        raise BackendUnavailable(str(refusal))
    return backend


def _running_kernel() -> Backend:
    backend = NetnsBackend(needs_ipvs=False)
    refusal = backend.refusal()
    if refusal is not None:
        raise BackendUnavailable(str(refusal))
    return backend


BATCHES = pytest.StashKey[dict[str, Batch]]()


def in_guest() -> bool:
    """Whether this pytest is the one inside."""
    return bool(os.environ.get(IN_LAB_VARIABLE))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Outside, let a guest run what needs one; inside, keep what was selected outside."""
    if not in_guest():
        batches = config.stash.setdefault(BATCHES, {})
        items[:] = [_placed(config, batches, item) for item in items]
    elif EXCHANGE_VARIABLE in os.environ:
        selected = json.loads((Path(os.environ[EXCHANGE_VARIABLE]) / SELECTED_FILE).read_text())
        by_id = {item.nodeid: item for item in items}
        items[:] = [by_id[node_id] for node_id in selected]


def _placed(config: pytest.Config, batches: dict[str, Batch], item: pytest.Item) -> pytest.Item:
    for marker, choose_backend in BACKENDS.items():
        if item.get_closest_marker(marker) is None:
            continue
        if marker not in batches:
            batches[marker] = Batch(config, choose_backend)
        batches[marker].node_ids.append(item.nodeid)
        return GuestItem.stand_in(item, batches[marker])
    return item


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """The guest's report of a phase in place of the outside's own."""
    if isinstance(item, GuestItem):
        return item.reports.get(call.when)
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No guest outlives the run."""
    for batch in session.config.stash.get(BATCHES, {}).values():
        batch.stop()


# --- inside: every report goes out at once ---


class ReportWriter:
    """Writes reports to a file that the outside follows."""

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


def pytest_configure(config: pytest.Config) -> None:
    """Inside a guest, let the outside know how each test went."""
    exchange = os.environ.get(EXCHANGE_VARIABLE)
    if in_guest() and exchange:
        config.pluginmanager.register(ReportWriter(config, Path(exchange) / REPORTS_FILE))


# --- fixtures for tests in a guest ---


@pytest.fixture
def lab() -> Iterator[LabFactory]:
    """Builds topologies in fresh namespaces; everything is gone after the test."""
    with contextlib.ExitStack() as stack:
        yield LabFactory(stack)
