"""Checks talk with servers that others wrote: those that Python and dnslib bring along, on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from dnslib import RR
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSRecord, UDPServer

from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState, Timing
from kernelbal.model.site.check import DnsCheck, HttpAgent, HttpCheck, ProbeProtocol
from tests.unit.runtime.checker.desk import Desk, probe


def probed(protocol: ProbeProtocol, port: int) -> ProbeState:
    """What the checker finds at this port."""
    with Desk() as desk:
        return desk.result(probe(protocol, port, timing=Timing(1.0, 5.0, 1, 1)))


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
        pages = {
            "/health": (200, "Transfer-Encoding", "chunked", b"6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n"),
            "/load": (200, "Connection", "close", b"30\n"),
            "/moved": (302, "Location", "/health", b""),
        }
        if self.path not in pages:
            self.send_error(404)
            return
        status, header, value, body = pages[self.path]
        self.send_response(status)
        self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("protocol", "health", "reason"),
    [
        (HttpCheck(), Health.DOWN, "status 404, expected 200-299, 301, 302, 401"),
        (HttpCheck(path="/health", contains="is well", matches="^all"), Health.UP, ""),
        (HttpCheck(path="/health", contains="ill"), Health.DOWN, 'body without "ill"'),
        (HttpCheck(path="/moved"), Health.UP, ""),
    ],
)
def test_http(protocol: HttpCheck, health: Health, reason: str) -> None:
    with serving(HTTPServer(("127.0.0.1", 0), Pages)) as port:
        state = probed(protocol, port)
    assert (state.health, state.reason) == (health, reason)


def test_http_agent() -> None:
    with serving(HTTPServer(("127.0.0.1", 0), Pages)) as port:
        state = probed(HttpAgent(path="/load"), port)
    assert state.reading == AgentReading(0.7, AgentRequest.READY, text="30")


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
        assert probed(DnsCheck(query="www.example", type="A", answer="192.0.2.80"), port).health is Health.UP
        assert probed(DnsCheck(), port).reason == "REFUSED, expected any but SERVFAIL and REFUSED"
