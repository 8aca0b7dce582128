"""Streams of events."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from msgspec import structs

from kernelbal.runtime.api.stream import EventStreams, StreamLimits
from tests.support.api_harness import ApiHarness, with_api
from tests.support.fake_control import recorded


@with_api(limits=StreamLimits(heartbeat_s=0.05))
async def test_stream_has_events_as_they_happen_and_signs_of_life(api: ApiHarness) -> None:
    api.control.events = [recorded(1)]
    async with api.session.get("/v1/events?follow=1") as answer:
        assert answer.content_type == "application/x-ndjson"
        lines = [await answer.content.readline() for _ in range(3)]
        assert (lines[0], json.loads(lines[1])["seq"], lines[2]) == (b"\n", 1, b"\n")
        api.control.emit(recorded(2))
        while not (line := await answer.content.readline()).strip():
            pass
        assert json.loads(line)["seq"] == 2
        api.control.end()
        assert (await answer.content.read()).strip() == b""


@with_api(limits=StreamLimits(most=1))
async def test_streams_are_bounded_and_their_places_come_back(api: ApiHarness) -> None:
    async with api.session.get("/v1/events?follow=1") as answer:
        await answer.content.readline()
        assert (await api.ask("GET", "/v1/events?follow=1"))[0] == 503
        answer.close()
    while True:
        async with api.session.get("/v1/events?follow=1") as answer:
            status = answer.status
            answer.close()
        if status == 200:
            break
        await asyncio.sleep(0)


@with_api(limits=StreamLimits(patience_s=0.1))
async def test_follower_that_does_not_read_is_dropped(api: ApiHarness) -> None:
    big = structs.replace(recorded(1), fields={str(each): "x" * 4000 for each in range(100)})
    api.control.events = [structs.replace(big, seq=each) for each in range(1, 40)]
    reader, writer = await asyncio.open_unix_connection(str(api.socket), limit=1024)
    writer.write(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.5)
    got = 0
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), 20):
            got += len(part)
    assert got < 39 * 400_000
    writer.close()


def test_client_that_reads_fast_leaves_the_loop_to_others_after_each_piece() -> None:
    order: list[str] = []

    class Answer(web.StreamResponse):
        async def prepare(self, _: web.BaseRequest) -> None:
            pass

        async def write(self, data: bytes) -> None:
            order.append(data.decode())

    async def main() -> None:
        streams, request = EventStreams(), make_mocked_request("GET", "/metrics")
        await asyncio.gather(
            streams.send_document(request, [b"a"] * 3, "text/plain"),
            streams.send_document(request, [b"b"] * 3, "text/plain"),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "StreamResponse", Answer)
        asyncio.run(main())
    assert order == ["a", "b"] * 3
