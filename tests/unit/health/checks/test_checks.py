"""Dialogues of one port each, as transcripts: what comes, and what is said or found."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, Dialogue, DialogueStep, shown
from kernelbal.health.checks.ftp import FtpDialogue
from kernelbal.health.checks.lines import MAX_LINE_BYTES, MAX_REPLY_LINES, is_tls
from kernelbal.health.checks.mail import ImapDialogue, Pop3Dialogue, SmtpDialogue
from kernelbal.health.checks.pattern import ReplyPattern
from kernelbal.health.checks.rdp import REQUEST, RdpDialogue
from kernelbal.health.checks.ssh import SshDialogue
from kernelbal.health.checks.udp import UdpDialogue, unescaped
from tests.unit.health.checks.talk import failure, reply

QUIT = DialogueStep(b"QUIT\r\n", result=GOOD)
SSH = DialogueStep(b"SSH-2.0-kernelbal\r\n", result=GOOD)
LOGOUT = DialogueStep(b"k2 LOGOUT\r\n", result=GOOD)
START_TLS = DialogueStep(start_tls=True)
TLS_ALERT = bytes.fromhex("15030100020228")
GREETING, OFFER = b"220 mx.example ESMTP\r\n", b"250-mx\r\n250-starttls\r\n250 HELP\r\n"
DOVECOT_WAITS = b"* OK Waiting for authentication process to respond..\r\n"
PONG = ReplyPattern(r"^po\x6eg", octets=True)
# MS-RDPBCGR 4.1.2
CONFIRM = bytes.fromhex("030000130ed000001234000200080000000000")
BARE_CONFIRM = bytes.fromhex("0300000b06d00000123400")


def smtp(starttls: bool = False) -> SmtpDialogue:
    return SmtpDialogue("lb.example", starttls=starttls)


def rdp_failure(code: int) -> bytes:
    return bytes.fromhex("030000130ed0000012340003000800") + code.to_bytes(4, "little")


Steps = list[tuple[tuple[bytes, ...], DialogueStep]]
"""Portions that come, and what follows from the last of them."""

TRANSCRIPTS: dict[str, tuple[Dialogue, Steps]] = {
    "ftp": (FtpDialogue(), [((b"220-Welcome\r\n", b"220 ready\r\n"), QUIT)]),
    "a reply ends with its number": (
        FtpDialogue(), [((b"220-one\r\n", b" 331 inner\r\n", b"331 inner\r\n", b"220\r\n"), QUIT)],
    ),
    "ssh": (SshDialogue(), [((b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",), SSH)]),
    "ssh 1.99": (SshDialogue(), [((b"SSH-1.99-Cisco-1.25\n",), SSH)]),
    "ssh behind other lines": (SshDialogue(), [((b"Authorized only\r\n", b"\r\n", b"SSH-2.0-x\r\n"), SSH)]),
    "smtp": (smtp(), [
        ((b"220-mx.example\r\n", b"220 ESMTP\r\n"), DialogueStep(b"EHLO lb.example\r\n")),
        ((b"250-mx.example\r\n", b"250 8BITMIME\r\n"), QUIT),
    ]),
    "smtp starttls": (smtp(True), [
        ((GREETING,), DialogueStep(b"EHLO lb.example\r\n")), ((OFFER,), DialogueStep(b"STARTTLS\r\n")),
        ((b"220 Go ahead\r\n",), START_TLS), ((b"",), QUIT),
    ]),
    "imap": (ImapDialogue(False), [((b"* OK [CAPABILITY IMAP4rev1] ready\r\n",), LOGOUT)]),
    "imap preauth": (ImapDialogue(False), [((b"* PREAUTH hello\r\n",), LOGOUT)]),
    "imap waits for dovecot": (ImapDialogue(False), [((DOVECOT_WAITS, b"* OK ready\r\n"), LOGOUT)]),
    "imap starttls": (ImapDialogue(True), [
        ((b"* OK ready\r\n",), DialogueStep(b"k1 STARTTLS\r\n")),
        ((b"* CAPABILITY IMAP4\r\n", b"k1 OK begin\r\n"), START_TLS), ((b"",), LOGOUT),
    ]),
    "pop3": (Pop3Dialogue(False), [((b"+O", b"K Dovecot ready.\r", b"\n"), QUIT)]),
    "pop3 without a carriage return": (Pop3Dialogue(False), [((b"+OK\n",), QUIT)]),
    "pop3, longest line": (Pop3Dialogue(False), [((b"+OK ".ljust(MAX_LINE_BYTES, b"x"), b"\n"), QUIT)]),
    "pop3 stls": (Pop3Dialogue(True), [
        ((b"+OK\r\n",), DialogueStep(b"STLS\r\n")), ((b"+OK Begin\r\n",), START_TLS), ((b"",), QUIT),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("dialogue", "steps"), TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_the_server_speaks_first_and_all_is_good(dialogue: Dialogue, steps: Steps) -> None:
    assert dialogue.begin() == DialogueStep()
    assert dialogue.awaited in ("greeting", "SSH identification")
    for portions, step in steps:
        assert reply(dialogue, *portions) == step


def test_what_is_awaited() -> None:
    dialogue = smtp(True)
    dialogue.receive(GREETING)
    assert dialogue.awaited == "answer to EHLO"
    dialogue.receive(OFFER)
    assert dialogue.awaited == "answer to STARTTLS"


@pytest.mark.parametrize(
    ("dialogue", "portions", "reason"),
    [
        (FtpDialogue(), [b"421 Too many users\r\n"], 'greeting "421 Too many users", expected 220'),
        (FtpDialogue(), [b"120 in 5 minutes\r\n"], 'greeting "120 in 5 minutes", expected 220'),
        (FtpDialogue(), [b"SSH-2.0-x\r\n"], 'greeting "SSH-2.0-x", expected three digits'),
        (FtpDialogue(), [b"2200 x\r\n"], 'greeting "2200 x", expected three digits'),
        (FtpDialogue(), [b"\r\n"], 'greeting "", expected three digits'),
        (FtpDialogue(), [b"220-x\r\n" * (MAX_REPLY_LINES + 1)], "greeting of over 1000 lines"),
        (FtpDialogue(), [TLS_ALERT], "received TLS, expected greeting in clear"),
        (FtpDialogue(), [], "connection closed, expected greeting"),
        (FtpDialogue(), [b"220 al"], 'connection closed after "220 al", expected greeting'),
        (SshDialogue(), [b"SSH-1.5-old\r\n"], 'identification "SSH-1.5-old", expected SSH-2.0-'),
        (SshDialogue(), [b"SSH-2.0-\r\n"], 'identification "SSH-2.0-", expected SSH-2.0-'),
        (SshDialogue(), [b"SSH-3.0-new\r\n"], 'identification "SSH-3.0-new", expected SSH-2.0-'),
        (SshDialogue(), [b"220 smtp\r\n"], "connection closed, expected SSH identification"),
        (SshDialogue(), [b"\n" * 5000], "received over 4096 lines, expected SSH identification"),
        (SshDialogue(), [(b"banner".ljust(126) + b"\r\n") * 512] * 5,
         "received over 262144 bytes, expected SSH identification"),
        (smtp(), [b"554 no\r\n"], 'greeting "554 no", expected 220'),
        (smtp(), [GREETING, b"502 eh?\r\n"], 'answer to EHLO "502 eh?", expected 250'),
        (smtp(True), [GREETING, b"250 mx\r\n"], "EHLO does not offer STARTTLS"),
        (smtp(True), [GREETING, OFFER, b"454 no key\r\n"], 'answer to STARTTLS "454 no key", expected 220'),
        (smtp(True), [GREETING, OFFER], "connection closed, expected answer to STARTTLS"),
        # What was said in clear must not be taken for what is said under TLS (RFC 3207 6).
        (smtp(True), [GREETING, OFFER, b"220 go\r\n250 injected\r\n"],
         "data after the answer to STARTTLS before TLS started"),
        (Pop3Dialogue(True), [b"+OK\r\n", b"+OK\r\n+OK injected\r\n"],
         "data after the answer to STLS before TLS started"),
        (ImapDialogue(False), [b"* BYE overloaded\r\n"], 'greeting "* BYE overloaded", expected * OK'),
        (ImapDialogue(False), [DOVECOT_WAITS], "connection closed, expected greeting"),
        (ImapDialogue(False), [DOVECOT_WAITS, b"* BYE broken\r\n"], 'greeting "* BYE broken", expected * OK'),
        (ImapDialogue(True), [b"* OK\r\n", b"k1 BAD what\r\n"],
         'answer to STARTTLS "k1 BAD what", expected OK'),
        (Pop3Dialogue(False), [b"-ERR busy\r\n"], 'greeting "-ERR busy", expected +OK'),
        (Pop3Dialogue(False), [b"+OKAY\r\n"], 'greeting "+OKAY", expected +OK'),
        (Pop3Dialogue(True), [b"+OK\r\n", b"-ERR no\r\n"], 'answer to STLS "-ERR no", expected +OK'),
        (Pop3Dialogue(False), [b"+OK " + b"x" * MAX_LINE_BYTES],
         "line of over 8192 bytes, expected greeting"),
        (Pop3Dialogue(False), [b"+OK " + b"x" * MAX_LINE_BYTES + b"\n"],
         "line of over 8192 bytes, expected greeting"),
        (RdpDialogue(), [rdp_failure(3)], "negotiation failed: SSL_CERT_NOT_ON_SERVER"),
        (RdpDialogue(), [rdp_failure(5)], "negotiation failed: HYBRID_REQUIRED_BY_SERVER"),
        (RdpDialogue(), [rdp_failure(99)], "negotiation failed: code 99"),
        (RdpDialogue(), [bytes.fromhex("0300000b06800000123400")],
         "X.224 TPDU 0x80, expected 0xd0 (connection confirm)"),
        (RdpDialogue(), [bytes.fromhex("03000004")], "TPKT of 4 bytes, expected 11-1024"),
        (RdpDialogue(), [bytes.fromhex("0300ffff")], "TPKT of 65535 bytes, expected 11-1024"),
        (RdpDialogue(), [b"SSH-2.0"], "received byte 0x53, expected TPKT version 3"),
        (RdpDialogue(), [], "connection closed, expected X.224 connection confirm"),
        (RdpDialogue(), [CONFIRM[:5]],
         r'connection closed after "\x03\x00\x00\x13\x0e", expected X.224 connection confirm'),
        (UdpDialogue(b"", PONG), [b"nope"], r'reply "nope" does not match "^po\x6eg"'),
        (UdpDialogue(b"", PONG), [], "no reply"),
    ],
)  # fmt: skip
def test_what_is_bad(dialogue: Dialogue, portions: list[bytes], reason: str) -> None:
    assert failure(dialogue, *portions) == reason


def test_a_tls_record_is_known_by_its_first_three_bytes() -> None:
    assert is_tls(TLS_ALERT)
    assert not is_tls(b"\x15")


def test_the_rdp_request() -> None:
    """TPKT, X.224 connection request, RDP Negotiation Request (MS-RDPBCGR 4.1.1), without the cookie."""
    cookie_request = bytes.fromhex(
        "0300002c27e00000000000436f6f6b69653a206d737473686173683d656c746f6e730d0a0100080000000000"
    )
    assert cookie_request[11:36] == b"Cookie: mstshash=eltons\r\n"
    without = bytearray(cookie_request[:11] + cookie_request[36:])
    without[3], without[4], without[15] = len(without), len(without) - 5, 3
    assert RdpDialogue().begin() == DialogueStep(REQUEST) == DialogueStep(bytes(without))


@pytest.mark.parametrize("packet", [CONFIRM, BARE_CONFIRM, rdp_failure(2)])
def test_an_rdp_confirm_is_good(packet: bytes) -> None:
    assert reply(RdpDialogue(), packet[:3], packet[3:9], packet[9:]).result == GOOD


def test_a_datagram_is_sent_and_its_reply_matched() -> None:
    assert UdpDialogue(b"ping", None).begin() == DialogueStep(b"ping")
    assert reply(UdpDialogue(b"", None), b"whatever").result == GOOD
    assert reply(UdpDialogue(b"", PONG), b"pong 1").result == GOOD


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        (r"ping\r\n", b"ping\r\n"),
        (r"\x00\xfF\x41", b"\x00\xffA"),
        (r"\0\t\\n", b"\x00\t\\n"),
        (r"\q\x4", rb"\q\x4"),
        ("é\\", "é\\".encode()),
    ],
)
def test_escapes_of_a_datagram(text: str, data: bytes) -> None:
    assert unescaped(text) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", '""'),
        (b"220 hello\r\n", '"220 hello"'),
        (b"a\x00\x1b[31mb\tc", r'"a\x00\x1b[31mb\tc"'),
        ("é".encode(), '"é"'),
        (b"\xff", r'"\xff"'),
        (b"x" * 61, '"' + "x" * 57 + '..."'),
        ("\U0001f600".encode() * 61, '"' + "\U0001f600" * 57 + '..."'),
    ],
)
def test_what_came_in_is_shown_short_and_printable(data: bytes, text: str) -> None:
    assert shown(data) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"denied: hunter2!", '"denied: (hidden)!"'),
        (b"hunter2hunter2", '"(hidden)(hidden)"'),
        (b"as far as it came: hunt", '"as far as it came: (hidden)"'),
        (b"Hunter", '"Hunter"'),
        (b"x" * 58 + b"hunter2", '"' + "x" * 57 + '..."'),
    ],
)
def test_secret_that_a_server_sends_back_is_hidden(data: bytes, text: str) -> None:
    assert shown(data, secrets=(b"hunter2", b"", b"n")) == text
