"""Somebody who asks a real server on a real Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl

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

    asyncio.run(asyncio.wait_for(main(), 30))


async def ask(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> tuple[int, Any]:  # noqa: ANN401 - options of aiohttp
    async with session.request(method, path, **more) as answer:
        return answer.status, await answer.json()


async def raw(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer
