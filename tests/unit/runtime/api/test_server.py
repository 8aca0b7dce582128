"""The control API on a real Unix socket: who may, and whose the socket is."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import aiohttp
import pytest

from kernelbal.errors import ApiFailed
from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api import server
from kernelbal.runtime.api.access import Caller, Peer
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl
from tests.unit.runtime.api.asking import ask, run


@pytest.mark.parametrize(
    ("right", "read", "change"),
    [(None, 403, 403), ("read", 200, 403), ("change", 200, 200)],
)
def test_right_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: str | None, read: int, change: int
) -> None:
    caller = Caller("ann", Right(right) if right else None)
    monkeypatch.setattr(server, "caller_by_peer", lambda *_: caller)

    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        for path in ("/v1/status", "/v1/events", "/metrics"):
            async with session.get(path) as answer:
                assert answer.status == read
        status, answer = await ask(session, "POST", "/v1/reload")
        assert status == change
        assert control.reloads == (["ann"] if change == 200 else [])
        if change == 403:
            assert answer["error"] == "ann may not do this: it needs the right to change"
            assert "change_groups" in answer["hint"]

    run(tmp_path, play)


def test_peer_is_known_by_its_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Peer] = []

    def look(peer: Peer, *_: object) -> Caller:
        seen.append(peer)
        return Caller("x", None)

    monkeypatch.setattr(server, "caller_by_peer", look)

    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        assert (await ask(session, "GET", "/v1/live"))[0] == 403

    run(tmp_path, play)
    assert (seen[0].pid, seen[0].uid) == (os.getpid(), os.geteuid())
    assert seen[0].groups >= {os.getegid(), *os.getgroups()}


def test_socket_is_its_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    old = os.umask(0)
    kept: list[Path] = []

    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        kept.append(path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    try:
        run(tmp_path, play)
    finally:
        os.umask(old)
    assert not kept[0].exists()


def test_left_behind_socket_is_replaced_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def play(session: aiohttp.ClientSession, control: FakeControl, path: Path) -> None:
        with pytest.raises(ApiFailed, match="another daemon serves"):
            await ApiServer(control, ApiSettings(socket=str(path))).start()
        assert (await ask(session, "GET", "/v1/live"))[0] == 200

    run(tmp_path, play)


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(ApiFailed, match="no socket"):
        asyncio.run(ApiServer(FakeControl(), ApiSettings(socket=str(path))).start())
    assert path.read_text() == "mine"
