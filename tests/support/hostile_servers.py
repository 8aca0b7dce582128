"""Real servers that answer what no honest one does: `python -m tests.support.hostile_servers`.

One or more for each protocol of checks and agents, each on a port of its own.
"""

import base64
import contextlib
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from kernelbal.health.checks.ldap import ber
from tests.unit.runtime.checker.certificates import write_certificate

FIRST_PORT = 8001
DIGITS = b"9" * 5000
"""More than Python turns into a number."""


class HostileServer(NamedTuple):
    """A hostile real server.

    Attributes:
        check: protocol and settings of its check, as in a site file.
        answer: what it does with a connection, which is closed at the end; None where it has none.
        reason: part of what its check says of it; empty where that succeeds.
        replies: what it answers to a datagram; None where it listens by TCP.
        agent: protocol and settings of its agent, with `{port}`; its check is then `none`.
    """

    check: str
    answer: Callable[[socket.socket], None] | None
    reason: str = ""
    replies: Callable[[bytes], Iterable[bytes]] | None = None
    agent: str = ""


def say(data: bytes, connection: socket.socket) -> None:
    """Send it, and wait until the other side has enough."""
    connection.sendall(data)
    while connection.recv(4096):
        pass


def repeat(first: bytes, again: bytes, connection: socket.socket) -> None:
    """Send it without end, as fast as it is read."""
    connection.sendall(first)
    while True:
        connection.sendall(again * (65536 // len(again)))


def drip(data: bytes, connection: socket.socket) -> None:
    """Send one octet a second."""
    for octet in data:
        connection.sendall(bytes([octet]))
        time.sleep(1.0)


def reset(connection: socket.socket) -> None:
    """Reset the connection in the middle of a greeting."""
    connection.sendall(b"220 mail")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def odd_certificate(connection: socket.socket) -> None:
    """Speak TLS with a certificate of a version that does not exist."""
    with odd_context().wrap_socket(connection, server_side=True) as secure:
        secure.recv(4096)


@cache
def odd_context() -> ssl.SSLContext:
    """The settings of that server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = write_certificate(Path(folder), "www.example.net")
        encoded, _, key = path.read_text().partition("-----END CERTIFICATE-----\n")
        der = base64.b64decode(encoded.partition("\n")[2])
        odd = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
        path.write_text(ssl.DER_cert_to_PEM_cert(odd) + key)
        context.load_cert_chain(path)
    return context


def nested(depth: int) -> bytes:
    """BER sequences within each other."""
    message = b""
    for _ in range(depth):
        message = ber(0x30, message)
    return message


def page(body: bytes) -> bytes:
    """An HTTP reply."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def huge_result() -> bytes:
    """A BindResponse whose result code has 2,001 octets."""
    result = ber(0x0A, b"\x7f" * 2001) + ber(0x04, b"") + ber(0x04, b"")
    return ber(0x30, ber(0x02, b"\x01") + ber(0x61, result))


def odd_dns(request: bytes) -> Iterable[bytes]:
    """A reply with 65,535 questions and as many answers, whose names point to each other."""
    yield request[:2] + b"\x81\x80" + b"\xff\xff" * 4 + b"\xc0\x0e\xc0\x0c" * 1000


def odd_radius(request: bytes) -> Iterable[bytes]:
    """A reply whose attributes have no length."""
    yield bytes([2, request[1]]) + (4096).to_bytes(2) + bytes(4092)


def flood(_: bytes) -> Iterable[bytes]:
    """More datagrams than anybody looks at, each of which nearly matches."""
    return [b"a" * 1400 + b"b"] * 500


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SERVERS = (
    HostileServer("http: {}", partial(drip, page(b"x")), "timeout"),
    HostileServer("http: {contains: healthy}", partial(repeat, CHUNKED, b"1\r\nx\r\n"), "body without"),
    HostileServer('http: {matches: "s.*healthy"}', partial(say, page(b"status" * 40_000)), "does not match"),
    HostileServer('http: {matches: "^(a+)+$"}', partial(say, page(b"a" * 60_000 + b"b")), "does not match"),
    HostileServer("http: {contains: x}", partial(say, LENGTH + DIGITS + b"\r\n\r\n"), "timeout"),
    HostileServer("https: {}", partial(say, b"\x16\x03\x03\xff\xff" + b"\x02" * 70_000), "not speak TLS"),
    HostileServer("tls: {}", odd_certificate),
    HostileServer("dns: {transport: tcp}", partial(say, b"\xff\xff" + b"\xc0\x0c" * 32_767), "timeout"),
    HostileServer("dns: {transport: udp}", None, "another datagram", odd_dns),
    HostileServer('udp: {send: x, expect: "^(a|aa)+$"}', None, "does not match", flood),
    HostileServer("radius: {secret: secret}", None, "not signed", odd_radius),
    HostileServer("ssh: {}", partial(repeat, b"", b"no identification\r\n"), "over 4096 lines"),
    HostileServer("ftp: {}", partial(repeat, b"220-welcome\r\n", b"220-and again\r\n"), "over 1000 lines"),
    HostileServer("smtp: {}", reset, "connection reset"),
    HostileServer("imap: {}", partial(say, b"* OK {" + DIGITS + b"}\r\n")),
    HostileServer("pop3: {}", partial(drip, b"+OK welcome\r\n"), "timeout"),
    HostileServer("ldap: {}", partial(say, huge_result()), "number of 2001 bytes"),
    HostileServer('ldap: {dn: "cn=deep"}', partial(say, nested(3000)), "no message id"),
    HostileServer("rdp: {}", partial(say, b"\x03\x00\xff\xff" + b"\xd0" * 65_531), "TPKT of 65535 bytes"),
    HostileServer("none: {}", partial(say, page(DIGITS)), agent="http_agent: {{port: {port}}}"),
    HostileServer("none: {}", partial(say, DIGITS + b"%\n"), agent="text_agent: {{port: {port}}}"),
)


def serve(server: HostileServer, port: int) -> None:
    """Answer as it does, until the process ends."""
    if server.replies is not None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(("0.0.0.0", port))
            while True:
                request, client = sock.recvfrom(65536)
                for reply in server.replies(request):
                    sock.sendto(reply, client)
    if server.answer is not None:
        with socket.create_server(("0.0.0.0", port), backlog=64) as listening:
            while True:
                arguments = server.answer, listening.accept()[0]
                threading.Thread(target=attend, args=arguments, daemon=True).start()


def attend(answer: Callable[[socket.socket], None], connection: socket.socket) -> None:
    """Answer on one connection, until one of both sides has enough."""
    with connection, contextlib.suppress(OSError):
        answer(connection)


if __name__ == "__main__":
    for port, server in enumerate(SERVERS, FIRST_PORT):
        threading.Thread(target=serve, args=(server, port)).start()
