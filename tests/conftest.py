"""Runs tests that need a kernel of their own in the lab, and reports each as a result of this run.

Tests marked `needs_ipvs` run in a lab back end (`KERNELBAL_LAB_BACKEND`, default `auto`; User-mode Linux in
virtual time), tests marked `needs_machine` always in User-mode Linux, tests marked `needs_root` in private
namespaces on the running kernel. Guests run beside the tests outside (`tests/guests.py`) and are reported
after them; `-k`, node ids and `-x` work as ever. Without a usable back end they are skipped with the reason,
and fail where `CI` or `KERNELBAL_REQUIRE_IPVS` is set.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from kernelbal.lab.backends.base import Backend
from kernelbal.lab.backends.choose import choose
from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import BackendUnavailable, LabError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.names import BackendName
from kernelbal.lab.namespaces import IN_LAB_VARIABLE
from tests.guests import EXCHANGE_VARIABLE, REPORTS_VARIABLE, Batch, Crew, ReportWriter, selected, taken

TracebackStyle = Literal["long", "short", "line", "no", "native", "value", "auto"]
Report = pytest.TestReport | pytest.CollectReport


# --- outside: tests that run in a guest ---


class GuestItem(pytest.Item):
    """Stands for a test that runs in a guest."""

    original: pytest.Item
    marker: str
    reports: dict[str, pytest.TestReport]

    @classmethod
    def stand_in(cls, original: pytest.Item, marker: str) -> "GuestItem":
        """Returns the item that takes the place of `original`."""
        assert original.parent is not None, "a test is always in a module"
        item: GuestItem = cls.from_parent(original.parent, name=original.name)
        item.original, item.marker, item.reports = original, marker, {}
        item.own_markers = original.own_markers
        return item

    def setup(self) -> None:
        """Take the guest's verdict; fails or skips when there is no guest."""
        batch = self.config.stash[BATCHES][self.marker]
        if batch.refusal is not None:
            if os.environ.get("CI") or os.environ.get("KERNELBAL_REQUIRE_IPVS"):
                pytest.fail(batch.refusal, pytrace=False)
            pytest.skip(batch.refusal)
        self.reports = batch.reports(self.nodeid)

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
CREW = pytest.StashKey[Crew]()


def in_guest() -> bool:
    """Whether this pytest is the one inside."""
    return bool(os.environ.get(IN_LAB_VARIABLE))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Outside, let a guest run what needs one; inside, keep what was selected outside."""
    if not in_guest():
        items[:] = [_placed(item) for item in items]
    elif EXCHANGE_VARIABLE in os.environ:
        by_id = {item.nodeid: item for item in items}
        items[:] = [by_id[node_id] for node_id in selected(Path(os.environ[EXCHANGE_VARIABLE]))]


def _placed(item: pytest.Item) -> pytest.Item:
    for marker in BACKENDS:
        if item.get_closest_marker(marker) is not None:
            return GuestItem.stand_in(item, marker)
    return item


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Outside, let guests run beside the tests here; inside, run what no other guest has taken."""
    if in_guest():
        if EXCHANGE_VARIABLE not in os.environ:
            return None
        _run(session, taken(Path(os.environ[EXCHANGE_VARIABLE]), session.items))
    elif session.config.option.collectonly or session.testsfailed:
        return None
    else:
        _run_all(session)
    return True


def _run_all(session: pytest.Session) -> None:
    batches: dict[str, Batch] = session.config.stash.setdefault(BATCHES, {})
    guest_items = {item.nodeid: item for item in session.items if isinstance(item, GuestItem)}
    for item in guest_items.values():
        if item.marker not in batches:
            batches[item.marker] = Batch(session.config, BACKENDS[item.marker])
        batches[item.marker].node_ids.append(item.nodeid)
    crew = session.config.stash[CREW] = Crew(tuple(batches.values()))
    crew.start()
    _run(session, (item for item in session.items if not isinstance(item, GuestItem)))
    crew.join_in()
    _run(session, (guest_items[node_id] for node_id in crew.through()))


def _run(session: pytest.Session, items: Iterator[pytest.Item]) -> None:
    """As pytest's own loop does."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """The guest's report of a phase in place of the outside's own."""
    if isinstance(item, GuestItem):
        return item.reports.get(call.when)
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No guest outlives the run."""
    if CREW in session.config.stash:
        session.config.stash[CREW].stop()


def pytest_configure(config: pytest.Config) -> None:
    """Inside a guest, let the outside know how each test went."""
    if in_guest() and REPORTS_VARIABLE in os.environ:
        config.pluginmanager.register(ReportWriter(config, Path(os.environ[REPORTS_VARIABLE])))


# --- fixtures for tests in a guest ---


@pytest.fixture
def lab() -> Iterator[LabFactory]:
    """Builds topologies in fresh namespaces; everything is gone after the test."""
    with contextlib.ExitStack() as stack:
        yield LabFactory(stack)
