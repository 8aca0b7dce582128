"""DNS checks (RFC 1035, TCP framing RFC 1035 4.2.2): one query, judged by RCODE and perhaps by an answer.

Only a query for an answer has the whole reply parsed; else its header is enough.
"""

from __future__ import annotations

import struct
from typing import Final

import dnslib
from dnslib.label import DNSBuffer, DNSLabel, DNSLabelError

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, ProbeResult, shown
from kernelbal.model.site.check import DnsCheck

MAX_MESSAGE_BYTES: Final = 4096
"""Longest message that is parsed: more would let one server keep the checker busy with compressed names."""
MAX_RECORDS: Final = 64
"""Most records of a message that is parsed."""
MAX_LABELS: Final = 4096
"""Most labels and pointers of a message that is parsed, each counted as often as it is followed."""
_MAX_NAME_BYTES: Final = 255
_MAX_LABEL_BYTES: Final = 63
_POINTER: Final = 0xC0

_HEADER: Final = struct.Struct(">6H")
_QR: Final = 0x8000
_TC: Final = 0x0200
_RD: Final = 0x0100
_RCODES: Final = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                  "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE")  # fmt: skip


def question_bytes(check: DnsCheck) -> bytes:
    """Return the question section: name, type, class IN.

    Raises:
        ValueError: there is no such record type, or the name cannot be encoded.
    """
    try:
        question = dnslib.DNSRecord.question(check.query, check.type)
        return bytes(question.pack()[_HEADER.size :])
    except (dnslib.DNSError, DNSLabelError, UnicodeError, struct.error) as error:
        raise ValueError(f"`{check.query[:60]}` {check.type} is not a valid DNS question") from error


def query_bytes(message_id: int, question: bytes) -> bytes:
    """Return a query with the flag RD."""
    return _HEADER.pack(message_id, _RD, 1, 0, 0, 0) + question


def rcode_name(rcode: int) -> str:
    """Return the name of an RCODE, or `RCODE 12`."""
    return _RCODES[rcode] if rcode < len(_RCODES) else f"RCODE {rcode}"


class _BoundedBuffer(DNSBuffer):  # type: ignore[misc] # the package has no types
    """Reads names within the limits of RFC 1035 2.3.4; pointers lead back only, so that none loops."""

    offset: int

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self._labels = 0

    def decode_name(self, last: int = -1) -> DNSLabel:
        """Return the name at the offset, and move behind it; `last` is of the parser's own recursion."""
        labels: list[bytes] = []
        size, behind = 1, None
        while length := self._counted_octet():
            if length >= _POINTER:
                target = (length & ~_POINTER) << 8 | self.get(1)[0]
                behind = behind or self.offset
                if target >= self.offset - 2:
                    raise ValueError("pointer that does not lead back")
                self.offset = target
                continue
            size += 1 + length
            if length > _MAX_LABEL_BYTES or size > _MAX_NAME_BYTES:
                raise ValueError("too long a name")
            labels.append(bytes(self.get(length)))
        self.offset = behind or self.offset
        return DNSLabel(labels)

    def _counted_octet(self) -> int:
        """Return the octet that begins a label or pointer."""
        self._labels += 1
        if self._labels > MAX_LABELS:
            raise ValueError("too many labels")
        return int(self.get(1)[0])


def records_of(message: bytes) -> tuple[str, ...] | None:
    """Return the record data of the answers as text; None when they cannot be read."""
    buffer = _BoundedBuffer(message)
    try:
        header = dnslib.DNSHeader.parse(buffer)
        for _ in range(header.q):
            dnslib.DNSQuestion.parse(buffer)
        answers = tuple(str(dnslib.RR.parse(buffer).rdata) for _ in range(header.a))
        for _ in range(header.auth + header.ar):
            dnslib.RR.parse(buffer)
    except Exception:  # noqa: BLE001 - the parser raises many kinds, on bytes that a stranger sent
        return None
    return answers


def _canonical(text: str) -> str:
    return text.strip().strip('"').rstrip(".").lower()


class DnsReplyMatcher:
    """Matches replies to one query, and evaluates them."""

    def __init__(self, check: DnsCheck, question: bytes, message_id: int) -> None:
        self._check = check
        self._question = question
        self._id = message_id

    def is_ours(self, message: bytes) -> bool:
        """Whether it replies to our query: by id, and by question where repeated."""
        if len(message) < _HEADER.size:
            return False
        message_id, flags, questions, *_ = _HEADER.unpack_from(message)
        if message_id != self._id or not flags & _QR:
            return False
        repeated = message[_HEADER.size : _HEADER.size + len(self._question)]
        return questions == 0 or repeated.lower() == self._question.lower()

    def evaluate(self, message: bytes) -> ProbeResult:
        """Evaluate a reply that is ours."""
        flags: int = _HEADER.unpack_from(message)[1]
        rcode = rcode_name(flags & 0xF)
        expected = self._check.rcode
        if rcode != expected if expected else rcode in ("SERVFAIL", "REFUSED"):
            return ProbeResult(False, f"{rcode}, expected {expected or 'any but SERVFAIL and REFUSED'}")
        if self._check.answer is None:
            return GOOD
        return self._evaluate_answer(message, truncated=bool(flags & _TC))

    def _evaluate_answer(self, message: bytes, truncated: bool) -> ProbeResult:
        expected = self._check.answer or ""
        if len(message) > MAX_MESSAGE_BYTES:
            return ProbeResult(False, f"reply of {len(message)} bytes, expected at most {MAX_MESSAGE_BYTES}")
        _, _, questions, *counts = _HEADER.unpack_from(message)
        if questions > 1:
            return ProbeResult(False, f"reply to {questions} questions, expected one")
        if sum(counts) > MAX_RECORDS:
            return ProbeResult(False, f"reply of {sum(counts)} records, expected at most {MAX_RECORDS}")
        records = records_of(message)
        if records is not None and _canonical(expected) in map(_canonical, records):
            return GOOD
        if truncated:
            return ProbeResult(False, f'truncated reply without "{expected}"; use `transport: tcp`')
        if records is None:
            return ProbeResult(False, "reply cannot be read")
        came = (
            f"{len(records)} others"
            if len(records) > 1
            else shown(records[0].encode())
            if records
            else "none"
        )
        return ProbeResult(False, f'no answer "{expected}", but {came}')


class DnsDatagrams:
    """A query by UDP. Datagrams that are no reply to it are passed over, as RFC 5452 9.1 requires."""

    def __init__(self, check: DnsCheck, question: bytes, message_id: int) -> None:
        self.awaited = "DNS reply"
        self._query = query_bytes(message_id, question)
        self._replies = DnsReplyMatcher(check, question, message_id)

    def begin(self) -> DialogueStep:
        """Send the query."""
        return DialogueStep(self._query)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate a reply."""
        if not self._replies.is_ours(data):
            self.awaited = "DNS reply to the query (another datagram received)"
            return WAIT
        return DialogueStep(result=self._replies.evaluate(data))

    def end(self) -> ProbeResult:
        """Return the failure."""
        return ProbeResult(False, "no DNS reply")


class DnsStream:
    """A query by TCP: each message has its length before it."""

    awaited = "DNS reply"

    def __init__(self, check: DnsCheck, question: bytes, message_id: int) -> None:
        query = query_bytes(message_id, question)
        self._query = len(query).to_bytes(2, "big") + query
        self._replies = DnsReplyMatcher(check, question, message_id)
        self._buffer = bytearray()

    def begin(self) -> DialogueStep:
        """Send the query."""
        return DialogueStep(self._query)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate the reply once it is whole."""
        self._buffer += data
        if len(self._buffer) < 2:
            return WAIT
        length = int.from_bytes(self._buffer[:2], "big")
        if len(self._buffer) < 2 + length:
            return WAIT
        message = bytes(self._buffer[2 : 2 + length])
        if not self._replies.is_ours(message):
            return DialogueStep(
                result=ProbeResult(False, "received another message, expected the DNS reply to the query")
            )
        return DialogueStep(result=self._replies.evaluate(message))

    def end(self) -> ProbeResult:
        """Return the failure."""
        return ProbeResult(False, f"connection closed after {len(self._buffer)} bytes, expected a DNS reply")
