"""FTP checks."""

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.ftp import FtpDialogue
from tests.unit.health.checks.talk import failure, reply


def test_a_greeting_is_good_and_the_check_quits() -> None:
    dialogue = FtpDialogue()
    assert dialogue.begin() == DialogueStep()
    assert dialogue.awaited == "greeting"
    assert reply(dialogue, b"220-Welcome\r\n", b"220 ready\r\n") == DialogueStep(b"QUIT\r\n", result=GOOD)


def test_any_other_greeting_is_bad() -> None:
    assert failure(FtpDialogue(), b"421 Too many users\r\n") == 'greeting "421 Too many users", expected 220'
    assert failure(FtpDialogue(), b"120 in 5 minutes\r\n") == 'greeting "120 in 5 minutes", expected 220'
