"""The control API on a real Unix socket: who may, whose the socket is, and the limits of connections."""

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
from kernelbal.runtime.api import listen, server
from kernelbal.runtime.api.access import Caller, Peer
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl
from tests.unit.runtime.api.asking import ask, raw, run


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


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % each for each in range(200)) + b"\r\n",
    ],
    ids=["tls", "header", "target", "headers"],
)
def test_what_is_no_http_or_too_long_is_refused_and_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        head, _sep, body = (await raw(path, data)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain")
        assert body.startswith((b"Received HTTPS", b"Got more than 8190 bytes", b"Too many headers"))

    run(tmp_path, play)
    assert caplog.text == ""


def test_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        assert await raw(path, b"") == b""
        assert await raw(path, b"GET / HT") == b""

    run(tmp_path, play, silence_s=0.2)


def test_too_many_connections_are_closed_but_root_is_not_kept_out_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "CONNECTIONS", 2)
    is_other = True
    monkeypatch.setattr(server, "peer_of", lambda _: Peer(1, 4711 if is_other else 0, frozenset()))

    async def is_closed(path: Path, held: list[asyncio.StreamWriter]) -> bool:
        reader, writer = await asyncio.open_unix_connection(str(path))
        held.append(writer)
        try:
            return await asyncio.wait_for(reader.read(), 0.2) == b""
        except TimeoutError:
            return False

    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        nonlocal is_other
        held: list[asyncio.StreamWriter] = []
        assert [await is_closed(path, held) for _ in range(3)] == [False, False, True]
        is_other = False
        assert [await is_closed(path, held) for _ in range(3)] == [False, False, True], "bounded all the same"
        for each in held:
            each.close()
            await each.wait_closed()
        is_other = True
        assert not await is_closed(path, held), "places of closed connections are free again"
        held[-1].close()

    run(tmp_path, play)
