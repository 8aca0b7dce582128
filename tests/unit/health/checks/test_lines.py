"""Conversations in lines."""

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.ftp import FtpDialogue
from kernelbal.health.checks.lines import MAX_LINE_BYTES, MAX_REPLY_LINES, is_tls
from kernelbal.health.checks.mail import Pop3Dialogue
from kernelbal.health.checks.ssh import SshDialogue
from tests.unit.health.checks.talk import failure, reply


def test_a_line_is_read_when_it_is_whole() -> None:
    assert reply(Pop3Dialogue(starttls=False), b"+O", b"K hello\r", b"\n").result == GOOD


def test_a_line_may_end_without_a_carriage_return() -> None:
    assert reply(Pop3Dialogue(starttls=False), b"+OK\n").result == GOOD


def test_a_line_that_never_ends_fails() -> None:
    line = b"+OK " + b"x" * MAX_LINE_BYTES
    for came in (line, line + b"\n"):
        assert failure(Pop3Dialogue(starttls=False), came) == "line of over 8192 bytes, expected greeting"


def test_the_longest_line_is_read() -> None:
    line = b"+OK ".ljust(MAX_LINE_BYTES, b"x")
    assert reply(Pop3Dialogue(starttls=False), line, b"\n").result == GOOD


def test_lines_without_end_fail() -> None:
    dialogue = SshDialogue()
    portion = (b"banner".ljust(126) + b"\r\n") * 512
    for _ in range(4):
        assert dialogue.receive(portion) == DialogueStep()
    assert failure(dialogue, portion) == "received over 262144 bytes, expected SSH identification"
    assert failure(SshDialogue(), b"\n" * 5000) == "received over 4096 lines, expected SSH identification"


def test_tls_where_clear_text_is_expected_is_named() -> None:
    alert = bytes.fromhex("15030100020228")
    assert failure(FtpDialogue(), alert) == "received TLS, expected greeting in clear"
    assert is_tls(alert)
    assert not is_tls(b"\x15")


def test_the_end_of_the_stream_fails_and_shows_what_came() -> None:
    assert failure(FtpDialogue()) == "connection closed, expected greeting"
    assert failure(FtpDialogue(), b"220 al") == 'connection closed after "220 al", expected greeting'


def test_a_reply_of_several_lines_ends_with_its_number_and_a_space() -> None:
    lines = (b"220-one\r\n", b"220 two\r\n")
    assert reply(FtpDialogue(), *lines).result == GOOD
    assert (
        reply(FtpDialogue(), b"220-one\r\n", b" 331 inner\r\n", b"331 inner\r\n", b"220\r\n").result == GOOD
    )


def test_a_reply_is_a_number() -> None:
    assert (
        failure(FtpDialogue(), b"SSH-2.0-OpenSSH\r\n") == 'greeting "SSH-2.0-OpenSSH", expected three digits'
    )
    assert failure(FtpDialogue(), b"2200 x\r\n") == 'greeting "2200 x", expected three digits'
    assert failure(FtpDialogue(), b"\r\n") == 'greeting "", expected three digits'


def test_a_reply_without_end_fails() -> None:
    assert failure(FtpDialogue(), b"220-x\r\n" * (MAX_REPLY_LINES + 1)) == "greeting of over 1000 lines"
