"""The sockets that the API listens on: rights of the file, limits of connections."""

import asyncio
import errno
import os
import socket
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
