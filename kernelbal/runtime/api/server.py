"""The server of the control API."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import Final

from aiohttp import web

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
from kernelbal.runtime.api.handlers import Handlers
from kernelbal.runtime.api.http import LOG, SILENCE_S, BoundedServer
from kernelbal.runtime.api.listen import close, load_certificates, tls_context, tls_socket, unix_socket
from kernelbal.runtime.api.stream import DEFAULT_PACE, Pace
from kernelbal.runtime.control import Control

STOP_S: Final = 2.0
"""How long answers may still take when the server stops."""
HANDSHAKE_S: Final = 10.0


class ApiServer:
    """The control API of one director, on its Unix socket and, where it is set, by TLS.

    Args:
        control: the director.
        settings: where it listens, and who may do what.
        silence_s: how long a connection may stand idle.
        pace: limits of event streams.
    """

    def __init__(
        self,
        control: Control,
        settings: ApiSettings,
        *,
        silence_s: float = SILENCE_S,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._settings = settings
        self._silence_s = silence_s
        self._rights = GroupRights(frozenset(), frozenset())
        self._context: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._listeners: list[asyncio.Server] = []
        self._servers: list[BoundedServer] = []
        self._handlers = Handlers(control, self._identify, pace)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ApiFailed: a socket or certificate cannot be used; then nothing is served.
        """
        self._rights, missing = group_rights(self._settings)
        for name in missing:
            LOG.warning("api: there is no group `%s`; nobody has rights by it", name)
        try:
            self._socket = unix_socket(self._path, self._rights)
            await self._serve(self._socket)
            if self._settings.tls is not None:
                self._context = tls_context(self._settings.tls)
                await self._serve(tls_socket(self._settings.tls), self._context)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all connections and remove the socket; what was ordered is carried out first."""
        for listener in self._listeners:
            listener.close()
        await self._handlers.finish()
        for server in self._servers:
            server.pre_shutdown()
            await server.shutdown(STOP_S)
        self._listeners.clear()
        self._servers.clear()
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

    async def _serve(self, listening: socket.socket, context: ssl.SSLContext | None = None) -> None:
        is_master = _is_master if context is None else _nobody
        server = BoundedServer(self._handlers.handle, silence_s=self._silence_s, is_master=is_master)
        loop = asyncio.get_running_loop()
        if context is None:
            listener = await loop.create_unix_server(server, sock=listening)
        else:
            listener = await loop.create_server(
                server, sock=listening, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
            )
        self._servers.append(server)
        self._listeners.append(listener)

    def _identify(self, request: web.BaseRequest) -> Caller:
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


def _is_master(transport: asyncio.Transport) -> bool:
    """Return whether root, or who runs the daemon, is at the other end of a Unix socket."""
    return peer_of(transport.get_extra_info("socket")).uid in (0, os.geteuid())


def _nobody(_transport: asyncio.Transport) -> bool:
    return False
