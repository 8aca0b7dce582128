"""Answers that are sent in pieces: events as they happen, one JSON document per line; and large documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, NamedTuple

from aiohttp import web

from kernelbal.model.status import Recorded
from kernelbal.runtime.api.answers import RequestRefused
from kernelbal.store.codec import encode_document


class StreamLimits(NamedTuple):
    """Limits of streams; seconds.

    Attributes:
        heartbeat_s: an empty line is sent after so long without an event.
        patience_s: who does not take a piece within it is dropped.
        most: streams at once.
    """

    heartbeat_s: float = 15.0
    patience_s: float = 10.0
    most: int = 32


DEFAULT_LIMITS: Final = StreamLimits()


class EventStreams:
    """All answers that are sent in pieces."""

    def __init__(self, limits: StreamLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._open = 0

    async def serve(self, request: web.Request, events: AsyncIterator[Recorded]) -> web.StreamResponse:
        """Send events until either side ends.

        Raises:
            RequestRefused: there are too many streams already.
        """
        if self._open >= self._limits.most:
            raise RequestRefused(503, f"{self._open} streams of events are open already", "close one of them")
        self._open += 1
        try:
            return await self._send(request, events)
        finally:
            self._open -= 1

    async def _send(self, request: web.Request, events: AsyncIterator[Recorded]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        await answer.write(b"\n")
        ahead: asyncio.Future[Recorded] = asyncio.ensure_future(anext(events))
        try:
            while True:
                done, _ = await asyncio.wait({ahead}, timeout=self._limits.heartbeat_s)
                if not done:
                    await self._write(request, answer.write(b"\n"))
                    continue
                line = encode_document(ahead.result()) + b"\n"
                await self._write(request, answer.write(line))
                ahead = asyncio.ensure_future(anext(events))
        except StopAsyncIteration:
            return answer
        finally:
            ahead.cancel()
            await asyncio.wait({ahead})

    async def send_document(
        self, request: web.Request, pieces: Sequence[bytes], content_type: str
    ) -> web.StreamResponse:
        """Send a document; memory holds the pieces once, however many read it."""
        answer = web.StreamResponse(headers={"Content-Type": content_type})
        answer.content_length = sum(map(len, pieces))
        await answer.prepare(request)
        for piece in pieces:
            await self._write(request, answer.write(piece))
            await asyncio.sleep(0)  # writing waits for slow clients only
        return answer

    async def _write(self, request: web.Request, writing: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._limits.patience_s):
                await writing
        except TimeoutError as error:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the client does not read") from error
