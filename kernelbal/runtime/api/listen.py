"""The sockets that the control API listens on."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kernelbal.errors import ApiFailed
from kernelbal.model.address import Address, format_address
from kernelbal.model.node import ApiTls
from kernelbal.runtime.api.access import GroupRights

BACKLOG: Final = 64
CONNECTIONS: Final = 128
"""Most open connections of a listener; privileged peers have as many again, so that nobody locks them out."""
_DIRECTORY_MODE: Final = 0o755
_ACL: Final = "system.posix_acl_access"
_ACL_ENTRY: Final = struct.Struct("<HHI")
_ACL_VERSION: Final = 2
_NO_ID: Final = 0xFFFFFFFF
_READ_WRITE: Final = 6


def _never(_: socket.socket) -> bool:
    return False


class BoundedListener(socket.socket):
    """A listening socket that accepts a bounded number of connections.

    Args:
        family: of addresses.
        most: connections that may be open at once; further ones are closed as they come.
        is_privileged: whether a connection may still be taken up to twice that number.
    """

    def __init__(
        self,
        family: socket.AddressFamily,
        most: int = CONNECTIONS,
        is_privileged: Callable[[socket.socket], bool] = _never,
    ) -> None:
        super().__init__(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._most = most
        self._is_privileged = is_privileged
        self._accepted: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """Return a new connection and its address.

        Raises:
            ConnectionAbortedError: there were too many; asyncio goes on with the next one.
        """
        connection, address = super().accept()
        self._accepted = [each for each in self._accepted if each.fileno() >= 0]
        count = len(self._accepted)
        if count >= 2 * self._most or (count >= self._most and not self._is_privileged(connection)):
            connection.close()
            raise ConnectionAbortedError
        self._accepted.append(connection)
        return connection, address


def unix_socket(
    path: Path, rights: GroupRights, is_privileged: Callable[[socket.socket], bool] = _never
) -> socket.socket:
    """Return a listening Unix socket; a file that a dead process left behind is replaced.

    Nobody can connect before its mode is set: until `listen` the kernel refuses everybody, and the mode of
    the file comes from the socket's own inode (`unix_bind_bsd` in the kernel's `net/unix/af_unix.c`).

    Raises:
        ApiFailed: somebody else serves at this path, or it cannot be used.
    """
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        _make_room(path)
        made = BoundedListener(socket.AF_UNIX, CONNECTIONS, is_privileged)
        try:
            os.fchmod(made.fileno(), 0o600)
            made.bind(str(path))
            _grant(path, sorted(rights.change | rights.read))
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


def _grant(path: Path, groups: list[int]) -> None:
    """Let members of some groups connect; what they may do is decided by their credentials."""
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
    made = BoundedListener(family)
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


def tls_context(tls: ApiTls) -> ssl.SSLContext:
    """Return the TLS settings of the server: TLS 1.2 or later, nobody anonymous.

    Raises:
        ApiFailed: a file cannot be read, or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificates(context, tls)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL if tls.tokens else ssl.CERT_REQUIRED
    return context


def load_certificates(context: ssl.SSLContext, tls: ApiTls) -> None:
    """Read certificates again; connections from now on use them.

    Raises:
        ApiFailed: a file cannot be read, or does not fit; then the old ones stay.
    """
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(filter(None, (tls.certificate, tls.key, tls.client_ca)))
        raise ApiFailed(
            f"cannot use {files}: {error.strerror or error}", "see `api.tls` in node.yaml"
        ) from error


def close(made: socket.socket, path: Path) -> None:
    """Close a Unix socket and remove its file."""
    made.close()
    with contextlib.suppress(OSError):
        path.unlink()
