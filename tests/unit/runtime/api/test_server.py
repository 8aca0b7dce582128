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
from kernelbal.runtime.api import admission, server
from kernelbal.runtime.api.access import Caller, Peer
from kernelbal.runtime.api.listen import Listener
from kernelbal.runtime.api.server import ApiServer
from tests.support.api_harness import ApiHarness, with_api
from tests.support.fake_control import FakeControl


@pytest.mark.parametrize(
    ("right", "read", "change"), [(None, 403, 403), ("read", 200, 403), ("change", 200, 200)]
)
@with_api()
async def test_right_decides(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, right: str | None, read: int, change: int
) -> None:
    caller = Caller("ann", Right(right) if right else None)
    monkeypatch.setattr(admission, "caller_by_peer", lambda *_: caller)
    for path in ("/v1/status", "/v1/events", "/metrics"):
        async with api.session.get(path) as answer:
            assert answer.status == read
    status, answer = await api.ask("POST", "/v1/reload")
    assert status == change
    assert api.control.reloads == (["ann"] if change == 200 else [])
    if change == 403:
        assert answer["error"] == "ann may not do this: it needs the right to change"
        assert "change_groups" in answer["hint"]


@with_api()
async def test_peer_is_known_by_its_credentials(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Peer] = []

    def look(peer: Peer, *_: object) -> Caller:
        seen.append(peer)
        return Caller("x", None)

    monkeypatch.setattr(admission, "caller_by_peer", look)

    assert (await api.ask("GET", "/v1/live"))[0] == 403
    assert (seen[0].pid, seen[0].uid) == (os.getpid(), os.geteuid())
    assert seen[0].groups >= {os.getegid(), *os.getgroups()}


def test_socket_is_its_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    """Where a daemon that crashed has left one behind, and whatever the umask."""

    @with_api()
    async def look(api: ApiHarness) -> None:
        assert stat.S_IMODE(os.stat(api.socket).st_mode) == 0o600
        with pytest.raises(ApiFailed, match="another daemon serves"):
            await ApiServer(api.control, ApiSettings(socket=str(api.socket))).start()
        assert (await api.ask("GET", "/v1/live"))[0] == 200

    left_behind = tmp_path / "run" / "control.sock"
    left_behind.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left_behind))
    old = os.umask(0)
    try:
        look(tmp_path)
    finally:
        os.umask(old)
    assert not left_behind.exists()


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
@with_api()
async def test_what_is_no_http_or_too_long_is_refused_and_fills_no_log(
    api: ApiHarness, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    head, _sep, body = (await api.send(data)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain")
    assert body.startswith((b"Received HTTPS", b"Got more than 8190 bytes", b"Too many headers"))
    assert caplog.text == ""


@with_api(silence_s=0.2)
async def test_connection_that_says_nothing_is_closed(api: ApiHarness) -> None:
    assert await api.send(b"") == b""
    assert await api.send(b"GET / HT") == b""


def test_connections_are_limited_and_root_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, held = 4711, list[asyncio.StreamWriter]()
    monkeypatch.setattr(Listener.__init__, "__defaults__", (None, 2, None))
    monkeypatch.setattr(server, "peer_of", lambda _: Peer(1, uid, frozenset()))

    async def is_closed(path: Path) -> bool:
        reader, writer = await asyncio.open_unix_connection(str(path))
        held.append(writer)
        try:
            return await asyncio.wait_for(reader.read(), 0.2) == b""
        except TimeoutError:
            return False

    @with_api()
    async def fill(api: ApiHarness) -> None:
        nonlocal uid
        assert [await is_closed(api.socket) for _ in range(3)] == [False, False, True]
        uid = 0
        assert [await is_closed(api.socket) for _ in range(3)] == [False, False, True], "bounded as well"
        for each in held:
            each.close()
            await each.wait_closed()
        uid = 4711
        assert not await is_closed(api.socket), "places of closed connections are free again"
        held[-1].close()

    fill(tmp_path)


@with_api()
async def test_group_that_lost_its_right_is_refused_on_open_connections(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(1, 4711, frozenset({0}))
    monkeypatch.setattr(admission, "peer_of", lambda _: peer)
    settings = ApiSettings(socket=str(api.socket), read_groups=("root",))
    await api.server.reload(settings)
    async with api.session.get("/v1/events?follow=1") as stream:
        await stream.content.readline()
        assert (await api.ask("GET", "/v1/live"))[0] == 200
        await api.server.reload(settings.model_copy(update={"read_groups": ()}))
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(stream.content.read(), 1)
    assert (await api.ask("GET", "/v1/live"))[0] == 403
