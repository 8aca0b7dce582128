"""The server of the control API: aiohttp's application and runner behind listeners with limits.

What is no HTTP, or has too long a head, never becomes a request: aiohttp answers it with 400 and plain text.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from kernelbal.errors import ApiFailed
from kernelbal.model.node import ApiSettings, ApiTls
from kernelbal.runtime.api.access import group_rights, peer_of
from kernelbal.runtime.api.admission import Admission
from kernelbal.runtime.api.answers import LOG
from kernelbal.runtime.api.bodies import BODY_BYTES
from kernelbal.runtime.api.handlers import Handlers
from kernelbal.runtime.api.listen import Listener, close, grant, tls_socket, unix_socket
from kernelbal.runtime.api.stream import DEFAULT_LIMITS, StreamLimits
from kernelbal.runtime.api.tls import read_credentials
from kernelbal.runtime.control import Control

HEADER_BYTES: Final = 8190
"""Most bytes of a request line, and of one header."""
HEADERS: Final = 64
SILENCE_S: Final = 30.0
"""How long a connection may stand idle, or take for the head of a request."""
LINGER_S: Final = 1.0
"""How long the rest of a refused body is read."""
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
        self._path = Path(settings.socket)
        self._admission = Admission(settings)
        self._reloading = asyncio.Lock()
        self._socket: socket.socket | None = None
        self._local: Listener | None = None
        self._remote: Listener | None = None
        self._handlers = Handlers(control, self._admission.caller_of, limits)
        self._runner = web.AppRunner(
            self._handlers.application(),
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
        settings = self._admission.settings
        await self._look_up_groups(settings)
        try:
            await self._runner.setup()
            self._socket = unix_socket(self._path, self._admission.rights)
            self._local = Listener(self._socket, self._protocol(), is_privileged=_is_privileged)
            if settings.tls is not None:
                await self._listen(settings.tls)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all connections and remove the socket; what was ordered is carried out first."""
        for listener in (self._local, self._remote):
            if listener is not None:
                listener.close()
        self._local = self._remote = None
        await self._runner.cleanup()
        if self._socket is not None:
            close(self._socket, self._path)
            self._socket = None

    async def reload(self, settings: ApiSettings) -> None:
        """Bring settings and the files that they name into force, for open connections as well.

        Whoever has no right any more is refused, and gets no more of what is being sent. Connections with
        other certificates are closed after what they are asked. Bad files, and an address that cannot be
        listened on, leave the ones before in force. The Unix socket stays where it is.
        """
        async with self._reloading:
            before = self._admission.settings
            self._admission.settings = settings
            await self._look_up_groups(settings)
            try:
                if self._socket is not None:
                    grant(self._path, self._admission.rights)
                if settings.tls is None:
                    self._hang_up()
                else:
                    moved = before.tls is None or _endpoint(settings.tls) != _endpoint(before.tls)
                    await self._listen(settings.tls, moved=moved or self._remote is None)
            except (ApiFailed, OSError) as error:
                LOG.warning("api: %s; what was in force stays", error)
            self._close_outdated()
            self._handlers.reauthorise()

    async def _look_up_groups(self, settings: ApiSettings) -> None:
        """Find the groups that have rights; in a thread, as a directory service may be slow."""
        self._admission.rights, missing = await asyncio.to_thread(group_rights, settings)
        for name in missing:
            LOG.warning("api: there is no group `%s`; nobody has rights by it", name)

    async def _listen(self, tls: ApiTls, *, moved: bool = True) -> None:
        """Serve by TLS with what the files hold now."""
        credentials = await asyncio.to_thread(read_credentials, tls, self._admission.credentials)
        if moved:
            listening = tls_socket(tls)
            self._hang_up()
            self._remote = Listener(listening, self._protocol())
        assert self._remote is not None, "it moves where there is none"
        self._remote.context = credentials.context
        self._admission.credentials = credentials

    def _hang_up(self) -> None:
        if self._remote is not None:
            self._remote.close()
            self._remote = None
        self._admission.credentials = None

    def _protocol(self) -> web.Server:
        assert self._runner.server is not None, "the runner is set up"
        return self._runner.server

    def _close_outdated(self) -> None:
        """Close TLS connections that show or trust other certificates than those in force."""
        credentials = self._admission.credentials
        for connection in self._protocol().connections:
            transport = connection.transport
            context = None if transport is None else transport.get_extra_info("sslcontext")
            if transport is None or context is None:
                continue
            if credentials is not None and context is credentials.context:
                continue
            if self._handlers.is_answering(transport):
                connection.close()
            else:
                connection.force_close()


def _endpoint(tls: ApiTls) -> tuple[bytes, int]:
    return tls.address, tls.port


def _is_privileged(connection: socket.socket) -> bool:
    """Return whether root, or who runs the daemon, is at the other end of a Unix socket."""
    return peer_of(connection).uid in (0, os.geteuid())
