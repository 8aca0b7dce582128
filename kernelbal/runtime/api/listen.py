"""The sockets that the control API listens on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kernelbal.errors import ApiFailed
from kernelbal.model.address import Address, format_address
from kernelbal.model.node import ApiTls
from kernelbal.runtime.api.access import GroupRights
from kernelbal.runtime.api.answers import LOG

BACKLOG: Final = 64
CONNECTIONS: Final = 128
"""Most open connections of a listener; privileged peers have as many again, so that nobody locks them out."""
HANDSHAKE_S: Final = 10.0
"""How long a TLS handshake may take."""
PAUSE_S: Final = 1.0
"""How long nothing is accepted after the kernel refused a connection, mostly for want of descriptors."""
LOG_EVERY_S: Final = 60.0
_DIRECTORY_MODE: Final = 0o755
_ACL: Final = "system.posix_acl_access"
_ACL_ENTRY: Final = struct.Struct("<HHI")
_ACL_VERSION: Final = 2
_NO_ID: Final = 0xFFFFFFFF
_READ_WRITE: Final = 6


def _never(_: socket.socket) -> bool:
    return False


class Listener:
    """Accepts connections of a listening socket: a bounded number, and none while descriptors are short.

    Connections count from their accept, so that those in a TLS handshake count too. asyncio's own `Server`
    would keep its first TLS context, and log a traceback for each connection that it cannot accept.

    Args:
        listening: the socket; closed with the listener.
        protocol: makes the protocol of a connection.
        context: TLS of connections from now on; may be replaced. None: no TLS.
        most: connections that may be open at once; further ones are closed as they come.
        is_privileged: whether a connection may still be taken up to twice that number.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None = None,
        most: int = CONNECTIONS,
        is_privileged: Callable[[socket.socket], bool] = _never,
    ) -> None:
        self.context = context
        self._socket = listening
        self._protocol = protocol
        self._most = most
        self._is_privileged = is_privileged
        self._open: list[socket.socket] = []
        self._connecting: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._logged_at = float("-inf")
        self._resume()

    def close(self) -> None:
        """Accept nothing more, and end handshakes; connections that are open stay."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for each in self._connecting:
            each.cancel()

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            if self._is_full_for(connection):
                connection.close()
                continue
            connection.setblocking(False)
            self._open.append(connection)
            connecting = asyncio.ensure_future(self._connect(connection))
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    def _is_full_for(self, connection: socket.socket) -> bool:
        self._open = [each for each in self._open if each.fileno() >= 0]
        count = len(self._open)
        return count >= 2 * self._most or (count >= self._most and not self._is_privileged(connection))

    def _pause(self, error: OSError) -> None:
        """Leave connections in the backlog for a moment; the socket stays readable all the time."""
        self._loop.remove_reader(self._socket)
        self._retry = self._loop.call_later(PAUSE_S, self._resume)
        if self._loop.time() - self._logged_at >= LOG_EVERY_S:
            self._logged_at = self._loop.time()
            LOG.warning("api: cannot accept connections: %s; retry every %g s", error.strerror, PAUSE_S)

    async def _connect(self, connection: socket.socket) -> None:
        """Hand a connection to its protocol, after the handshake where there is TLS."""
        patience_s = None if self.context is None else HANDSHAKE_S
        with contextlib.suppress(OSError):  # the peer is gone, speaks no TLS, or takes too long
            await self._loop.connect_accepted_socket(
                self._protocol, connection, ssl=self.context, ssl_handshake_timeout=patience_s
            )


def unix_socket(path: Path, rights: GroupRights) -> socket.socket:
    """Return a listening Unix socket; a file that a dead process left behind is replaced.

    Nobody can connect before its mode is set: until `listen` the kernel refuses everybody, and the mode of
    the file comes from the socket's own inode (`unix_bind_bsd` in the kernel's `net/unix/af_unix.c`).

    Raises:
        ApiFailed: somebody else serves at this path, or it cannot be used.
    """
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        _make_room(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            os.fchmod(made.fileno(), 0o600)
            made.bind(str(path))
            grant(path, rights)
            made.listen(BACKLOG)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise ApiFailed(
            f"cannot listen at {path}: {error.strerror or error}", "name another `api.socket`"
        ) from error
    return made


def _make_room(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ApiFailed(f"{path} is there, and no socket", "move it away, or name another `api.socket`")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise ApiFailed(f"another daemon serves at {path}", "stop it first, or name another `api.socket`")


def grant(path: Path, rights: GroupRights) -> None:
    """Let members of some groups connect, and nobody else; what they may do is decided by their credentials.

    Raises:
        OSError: the rights of the socket cannot be set.
    """
    with contextlib.suppress(OSError):  # it has none, or the file system knows none
        os.removexattr(path, _ACL)
    path.chmod(0o600)
    groups = sorted(rights.change | rights.read)
    if len(groups) == 1 and _handed_over(path, groups[0]):
        path.chmod(0o660)
    elif groups:
        try:
            os.setxattr(path, _ACL, _access_list(groups))
        except OSError:
            # The file system has no access lists: everybody can connect, and is refused by the API.
            path.chmod(0o666)


def _handed_over(path: Path, group: int) -> bool:
    """Give a file to a group; False without CAP_CHOWN, which the unit leaves out; lists need none."""
    try:
        os.chown(path, -1, group)
    except PermissionError:
        return False
    return True


def _access_list(groups: list[int]) -> bytes:
    """Return an access list (`acl(5)`): the owner and members of some groups, nobody else."""
    owner, owner_group, group, mask, other = 0x01, 0x04, 0x08, 0x10, 0x20
    entries = [(owner, _READ_WRITE, _NO_ID), (owner_group, 0, _NO_ID)]
    entries += [(group, _READ_WRITE, each) for each in groups]
    entries += [(mask, _READ_WRITE, _NO_ID), (other, 0, _NO_ID)]
    return struct.pack("<I", _ACL_VERSION) + b"".join(_ACL_ENTRY.pack(*each) for each in entries)


def tls_socket(tls: ApiTls) -> socket.socket:
    """Return a listening TCP socket.

    Raises:
        ApiFailed: the address is not there, or the port is taken.
    """
    address = Address(tls.address)
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((format_address(address), tls.port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        where = f"{format_address(address)} port {tls.port}"
        raise ApiFailed(
            f"cannot listen on {where}: {error.strerror}", "see `api.tls` in node.yaml"
        ) from error
    return made


def close(made: socket.socket, path: Path) -> None:
    """Close a Unix socket and remove its file."""
    made.close()
    with contextlib.suppress(OSError):
        path.unlink()
