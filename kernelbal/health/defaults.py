"""The default check of a port, and the settings that a check derives from its port.

The choice follows the LoadMaster's: a port of a known protocol is checked in that protocol, any other
TCP port by a connect, and everything else by ping.
"""

from __future__ import annotations

from typing import Final

from kernelbal.model.choices import DnsTransport, Encryption, ProtocolName
from kernelbal.model.site.check import (
    CheckProtocol,
    DnsCheck,
    FtpCheck,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    ImapCheck,
    LdapCheck,
    MailCheck,
    NoCheck,
    Pop3Check,
    ProbeProtocol,
    RdpCheck,
    ScriptCheck,
    SmtpCheck,
    SshCheck,
    TcpCheck,
    TlsCheck,
)

IMPLICIT_TLS_PORTS: Final = frozenset({465, 636, 993, 995})
"""Ports on which the conversation is encrypted from the first byte (RFC 8314, RFC 4513)."""

TCP_DEFAULTS: Final[dict[int, CheckProtocol]] = {
    21: FtpCheck(),
    22: SshCheck(),
    23: TcpCheck(),  # Telnet: a greeting is no part of the protocol
    25: SmtpCheck(),
    53: DnsCheck(),
    80: HttpCheck(),
    110: Pop3Check(),
    119: TcpCheck(),  # NNTP: few servers greet strangers
    143: ImapCheck(),
    389: LdapCheck(),
    443: HttpsCheck(),
    465: SmtpCheck(),
    587: SmtpCheck(),
    636: LdapCheck(),
    993: ImapCheck(),
    995: Pop3Check(),
    3389: RdpCheck(),
}
"""By TCP port of the virtual service; all others are connected to."""

UDP_DEFAULTS: Final[dict[int, CheckProtocol]] = {53: DnsCheck()}
"""By UDP port; all others are pinged: without knowing the protocol, a datagram proves nothing."""

OTHER_TCP: Final = TcpCheck()
PING: Final = IcmpCheck()
"""For UDP, SCTP and `ports: all`."""

_PORTLESS = (IcmpCheck, ScriptCheck, NoCheck)
_FITS_EVERY_PORT = (*_PORTLESS, TcpCheck, TlsCheck)


def default_protocol(transport: ProtocolName, port: int) -> CheckProtocol:
    """Return the check of a port when the document names none.

    Args:
        transport: the virtual service's protocol.
        port: 1-65535, or 0 for `ports: all`.
    """
    if port == 0 or transport is ProtocolName.SCTP:
        return PING
    if transport is ProtocolName.UDP:
        return UDP_DEFAULTS.get(port, PING)
    return TCP_DEFAULTS.get(port, OTHER_TCP)


def has_port(protocol: ProbeProtocol) -> bool:
    """Return whether a check is addressed to a port."""
    return not isinstance(protocol, _PORTLESS)


def fits(protocol: CheckProtocol, transport: ProtocolName, port: int) -> bool:
    """Return whether a check may be meant for a port: not when the port is known for another protocol."""
    if isinstance(protocol, _FITS_EVERY_PORT):
        return True
    usual = default_protocol(transport, port)
    return isinstance(usual, TcpCheck | IcmpCheck) or usual.kind == protocol.kind


def settled(protocol: CheckProtocol, transport: ProtocolName, port: int) -> CheckProtocol:
    """Return a check with what it leaves to the virtual service filled in.

    Args:
        protocol: as the document has it.
        transport: the virtual service's protocol; DNS queries travel by it.
        port: port of the virtual service or of the check, not of a real server behind nat: the conversation
            is that of the port that clients see.
    """
    if isinstance(protocol, DnsCheck) and protocol.transport is None:
        by_tcp = transport is ProtocolName.TCP
        return protocol.model_copy(update={"transport": DnsTransport.TCP if by_tcp else DnsTransport.UDP})
    if isinstance(protocol, MailCheck | LdapCheck) and protocol.encryption is None:
        implicit = port in IMPLICIT_TLS_PORTS
        return protocol.model_copy(
            update={"encryption": Encryption.IMPLICIT if implicit else Encryption.NONE}
        )
    return protocol
