"""The control API on a real Unix socket."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kernelbal.errors import ApiFailed
from kernelbal.model.daemon import ApiSettings, Right
from kernelbal.model.standing import Admin
from kernelbal.runtime.api import http, server
from kernelbal.runtime.api.access import Caller, Peer
from kernelbal.runtime.api.server import ApiServer
from kernelbal.runtime.api.stream import Pace
from kernelbal.testing.fake_control import FakeControl, recorded

JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def served(
    folder: Path,
    control: FakeControl,
    **options: Any,  # noqa: ANN401 - options of ApiServer
) -> AsyncIterator[tuple[aiohttp.ClientSession, Path]]:
    path = folder / "run" / "control.sock"
    api = ApiServer(control, ApiSettings(socket=str(path)), **options)
    await api.start()
    try:
        async with aiohttp.ClientSession("http://x", connector=aiohttp.UnixConnector(str(path))) as session:
            yield session, path
    finally:
        await api.stop()


def run(
    folder: Path,
    play: Callable[[aiohttp.ClientSession, FakeControl, Path], Awaitable[None]],
    **options: Any,  # noqa: ANN401 - options of ApiServer
) -> None:
    async def main() -> None:
        control = FakeControl()
        async with served(folder, control, **options) as (session, path):
            await play(session, control, path)

    asyncio.run(main())


async def ask(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> tuple[int, Any]:  # noqa: ANN401 - options of aiohttp
    async with session.request(method, path, **more) as answer:
        return answer.status, await answer.json()


def test_status_and_one_service_and_life(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        status, document = await ask(session, "GET", "/v1/status")
        assert (status, document["schema"], document["node"]) == (200, 1, "lb1")
        assert document == json.loads(control.now.model_dump_json(by_alias=True))
        assert (await ask(session, "GET", "/v1/virtual-services/web"))[1]["name"] == "web"
        assert await ask(session, "GET", "/v1/virtual-services/mail") == (
            404,
            {"error": "there is no virtual service `mail`", "hint": "there are: web"},
        )
        assert await ask(session, "GET", "/v1/live") == (200, {"alive": True})

    run(tmp_path, play)


def test_orders_carry_their_words_and_who_gave_them(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        body = {"server": "rs1", "service": "web", "timeout_s": 60, "hold": True, "reason": "kernel"}
        status, answer = await ask(session, "POST", "/v1/real-servers/drain", json=body)
        assert (status, answer["services"], answer["servers"][0]["state"]) == (200, ["web"], "draining")
        await ask(session, "POST", "/v1/real-servers/disable", json={"server": "rs2"})
        await ask(session, "POST", "/v1/real-servers/enable", json={"server": "rs2"})
        assert [each[0] for each in control.orders] == [Admin.DRAIN, Admin.DISABLE, None]
        assert control.orders[0][1].model_dump() == body
        assert {each[2] for each in control.orders} == {"root"}
        status, answer = await ask(session, "POST", "/v1/real-servers/drain", json={"server": "rs9"})
        assert (status, answer["hint"]) == (409, "there are: rs1, rs2")

    run(tmp_path, play)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"server": ', 400, "Invalid JSON"),
        (b"[]", 400, "object"),
        (b"{}", 400, "server: Field required"),
        (b'{"server": "a", "servr": 1}', 400, "servr: unknown field"),
        (b'{"server": 5}', 400, "server: Input should be a valid string"),
        (b'{"server": "a", "timeout_s": -1}', 400, "timeout_s: "),
        (b'{"server": "a", "timeout_s": NaN}', 400, ""),
        (b"\xff\xfe", 400, "Invalid JSON"),
        (b'{"server": "' + b"x" * 70000 + b'"}', 413, "longer than 65536 bytes"),
    ],
    ids=["cut", "list", "empty", "unknown", "type", "range", "nan", "bytes", "long"],
)
def test_bad_body_is_refused_and_the_field_is_named(
    tmp_path: Path, body: bytes, status: int, words: str
) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        got, answer = await ask(session, "POST", "/v1/real-servers/drain", data=body, headers=JSON)
        assert got == status
        assert words in answer["error"]
        assert control.orders == []

    run(tmp_path, play)


def test_body_without_a_length_is_limited_too(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        got, answer = await ask(session, "POST", "/v1/real-servers/drain", data=endless(), headers=JSON)
        assert (got, list(answer)) == (413, ["error", "hint"])
        assert control.orders == []

    run(tmp_path, play)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/", 404, "nothing at this path"),
        ("GET", "/v1/status/", 404, "nothing at this path"),
        ("GET", "/v1/../metrics%00", 404, "nothing at this path"),
        ("POST", "/v1/status", 405, "POST is not possible here"),
        ("GET", "/v1/reload", 405, "GET is not possible here"),
        ("GET", "/v1/status?verbose=1", 400, "verbose: unknown field"),
        ("GET", "/v1/events?after=x", 400, "after: "),
        ("GET", "/v1/events?limit=0", 400, "limit: "),
        ("GET", "/v1/events?folow=1", 400, "folow: unknown field"),
        ("GET", "/v1/events?after=1&after=2", 400, "after: given twice"),
    ],
)
def test_wrong_request_is_told_what_is_wrong(
    tmp_path: Path, method: str, path: str, status: int, words: str
) -> None:
    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        got, answer = await ask(session, method, path)
        assert (got, list(answer)) == (status, ["error", "hint"])
        assert words in answer["error"]

    run(tmp_path, play)


async def raw(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


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


def test_too_many_connections_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.BoundedServer.__init__, "__kwdefaults__", {"silence_s": 30.0, "most": 2})

    async def play(_: aiohttp.ClientSession, __: FakeControl, path: Path) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await asyncio.wait_for(reader.read(), 20) == b""
        for each in (writer, *(each for _, each in held)):
            each.close()
            await each.wait_closed()

    run(tmp_path, play)


# --- who may ---


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


# --- the socket ---


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


# --- events ---


def test_events_in_a_window(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        control.events = [recorded(each) for each in range(1, 6)]
        _, document = await ask(session, "GET", "/v1/events?after=2&limit=2")
        assert [each["seq"] for each in document["events"]] == [3, 4]

    run(tmp_path, play)


def test_stream_has_events_as_they_happen_and_signs_of_life(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        control.events = [recorded(1)]
        async with session.get("/v1/events?follow=1") as answer:
            assert answer.content_type == "application/x-ndjson"
            lines = [await answer.content.readline() for _ in range(3)]
            assert (lines[0], json.loads(lines[1])["seq"], lines[2]) == (b"\n", 1, b"\n")
            control.tell(recorded(2))
            while not (line := await answer.content.readline()).strip():
                pass
            assert json.loads(line)["seq"] == 2
            control.end()
            assert (await answer.content.read()).strip() == b""

    run(tmp_path, play, pace=Pace(heartbeat_s=0.05))


def test_streams_are_bounded_and_their_places_come_back(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        async with session.get("/v1/events?follow=1") as answer:
            await answer.content.readline()
            assert (await ask(session, "GET", "/v1/events?follow=1"))[0] == 503
            answer.close()
        while True:
            async with session.get("/v1/events?follow=1") as answer:
                status = answer.status
                answer.close()
            if status == 200:
                break
            await asyncio.sleep(0)

    run(tmp_path, play, pace=Pace(most=1))


def test_follower_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async def play(_: aiohttp.ClientSession, control: FakeControl, path: Path) -> None:
        big = recorded(1).model_copy(update={"message": "x" * 400_000})
        control.events = [big.model_copy(update={"seq": each}) for each in range(1, 40)]
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1024)
        writer.write(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.5)
        got = 0
        with contextlib.suppress(ConnectionError):
            while part := await asyncio.wait_for(reader.read(65536), 20):
                got += len(part)
        assert got < 39 * 400_000
        writer.close()

    run(tmp_path, play, pace=Pace(patience_s=0.1))


# --- at work ---


def test_order_is_carried_out_even_when_the_client_hangs_up(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, path: Path) -> None:
        control.gate.clear()
        _, writer = await asyncio.open_unix_connection(str(path))
        body = b'{"server": "rs1"}'
        writer.write(
            b"POST /v1/real-servers/drain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        await ask(session, "GET", "/v1/live")
        await asyncio.sleep(0.05)
        writer.close()
        await ask(session, "GET", "/v1/live")
        control.gate.set()
        while not control.orders:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0)

    run(tmp_path, play)
