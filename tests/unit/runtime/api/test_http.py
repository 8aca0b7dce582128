"""Limits of connections, and the form of errors."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from kernelbal.runtime.api import http, server
from kernelbal.runtime.api.access import Peer
from tests.support.fake_control import FakeControl
from tests.unit.runtime.api.asking import ask, raw, run


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
def test_what_is_no_http_or_too_long_gets_json(tmp_path: Path, data: bytes) -> None:
    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        head, _sep, body = (await raw(path, data)).partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        assert json.loads(body)["error"].startswith("bad request: ")

    run(tmp_path, play)


def test_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        assert await raw(path, b"") == b""
        assert await raw(path, b"GET / HT") == b""

    run(tmp_path, play, silence_s=0.2)


def test_fault_of_our_own_shows_no_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: FakeControl) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(FakeControl, "status", broken)

    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        got, answer = await ask(session, "GET", "/v1/status")
        assert (got, answer["error"]) == (500, "this is a fault of kernelbal")
        assert "secret" not in str(answer)

    run(tmp_path, play)


def test_too_many_connections_are_closed_but_root_is_not_kept_out_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = http.BoundedServer.__init__.__kwdefaults__
    monkeypatch.setattr(http.BoundedServer.__init__, "__kwdefaults__", defaults | {"most": 2})
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

    run(tmp_path, play)
