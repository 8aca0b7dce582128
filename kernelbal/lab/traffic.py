"""Real traffic for a lab: servers that say who they are, and clients that count who answered.

A server answers HTTP with its name and, in a header, whom it takes for the client, echoes anything else as
`NAME:data`, and answers UDP from the address that was asked, which direct server return needs. All of it
runs in threads of the calling process with sockets made on the host in question;
`python -m kernelbal.lab.traffic NAME PORT...` is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from kernelbal.lab.namespaces import Host

TIMEOUT_S: Final = 5.0
"""How long a client waits; in virtual time this costs nothing when nobody answers."""
HTTP_PORT: Final = 80
UDP_PORT: Final = 53
CLIENT_HEADER: Final = "X-Client"
"""Header of an HTTP answer: the address that the server was asked from."""
_BACKLOG: Final = 512
_DATAGRAM_BYTES: Final = 4096
# linux/in6.h; IPv4 arrives on the same socket as a mapped address.
_IPV6_RECVPKTINFO: Final = 49
_IPV6_PKTINFO: Final = 50
_ADDRESS_BYTES: Final = 16
# icmp(7), RFC 792 and RFC 4443
_ECHO_REQUEST: Final = {socket.AF_INET: 8, socket.AF_INET6: 128}
_ECHO_REPLY: Final = {socket.AF_INET: 0, socket.AF_INET6: 129}
_ICMP: Final = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


# --- servers ---


class _NameProtocol(asyncio.Protocol):
    """One TCP connection: an HTTP request gets the name and the end, other data comes back with the name."""

    def __init__(self, name: str, opened: set[asyncio.Transport]) -> None:
        self._name = name
        self._opened = opened
        self._client = ""
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._opened.add(transport)
            # IPv4 arrives on the same socket, as a mapped address.
            self._client = transport.get_extra_info("peername")[0].removeprefix("::ffff:")

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        if self._transport is not None:
            self._opened.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if self._transport is None:
            return
        if self._head or data.startswith((b"GET ", b"HEAD ")):
            self._head += data
            if b"\r\n\r\n" in self._head:
                self._transport.write(self._response())
                self._transport.close()
        else:
            self._transport.write(f"{self._name}:".encode() + data)

    def _response(self) -> bytes:
        body = f"{self._name}\n".encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{CLIENT_HEADER}: {self._client}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + (b"" if self._head.startswith(b"HEAD ") else body)


def _tcp_socket(port: int) -> socket.socket:
    listener = socket.create_server(
        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
    )
    listener.setblocking(False)
    return listener


def _udp_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    bound.bind(("::", port))
    return bound


def _answer_udp(bound: socket.socket, name: str) -> None:
    try:
        data, ancillary, _, peer = bound.recvmsg(_DATAGRAM_BYTES, 256)
    except OSError:  # an ICMP error of an earlier answer, reported here; or nothing to read
        return
    # Keep the address that was asked and let routing choose the device.
    source = [
        (level, kind, value[:_ADDRESS_BYTES] + bytes(4))
        for level, kind, value in ancillary
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO)
    ]
    with contextlib.suppress(OSError):  # the client has gone
        bound.sendmsg([f"{name}:".encode() + data], source, 0, peer)


class NameServers:
    """TCP and UDP servers on hosts of a lab, from `with` to the end of its block."""

    def __init__(
        self,
        hosts: Iterable[Host],
        *,
        tcp_ports: Iterable[int] = (HTTP_PORT,),
        udp_ports: Iterable[int] = (UDP_PORT,),
    ) -> None:
        """Prepare servers that answer with the host's name on every given port, over IPv4 and IPv6."""
        self._hosts = tuple(hosts)
        self._tcp_ports = tuple(tcp_ports)
        self._udp_ports = tuple(udp_ports)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="name-servers", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._udp: list[socket.socket] = []
        self._opened: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; on return every port accepts.

        Raises:
            OSError: a port is taken.
        """
        self._thread.start()
        for host in self._hosts:
            with host.inside():
                listeners = [_tcp_socket(port) for port in self._tcp_ports]
                bound = [_udp_socket(port) for port in self._udp_ports]
            self._udp += bound
            asyncio.run_coroutine_threadsafe(self._serve(host.name, listeners, bound), self._loop).result()

    async def _serve(self, name: str, listeners: list[socket.socket], bound: list[socket.socket]) -> None:
        for listener in listeners:
            server = await self._loop.create_server(lambda: _NameProtocol(name, self._opened), sock=listener)
            self._servers.append(server)
        for udp in bound:
            self._loop.add_reader(udp, _answer_udp, udp, name)

    def stop(self) -> None:
        """Close every socket and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in list(self._opened):
            transport.abort()  # a client that was cut off never closes its end
        for udp in self._udp:
            self._loop.remove_reader(udp)
            udp.close()
        await asyncio.sleep(0)  # closing a transport takes one turn of the loop


# --- clients ---


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _socket(
    host: Host, address: str, kind: socket.SocketKind, timeout_s: float, source: str | None
) -> socket.socket:
    with host.inside():
        made = socket.socket(_family(address), kind)
    made.settimeout(timeout_s)
    if source is not None:
        made.bind((source, 0))
    return made


def connect(
    host: Host, address: str, port: int, *, timeout_s: float = TIMEOUT_S, source: str | None = None
) -> socket.socket:
    """Open a TCP connection from `host`, from its address `source` when given; the caller closes it.

    Raises:
        OSError: refused, unreachable, or `TimeoutError` after `timeout_s`.
    """
    made = _socket(host, address, socket.SOCK_STREAM, timeout_s, source)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made


def ask_connection(connection: socket.socket, data: bytes = b"?") -> str:
    """Send `data` over an open connection to a name server and return the name that comes back.

    Raises:
        OSError: the connection broke, or `TimeoutError`.
    """
    connection.sendall(data)
    answer = b""
    while b":" not in answer:
        part = connection.recv(_DATAGRAM_BYTES)
        if not part:
            raise ConnectionResetError("closed before the answer")
        answer += part
    return answer.split(b":", 1)[0].decode()


class HttpAnswer(NamedTuple):
    """Who answered, and which address that server was asked from."""

    server: str
    client: str


def http_get(
    host: Host,
    address: str,
    port: int = HTTP_PORT,
    *,
    timeout_s: float = TIMEOUT_S,
    source: str | None = None,
) -> str:
    """Make one HTTP request on a new connection from `host` and return the body without its line end.

    Raises:
        OSError: no connection, no answer in time, or `ConnectionResetError` for a cut answer.
    """
    return http_ask(host, address, port, timeout_s=timeout_s, source=source).server


def http_ask(
    host: Host,
    address: str,
    port: int = HTTP_PORT,
    *,
    timeout_s: float = TIMEOUT_S,
    source: str | None = None,
) -> HttpAnswer:
    """Make one HTTP request on a new connection from `host` and return what the server says.

    Raises:
        OSError: no connection, no answer in time, or `ConnectionResetError` for a cut answer.
    """
    shown = f"[{address}]" if ":" in address else address
    with connect(host, address, port, timeout_s=timeout_s, source=source) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator or b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionResetError(f"no complete answer: {received[:80]!r}")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return HttpAnswer(body.decode().strip(), fields.get(CLIENT_HEADER, ""))


def _counted_error(error: OSError) -> str:
    return "timeout" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()


def http_counts(
    host: Host,
    address: str,
    port: int = HTTP_PORT,
    *,
    count: int,
    timeout_s: float = TIMEOUT_S,
    source: str | None = None,
) -> Counter[str]:
    """Make `count` HTTP requests one after the other and count who answered.

    A failed request is counted under what went wrong, such as `timeout` or `connection refused`.
    """
    answers: Counter[str] = Counter()
    for _ in range(count):
        try:
            answers[http_get(host, address, port, timeout_s=timeout_s, source=source)] += 1
        except OSError as error:
            answers[_counted_error(error)] += 1
    return answers


@contextlib.contextmanager
def held_connections(
    host: Host, address: str, port: int = HTTP_PORT, *, count: int
) -> Iterator[Counter[str]]:
    """Hold `count` TCP connections open and yield who serves them; they are closed at the end of the block.

    Raises:
        OSError: one of them could not be opened.
    """
    with contextlib.ExitStack() as stack:
        answers: Counter[str] = Counter()
        for _ in range(count):
            connection = stack.enter_context(connect(host, address, port))
            answers[ask_connection(connection)] += 1
        yield answers


def udp_counts(
    host: Host,
    address: str,
    port: int = UDP_PORT,
    *,
    count: int,
    one_socket: bool = False,
    timeout_s: float = TIMEOUT_S,
    source: str | None = None,
) -> Counter[str]:
    """Send `count` datagrams, wait for each answer and count who answered.

    With `one_socket` all come from one port, so that IPVS sees one flow; else each from a port of its own.
    Only answers from the address that was asked count; no answer counts as `timeout`.
    """
    answers: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        asking: socket.socket | None = None
        for _ in range(count):
            if asking is None or not one_socket:
                asking = stack.enter_context(_socket(host, address, socket.SOCK_DGRAM, timeout_s, source))
                asking.connect((address, port))
            answers[_ask_udp(asking)] += 1
    return answers


def _ask_udp(asking: socket.socket) -> str:
    try:
        asking.send(b"?")
        return asking.recv(_DATAGRAM_BYTES).split(b":", 1)[0].decode()
    except OSError as error:
        return _counted_error(error)


def ping(host: Host, address: str, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Send one ICMP echo request (RFC 792, RFC 4443) from `host`; return whether it was answered in time."""
    family = _family(address)
    with host.inside():
        raw = socket.socket(family, socket.SOCK_RAW, _ICMP[family])
    with raw:
        raw.settimeout(timeout_s)
        raw.connect((address, 0))
        identifier = os.getpid() & 0xFFFF
        raw.send(_echo_request(family, identifier))
        with contextlib.suppress(OSError):
            while True:
                message = raw.recv(_DATAGRAM_BYTES)
                if family == socket.AF_INET:  # raw IPv4 sockets get the IP header too
                    message = message[(message[0] & 0x0F) * 4 :]
                if (
                    message[0] == _ECHO_REPLY[family]
                    and struct.unpack_from("!H", message, 4)[0] == identifier
                ):
                    return True
    return False


def _echo_request(family: socket.AddressFamily, identifier: int) -> bytes:
    message = struct.pack("!BBHHH", _ECHO_REQUEST[family], 0, 0, identifier, 1)
    if family == socket.AF_INET6:  # the kernel fills in the checksum of ICMPv6
        return message
    total = sum(struct.unpack("!4H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]


def _main(name: str, ports: list[int]) -> None:
    """Serve in this process and network namespace until the process is ended."""
    loop = asyncio.new_event_loop()
    bound = [_udp_socket(port) for port in ports]
    for udp in bound:
        loop.add_reader(udp, _answer_udp, udp, name)
    for port in ports:
        loop.run_until_complete(
            loop.create_server(lambda: _NameProtocol(name, set()), sock=_tcp_socket(port))
        )
    loop.run_forever()


if __name__ == "__main__":
    _main(sys.argv[1], [int(port) for port in sys.argv[2:]])
