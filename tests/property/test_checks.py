"""Whatever a real server says, and in whatever portions: one result, no exception, bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.checks.agents import read_load, read_text
from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES, Dialogue, ProbeResult
from kernelbal.health.checks.http_reply import HttpReply
from kernelbal.health.checks.icmp import EchoMessage, echo_request, read_echo, without_ipv4_header
from kernelbal.health.checks.ldap import ber
from kernelbal.health.checks.lines import LineDialogue
from kernelbal.health.checks.table import ENTROPY_BYTES, ProbeTransport, method_of
from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.choices import DnsTransport, Encryption
from kernelbal.model.health import Probe, Target, Timing
from kernelbal.model.site.check import (
    DnsCheck,
    FtpCheck,
    HttpAgent,
    HttpCheck,
    ImapCheck,
    LdapCheck,
    Pop3Check,
    ProbeProtocol,
    RadiusCheck,
    RdpCheck,
    SmtpCheck,
    SshCheck,
    TextAgent,
    UdpCheck,
)

ENTROPY = bytes(ENTROPY_BYTES)
DNS = DnsCheck(query="www.example", type="A", transport=DnsTransport.TCP, answer="192.0.2.80")
CHUNKED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def dns_reply() -> bytes:
    message = dnslib.DNSRecord.question("www.example").reply()
    message.header.id = 0
    message.add_answer(*dnslib.RR.fromZone("www.example. 60 IN A 192.0.2.80"))
    packed = message.pack()
    return len(packed).to_bytes(2, "big") + bytes(packed)


def ldap_result(message_id: int, operation: int) -> bytes:
    result = ber(0x0A, b"\0") + ber(0x04, b"") + ber(0x04, b"fine")
    return ber(0x30, ber(0x02, bytes([message_id])) + ber(operation, result))


STREAMS: dict[str, tuple[ProbeProtocol, bytes]] = {
    "http": (HttpCheck(), b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"),
    "http body": (
        HttpCheck(contains="alive", matches="a.*e"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nI'm alive!",
    ),
    "http chunks": (HttpCheck(contains="alive"), CHUNKED + b"5;x\r\nI'm a\r\n4\r\nlive\r\n0\r\n\r\n"),
    "smtp": (SmtpCheck(), b"220-mx\r\n220 ESMTP\r\n250-mx\r\n250-SIZE\r\n250 HELP\r\n"),
    "smtp starttls": (
        SmtpCheck(encryption=Encryption.STARTTLS),
        b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n",
    ),
    "imap": (ImapCheck(encryption=Encryption.STARTTLS), b"* OK hi\r\n* CAPABILITY X\r\nk1 OK go\r\n"),
    "pop3": (Pop3Check(encryption=Encryption.STARTTLS), b"+OK hi\r\n+OK go\r\n"),
    "ldap": (LdapCheck(), ldap_result(1, 0x61)),
    "ldap starttls": (LdapCheck(encryption=Encryption.STARTTLS), ldap_result(2, 0x78)),
    "ftp": (FtpCheck(), b"220-hi\r\n there\r\n220 ok\r\n"),
    "ssh": (SshCheck(), b"Go away\r\nSSH-2.0-x\r\n"),
    "rdp": (RdpCheck(), bytes.fromhex("030000130ed000001234000200080000000000")),
    "dns": (DNS, dns_reply()),
    "http agent": (HttpAgent(), b"HTTP/1.1 200 OK\r\n\r\n42\r\nmore"),
    "text agent": (TextAgent(port=1), b"up 75%,maxconn:5\r\nmore"),
}
DATAGRAMS: dict[str, ProbeProtocol] = {
    "dns": DnsCheck(answer="x"),
    "udp": UdpCheck(expect="x"),
    "radius": RadiusCheck(secret="s"),
    "radius user": RadiusCheck(secret="s", user="u"),
}


def dialogue_of(asked: ProbeProtocol, transport: ProbeTransport) -> Dialogue:
    server = parse_address("192.0.2.1")
    means = method_of(Probe("key", asked, Target(server, 80, "192.0.2.1", server), Timing(9.0, 4.0)))
    assert means.transport is transport
    assert means.new_dialogue is not None
    return means.new_dialogue(ENTROPY)


def outcome(asked: ProbeProtocol, portions: Iterable[bytes]) -> tuple[ProbeResult | None, bytes]:
    """The result and all that is sent; no result where the dialogue is about to start TLS."""
    dialogue = dialogue_of(asked, ProbeTransport.STREAM)
    step = dialogue.begin()
    sent = step.send
    for portion in portions:
        if portion:
            step = dialogue.receive(portion)
            sent += step.send
        if step.start_tls or step.result is not None:
            return step.result, sent
    assert dialogue.awaited
    return dialogue.end(), sent


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in portions."""
    return [
        data[start:end]
        for start, end in pairwise(sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)}))
    ]


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Something like `data`: a piece of it replaced by something else, repeated, or left out."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, len(data)))
    new = draw(
        st.binary(max_size=8) | st.sampled_from((b"\r\n", b"\0", b"\x15\x03\x03", data[start:end] * 3))
    )
    return data[:start] + new + data[end:]


CUTS = st.lists(st.integers(0, 1 << 16), max_size=8)


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_portions_do_not_matter(name: str, data: st.DataObject) -> None:
    asked, valid = STREAMS[name]
    stream = data.draw(mutations(valid) | st.just(valid) | st.binary(max_size=100))
    whole = outcome(asked, cut(stream, data.draw(CUTS)))
    bytewise = outcome(asked, (bytes([each]) for each in stream))
    if bytewise[0] is None:
        assert whole[0] is None or "before TLS started" in whole[0].reason
    else:
        assert whole == bytewise


@pytest.mark.parametrize("name", STREAMS)
def test_valid_streams_are_good(name: str) -> None:
    asked, valid = STREAMS[name]
    result, _ = outcome(asked, [valid])
    assert result is None or result.good, result


def held_bytes(value: object) -> int:
    """What a dialogue keeps of what came."""
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(held_bytes, value))
    ours = isinstance(value, LineDialogue | HttpReply) or hasattr(value, "receive")
    return sum(map(held_bytes, vars(value).values())) if ours else 0


PORTION = 16384
ENDLESS: dict[str, Callable[[bytes], bytes]] = {
    "zeroes": lambda _valid: b"\0",
    "letters": lambda _valid: b"x",
    "line ends": lambda _valid: b"\r\n",
    "the first line": lambda valid: valid.partition(b"\n")[0] + b"\n",
    "the stream without its end": lambda valid: valid[:-3],
    "replies that go on": lambda _valid: b"220-x\r\n",
    "untagged lines": lambda _valid: b"* OK x\r\n",
    "headers": lambda _valid: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50,
    "chunks": lambda _valid: b"1\r\nx\r\n",
    "interim replies": lambda _valid: b"HTTP/1.1 100 Continue\r\n\r\n",
    "a body": lambda _valid: b"HTTP/1.1 200 OK\r\n\r\n" + b"no" * 40000,
    "a long message": lambda _valid: b"\x30\x83\x01\xff\xff",
}


def repeated(unit: bytes, start: bytes) -> Iterator[bytes]:
    """More than is read of anything."""
    block = unit * (PORTION // len(unit) + 1)
    yield start + block
    for _ in range(MAX_REPLY_BYTES // PORTION + 1):
        yield block


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize("name", STREAMS)
def test_streams_without_end_are_held_in_part(name: str, pattern: str) -> None:
    """After more than is looked at there is a result; what is kept meanwhile is bounded."""
    asked, valid = STREAMS[name]
    dialogue = dialogue_of(asked, ProbeTransport.STREAM)
    dialogue.begin()
    unit = ENDLESS[pattern](valid)
    start = {"letters": valid[:-3], "chunks": CHUNKED}.get(pattern, b"")
    for portion in repeated(unit, start):
        step = dialogue.receive(portion)
        assert held_bytes(dialogue) <= MAX_REPLY_BYTES + 4 * len(portion)
        if step.result is not None or step.start_tls:
            return
    pytest.fail("it listens for ever")


@pytest.mark.parametrize("name", DATAGRAMS)
@given(datagrams=st.lists(st.binary(max_size=80), max_size=4))
def test_any_datagrams_are_judged_or_passed_over(name: str, datagrams: list[bytes]) -> None:
    dialogue = dialogue_of(DATAGRAMS[name], ProbeTransport.DATAGRAM)
    dialogue.begin()
    for datagram in datagrams:
        result = dialogue.receive(datagram).result
        if result is not None:
            assert result.good or result.reason
            return
    assert not dialogue.end().good


@given(tail=st.binary(max_size=200), claims=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_broken_dns_messages_are_judged(tail: bytes, claims: list[int]) -> None:
    """Past the header, where only the parser looks."""
    header = b"\0\0\x80\0" + b"".join(each.to_bytes(2, "big") for each in (0, *claims[1:]))
    result = dialogue_of(DATAGRAMS["dns"], ProbeTransport.DATAGRAM).receive(header + tail).result
    assert result is not None
    assert not result.good


@given(line=st.binary(max_size=100))
def test_any_line_of_an_agent_is_a_reading_or_a_reason(line: bytes) -> None:
    for result in (read_text(line), read_load(line)):
        assert result.good == (result.reading is not None) == (not result.reason)
        if result.reading and result.reading.weight is not None:
            assert 0.0 <= result.reading.weight <= 2.56


@given(
    family=st.sampled_from((AF_INET, AF_INET6)),
    identifier=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=70),
)
def test_an_echo_comes_back(family: int, identifier: int, sequence: int, payload: bytes) -> None:
    request = echo_request(family, identifier, sequence, payload)
    if family == AF_INET:
        # The type falls by 8, so that the sum of the words falls by 0x0800 (RFC 1624).
        total = int.from_bytes(request[2:4], "big") + 0x0800
        check = (total & 0xFFFF) + (total >> 16)
        reply = b"\0\0" + check.to_bytes(2, "big") + request[4:]
    else:
        reply = b"\x81" + request[1:]
    assert read_echo(family, reply) == EchoMessage(identifier, sequence, payload)


@given(packet=st.binary(max_size=120), family=st.sampled_from((AF_INET, AF_INET6)))
def test_any_packet_is_an_echo_or_nothing(packet: bytes, family: int) -> None:
    for message in (packet, without_ipv4_header(packet)):
        echo = read_echo(family, message)
        assert echo is None or (0 <= echo.identifier <= 0xFFFF)
