"""TLS of probes, against real TLS servers on loopback."""

import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from kernelbal.model.choices import Encryption
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, Timing
from kernelbal.model.site.check import HttpsCheck, SmtpCheck, TlsCheck, TlsSettings
from kernelbal.runtime.checker.tls import TlsContexts
from tests.unit.runtime.checker.certificates import server_context, write_certificate
from tests.unit.runtime.checker.desk import Desk, Handler, found, probe, serving

NAME = "www.example.net"
SHORT = Timing(0.5, 0.3, 1, 1)
SLOW = Timing(1.0, 2.0, 1, 1)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path, NAME)


def speaking_tls(context: ssl.SSLContext, answer: bytes = b"") -> Handler:
    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secure:
            if answer:
                secure.recv(4096)
                secure.sendall(answer)
            while secure.recv(4096):
                pass

    return handle


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, ""),
        ({"server_name": NAME, "verify": True, "ca_file": "ours"}, ""),
        ({"verify": True, "ca_file": "ours"}, ""),
        ({"server_name": "other.example.net", "verify": True, "ca_file": "ours"},
         "certificate not valid: Hostname mismatch"),
        ({"server_name": NAME, "verify": True}, "certificate not valid: self-signed certificate"),
    ],
)  # fmt: skip
def test_verification(certificate: Path, settings: dict[str, object], reason: str) -> None:
    own = {"ca_file": str(certificate)} if "ca_file" in settings else {}
    check = TlsCheck.model_validate(settings | own)
    state = found(check, speaking_tls(server_context(certificate)), SLOW)
    assert state.health is (Health.DOWN if reason else Health.UP)
    assert state.reason.startswith(reason) if reason else (state.reason, state.warning) == ("", "")


def test_the_name_is_sent(certificate: Path) -> None:
    names: list[str | None] = []
    context = server_context(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    found(TlsCheck(server_name="shop.example.net"), speaking_tls(context), SLOW)
    assert names[0] == "shop.example.net"


def test_a_certificate_that_expires_soon_is_good_with_a_warning(tmp_path: Path) -> None:
    state = found(TlsCheck(), speaking_tls(server_context(write_certificate(tmp_path, NAME, days=3.5))), SLOW)
    assert state.health is Health.UP
    assert state.warning.endswith("in 3 days")


def test_an_alert_is_named(certificate: Path) -> None:
    context = server_context(certificate)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")  # of no use with this certificate
    assert found(TlsCheck(), speaking_tls(context), SLOW).reason == "TLS alert: handshake failure"


def test_a_server_can_neither_choose_a_prime_nor_renegotiate() -> None:
    """A handshake with a prime of 10,000 bits takes half a second of processor time."""
    context = TlsContexts().get(TlsSettings(), named=False)
    assert "kx-dhe" not in {each["kea"] for each in context.get_ciphers()}
    assert ssl.OP_NO_RENEGOTIATION in context.options


def speaking_clear_text(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.net ESMTP\r\n" * 20)
    connection.recv(4096)


@pytest.mark.parametrize(
    ("handler", "timing", "reason"),
    [
        (speaking_clear_text, SLOW, "does not speak TLS"),
        (lambda connection: connection.recv(1) and None, SHORT, "waiting for TLS handshake"),
        (lambda connection: [connection.recv(9999) for _ in range(2)] and None, SHORT, "timeout after 0.3 s"),
    ],
)
def test_a_handshake_that_comes_to_nothing(handler: Handler, timing: Timing, reason: str) -> None:
    state = found(TlsCheck(), handler, timing)
    assert state.health is Health.DOWN
    assert reason in state.reason


def test_http_over_tls(certificate: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    state = found(HttpsCheck(contains="ok"), speaking_tls(server_context(certificate), answer), SLOW)
    assert (state.health, state.reason) == (Health.UP, "")


def test_starttls(certificate: Path) -> None:
    context = server_context(certificate)

    def smtp(connection: socket.socket) -> None:
        connection.sendall(b"220 mail ESMTP\r\n")
        connection.recv(4096)
        connection.sendall(b"250-mail\r\n250 STARTTLS\r\n")
        connection.recv(4096)
        connection.sendall(b"220 go ahead\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            while secure.recv(4096):
                secure.sendall(b"250 mail\r\n")

    check = SmtpCheck(encryption=Encryption.STARTTLS, tls=TlsSettings(warn_days=3650))
    state = found(check, smtp, SLOW)
    assert (state.health, state.reason) == (Health.UP, "")
    assert "certificate expires" in state.warning


def test_a_missing_ca_file_is_reported_and_does_not_count(certificate: Path) -> None:
    with serving(speaking_tls(server_context(certificate))) as port, Desk() as desk:
        desk.send(probe(TlsCheck(verify=True, ca_file="/no/such/file"), port))
        desk.until(lambda: bool(desk.states))
    (notice,) = desk.notices
    assert notice.topic is Topic.CHECKER_UNABLE
    assert "/no/such/file" in notice.message
    assert desk.states["probe"].health is Health.UNKNOWN
