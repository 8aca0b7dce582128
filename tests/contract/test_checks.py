"""Checks talk with real servers: those that Python brings along, on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from dnslib import RR
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSRecord, UDPServer

from kernelbal.health.checks.certificate import certificate_warning
from kernelbal.health.checks.dialogue import GOOD, ProbeResult
from kernelbal.health.checks.icmp import EchoMessage, echo_request, read_echo, without_ipv4_header
from kernelbal.health.checks.table import ENTROPY_BYTES, ProbeTransport, method_of
from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.choices import Encryption
from kernelbal.model.health import AgentReading, AgentRequest, Probe, Target, Timing
from kernelbal.model.site.check import (
    DnsCheck,
    HttpAgent,
    HttpCheck,
    HttpsCheck,
    ProbeProtocol,
    SmtpCheck,
    TlsCheck,
)

TIMEOUT_S = 10.0
LOOPBACK = parse_address("127.0.0.1")


def probed(asked: ProbeProtocol, port: int) -> ProbeResult:
    """What a check finds at this port: a driver as small as can be."""
    probe = Probe("key", asked, Target(LOOPBACK, port, "127.0.0.1", LOOPBACK), Timing(9.0, TIMEOUT_S))
    means = method_of(probe)
    assert means.new_dialogue is not None
    is_stream = means.transport is ProbeTransport.STREAM
    talk = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM)
    with ExitStack() as open_sockets:
        open_sockets.enter_context(talk)
        talk.settimeout(TIMEOUT_S)
        talk.connect(("127.0.0.1", port))
        if means.tls_first:
            talk = open_sockets.enter_context(_encrypted(talk, means.server_name))
        dialogue = means.new_dialogue(bytes(range(ENTROPY_BYTES)))
        step = dialogue.begin()
        talk.send(step.send)
        while step.result is None:
            if step.start_tls:
                talk = open_sockets.enter_context(_encrypted(talk, means.server_name))
                step = dialogue.receive(b"")
            else:
                data = talk.recv(3 if is_stream else 65535)
                if is_stream and not data:
                    return dialogue.end()
                step = dialogue.receive(data)
            if step.send:
                talk.send(step.send)
        return step.result


def _encrypted(connection: socket.socket, name: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=name or None)


@contextmanager
def serving(server: HTTPServer | UDPServer) -> Iterator[int]:
    """The port of a server that runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Pages(BaseHTTPRequestHandler):
    """`/health` is chunked, `/load` a number, `/moved` elsewhere; all else is missing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n")
        elif self.path == "/load":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"30\n")
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/health")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_port() -> Iterator[int]:
    with serving(HTTPServer(("127.0.0.1", 0), Pages)) as port:
        yield port


END = datetime.now(UTC) + timedelta(days=5)


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate of its own for `mx.example`, which ends in five days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, END - timedelta(days=6), END)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_http(web_port: int) -> None:
    assert probed(HttpCheck(), web_port) == ProbeResult(False, "status 404, expected 200-299, 301, 302, 401")
    assert probed(HttpCheck(path="/health", contains="is well", matches="^all"), web_port) == GOOD
    assert probed(HttpCheck(path="/health", contains="ill"), web_port).reason == 'body without "ill"'
    assert probed(HttpCheck(path="/moved"), web_port) == GOOD


def test_http_agent(web_port: int) -> None:
    assert probed(HttpAgent(path="/load"), web_port).reading == AgentReading(
        0.7, AgentRequest.READY, text="30"
    )


def test_https_and_the_handshake_alone(server_tls: ssl.SSLContext) -> None:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    server.socket = server_tls.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        assert probed(HttpsCheck(path="/health", contains="well"), port) == GOOD
        assert probed(TlsCheck(), port) == GOOD


def test_the_certificate_of_a_handshake(server_tls: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=lambda: server_tls.wrap_socket(theirs, server_side=True).close())
        thread.start()
        with _encrypted(ours, "mx.example") as talk:
            der = talk.getpeercert(binary_form=True)
            thread.join()
    assert der is not None
    assert certificate_warning(der, END.timestamp() - 5.5 * 86400, 14).endswith("in 5 days")


def _mail_server(listener: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"220 mx.example\r\n")
        heard.append(connection.recv(99))
        connection.sendall(b"250-mx.example\r\n250 STARTTLS\r\n")
        heard.append(connection.recv(99))
        connection.sendall(b"220 go\r\n")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            heard.append(encrypted.recv(99))


def test_starttls(server_tls: ssl.SSLContext) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_mail_server, args=(listener, server_tls, heard))
        thread.start()
        check = SmtpCheck(hello="lb.example", encryption=Encryption.STARTTLS)
        assert probed(check, listener.getsockname()[1]) == GOOD
        thread.join()
    assert heard == [b"EHLO lb.example\r\n", b"STARTTLS\r\n", b"QUIT\r\n"]


class Zone(BaseResolver):
    """One name with one address."""

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        if str(request.q.qname) == "www.example.":
            reply.add_answer(*RR.fromZone("www.example. 60 IN A 192.0.2.80"))
        else:
            reply.header.rcode = 5
        return reply


class ZoneServer(UDPServer):
    """A DNS server."""

    resolver = Zone()
    logger = DNSLogger("-request,-reply")


def test_dns() -> None:
    with serving(ZoneServer(("127.0.0.1", 0), DNSHandler)) as port:
        assert probed(DnsCheck(query="www.example", type="A", answer="192.0.2.80"), port) == GOOD
        assert probed(DnsCheck(), port).reason == "REFUSED, expected any but SERVFAIL and REFUSED"


@pytest.mark.needs_root
def test_echo_requests_are_what_the_kernel_answers() -> None:
    """Our request is one to it, and its reply is one to us."""
    for family, protocol, loopback in (
        (AF_INET, socket.IPPROTO_ICMP, "127.0.0.1"),
        (AF_INET6, socket.IPPROTO_ICMPV6, "::1"),
    ):
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            raw.settimeout(TIMEOUT_S)
            raw.connect((loopback, 0))
            raw.send(echo_request(family, 4711, 7, b"kernelbal"))
            echo = None
            while echo is None:
                message = raw.recv(1024)
                echo = read_echo(family, without_ipv4_header(message) if family == AF_INET else message)
            assert echo == EchoMessage(4711, 7, b"kernelbal")
