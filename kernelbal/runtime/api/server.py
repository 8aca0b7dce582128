"""The server of the control API: aiohttp's application and runner behind listeners with limits.

What is no HTTP, or has too long a head, never becomes a request: aiohttp answers it with 400 and plain text.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from kernelbal.errors import ApiFailed
from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.access import (
    NOBODY,
    Caller,
    GroupRights,
    caller_by_certificate,
    caller_by_peer,
    caller_by_token,
    group_rights,
    peer_of,
)
from kernelbal.runtime.api.answers import LOG
from kernelbal.runtime.api.bodies import BODY_BYTES
from kernelbal.runtime.api.handlers import Handlers
from kernelbal.runtime.api.listen import (
    BACKLOG,
    close,
    load_certificates,
    tls_context,
    tls_socket,
    unix_socket,
)
from kernelbal.runtime.api.stream import DEFAULT_LIMITS, StreamLimits
from kernelbal.runtime.control import Control

HEADER_BYTES: Final = 8190
"""Most bytes of a request line, and of one header."""
HEADERS: Final = 64
SILENCE_S: Final = 30.0
"""How long a connection may stand idle, or take for the head of a request."""
LINGER_S: Final = 1.0
"""How long the rest of a refused body is read."""
HANDSHAKE_S: Final = 10.0
STOP_S: Final = 2.0
"""How long answers may still take when the server stops."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Return whether a record of aiohttp is about more than what a peer sent: peers fill no logs."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_AIOHTTP: Final = logging.getLogger("kernelbal.api.aiohttp")
_AIOHTTP.addFilter(_is_ours)


class ApiServer:
    """The control API of one director, on its Unix socket and, where it is set, by TLS.

    Args:
        control: the director.
        settings: where it listens, and who may do what.
        silence_s: how long a connection may stand idle.
        limits: of event streams.
    """

    def __init__(
        self,
        control: Control,
        settings: ApiSettings,
        *,
        silence_s: float = SILENCE_S,
        limits: StreamLimits = DEFAULT_LIMITS,
    ) -> None:
        self._settings = settings
        self._rights = GroupRights(frozenset(), frozenset())
        self._context: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._listeners: list[asyncio.Server] = []
        application = Handlers(control, self._identify, limits).application()
        self._runner = web.AppRunner(
            application,
            shutdown_timeout=STOP_S,
            handler_cancellation=True,
            keepalive_timeout=silence_s,
            lingering_time=LINGER_S,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
            read_bufsize=BODY_BYTES,
            auto_decompress=False,
            access_log=None,
            logger=_AIOHTTP,
        )

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ApiFailed: a socket or certificate cannot be used; then nothing is served.
        """
        self._rights, missing = group_rights(self._settings)
        for name in missing:
            LOG.warning("api: there is no group `%s`; nobody has rights by it", name)
        try:
            await self._runner.setup()
            self._socket = unix_socket(self._path, self._rights, _is_privileged)
            await self._listen(self._socket)
            if self._settings.tls is not None:
                self._context = tls_context(self._settings.tls)
                await self._listen(
                    tls_socket(self._settings.tls), ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
                )
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all connections and remove the socket; what was ordered is carried out first."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        await self._runner.cleanup()
        if self._socket is not None:
            close(self._socket, self._path)
            self._socket = None

    def reload(self) -> None:
        """Read certificates again; connections from now on use them. Bad ones leave the old ones in force."""
        if self._context is None or self._settings.tls is None:
            return
        try:
            load_certificates(self._context, self._settings.tls)
        except ApiFailed as error:
            LOG.warning("api: %s; the old certificates stay", error.message)

    @property
    def _path(self) -> Path:
        return Path(self._settings.socket)

    async def _listen(self, listening: socket.socket, **tls: Any) -> None:  # noqa: ANN401 - options of asyncio
        """Serve a socket; a `SockSite` would do the same, but gives a TLS handshake a minute."""
        protocol = self._runner.server
        assert protocol is not None, "the runner is set up"
        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(protocol, sock=listening, backlog=BACKLOG, **tls))

    def _identify(self, request: web.Request) -> Caller:
        transport = request.transport
        if transport is None:
            return NOBODY
        tls = self._settings.tls
        if transport.get_extra_info("ssl_object") is None:
            return caller_by_peer(peer_of(transport.get_extra_info("socket")), self._rights, os.geteuid())
        if tls is None:
            return NOBODY
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            return caller_by_token(authorization, tls)
        return caller_by_certificate(transport.get_extra_info("peercert"), tls)


def _is_privileged(connection: socket.socket) -> bool:
    """Return whether root, or who runs the daemon, is at the other end of a Unix socket."""
    return peer_of(connection).uid in (0, os.geteuid())
