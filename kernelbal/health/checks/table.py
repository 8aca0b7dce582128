"""The method of each check: a connection, a dialogue over a stream or datagrams, an echo, a program."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.health.checks.agents import HttpAgentDialogue, TextAgentDialogue
from kernelbal.health.checks.dialogue import GOOD, Dialogue, DialogueStep, ProbeResult
from kernelbal.health.checks.dns import DnsDatagrams, DnsStream, question_bytes
from kernelbal.health.checks.ftp import FtpDialogue
from kernelbal.health.checks.http import HttpDialogue, default_host, prepare_check
from kernelbal.health.checks.ldap import LdapDialogue
from kernelbal.health.checks.mail import ImapDialogue, Pop3Dialogue, SmtpDialogue
from kernelbal.health.checks.pattern import ReplyPattern
from kernelbal.health.checks.radius import RadiusDialogue, request_bytes
from kernelbal.health.checks.rdp import RdpDialogue
from kernelbal.health.checks.ssh import SshDialogue
from kernelbal.health.checks.udp import UdpDialogue, unescaped
from kernelbal.health.defaults import IMPLICIT_TLS_PORTS
from kernelbal.model.choices import DnsTransport, Encryption
from kernelbal.model.health import Probe, Target
from kernelbal.model.site.check import (
    DnsCheck,
    FtpCheck,
    HttpAgent,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    ImapCheck,
    LdapCheck,
    MailCheck,
    NoCheck,
    Pop3Check,
    ProbeProtocol,
    RadiusCheck,
    RdpCheck,
    ScriptCheck,
    SmtpCheck,
    SshCheck,
    TcpCheck,
    TextAgent,
    TlsCheck,
    TlsSettings,
    UdpCheck,
)

ENTROPY_BYTES: Final = 32
"""Random bytes that a new dialogue takes; no dialogue has randomness of its own."""


class ProbeTransport(Enum):
    """How a probe travels."""

    NONE = "none"
    """No probe: always good."""
    CONNECT = "connect"
    """A TCP connection, closed once established; there is no dialogue."""
    STREAM = "stream"
    """A dialogue over a TCP connection."""
    DATAGRAM = "datagram"
    """A dialogue over a connected UDP socket."""
    ICMP = "icmp"
    """An echo request (`icmp.py`); there is no dialogue."""
    SCRIPT = "script"
    """A program (`script.py`); there is no dialogue."""


DialogueFactory = Callable[[bytes], Dialogue]
"""Makes the dialogue of one run from `ENTROPY_BYTES` random bytes."""


class ProbeMethod(NamedTuple):
    """What the driver of a probe must provide.

    Attributes:
        transport: how it travels.
        new_dialogue: for STREAM and DATAGRAM, else None.
        tls: settings, wherever TLS may be spoken; None: never.
        tls_first: whether TLS comes before the first byte, else when a step asks for it.
        server_name: for SNI, or empty. With `tls.verify` the certificate must bear it; when empty its chain
            alone is verified.
        silence_is_good: whether a good probe may end by its timeout.
    """

    transport: ProbeTransport
    new_dialogue: DialogueFactory | None = None
    tls: TlsSettings | None = None
    tls_first: bool = False
    server_name: str = ""
    silence_is_good: bool = False


class HandshakeDialogue:
    """The dialogue of a check that ends with the TLS handshake."""

    awaited = "TLS handshake"

    def begin(self) -> DialogueStep:
        """Return the result: the handshake is done."""
        return DialogueStep(result=GOOD)

    def receive(self, _data: bytes) -> DialogueStep:
        """Return the result again."""
        return DialogueStep(result=GOOD)

    def end(self) -> ProbeResult:
        """Return the result again."""
        return GOOD


def _handshake(check: TlsCheck, _target: Target) -> ProbeMethod:
    return ProbeMethod(
        ProbeTransport.STREAM,
        lambda _entropy: HandshakeDialogue(),
        check,
        tls_first=True,
        server_name=check.server_name or "",
    )


def _http(check: HttpCheck, target: Target) -> ProbeMethod:
    question = prepare_check(check, default_host(target.host, target.port, check.port))
    return ProbeMethod(ProbeTransport.STREAM, lambda _entropy: HttpDialogue(question))


def _https(check: HttpsCheck, target: Target) -> ProbeMethod:
    name = check.server_name or _name_only(check.host or target.host)
    return _http(check, target)._replace(tls=check, tls_first=True, server_name=name)


def _name_only(host: str) -> str:
    """Return a host's name without its port; nothing for an address, never in SNI (RFC 6066 3)."""
    name = host.partition(":")[0] if host.count(":") == 1 else host
    return "" if ":" in name or name.replace(".", "").isdecimal() else name


def _dns(check: DnsCheck, _target: Target) -> ProbeMethod:
    question = question_bytes(check)
    if check.transport is DnsTransport.TCP:
        return ProbeMethod(
            ProbeTransport.STREAM,
            lambda entropy: DnsStream(check, question, int.from_bytes(entropy[:2], "big")),
        )
    return ProbeMethod(
        ProbeTransport.DATAGRAM,
        lambda entropy: DnsDatagrams(check, question, int.from_bytes(entropy[:2], "big")),
    )


def _udp(check: UdpCheck, _target: Target) -> ProbeMethod:
    send = unescaped(check.send)
    expect = None if check.expect is None else ReplyPattern(check.expect, octets=True)
    return ProbeMethod(
        ProbeTransport.DATAGRAM, lambda _entropy: UdpDialogue(send, expect), silence_is_good=expect is None
    )


def _encrypted(
    settings: MailCheck | LdapCheck, target: Target, new_dialogue: Callable[[bool], Dialogue]
) -> ProbeMethod:
    """Return the means of a protocol that may speak TLS at once, or after its own request for it."""
    encryption = settings.encryption
    if encryption is None:
        encryption = Encryption.IMPLICIT if target.port in IMPLICIT_TLS_PORTS else Encryption.NONE
    starttls = encryption is Encryption.STARTTLS
    return ProbeMethod(
        ProbeTransport.STREAM,
        lambda _entropy: new_dialogue(starttls),
        None if encryption is Encryption.NONE else settings.tls,
        tls_first=encryption is Encryption.IMPLICIT,
        server_name=settings.tls.server_name or "",
    )


def _smtp(check: SmtpCheck, target: Target) -> ProbeMethod:
    return _encrypted(check, target, lambda starttls: SmtpDialogue(check.hello, starttls))


def _imap(check: ImapCheck, target: Target) -> ProbeMethod:
    return _encrypted(check, target, ImapDialogue)


def _pop3(check: Pop3Check, target: Target) -> ProbeMethod:
    return _encrypted(check, target, Pop3Dialogue)


def _ldap(check: LdapCheck, target: Target) -> ProbeMethod:
    return _encrypted(check, target, lambda starttls: LdapDialogue(check.dn, check.password, starttls))


def _radius(check: RadiusCheck, _target: Target) -> ProbeMethod:
    request_bytes(check, 0, bytes(16))  # refuses settings that no packet can hold
    return ProbeMethod(
        ProbeTransport.DATAGRAM, lambda entropy: RadiusDialogue(check, entropy[0], entropy[1:17])
    )


def _http_agent(agent: HttpAgent, target: Target) -> ProbeMethod:
    host = default_host(target.host, target.port, HttpCheck.port)
    return ProbeMethod(ProbeTransport.STREAM, lambda _entropy: HttpAgentDialogue(agent.path, host))


def _text_agent(agent: TextAgent, _target: Target) -> ProbeMethod:
    return ProbeMethod(ProbeTransport.STREAM, lambda _entropy: TextAgentDialogue(agent.send))


def _constant(transport: ProbeTransport, dialogue: Callable[[], Dialogue] | None = None) -> _MethodOf:
    """Return the method of a protocol without settings."""
    method = ProbeMethod(transport, (lambda _entropy: dialogue()) if dialogue else None)
    return lambda _asked, _target: method


_MethodOf = Callable[..., ProbeMethod]
_METHODS: Final[dict[type[ProbeProtocol], _MethodOf]] = {
    NoCheck: _constant(ProbeTransport.NONE),
    TcpCheck: _constant(ProbeTransport.CONNECT),
    IcmpCheck: _constant(ProbeTransport.ICMP),
    ScriptCheck: _constant(ProbeTransport.SCRIPT),
    FtpCheck: _constant(ProbeTransport.STREAM, FtpDialogue),
    SshCheck: _constant(ProbeTransport.STREAM, SshDialogue),
    RdpCheck: _constant(ProbeTransport.STREAM, RdpDialogue),
    TlsCheck: _handshake,
    HttpCheck: _http,
    HttpsCheck: _https,
    DnsCheck: _dns,
    UdpCheck: _udp,
    SmtpCheck: _smtp,
    ImapCheck: _imap,
    Pop3Check: _pop3,
    LdapCheck: _ldap,
    RadiusCheck: _radius,
    HttpAgent: _http_agent,
    TextAgent: _text_agent,
}


def method_of(probe: Probe) -> ProbeMethod:
    """Return how `probe` is run; each run gets a new dialogue from it.

    Raises:
        ValueError: a setting cannot be used, such as a name that no DNS query can hold.
    """
    return _METHODS[type(probe.protocol)](probe.protocol, probe.target)
