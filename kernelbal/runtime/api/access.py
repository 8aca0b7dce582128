"""Who asks, and what they may do.

On the Unix socket the kernel says who the peer is (`unix(7)`, SO_PEERCRED; SO_PEERGROUPS for supplementary
groups): root and members of `change_groups` may change, members of `read_groups` may read. With TLS it is a
client certificate or a bearer token; nobody is anonymous there.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings, ApiTls

SO_PEERGROUPS: Final = 59
"""`asm-generic/socket.h`; Python has no name for it."""
_MAX_GROUPS_BYTES: Final = 1024
_UCRED: Final = struct.Struct("=iII")


class Caller(NamedTuple):
    """Somebody who asks.

    Attributes:
        name: for the record, such as `root` or `token deploy`.
        right: None: nothing at all.
    """

    name: str
    right: Right | None

    def may(self, right: Right) -> bool:
        """Return whether the caller has a right; who may change may read too."""
        return self.right is Right.CHANGE or (self.right is not None and self.right is right)


class Peer(NamedTuple):
    """Credentials of the process at the other end of a Unix socket."""

    pid: int
    uid: int
    groups: frozenset[int]


class GroupRights(NamedTuple):
    """Numbers of the groups that may change, and of those that may read."""

    change: frozenset[int]
    read: frozenset[int]


NOBODY: Final = Caller("nobody", None)


def peer_of(connection: socket.socket) -> Peer:
    """Return the credentials of a Unix socket's peer, as they were when it connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    groups = {gid}
    # ERANGE: more groups than fit; then the supplementary ones give no right.
    with contextlib.suppress(OSError):
        packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _MAX_GROUPS_BYTES)
        groups.update(struct.unpack(f"={len(packed) // 4}I", packed))
    return Peer(pid, uid, frozenset(groups))


def group_rights(settings: ApiSettings) -> tuple[GroupRights, list[str]]:
    """Return the numbers of the groups that have rights, and the names of groups that do not exist."""
    missing: list[str] = []
    change = frozenset(_numbers(settings.change_groups, missing))
    return GroupRights(change, frozenset(_numbers(settings.read_groups, missing))), missing


def _numbers(names: Iterable[str], missing: list[str]) -> Iterable[int]:
    import grp

    for name in names:
        try:
            yield grp.getgrnam(name).gr_gid
        except KeyError:
            missing.append(name)


def caller_by_peer(peer: Peer, rights: GroupRights, own_uid: int) -> Caller:
    """Return who a local peer is.

    Args:
        peer: its credentials.
        rights: of groups.
        own_uid: of the daemon; whoever runs it could signal or trace it anyway.
    """
    name = _user_name(peer.uid)
    if peer.uid in (0, own_uid) or peer.groups & rights.change:
        return Caller(name, Right.CHANGE)
    return Caller(name, Right.READ if peer.groups & rights.read else None)


def _user_name(uid: int) -> str:
    import pwd

    if uid == 0:
        return "root"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def caller_by_certificate(certificate: Mapping[str, Any] | None, tls: ApiTls) -> Caller:
    """Return who a verified client certificate stands for.

    Args:
        certificate: as `ssl.SSLSocket.getpeercert` gives it; None when there is none.
        tls: the settings.
    """
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    for client in tls.clients:
        if names == [client.common_name]:
            return Caller(f"certificate {client.common_name}", client.right)
    return Caller(f"certificate {names[0]}", None) if names else NOBODY


def caller_by_token(authorization: str, tls: ApiTls) -> Caller:
    """Return who a bearer token stands for (RFC 6750); the time it takes tells nothing about tokens."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return NOBODY
    digest = hashlib.sha256(token.strip().encode(errors="surrogateescape")).hexdigest()
    found = NOBODY
    for each in tls.tokens:
        if hmac.compare_digest(digest, each.sha256):
            found = Caller(f"token {each.name}", each.right)
    return found
