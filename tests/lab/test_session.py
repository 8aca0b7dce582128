"""A lab that stays up across commands."""

import os
import pty
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelbal.lab import process, session
from kernelbal.lab.backends.base import StandardStreams
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import SessionError
from kernelbal.lab.holder import started_ticks
from kernelbal.lab.kernel_cache import find_kernel


@pytest.fixture(scope="module")
def up(uml: UmlBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two-arm is up, in a cache directory of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELBAL_LAB_KERNEL", str(find_kernel()))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        made = session.up(uml, "two-arm")
        yield
        assert session.down() == made
        assert started_ticks(made.pid) is None
        assert not session.session_directory().exists()


def run(tmp_path: Path, host: str, *argv: str) -> tuple[int, str, str]:
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        status = session.run(host, argv, StandardStreams(stdout.fileno(), stderr.fileno()), terminal=False)
    return status, out.read_text(), err.read_text()


@pytest.mark.usefixtures("up")
class TestUp:
    def test_program_runs_on_its_host(self, tmp_path: Path) -> None:
        assert run(tmp_path, "rs2", "hostname")[0] == 0
        assert "10.0.0.12/24" in run(tmp_path, "rs2", "ip", "addr")[1]

    def test_status_and_streams(self, tmp_path: Path) -> None:
        assert run(tmp_path, "client", "sh", "-c", "echo o; echo e >&2; exit 9") == (9, "o\n", "e\n")

    def test_servers_answer(self, tmp_path: Path) -> None:
        assert run(tmp_path, "client", "curl", "-sS", "http://[fd00::13]/")[1].startswith("rs3")

    def test_killed_program_is_reported_as_a_shell_does(self, tmp_path: Path) -> None:
        assert run(tmp_path, "rs1", "sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL

    def test_files_are_seen_as_they_are_now(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "site.yaml"
        for text in ("first", "second"):
            (tmp_path / "draft").write_text(text)
            (tmp_path / "draft").replace(file)  # as editors save
            assert run(tmp_path, "director", "cat", "site.yaml") == (0, text, "")

    def test_unknown_host_and_program(self, tmp_path: Path) -> None:
        status, _, said = run(tmp_path, "rs9", "true")
        assert (status, "has no host rs9" in said) == (127, True)
        status, _, said = run(tmp_path, "rs1", "no-such-program")
        assert (status, "cannot run no-such-program" in said) == (127, True)

    def test_client_that_was_killed_leaves_no_trace(self, tmp_path: Path) -> None:
        code = (
            "from kernelbal.lab import session; from kernelbal.lab.backends import base\n"
            "argv = ['sh', '-c', 'echo running; exec yes 4711']\n"
            "session.run('rs1', argv, base.StandardStreams(), terminal=False)"
        )
        out = (tmp_path / "yes").open("w+")
        client = process.start([sys.executable, "-c", code], stdout=out)
        while not (tmp_path / "yes").stat().st_size:
            time.sleep(0.02)
        client.kill()
        client.wait()
        out.close()
        # The same console takes the next program and ends the abandoned one.
        assert run(tmp_path, "rs1", "sh", "-c", "pgrep -f '^yes 4711' || echo none")[1] == "none\n"

    def test_shell_has_a_terminal(self) -> None:
        ours, theirs = pty.openpty()
        os.write(ours, b"echo $((6 * 7)); stty size; exit 5\n")
        status = session.run("rs1", ["sh"], StandardStreams(theirs, theirs, theirs), terminal=True)
        said = os.read(ours, 65536).decode()
        os.close(ours)
        os.close(theirs)
        assert status == 5
        assert "\n42\r\n" in said.replace("# ", "\n")

    def test_second_lab_is_refused(self, uml: UmlBackend) -> None:
        with pytest.raises(SessionError, match="two-arm is up already"):
            session.up(uml, "one-arm")


def test_nothing_up_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for ask in (session.require_current, session.down):
        with pytest.raises(SessionError) as caught:
            ask()
        assert caught.value.hint == "kernelbal lab up"


def test_lab_whose_process_has_gone_is_not_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    session.session_directory().mkdir(parents=True)
    state = '{"backend": "uml", "topology": "two-arm", "pid": %d, "started_ticks": %d, "consoles": []}'
    file = session.session_directory() / session.STATE_FILE
    file.write_text(state % (os.getpid(), started_ticks(os.getpid()) or 0))
    assert session.current() is not None
    file.write_text(state % (os.getpid(), 1))  # another process of the same number
    assert session.current() is None
