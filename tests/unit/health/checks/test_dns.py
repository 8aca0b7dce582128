"""DNS checks."""

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


@pytest.mark.parametrize("settings", [{"query": "a" * 64 + ".example"}, {"type": "NONESUCH"}])
def test_a_question_that_cannot_be_encoded_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not a valid DNS question"):
        question_bytes(check(**settings))


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN", "NOTIMP"])
def test_any_answer_is_good_by_default(rcode: str) -> None:
    assert reply(datagrams(), answer(rcode=rcode)).result == GOOD


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_but_these(rcode: str) -> None:
    assert failure(datagrams(), answer(rcode=rcode)) == f"{rcode}, expected any but SERVFAIL and REFUSED"


def test_the_rcode_may_be_named() -> None:
    assert reply(datagrams(rcode="REFUSED"), answer(rcode="REFUSED")).result == GOOD
    assert failure(datagrams(rcode="NOERROR"), answer(rcode="NXDOMAIN")) == "NXDOMAIN, expected NOERROR"
    assert rcode_name(12) == "RCODE 12"


def test_an_answer_must_be_among_the_records() -> None:
    assert reply(datagrams(answer="192.0.2.80"), answer(A_RECORD)).result == GOOD
    assert (
        failure(datagrams(answer="192.0.2.81"), answer(A_RECORD))
        == 'no answer "192.0.2.81", but "192.0.2.80"'
    )
    assert failure(datagrams(answer="192.0.2.81"), answer()) == 'no answer "192.0.2.81", but none'
    two = answer(A_RECORD, "www.example. 60 IN A 192.0.2.82")
    assert failure(datagrams(answer="192.0.2.81"), two) == 'no answer "192.0.2.81", but 2 others'


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("www.example. 60 IN CNAME Web.Example.", "web.example"),
        ("www.example. 60 IN MX 10 mail.example.", "10 mail.example."),
        ('www.example. 60 IN TXT "v=spf1 -all"', "v=spf1 -all"),
        ("www.example. 60 IN AAAA 2001:db8::1", "2001:db8::1"),
    ],
)
def test_records_of_several_types(record: str, expected: str) -> None:
    assert reply(datagrams(answer=expected), answer(record)).result == GOOD


def test_a_truncated_reply() -> None:
    cut = answer(truncated=True)
    assert reply(datagrams(), cut).result == GOOD
    assert (
        failure(datagrams(answer="192.0.2.80"), cut)
        == 'truncated reply without "192.0.2.80"; use `transport: tcp`'
    )


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


def test_the_case_of_the_question_does_not_matter() -> None:
    assert reply(datagrams(), answer(query=QUERY.replace(b"www", b"WwW"))).result == GOOD


def test_a_stream_in_pieces() -> None:
    message = framed(answer(A_RECORD))
    assert reply(stream(answer="192.0.2.80"), message[:1], message[1:20], message[20:]).result == GOOD


def test_a_stream_that_is_no_dns() -> None:
    assert (
        failure(stream(), b"\x00\x05hello") == "received another message, expected the DNS reply to the query"
    )
    assert failure(stream(), b"HT") == "connection closed after 2 bytes, expected a DNS reply"
    assert result(datagrams()).reason == "no DNS reply"


def test_a_reply_that_cannot_be_read() -> None:
    broken = answer(A_RECORD)[:-2]
    assert reply(datagrams(), broken).result == GOOD
    assert failure(datagrams(answer="192.0.2.80"), broken) == "reply cannot be read"


def test_a_record_that_is_no_text_cannot_be_read() -> None:
    """What the parser makes of a CAA record with a tag in no encoding is no error of its own."""
    broken = bytes.fromhex("1234 8000 0000 0001 0000 000000 0101 0001 00000000 0004 0001c041")
    assert failure(datagrams(answer="192.0.2.80"), broken) == "reply cannot be read"


def test_a_reply_that_is_too_much_to_read() -> None:
    long = answer(A_RECORD).ljust(MAX_MESSAGE_BYTES + 1, b"\0")
    assert failure(stream(answer="192.0.2.80"), framed(long)) == "reply of 4097 bytes, expected at most 4096"
    many = bytearray(answer(A_RECORD))
    many[11] = 99
    assert failure(datagrams(answer="192.0.2.80"), bytes(many)) == "reply of 100 records, expected at most 64"
