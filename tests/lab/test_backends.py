"""Commands in User-mode Linux: each of these boots it."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from kernelbal.lab.backends.base import GuestCommand, StandardStreams
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import GuestFailed, GuestTimeout


class Captured(NamedTuple):
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


class Guest:
    """Runs commands and captures what they print."""

    def __init__(self, backend: UmlBackend, folder: Path) -> None:
        self.backend = backend
        self.folder = folder

    def run(
        self,
        *argv: str,
        cwd: Path = Path("/"),
        env: dict[str, str] | None = None,
        results: Path | None = None,
        virtual_time: bool = False,
        timeout_s: float = 60.0,
        stop_descriptor: int | None = None,
    ) -> Captured:
        command = GuestCommand(
            argv,
            cwd,
            env=env or {},
            results=results,
            virtual_time=virtual_time,
            timeout_s=timeout_s,
            stop_descriptor=stop_descriptor,
        )
        out, err = self.folder / "out", self.folder / "err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            status = self.backend.run(command, StandardStreams(stdout.fileno(), stderr.fileno()))
        return Captured(status, out.read_text(), err.read_text())


@pytest.fixture
def guest(uml: UmlBackend, tmp_path: Path) -> Guest:
    return Guest(uml, tmp_path)


def test_status_and_both_streams_come_back_unchanged(guest: Guest) -> None:
    done = guest.run("sh", "-c", "printf 'a\\nb\\tc'; echo oops >&2; exit 7")
    assert done == Captured(7, "a\nb\tc", "oops\n")


def test_large_output_arrives_whole(guest: Guest) -> None:
    assert len(guest.run("head", "-c", "3000000", "/dev/zero").stdout) == 3_000_000


def test_output_is_seen_while_the_command_runs(uml: UmlBackend) -> None:
    reading, writing = os.pipe()
    command = GuestCommand(("sh", "-c", "echo first; exec sleep 60"), Path("/"), stop_descriptor=reading)
    streams_reading, streams_writing = os.pipe()
    failures: list[GuestFailed] = []

    def run() -> None:
        try:
            uml.run(command, StandardStreams(streams_writing, streams_writing))
        except GuestFailed as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert os.read(streams_reading, 100) == b"first\n"
    os.write(writing, b"stop")
    thread.join(10)
    assert not thread.is_alive()
    assert "was stopped" in failures[0].message
    for descriptor in (reading, writing, streams_reading, streams_writing):
        os.close(descriptor)


def test_only_the_results_directory_reaches_the_host(guest: Guest, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    places = f"/etc/kb /var/lib/kb /root/kb /tmp/kb /run/kb {results}/kb"
    done = guest.run("sh", "-c", f"for f in {places}; do echo x >$f || exit 1; done", results=results)
    assert done.status == 0
    assert (results / "kb").read_text() == "x\n"
    assert not [place for place in places.split()[:-1] if Path(place).exists()]
    assert guest.run("touch", "/usr/kb").status != 0


def test_virtual_time_passes_at_once(guest: Guest) -> None:
    began_at = time.monotonic()
    done = guest.run("sh", "-c", "date +%s; sleep 3600; date +%s", virtual_time=True)
    first, second = map(int, done.stdout.split())
    assert 3600 <= second - first <= 3602
    assert time.monotonic() - began_at < 30


def test_command_that_hangs_is_ended(guest: Guest) -> None:
    with pytest.raises(GuestTimeout, match=r"`sleep 600` did not end within 2\.0 s"):
        guest.run("sleep", "600", timeout_s=2.0)


def test_kernel_that_does_not_boot_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "linux"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(GuestFailed, match="no such luck"):
        Guest(UmlBackend(broken), tmp_path).run("true")


def test_checkout_under_tmp_is_visible(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("hello")
    assert guest.run("cat", "hello", cwd=tmp_path).stdout == "hello"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with the same way to run tests."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs_ipvs: in a guest\n")
    (tmp_path / "test_it.py").write_text(
        "import os, pytest\n"
        "here = pytest.mark.needs_ipvs\n"
        "@here\n"
        "def test_good(): assert os.path.exists('/proc/net/ip_vs')\n"
        "@here\n"
        "def test_bad():\n"
        "    answer = 41\n"
        "    assert answer == 42\n"
        "@here\n"
        "def test_skipped(): pytest.skip('not today')\n"
        "@here\n"
        "def test_broken(no_such_fixture): pass\n"
        "def test_outside(): assert 'KERNELBAL_IN_LAB' not in os.environ\n"
        "@here\n"
        "def test_dies(): os._exit(3)\n"
    )
    return tmp_path


def run_pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    from kernelbal.lab import process

    root = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--color=no", *arguments]
    done = process.run(argv, cwd=folder, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    return done.returncode, done.stdout


@pytest.mark.usefixtures("uml")
def test_each_guest_test_is_a_result_of_the_outer_run(project: Path) -> None:
    status, text = run_pytest(project, "--deselect=test_it.py::test_dies")
    assert status == 1
    assert "1 failed, 2 passed, 1 skipped, 1 deselected, 1 error" in text
    for line in (
        "PASSED test_it.py::test_good",
        "PASSED test_it.py::test_outside",
        "FAILED test_it.py::test_bad - assert 41 == 42",
        "ERROR test_it.py::test_broken",
        "not today",
    ):
        assert line in text
    assert "fixture 'no_such_fixture' not found" in text


@pytest.mark.usefixtures("uml")
def test_selection_is_passed_on(project: Path) -> None:
    # Were the others run inside, the one that dies would take the guest with it.
    status, text = run_pytest(project, "test_it.py::test_good", "test_it.py::test_bad", "-k", "good")
    assert status == 0
    assert "1 passed, 1 deselected" in text


@pytest.mark.usefixtures("uml")
def test_guest_that_dies_fails_its_tests(project: Path) -> None:
    status, text = run_pytest(project, "-k", "dies")
    assert status == 1
    assert "the guest ended before this test was through" in text
    assert "exited with 3" in text


def test_no_backend_is_a_skip_or_where_required_a_failure(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELBAL_LAB_BACKEND", "uml")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "empty"))
    for variable in ("KERNELBAL_LAB_KERNEL", "CI", "KERNELBAL_REQUIRE_IPVS"):
        monkeypatch.delenv(variable, raising=False)
    status, text = run_pytest(project, "-k", "good")
    assert status == 0
    assert "the lab kernel is not built" in text
    monkeypatch.setenv("KERNELBAL_REQUIRE_IPVS", "1")
    status, text = run_pytest(project, "-k", "good")
    assert status == 1
    assert "the lab kernel is not built" in text
