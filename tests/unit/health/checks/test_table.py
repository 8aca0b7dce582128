"""What each probe needs."""

import pytest

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.table import ENTROPY_BYTES, ProbeMethod, ProbeTransport, method_of
from kernelbal.model.address import parse_address
from kernelbal.model.choices import Encryption
from kernelbal.model.health import Probe, Target, Timing
from kernelbal.model.site.check import (
    KINDS,
    DnsCheck,
    HttpAgent,
    HttpCheck,
    HttpsCheck,
    ImapCheck,
    LdapCheck,
    Pop3Check,
    ProbeProtocol,
    RadiusCheck,
    ScriptCheck,
    SmtpCheck,
    TextAgent,
    TlsCheck,
    TlsSettings,
    UdpCheck,
)

ENTROPY = bytes(range(ENTROPY_BYTES))
EVERY_KIND: dict[str, ProbeProtocol] = {
    **{kind: check() for kind, check in KINDS.items() if check not in (RadiusCheck, ScriptCheck)},
    "radius": RadiusCheck(secret="s"),
    "script": ScriptCheck(argv=("/bin/true",)),
    "http_agent": HttpAgent(),
    "text_agent": TextAgent(port=7777),
}


def plan(asked: ProbeProtocol, port: int = 80, host: str = "192.0.2.1") -> ProbeMethod:
    server = parse_address("192.0.2.2")
    return method_of(Probe("key", asked, Target(server, port, host, server), Timing(9.0, 4.0)))


def first_bytes(means: ProbeMethod) -> bytes:
    assert means.new_dialogue is not None
    return means.new_dialogue(ENTROPY).begin().send


@pytest.mark.parametrize("kind", [*KINDS, "http_agent", "text_agent"])
def test_every_kind_has_its_means(kind: str) -> None:
    means = plan(EVERY_KIND[kind])
    assert (means.new_dialogue is not None) == (
        means.transport in (ProbeTransport.STREAM, ProbeTransport.DATAGRAM)
    )
    assert means.tls is not None or not means.tls_first


@pytest.mark.parametrize(
    ("kind", "transport"),
    [
        ("none", ProbeTransport.NONE),
        ("tcp", ProbeTransport.CONNECT),
        ("tls", ProbeTransport.STREAM),
        ("icmp", ProbeTransport.ICMP),
        ("script", ProbeTransport.SCRIPT),
        ("dns", ProbeTransport.DATAGRAM),
        ("udp", ProbeTransport.DATAGRAM),
        ("radius", ProbeTransport.DATAGRAM),
        ("ssh", ProbeTransport.STREAM),
        ("text_agent", ProbeTransport.STREAM),
    ],
)
def test_transports(kind: str, transport: ProbeTransport) -> None:
    assert plan(EVERY_KIND[kind]).transport is transport


def test_every_run_has_a_dialogue_of_its_own() -> None:
    new_dialogue = plan(HttpCheck()).new_dialogue
    assert new_dialogue is not None
    assert new_dialogue(ENTROPY) is not new_dialogue(ENTROPY)


def test_the_handshake_alone_is_a_dialogue() -> None:
    means = plan(TlsCheck(server_name="www.example"))
    assert (means.tls_first, means.server_name) == (True, "www.example")
    assert means.new_dialogue is not None
    handshake = means.new_dialogue(ENTROPY)
    assert handshake.awaited == "TLS handshake"
    assert handshake.begin().result == handshake.receive(b"x").result == handshake.end() == GOOD


def test_entropy_becomes_identifiers() -> None:
    assert first_bytes(plan(DnsCheck())).startswith(b"\x00\x01")
    assert first_bytes(plan(DnsCheck.model_validate({"transport": "tcp"})))[2:4] == b"\x00\x01"
    request = first_bytes(plan(RadiusCheck(secret="s")))
    assert request[1] == 0
    assert request[4:20] == ENTROPY[1:17]


@pytest.mark.parametrize(
    ("host", "port", "header"),
    [
        ("192.0.2.1", 80, b"192.0.2.1"),
        ("192.0.2.1", 81, b"192.0.2.1:81"),
        ("2001:db8::1", 80, b"[2001:db8::1]"),
    ],
)
def test_the_host_is_the_targets_unless_named(host: str, port: int, header: bytes) -> None:
    assert b"Host: " + header + b"\r\n" in first_bytes(plan(HttpCheck(), port, host))
    assert b"Host: a.example\r\n" in first_bytes(plan(HttpCheck(host="a.example"), port, host))
    assert b"Host: " + header + b"\r\n" in first_bytes(plan(HttpAgent(), port, host))


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (HttpsCheck(host="www.example"), "www.example"),
        (HttpsCheck(host="www.example:8443"), "www.example"),
        (HttpsCheck(host="www.example", server_name="tls.example"), "tls.example"),
        (HttpsCheck(host="192.0.2.7:8443"), ""),
        (HttpsCheck(host="[2001:db8::7]:8443"), ""),
        (HttpsCheck(), ""),
    ],
)
def test_the_name_in_the_handshake_of_https(check: HttpsCheck, name: str) -> None:
    means = plan(check, 443)
    assert (means.tls, means.tls_first, means.server_name) == (check, True, name)


@pytest.mark.parametrize("port", [465, 636, 993, 995])
@pytest.mark.parametrize("check", [SmtpCheck(), ImapCheck(), Pop3Check(), LdapCheck()])
def test_some_ports_mean_tls_first(check: ProbeProtocol, port: int) -> None:
    assert plan(check, port).tls_first
    assert plan(check, 25).tls is None
    assert not plan(check, 25).tls_first


def test_encryption_may_be_named() -> None:
    settings = TlsSettings(server_name="mx.example")
    later = plan(SmtpCheck(encryption=Encryption.STARTTLS, tls=settings), 465)
    assert (later.tls, later.tls_first, later.server_name) == (settings, False, "mx.example")
    assert plan(LdapCheck(encryption=Encryption.NONE), 636).tls is None
    starttls = plan(LdapCheck(encryption=Encryption.STARTTLS))
    assert b"1.3.6.1.4.1.1466.20037" in first_bytes(starttls)


def test_silence_is_good_where_no_datagram_is_expected() -> None:
    assert plan(UdpCheck(send="x")).silence_is_good
    assert not plan(UdpCheck(send="x", expect="y")).silence_is_good
    assert not plan(DnsCheck()).silence_is_good


@pytest.mark.parametrize(
    "check",
    [
        DnsCheck(type="NONESUCH"),
        UdpCheck(expect="("),
        HttpCheck(matches="["),
        RadiusCheck(secret="s", user="u", password="x" * 200),
    ],
)
def test_settings_that_cannot_be_used_are_refused(check: ProbeProtocol) -> None:
    with pytest.raises(ValueError, match=r"."):
        plan(check)
