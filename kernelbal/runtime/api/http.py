"""HTTP with limits: how many connect, how long they may take, and how errors look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kernelbal.model.status import ErrorAnswer

BODY_BYTES: Final = 64 * 1024
HEADER_BYTES: Final = 8190
HEADERS: Final = 64
SILENCE_S: Final = 30.0
"""How long a connection may stand idle, or take for the head of a request."""
LINGER_S: Final = 1.0
CONNECTIONS: Final = 128
"""Most connections at once; more are closed as they come. Who must not be kept out by others has as many."""

LOG: Final = logging.getLogger("kernelbal.api")

_SILENT: Final = logging.getLogger("kernelbal.api.access")
_SILENT.disabled = True

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
    """

    def __init__(
        self, status: int, error: str, hint: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
        self.headers = headers or {}


def error_answer(refusal: Refusal) -> web.Response:
    """Return the answer to a request that is refused; its form is always the same."""
    body = ErrorAnswer(error=refusal.error, hint=refusal.hint).model_dump_json()
    return web.Response(
        status=refusal.status, text=body, content_type="application/json", headers=refusal.headers
    )


class _Connection(RequestHandler):
    """One connection; its own errors are JSON too, and show nothing of our inside."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if status == 500:
            LOG.error("fault while answering %s %s", request.method, request.path, exc_info=exc)
            refusal = Refusal(500, "this is a fault of kernelbal", "the daemon's log says more")
        else:
            first = (message or "not understood").strip().splitlines()[0].rstrip(":")
            refusal = Refusal(status, f"bad request: {first}", "this speaks HTTP/1.1")
        answer = error_answer(refusal)
        answer.force_close()
        return answer


class BoundedServer(web.Server):
    """A server of connections with limits."""

    def __init__(
        self,
        handler: Handler,
        *,
        silence_s: float = SILENCE_S,
        most: int = CONNECTIONS,
        is_master: Callable[[asyncio.Transport], bool] = lambda _: False,
    ) -> None:
        super().__init__(handler, request_factory=_request, handler_cancellation=True)
        self._is_master = is_master
        self._silence_s = silence_s
        self._most = most

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(
            self,
            loop=self._loop,
            keepalive_timeout=self._silence_s,
            access_log=_SILENT,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
            lingering_time=LINGER_S,
            read_bufsize=BODY_BYTES,
            auto_decompress=False,
        )

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or close it when there are too many."""
        super().connection_made(handler, transport)
        count = len(self.connections)
        if count > 2 * self._most or (count > self._most and not self._is_master(transport)):
            transport.abort()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own, passed through
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES)
