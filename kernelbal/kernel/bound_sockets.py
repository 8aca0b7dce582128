"""Listening sockets: `/proc/net` of the calling thread's namespace, and `sock_diag(7)`."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from kernelbal.kernel.netlink import DumpInterrupted, Netlink, attributes, messages
from kernelbal.model.address import Address, parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol

NET: Final = Path("/proc/thread-self/net")
PROCESSES: Final = Path("/proc")
NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
INET_DIAG_SKV6ONLY: Final = 11

_WAITING: Final = {"tcp": "0A", "udp": "07"}
"""State by protocol: `TCP_LISTEN`, and `TCP_CLOSE` for UDP without a peer (`net/tcp_states.h`)."""
_STATES: Final = 1 << 10 | 1 << 7
_AF_INET6: Final = 10
_DIAG_REQUEST: Final = struct.Struct("=BBBxI48x")
_DIAG_BYTES: Final = 72
_INODE_AT: Final = 68
_SOCKET_LINK: Final = re.compile(r"socket:\[([0-9]+)\]")


def read_bound_sockets(ports: Collection[int] = (), net: Path = NET) -> tuple[BoundSocket, ...]:
    """Return the listening sockets of TCP, UDP and SCTP.

    Args:
        ports: for which of them to look up the program.
        net: where `/proc/net` is.
    """
    found = [*_inet(net), *_sctp(net)]
    only = {protocol: _only_ipv6(protocol) for protocol in (Protocol.TCP, Protocol.UDP)}
    known = [
        each._replace(only_ipv6=only[Protocol(each.protocol)].get(each.inode))
        if len(each.address) == 16 and each.protocol in only
        else each
        for each in found
    ]
    programs = _programs({each.inode for each in known if each.port in ports})
    return tuple(each._replace(program=programs.get(each.inode, "")) for each in known)


def _inet(net: Path) -> Iterator[BoundSocket]:
    for name, state in _WAITING.items():
        for suffix in ("", "6"):
            yield from parse_table(_lines(net / f"{name}{suffix}"), Protocol[name.upper()], state)


def parse_table(lines: Iterable[str], protocol: Protocol, state: str) -> Iterator[BoundSocket]:
    """Yield the sockets in the lines of such as `/proc/net/tcp6` behind the heading."""
    for line in lines:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == state and fields[2].endswith(":0000"):
            yield BoundSocket(protocol, _address(address), int(port, 16), inode=int(fields[9]))


def _address(text: str) -> Address:
    """Words of 32 bits, each in the byte order of the host."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return Address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))


def _sctp(net: Path) -> Iterator[BoundSocket]:
    """A wildcard is `0.0.0.0` or `::`."""
    for line in _lines(net / "sctp/eps"):
        fields = line.split()
        for text in fields[8:]:
            yield BoundSocket(Protocol.SCTP, parse_address(text), int(fields[5]), inode=int(fields[7]))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []  # no IPv6, or no SCTP


def _only_ipv6(protocol: Protocol) -> dict[int, bool]:
    """Return by inode whether a socket leaves IPv4 out; nothing where the kernel has no `sock_diag`."""
    request = _DIAG_REQUEST.pack(_AF_INET6, protocol, 0, _STATES)
    try:
        with closing(Netlink.open(NETLINK_SOCK_DIAG)) as netlink:
            parts = netlink.dump_plain(SOCK_DIAG_BY_FAMILY, request)
    except (OSError, DumpInterrupted):
        return {}
    return dict(pair for part in parts for pair in parse_diag(part))


def parse_diag(part: bytes) -> Iterator[tuple[int, bool]]:
    """Yield inode and whether IPv4 is left out of each socket in a part of a dump (`linux/inet_diag.h`)."""
    for start, end, _, _, _ in messages(part):
        body = start + 16
        (inode,) = struct.unpack_from("=I", part, body + _INODE_AT)
        for kind, begin, _ in attributes(part, body + _DIAG_BYTES, end):
            if kind == INET_DIAG_SKV6ONLY:
                yield inode, bool(part[begin])


def _programs(inodes: set[int]) -> dict[int, str]:
    """Return by inode who has the socket; only root sees those of others."""
    found: dict[int, str] = {}
    for folder in PROCESSES.iterdir() if inodes else ():
        for inode in inodes & _open_sockets(folder) if folder.name.isdecimal() else ():
            found.setdefault(inode, f"{_name(folder)} (pid {folder.name})")
    return found


def _open_sockets(folder: Path) -> set[int]:
    try:
        names = os.listdir(folder / "fd")
    except OSError:  # it has ended, or is not ours to look into
        return set()
    matches = (_SOCKET_LINK.fullmatch(_target(folder / "fd" / name)) for name in names)
    return {int(match[1]) for match in matches if match}


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return ""


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(errors="replace").strip()
    except OSError:
        return "ended"
