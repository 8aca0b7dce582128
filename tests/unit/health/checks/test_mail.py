"""Checks of mail servers: SMTP, IMAP and POP3."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, Dialogue, DialogueStep
from kernelbal.health.checks.mail import ImapDialogue, Pop3Dialogue, SmtpDialogue
from tests.unit.health.checks.talk import failure, reply

QUIT = DialogueStep(b"QUIT\r\n", result=GOOD)
GREETING = b"220 mx.example ESMTP\r\n"


def test_smtp_greeting_ehlo_quit() -> None:
    dialogue = SmtpDialogue("lb.example", starttls=False)
    assert dialogue.begin() == DialogueStep()
    assert reply(dialogue, b"220-mx.example\r\n", b"220 ESMTP\r\n") == DialogueStep(b"EHLO lb.example\r\n")
    assert dialogue.awaited == "answer to EHLO"
    assert reply(dialogue, b"250-mx.example\r\n", b"250 8BITMIME\r\n") == QUIT


def test_smtp_with_starttls() -> None:
    dialogue = SmtpDialogue("lb.example", starttls=True)
    dialogue.receive(GREETING)
    assert dialogue.receive(b"250-mx.example\r\n250-starttls\r\n250 HELP\r\n") == DialogueStep(
        b"STARTTLS\r\n"
    )
    assert dialogue.awaited == "answer to STARTTLS"
    assert dialogue.receive(b"220 Go ahead\r\n") == DialogueStep(start_tls=True)
    assert dialogue.receive(b"") == QUIT


def test_smtp_failures() -> None:
    assert failure(SmtpDialogue("x", False), b"554 no\r\n") == 'greeting "554 no", expected 220'
    assert (
        failure(SmtpDialogue("x", False), GREETING, b"502 eh?\r\n")
        == 'answer to EHLO "502 eh?", expected 250'
    )
    assert failure(SmtpDialogue("x", True), GREETING, b"250 mx\r\n") == "EHLO does not offer STARTTLS"
    offer = b"250-mx\r\n250 STARTTLS\r\n"
    assert failure(SmtpDialogue("x", True), GREETING, offer, b"454 no key\r\n") == (
        'answer to STARTTLS "454 no key", expected 220'
    )
    assert (
        failure(SmtpDialogue("x", True), GREETING, offer) == "connection closed, expected answer to STARTTLS"
    )


def test_what_comes_in_clear_after_starttls_is_refused() -> None:
    """What was said in clear must not be taken for what is said under TLS (RFC 3207 6)."""
    offer = b"250-mx\r\n250 STARTTLS\r\n"
    assert failure(SmtpDialogue("x", True), GREETING, offer, b"220 go\r\n250 injected\r\n") == (
        "data after the answer to STARTTLS before TLS started"
    )
    assert failure(Pop3Dialogue(starttls=True), b"+OK\r\n", b"+OK\r\n+OK injected\r\n") == (
        "data after the answer to STLS before TLS started"
    )


def test_imap_greeting_logout() -> None:
    assert reply(ImapDialogue(starttls=False), b"* OK [CAPABILITY IMAP4rev1] ready\r\n") == DialogueStep(
        b"k2 LOGOUT\r\n", result=GOOD
    )
    assert reply(ImapDialogue(starttls=False), b"* PREAUTH hello\r\n").result == GOOD


def test_imap_with_starttls() -> None:
    dialogue = ImapDialogue(starttls=True)
    assert dialogue.receive(b"* OK ready\r\n") == DialogueStep(b"k1 STARTTLS\r\n")
    assert reply(dialogue, b"* CAPABILITY IMAP4\r\n", b"k1 OK begin\r\n") == DialogueStep(start_tls=True)
    assert dialogue.receive(b"") == DialogueStep(b"k2 LOGOUT\r\n", result=GOOD)


def test_imap_failures() -> None:
    assert (
        failure(ImapDialogue(False), b"* BYE overloaded\r\n") == 'greeting "* BYE overloaded", expected * OK'
    )
    assert failure(ImapDialogue(True), b"* OK\r\n", b"k1 BAD what\r\n") == (
        'answer to STARTTLS "k1 BAD what", expected OK'
    )


def test_imap_is_not_taken_in_by_a_dovecot_without_authentication() -> None:
    waits = b"* OK Waiting for authentication process to respond..\r\n"
    assert failure(ImapDialogue(False), waits) == "connection closed, expected greeting"
    assert failure(ImapDialogue(False), waits, b"* BYE Auth process broken\r\n").startswith("greeting")
    assert reply(ImapDialogue(False), waits, b"* OK ready\r\n").result == GOOD


def test_pop3_greeting_quit() -> None:
    assert reply(Pop3Dialogue(starttls=False), b"+OK Dovecot ready.\r\n") == QUIT


def test_pop3_with_stls() -> None:
    dialogue = Pop3Dialogue(starttls=True)
    assert dialogue.receive(b"+OK\r\n") == DialogueStep(b"STLS\r\n")
    assert dialogue.receive(b"+OK Begin\r\n") == DialogueStep(start_tls=True)
    assert dialogue.receive(b"") == QUIT


def test_pop3_failures() -> None:
    assert failure(Pop3Dialogue(False), b"-ERR busy\r\n") == 'greeting "-ERR busy", expected +OK'
    assert failure(Pop3Dialogue(False), b"+OKAY\r\n") == 'greeting "+OKAY", expected +OK'
    assert failure(Pop3Dialogue(True), b"+OK\r\n", b"-ERR no\r\n") == 'answer to STLS "-ERR no", expected +OK'


@pytest.mark.parametrize("dialogue", [SmtpDialogue("x", True), ImapDialogue(True), Pop3Dialogue(True)])
def test_the_server_speaks_first(dialogue: Dialogue) -> None:
    assert dialogue.begin() == DialogueStep()
    assert dialogue.awaited == "greeting"
