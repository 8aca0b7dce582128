"""SSH checks (RFC 4253 4.2)."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.ssh import SshDialogue
from tests.unit.health.checks.talk import failure, reply


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"SSH-1.99-Cisco-1.25\n"])
def test_an_identification_is_good(line: bytes) -> None:
    assert reply(SshDialogue(), line) == DialogueStep(b"SSH-2.0-kernelbal\r\n", result=GOOD)


def test_lines_may_come_before_it() -> None:
    assert reply(SshDialogue(), b"Authorized use only\r\n", b"\r\n", b"SSH-2.0-x\r\n").result == GOOD


@pytest.mark.parametrize("line", [b"SSH-1.5-old", b"SSH-2.0-", b"SSH-3.0-new"])
def test_other_versions_are_bad(line: bytes) -> None:
    assert failure(SshDialogue(), line + b"\r\n") == f'identification "{line.decode()}", expected SSH-2.0-'


def test_another_protocol_is_bad_once_it_closes() -> None:
    assert failure(SshDialogue(), b"220 smtp\r\n") == "connection closed, expected SSH identification"
