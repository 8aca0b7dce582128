"""DNS checks."""

import struct

import dnslib
import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.dns import (
    MAX_MESSAGE_BYTES,
    DnsDatagrams,
    DnsStream,
    query_bytes,
    question_bytes,
    rcode_name,
)
from kernelbal.model.site.check import DnsCheck
from tests.unit.health.checks.talk import failure, reply, result

ID = 0x1234
QUERY = bytes.fromhex("12340100000100000000000003777777076578616d706c650000010001")
"""A www.example, RFC 1035 4.1: id, RD, one question; the name in labels, type A, class IN."""


def check(**settings: object) -> DnsCheck:
    return DnsCheck.model_validate({"query": "www.example", "type": "A", **settings})


def datagrams(**settings: object) -> DnsDatagrams:
    return DnsDatagrams(check(**settings), question_bytes(check()), ID)


def stream(**settings: object) -> DnsStream:
    return DnsStream(check(**settings), question_bytes(check()), ID)


def answer(*zone: str, rcode: str = "NOERROR", query: bytes = QUERY, truncated: bool = False) -> bytes:
    """The reply of a real server that has these records."""
    message = dnslib.DNSRecord.parse(query).reply(ra=0)
    message.add_answer(*dnslib.RR.fromZone("\n".join(zone)))
    message.header.rcode = getattr(dnslib.RCODE, rcode)
    message.header.tc = int(truncated)
    return bytes(message.pack())


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


A_RECORD = "www.example. 60 IN A 192.0.2.80"


def test_the_query() -> None:
    assert query_bytes(ID, question_bytes(check())) == QUERY
    assert datagrams().begin() == DialogueStep(QUERY)
    assert stream().begin() == DialogueStep(framed(QUERY))
    assert question_bytes(DnsCheck()) == bytes.fromhex("0000060001")


@pytest.mark.parametrize(
    "settings", [{"query": "a" * 64 + ".example"}, {"type": "NONESUCH"}, {"type": "TYPE65536"}]
)
def test_a_question_that_cannot_be_encoded_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not a valid DNS question"):
        question_bytes(check(**settings))


TWO = answer(A_RECORD, "www.example. 60 IN A 192.0.2.82")
BROKEN = answer(A_RECORD)[:-2]
CAA = bytes.fromhex("1234 8000 0000 0001 0000 000000 0101 0001 00000000 0004 0001c041")
"""A tag in no encoding: what the parser makes of it is no error of its own."""
MANY = answer(A_RECORD)[:11] + b"\x63" + answer(A_RECORD)[12:]
LONG = answer(A_RECORD).ljust(MAX_MESSAGE_BYTES + 1, b"\0")


def named(name: bytes, *rest: bytes, target: int = 12) -> bytes:
    """A reply with a name after its header, and a record of each of `rest` that points to `target` twice."""
    pointer = (0xC000 | target).to_bytes(2, "big")
    counts = (0, 1 + len(rest), 0, 0)
    first = name + struct.pack(">HHIH", 1, 1, 60, 4) + bytes((192, 0, 2, 80))
    others = b"".join(pointer + struct.pack(">HHIH", 2, 1, 60, len(each)) + each for each in rest)
    return struct.pack(">6H", ID, 0x8180, *counts) + first + others


LABELS_126 = b"\1a" * 126 + b"\0"
UNREADABLE = {
    "pointer to itself": named(b"\xc0\x0c"),
    "pointer ahead": named(b"\xc0\x10"),
    "label of 64 bytes": named(b"\x40" + b"a" * 64 + b"\0"),
    "name of 257 bytes": named(b"\1a" * 128 + b"\0"),
    "5,000 labels by pointers": named(LABELS_126, *[b"\xc0\x0c"] * 20),
}
QUESTIONS = answer(A_RECORD)[:4] + (800).to_bytes(2) + answer(A_RECORD)[6:]


@pytest.mark.parametrize(
    ("settings", "came"),
    [
        ({}, answer()),
        ({}, answer(rcode="NXDOMAIN")),
        ({}, answer(rcode="NOTIMP")),
        ({}, answer(truncated=True)),
        ({}, BROKEN),
        ({}, answer(query=QUERY.replace(b"www", b"WwW"))),  # letters may come in either case
        ({"rcode": "REFUSED"}, answer(rcode="REFUSED")),
        ({"answer": "192.0.2.80"}, answer(A_RECORD)),
        ({"answer": "web.example"}, answer("www.example. 60 IN CNAME Web.Example.")),
        ({"answer": "10 mail.example."}, answer("www.example. 60 IN MX 10 mail.example.")),
        ({"answer": "v=spf1 -all"}, answer('www.example. 60 IN TXT "v=spf1 -all"')),
        ({"answer": "2001:db8::1"}, answer("www.example. 60 IN AAAA 2001:db8::1")),
    ],
)
def test_what_is_good(settings: dict[str, str], came: bytes) -> None:
    assert reply(datagrams(**settings), came).result == GOOD


@pytest.mark.parametrize(
    ("dialogue", "came", "reason"),
    [
        (datagrams(), answer(rcode="SERVFAIL"), "SERVFAIL, expected any but SERVFAIL and REFUSED"),
        (datagrams(), answer(rcode="REFUSED"), "REFUSED, expected any but SERVFAIL and REFUSED"),
        (datagrams(rcode="NOERROR"), answer(rcode="NXDOMAIN"), "NXDOMAIN, expected NOERROR"),
        (datagrams(answer="192.0.2.81"), answer(A_RECORD), 'no answer "192.0.2.81", but "192.0.2.80"'),
        (datagrams(answer="192.0.2.81"), answer(), 'no answer "192.0.2.81", but none'),
        (datagrams(answer="192.0.2.81"), TWO, 'no answer "192.0.2.81", but 2 others'),
        (datagrams(answer="192.0.2.80"), answer(truncated=True),
         'truncated reply without "192.0.2.80"; use `transport: tcp`'),
        (datagrams(answer="192.0.2.80"), BROKEN, "reply cannot be read"),
        (datagrams(answer="192.0.2.80"), CAA, "reply cannot be read"),
        (datagrams(answer="192.0.2.80"), MANY, "reply of 100 records, expected at most 64"),
        (datagrams(answer="192.0.2.80"), QUESTIONS, "reply to 800 questions, expected one"),
        (stream(answer="192.0.2.80"), framed(LONG), "reply of 4097 bytes, expected at most 4096"),
        (stream(), b"\x00\x05hello", "received another message, expected the DNS reply to the query"),
        (stream(), b"HT", "connection closed after 2 bytes, expected a DNS reply"),
    ],
)  # fmt: skip
def test_what_is_bad(dialogue: DnsDatagrams | DnsStream, came: bytes, reason: str) -> None:
    assert failure(dialogue, came) == reason


@pytest.mark.parametrize("name", UNREADABLE)
def test_names_are_bounded(name: str) -> None:
    assert failure(datagrams(answer="192.0.2.80"), UNREADABLE[name]) == "reply cannot be read"


def test_longest_name_is_read() -> None:
    assert result(datagrams(answer="192.0.2.80"), named(b"\1a" * 127 + b"\0")) == GOOD


def test_record_of_a_stranger_is_shortened() -> None:
    reason = failure(datagrams(answer="x"), answer(f'www.example. 60 IN TXT "{"y" * 200}"'))
    assert reason == f'no answer "x", but ""{"y" * 56}..."'


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"garbage",
        QUERY,
        answer(query=b"\x12\x35" + QUERY[2:]),
        answer(query=QUERY.replace(b"www", b"xxx")),
    ],
    ids=["empty", "short", "no reply", "another id", "another question"],
)
def test_datagrams_that_are_no_reply_to_the_query_are_passed_over(datagram: bytes) -> None:
    dialogue = datagrams()
    assert reply(dialogue, datagram) == DialogueStep()
    assert dialogue.awaited == "DNS reply to the query (another datagram received)"
    assert reply(dialogue, answer()).result == GOOD


def test_a_stream_in_pieces() -> None:
    message = framed(answer(A_RECORD))
    assert reply(stream(answer="192.0.2.80"), message[:1], message[1:20], message[20:]).result == GOOD


def test_silence_and_a_number_without_a_name() -> None:
    assert result(datagrams()).reason == "no DNS reply"
    assert rcode_name(12) == "RCODE 12"
