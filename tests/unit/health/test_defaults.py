"""Which check a port gets by itself."""

import re
from pathlib import Path

import pytest
import yaml

from kernelbal.health.defaults import (
    TCP_DEFAULTS,
    UDP_DEFAULTS,
    default_protocol,
    fits,
    has_port,
    settled,
)
from kernelbal.health.probe_templates import MAX_PORTS, check_timing
from kernelbal.model.choices import DnsTransport, Encryption, ProtocolName
from kernelbal.model.site.check import (
    KINDS,
    Check,
    CheckProtocol,
    DnsCheck,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    LdapCheck,
    NoCheck,
    ScriptCheck,
    SmtpCheck,
    TcpCheck,
    TlsCheck,
    UdpCheck,
)
from kernelbal.model.site.services import VirtualService

PAGE = Path(__file__).parents[3] / "docs/how-to/check-real-servers.md"
TCP, UDP, SCTP = ProtocolName.TCP, ProtocolName.UDP, ProtocolName.SCTP


KINDS_BY_PORT = {
    21: "ftp", 22: "ssh", 23: "tcp", 25: "smtp", 53: "dns", 80: "http", 110: "pop3", 119: "tcp", 143: "imap",
    389: "ldap", 443: "https", 465: "smtp", 587: "smtp", 636: "ldap", 993: "imap", 995: "pop3", 3389: "rdp",
    8080: "tcp", 0: "icmp",
}  # fmt: skip


@pytest.mark.parametrize(("port", "kind"), KINDS_BY_PORT.items())
def test_tcp_port_decides(port: int, kind: str) -> None:
    assert default_protocol(TCP, port).kind == kind


def test_what_has_no_check_of_its_own_is_pinged() -> None:
    assert default_protocol(UDP, 53).kind == "dns"
    assert {default_protocol(UDP, port).kind for port in (0, 80, 443, 5060)} == {"icmp"}
    assert {default_protocol(SCTP, port).kind for port in (0, 53, 80)} == {"icmp"}


def test_http_by_default_accepts_what_a_load_master_accepts() -> None:
    for port in (80, 443):
        check = TCP_DEFAULTS[port]
        assert isinstance(check, HttpCheck)
        assert (check.method, check.path, check.expect) == ("GET", "/", ("200-299", "301", "302", "401"))


@pytest.mark.parametrize("check", [*TCP_DEFAULTS.values(), *UDP_DEFAULTS.values()])
def test_defaults_hold_no_settings(check: CheckProtocol) -> None:
    assert check == KINDS[check.kind]()


@pytest.mark.parametrize(
    ("check", "port", "encryption"),
    [
        (SmtpCheck(), 25, Encryption.NONE),
        (SmtpCheck(), 465, Encryption.IMPLICIT),
        (SmtpCheck(), 587, Encryption.NONE),
        (LdapCheck(), 636, Encryption.IMPLICIT),
        (SmtpCheck(encryption=Encryption.STARTTLS), 465, Encryption.STARTTLS),
        (SmtpCheck(encryption=Encryption.NONE), 465, Encryption.NONE),
    ],
)
def test_encryption_follows_the_port_unless_it_is_said(
    check: SmtpCheck | LdapCheck, port: int, encryption: Encryption
) -> None:
    asked = settled(check, TCP, port)
    assert isinstance(asked, SmtpCheck | LdapCheck)
    assert asked.encryption is encryption


def test_dns_travels_as_the_service_does_unless_it_is_said() -> None:
    assert settled(DnsCheck(), TCP, 53) == DnsCheck(transport=DnsTransport.TCP)
    assert settled(DnsCheck(), UDP, 53) == DnsCheck(transport=DnsTransport.UDP)
    by_udp = DnsCheck(transport=DnsTransport.UDP)
    assert settled(by_udp, TCP, 53) is by_udp


def test_other_checks_are_what_they_are() -> None:
    check = HttpCheck(path="/health")
    assert settled(check, TCP, 80) is check


@pytest.mark.parametrize(
    ("check", "port", "fitting"),
    [
        (HttpsCheck(), 443, True),
        (HttpsCheck(), 80, False),
        (HttpsCheck(), 8443, True),
        (HttpCheck(), 443, False),
        (SmtpCheck(), 465, True),
        (TcpCheck(), 80, True),
        (TlsCheck(), 993, True),
        (IcmpCheck(), 80, True),
        (HttpCheck(), 23, True),
    ],
)
def test_named_protocol_fits_ports_that_are_not_known_for_another(
    check: CheckProtocol, port: int, fitting: bool
) -> None:
    assert fits(check, TCP, port) is fitting


def test_checks_without_a_port() -> None:
    assert not any(map(has_port, (IcmpCheck(), NoCheck(), ScriptCheck(argv=("/bin/true",)))))
    assert all(map(has_port, (TcpCheck(), HttpCheck(), UdpCheck())))


# --- the page that explains it ---


def page_rows(header: str) -> list[list[str]]:
    """The cells of a table, without its header."""
    text = PAGE.read_text(encoding="utf-8").partition(header)[2].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_page_names_the_check_of_every_port() -> None:
    rows = page_rows("| protocol | port | check |")
    named = {(protocol, int(port)): check for protocol, port, check in rows if port.isdigit()}
    assert named == {("tcp", port): check.kind for port, check in TCP_DEFAULTS.items()} | {
        ("udp", port): check.kind for port, check in UDP_DEFAULTS.items()
    }
    others = {(protocol, port): check for protocol, port, check in rows if not port.isdigit()}
    assert others == {
        ("tcp", "others"): default_protocol(TCP, 1).kind,
        ("udp", "others"): default_protocol(UDP, 1).kind,
        ("sctp", "any"): default_protocol(SCTP, 80).kind,
        ("any", "all"): default_protocol(TCP, 0).kind,
    }


def test_page_names_the_time_until_down() -> None:
    timing = check_timing(Check())
    down_s = timing.fall * timing.interval_s + timing.timeout_s + timing.jitter_s
    up_s = timing.rise * timing.interval_s + timing.jitter_s
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"at the latest: {down_s:g} seconds by default" in text
    assert f"after it recovers: {up_s:g} seconds" in text
    rows = {key: default for key, default, _ in page_rows("| setting | default | meaning |")}
    written = Check().model_dump(mode="json", include=set(rows))
    assert f"{MAX_PORTS} ports at most" in text
    assert rows == {key: str(value) for key, value in written.items()}


def test_examples_of_the_page_are_valid() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = [
        line for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    assert len(lines) == 10
    base = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}
    for line in lines:
        VirtualService.model_validate({**base, **yaml.safe_load(line)})
    for inline in re.findall(r"`(\{.*?\})`", text):
        VirtualService.model_validate({**base, "check": yaml.safe_load(inline)})
