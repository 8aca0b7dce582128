"""The control API on a real Unix socket, over a stand-in for the director."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import aiohttp

from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class ApiHarness:
    """A server, what it asks, and a client."""

    session: aiohttp.ClientSession
    control: FakeControl
    socket: Path
    server: ApiServer

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:  # noqa: ANN401 - options of aiohttp
        """Return the status and the document of an answer."""
        async with self.session.request(method, path, **more) as answer:
            return answer.status, await answer.json()

    async def send(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own; return everything until it is closed."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()
        return answer


async def _serve(test: Callable[[ApiHarness], Awaitable[None]], socket: Path, **options: Any) -> None:  # noqa: ANN401 - options of ApiServer
    control = FakeControl()
    server = ApiServer(control, ApiSettings(socket=str(socket)), **options)
    await server.start()
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with aiohttp.ClientSession("http://x", connector=connector) as session:
            await test(ApiHarness(session, control, socket, server))
    finally:
        await server.stop()


def with_api(**options: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:  # noqa: ANN401 - options of ApiServer
    """Give a test a server that runs, as its first parameter."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        _, *others = signature(test).parameters.values()

        @wraps(test)
        def run(tmp_path: Path, **arguments: object) -> None:
            served = _serve(lambda api: test(api, **arguments), tmp_path / "run" / "control.sock", **options)
            asyncio.run(asyncio.wait_for(served, 30))

        tmp_path = Parameter("tmp_path", Parameter.POSITIONAL_OR_KEYWORD, annotation=Path)
        run.__signature__ = signature(test).replace(parameters=[tmp_path, *others])  # type: ignore[attr-defined] # read by pytest
        return run

    return decorate
