"""The IPVS connection table, read from `/proc/net/ip_vs_conn` (`ip_vs_conn_seq_show` in `ip_vs_conn.c`).

The table may hold millions of entries: lines are filtered by their text before any is parsed.
"""

from __future__ import annotations

import errno
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from kernelbal.errors import NotSupported
from kernelbal.kernel.refusals import error as refusal_error
from kernelbal.model.address import AF_INET, Address
from kernelbal.model.ipvs import Connection, DestinationKey, Protocol, ServiceKey

READ: Final = "read the IPVS connections"
CONNECTIONS_FILE: Final = "/proc/thread-self/net/ip_vs_conn"
_TEMPLATE_PROTOCOL: Final = "IP"
_COLUMNS: Final = 9
_NO_CONNECTION: Final = frozenset({"FPrt", "0000"})
"""What the heading and templates have as the client's port."""


class ConnectionFilter(NamedTuple):
    """Which entries are wanted; what is None matches all.

    Attributes:
        service: of a firewall-mark service only the templates are found: its connections bear the address
            and port that the client used.
        client: the client's address; a template bears it masked to the service's prefix.
        destination: the real server's.
        templates: True for persistence templates alone, False for connections alone.
    """

    service: ServiceKey | None = None
    client: Address | None = None
    destination: DestinationKey | None = None
    templates: bool | None = None


EVERYTHING: Final = ConnectionFilter()


def read_connections(wanted: ConnectionFilter = EVERYTHING, path: str = CONNECTIONS_FILE) -> list[Connection]:
    """Return the entries of the calling thread's network namespace that match.

    Raises:
        NotSupported: the kernel has no IPVS.
        NotPermitted: the file is for root alone.
        KernelError: the kernel failed.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as lines:
            return list(parse_connections(lines, wanted))
    except FileNotFoundError as error:
        raise NotSupported(READ, "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs") from error
    except OSError as error:
        raise refusal_error(READ, "", error.errno or errno.EIO) from error


def count_clients(limit: int, path: str = CONNECTIONS_FILE) -> dict[Address, int]:
    """Return how many connections each client has, among the first `limit` entries of the table.

    Raises:
        NotPermitted: the file is for root alone.
        KernelError: the kernel failed.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as lines:
            return parse_clients(islice(lines, limit))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise refusal_error(READ, "", error.errno or errno.EIO) from error


def parse_clients(lines: Iterable[str]) -> dict[Address, int]:
    """Return how many connections each client has; persistence templates are none."""
    heads = (line.split(maxsplit=3) for line in lines)
    counts = Counter(head[1] for head in heads if len(head) == 4 and head[2] not in _NO_CONNECTION)
    return {_address(text): count for text, count in counts.items()}


def parse_connections(lines: Iterable[str], wanted: ConnectionFilter = EVERYTHING) -> Iterator[Connection]:
    """Yield the entries among the file's lines that match; the heading is passed over."""
    needles = _needles(wanted)
    for line in lines:
        if line.startswith("Pro ") or not all(needle in line for needle in needles):
            continue
        columns = line.split(maxsplit=_COLUMNS)
        if len(columns) < _COLUMNS:
            continue  # the kernel wrote no whole line, as of an entry that ended meanwhile
        connection = _connection(columns)
        if matches(connection, wanted):
            yield connection


def matches(connection: Connection, wanted: ConnectionFilter) -> bool:
    """Return whether an entry is wanted."""
    service, client, destination, templates = wanted
    return (
        (templates is None or templates == connection.template)
        and (client is None or client == connection.client)
        and (destination is None or destination == connection.destination)
        and (service is None or _is_of(connection, service))
    )


def _is_of(connection: Connection, service: ServiceKey) -> bool:
    if service.mark:
        return connection.protocol == 0 and connection.virtual == mark_address(service)
    return (connection.protocol, connection.virtual, connection.virtual_port) == service[1:4]


def mark_address(service: ServiceKey) -> Address:
    """Return what stands for the virtual address in a template of a firewall-mark service."""
    padding = b"" if service.family == AF_INET else bytes(12)
    return Address(struct.pack(">I", service.mark) + padding)


def _needles(wanted: ConnectionFilter) -> list[str]:
    """Return texts that every wanted line contains."""
    found = [] if wanted.client is None else [_hex(wanted.client)]
    if wanted.destination is not None:
        found.append(f"{_hex(wanted.destination.address)} {wanted.destination.port:04X}")
    if wanted.service is not None and not wanted.service.mark:
        found.append(f"{_hex(wanted.service.address)} {wanted.service.port:04X}")
    return found


def _hex(address: Address) -> str:
    """Return an address as the file writes it."""
    return address.hex().upper() if len(address) == 4 else address.hex(":", 2)


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text.replace(":", "")))


def _connection(columns: list[str]) -> Connection:
    protocol, client, client_port, virtual, virtual_port, server, server_port, state, expires = columns[:9]
    return Connection(
        protocol=0 if protocol == _TEMPLATE_PROTOCOL else Protocol[protocol],
        client=_address(client),
        client_port=int(client_port, 16),
        virtual=_address(virtual),
        virtual_port=int(virtual_port, 16),
        destination=DestinationKey(_address(server), int(server_port, 16)),
        state=state,
        expires_s=int(expires),
    )
