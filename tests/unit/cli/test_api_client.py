"""What the commands say when the daemon does not answer as hoped."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from kernelbal.cli.api_client import ApiClient
from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.errors import AccessDenied, ApiFailed, NoDaemon
from kernelbal.model.node import DEFAULT_SOCKET
from kernelbal.runtime.api import admission
from kernelbal.runtime.api.access import Caller
from tests.support.cli_harness import DaemonCli
from tests.support.privileges import as_nobody


def test_default_socket_is_the_documents() -> None:
    from kernelbal.cli import api_client

    assert str(api_client.DEFAULT_SOCKET) == DEFAULT_SOCKET


@pytest.mark.parametrize("command", [("reload",), ("events",), ("rs", "list"), ("status", "--watch")])
def test_without_a_daemon_the_remedy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert run([*command, "--socket", str(tmp_path / "none")]) == ExitCode.UNAVAILABLE
    done = capsys.readouterr().err
    assert done.startswith("error: no daemon answers at ")
    assert "systemctl start kernelbal" in done


def test_dead_socket_is_no_daemon(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoDaemon):
        ApiClient(path).status()


def test_user_without_rights_is_told_so(daemon: DaemonCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "caller_by_peer", lambda *_: Caller("ann", None))
    done = daemon.run("reload")
    assert done.code == ExitCode.PERMISSION
    assert "ann may not do this" in done.err
    assert "change_groups" in done.err
    assert daemon.run("status").code == ExitCode.PERMISSION


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_socket_that_may_not_be_opened(daemon: DaemonCli) -> None:
    with as_nobody(), pytest.raises(AccessDenied):
        ApiClient(daemon.socket).status()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 500 no\r\nContent-Length: 2\r\n\r\nno",
    ],
    ids=["nothing", "other", "empty", "short", "fault"],
)
def test_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "odd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ApiFailed):
            ApiClient(path).status()
        thread.join(20)


def test_request_is_json(daemon: DaemonCli) -> None:
    assert json.loads(daemon.run("status", "--json").out)["node"] == "lb1"
