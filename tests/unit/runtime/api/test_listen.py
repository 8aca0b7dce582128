"""The sockets that the API listens on: rights of the file, limits of connections."""

import asyncio
import errno
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernelbal.runtime.api import listen
from kernelbal.runtime.api.access import GroupRights
from kernelbal.runtime.api.listen import Listener, grant, unix_socket


def test_unix_socket_without_groups_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "s"
    with unix_socket(path, GroupRights(frozenset(), frozenset())):
        assert path.stat().st_mode & 0o777 == 0o600


def test_unix_socket_with_groups_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with unix_socket(path, GroupRights(frozenset({4}), frozenset({5}))):
        assert path.stat().st_mode & 0o007 == 0
        assert path.stat().st_mode & 0o070 == 0o060


def test_groups_that_lose_their_rights_lose_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with unix_socket(path, GroupRights(frozenset({4}), frozenset({5}))):
        grant(path, GroupRights(frozenset(), frozenset()))
        assert path.stat().st_mode & 0o777 == 0o600
        assert os.listxattr(path) == []


class Starved(socket.socket):
    """A listening socket of a process that has no descriptors left for a while."""

    tries = 0
    starved = True

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.starved:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_without_descriptors_accepting_pauses_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listen, "PAUSE_S", 0.02)

    async def main() -> None:
        starved = Starved(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        starved.bind(("127.0.0.1", 0))
        starved.listen()
        made = asyncio.Event()

        class Peer(asyncio.Protocol):
            def connection_made(self, _: asyncio.BaseTransport) -> None:
                made.set()

        listener = Listener(starved, Peer)
        clients = [socket.create_connection(starved.getsockname()) for _ in range(5)]
        while starved.tries < 3:  # noqa: ASYNC110 - the socket has no event for it
            await asyncio.sleep(0.001)
        assert not made.is_set()
        starved.starved = False
        await asyncio.wait_for(made.wait(), 5)
        listener.close()
        for client in clients:
            client.close()

    asyncio.run(main())
    assert [each.message for each in caplog.records] == [
        "api: cannot accept connections: Too many open files; retry every 0.02 s"
    ]


LIMIT_S = 30.0
DESCRIPTORS, CLIENTS, REQUESTS = 32, 60, 200
SERVER = f"""
import asyncio, logging, resource, sys
from kernelbal.model.node import ApiSettings, ApiTls
from kernelbal.runtime.api import listen
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl

async def main(folder, port):
    tls = ApiTls(
        address=bytes((127, 0, 0, 1)), port=int(port), certificate=folder + "/pem", key=folder + "/key"
    )
    server = ApiServer(FakeControl(), ApiSettings(socket=folder + "/control.sock", tls=tls))
    await server.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()

listen.PAUSE_S = 0.05
logging.basicConfig(level=logging.WARNING, format="%(message)s")
asyncio.run(main(*sys.argv[1:]))
"""
"""An API that may have few descriptors, until its standard input ends."""


@contextmanager
def serving(folder: Path, port: int) -> Iterator[list[str]]:
    """An API in a process of its own; at the end the list has what it logged."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key",
            "-out",
            "pem",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    logged: list[str] = []
    command = [sys.executable, "-c", SERVER, str(folder), str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
            yield logged
            logged += process.communicate(timeout=LIMIT_S)[1].splitlines()
            assert process.returncode == 0
        finally:
            process.kill()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.host)

    def status(self) -> int:
        self.request("GET", "/v1/status")
        with self.getresponse() as answer:
            answer.read()
            return answer.status


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "handshakes"])
def test_process_that_runs_out_of_descriptors_says_so_once_and_goes_on(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = str(tmp_path / "control.sock")
    with serving(tmp_path, port) as logged, ExitStack() as held:
        known = UnixConnection(path)
        held.callback(known.close)
        assert known.status() == 200
        with ExitStack() as flood:
            for _ in range(CLIENTS):
                client = flood.enter_context(socket.socket(family))
                client.settimeout(LIMIT_S)
                client.connect(path if family == socket.AF_UNIX else ("127.0.0.1", port))
            for _ in range(REQUESTS):  # they take several pauses
                assert known.status() == 200, "who is connected is served"
        for _ in range(2 * DESCRIPTORS):
            late = UnixConnection(path)
            assert late.status() == 200
            late.close()
    said = "api: cannot accept connections: Too many open files; retry every 0.05 s"
    assert logged in ([said], [said, said]), "once for each of the two sockets at most"
