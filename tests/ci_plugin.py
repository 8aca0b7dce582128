"""Turns skipped tests into failures in continuous integration, so that green means that everything ran.

Loaded with `-p tests.ci_plugin`. Without `CI` in the environment it does nothing: on a laptop a missing
tool is a named skip. `tests/allowed_skips.txt` lists the skips that CI accepts, each with its reason.
"""

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.reasons import read_reasons

ALLOWED_SKIPS_FILE = Path(__file__).with_name("allowed_skips.txt")


class SkipsAreFailures:
    """Collects skips during a run and fails the run when one of them is not allowed."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = tuple(allowed)
        self._forbidden: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole module that skipped itself."""
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One test that was skipped; an expected failure is also reported so, but it did run."""
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails a run that had no other fault."""
        if self._forbidden and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Names every skip that is not allowed."""
        if not self._forbidden:
            return
        terminalreporter.section(f"{len(self._forbidden)} skipped in CI, which counts as failed", red=True)
        for line in self._forbidden:
            terminalreporter.line(line)
        terminalreporter.line(f"Provide what is missing, or add a reason to {ALLOWED_SKIPS_FILE.name}.")

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if not report.skipped:
            return
        if any(fnmatch.fnmatchcase(report.nodeid, pattern) for pattern in self._allowed):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        self._forbidden.append(f"{report.nodeid}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the check where CI asks for it."""
    if os.environ.get("CI"):
        allowed = read_reasons(ALLOWED_SKIPS_FILE)
        config.pluginmanager.register(SkipsAreFailures(allowed), "kernelbal-skips-are-failures")
