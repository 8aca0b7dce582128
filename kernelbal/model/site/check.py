"""How a real server is checked: one model per protocol, and the timing that all share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kernelbal.model.choices import DnsTransport, Encryption, Through, Unable
from kernelbal.model.fields import Duration, Few, IpAddress, Model, Switch, Text, Whole, Wording
from kernelbal.model.program import ProgramSettings

DEFAULT_INTERVAL_S: Final = 9.0
DEFAULT_TIMEOUT_S: Final = 4.0
DEFAULT_RISE: Final = 1
DEFAULT_FALL: Final = 3

HeaderName = Annotated[
    str,
    Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=256),
    Wording("the name of an HTTP header, such as `X-Probe` (RFC 9110 5.1)"),
]
"""A token (RFC 9110 5.6.2)."""

HeaderValue = Annotated[
    str,
    Field(max_length=1024, pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$"),
    Wording("the value of an HTTP header: one line, 1024 characters at most"),
]
"""One line without control characters (RFC 9110 5.5)."""


def _statuses(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _status(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"`{value}` is no HTTP status such as `200`, `2xx` or `200-204`")
    low, _, high = str(value).partition("-")
    if high.isascii() and high.isdigit() and low.isascii() and low.isdigit() and int(high) < int(low):
        raise ValueError(f"`{value}` is reversed; write `{high}-{low}`")
    return str(value)


_STATUS_PATTERN: Final = r"^([1-5][0-9]{2}|[1-5]xx|[1-5][0-9]{2}-[1-5][0-9]{2})$"
_STATUS_SCHEMA: Final[JsonSchemaValue] = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": _STATUS_PATTERN},
    ]
}

StatusCode = Annotated[
    str,
    BeforeValidator(_status),
    Field(pattern=_STATUS_PATTERN),
    Wording("an HTTP status such as `200`, `2xx` or `200-204`"),
]
"""An HTTP status, a class such as `2xx`, or a range."""

StatusCodes = Annotated[
    tuple[StatusCode, ...],
    Field(min_length=1),
    BeforeValidator(_statuses),
    Few,
    Wording("an HTTP status such as `200`, `2xx` or `200-204`, or a list of them"),
    WithJsonSchema(
        {"anyOf": [*_STATUS_SCHEMA["anyOf"], {"type": "array", "minItems": 1, "items": _STATUS_SCHEMA}]}
    ),
]
"""One or several."""


class TlsSettings(Model):
    """TLS towards the real server."""

    server_name: Text | None = Field(
        None, description="Name sent as SNI, and verified; `host` of `https` by default."
    )
    verify: Switch = Field(False, description="Whether a certificate that is not valid fails the check.")
    ca_file: Text | None = Field(None, description="CA certificates for `verify`; the system's by default.")
    warn_days: Whole = Field(
        14,
        ge=0,
        le=3650,
        description="Days before a certificate expires from which `status` warns; 0: never.",
    )


class CheckProtocol(Model):
    """What a check asks, and what it takes for an answer."""

    kind: ClassVar[str]
    """Key in the document."""
    port: ClassVar[int] = 0
    """Its usual port; 0: there is none."""


class IcmpCheck(CheckProtocol):
    """Echo request (ping); needs no port."""

    kind: ClassVar[str] = "icmp"


class TcpCheck(CheckProtocol):
    """TCP connect, nothing is sent."""

    kind: ClassVar[str] = "tcp"


class TlsCheck(TlsSettings, CheckProtocol):
    """TLS handshake."""

    kind: ClassVar[str] = "tls"
    port: ClassVar[int] = 443


class HttpCheck(CheckProtocol):
    """HTTP/1.1 request; redirects are not followed."""

    kind: ClassVar[str] = "http"
    port: ClassVar[int] = 80

    method: Annotated[
        str, Field(pattern=r"^(GET|HEAD|OPTIONS|POST)$"), Wording("GET, HEAD, OPTIONS or POST")
    ] = Field("GET", description="Request method.")
    path: Annotated[
        str,
        Field(pattern=r"^/[!-~]*$", max_length=2048),
        Wording("a path that begins with `/`, without spaces"),
    ] = Field("/", description="Request target.")
    host: Text | None = Field(None, description="`Host` header; the virtual address by default.")
    headers: Annotated[dict[HeaderName, HeaderValue], Few] = Field(
        default_factory=dict, repr=False, description="Further headers, or others than usual."
    )
    body: Annotated[str, Field(max_length=65536), Wording("text of at most 65536 characters")] = Field(
        "", repr=False, description="Request body (POST)."
    )
    expect: StatusCodes = Field(
        ("200-299", "301", "302", "401"), description="Statuses that count as success."
    )
    contains: Text | None = Field(None, description="Text that the body must contain.")
    matches: Text | None = Field(None, description="Regular expression that the body must match somewhere.")


class HttpsCheck(TlsSettings, HttpCheck):
    """HTTP/1.1 request over TLS."""

    kind: ClassVar[str] = "https"
    port: ClassVar[int] = 443


Rcode = Annotated[
    str,
    Field(
        pattern="^(NOERROR|FORMERR|SERVFAIL|NXDOMAIN|NOTIMP|REFUSED|YXDOMAIN|YXRRSET|NXRRSET|NOTAUTH|NOTZONE)$"
    ),
    Wording("an RCODE such as `NOERROR`"),
]
"""An RCODE (RFC 1035 4.1.1, RFC 2136 2.2)."""


class DnsCheck(CheckProtocol):
    """DNS query."""

    kind: ClassVar[str] = "dns"
    port: ClassVar[int] = 53

    query: Text = Field(".", description="Name that is queried.")
    type: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,10}$"), Wording("a record type such as `A`")] = Field(
        "SOA", description="Record type that is queried."
    )
    transport: DnsTransport | None = Field(None, description="The virtual service's protocol by default.")
    rcode: Rcode | None = Field(
        None, description="RCODE that counts as success; any but SERVFAIL and REFUSED by default."
    )
    answer: Text | None = Field(None, description="Record data that must be among the answers.")


class UdpCheck(CheckProtocol):
    """Datagram; without `expect`, all but an ICMP error is good."""

    kind: ClassVar[str] = "udp"

    send: Text = Field("", description="What is sent; `\\x00` stands for a byte.")
    expect: Text | None = Field(None, description="Regular expression that the reply must match.")


class MailCheck(CheckProtocol):
    """A mail server's greeting."""

    encryption: Encryption | None = Field(
        None, description="`none`, `starttls` or `implicit`; `implicit` on ports 465, 993 and 995 by default."
    )
    tls: TlsSettings = Field(default_factory=TlsSettings, description="TLS settings.")


class SmtpCheck(MailCheck):
    """SMTP: greeting, EHLO, optionally STARTTLS, QUIT."""

    kind: ClassVar[str] = "smtp"
    port: ClassVar[int] = 25

    hello: Text = Field("localhost", description="Name in EHLO.")


class ImapCheck(MailCheck):
    """IMAP: greeting, optionally STARTTLS, LOGOUT."""

    kind: ClassVar[str] = "imap"
    port: ClassVar[int] = 143


class Pop3Check(MailCheck):
    """POP3: greeting, optionally STLS, QUIT."""

    kind: ClassVar[str] = "pop3"
    port: ClassVar[int] = 110


class LdapCheck(CheckProtocol):
    """LDAP simple bind; anonymous by default."""

    kind: ClassVar[str] = "ldap"
    port: ClassVar[int] = 389

    dn: Text = Field("", description="Who binds; empty is anonymous.")
    password: Text = Field("", repr=False, description="Password of `dn`.")
    encryption: Encryption | None = Field(
        None, description="`none`, `starttls` or `implicit`; `implicit` on port 636 by default."
    )
    tls: TlsSettings = Field(default_factory=TlsSettings, description="TLS settings.")


class FtpCheck(CheckProtocol):
    """FTP: greeting, QUIT."""

    kind: ClassVar[str] = "ftp"
    port: ClassVar[int] = 21


class SshCheck(CheckProtocol):
    """SSH: identification string."""

    kind: ClassVar[str] = "ssh"
    port: ClassVar[int] = 22


class RdpCheck(CheckProtocol):
    """RDP: X.224 connection request and confirm."""

    kind: ClassVar[str] = "rdp"
    port: ClassVar[int] = 3389


class RadiusCheck(CheckProtocol):
    """RADIUS: Status-Server, or Access-Request when there is a user."""

    kind: ClassVar[str] = "radius"
    port: ClassVar[int] = 1812

    secret: Text = Field(min_length=1, repr=False, description="Shared secret.")
    user: Text | None = Field(None, description="User of an Access-Request; none sends Status-Server.")
    password: Text = Field("", repr=False, description="The user's password.")
    nas_identifier: Text = Field("kernelbal", description="NAS-Identifier that is sent.")
    reject_is_good: Switch = Field(True, description="Whether Access-Reject counts as success, too.")


class ScriptCheck(CheckProtocol, ProgramSettings):
    """A program: exit status 0 is good.

    It gets `KERNELBAL_ADDRESS`, `KERNELBAL_PORT`, `KERNELBAL_SERVICE_ADDRESS` in its environment.
    """

    kind: ClassVar[str] = "script"

    argv: Annotated[tuple[Text, ...], Field(min_length=1), Few] = Field(
        description="Program (a full path) and arguments; no shell."
    )


class NoCheck(CheckProtocol):
    """Nothing is checked: the real server always counts as up."""

    kind: ClassVar[str] = "none"


def _kind_alone(value: object) -> object:
    """`check: icmp` is `check: {icmp: {}}`; so is `{icmp: null}`."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None and key in KINDS else inner for key, inner in value.items()}
    return value


class Check(Model):
    """How real servers are checked: at most one protocol, and timing.

    Without a protocol the port decides, as on a LoadMaster.
    """

    icmp: IcmpCheck | None = Field(None, description="Echo request (ping).")
    tcp: TcpCheck | None = Field(None, description="TCP connect.")
    tls: TlsCheck | None = Field(None, description="TLS handshake.")
    http: HttpCheck | None = Field(None, description="HTTP request.")
    https: HttpsCheck | None = Field(None, description="HTTP request over TLS.")
    dns: DnsCheck | None = Field(None, description="DNS query.")
    udp: UdpCheck | None = Field(None, description="Datagram.")
    smtp: SmtpCheck | None = Field(None, description="SMTP greeting.")
    imap: ImapCheck | None = Field(None, description="IMAP greeting.")
    pop3: Pop3Check | None = Field(None, description="POP3 greeting.")
    ldap: LdapCheck | None = Field(None, description="LDAP bind.")
    ftp: FtpCheck | None = Field(None, description="FTP greeting.")
    ssh: SshCheck | None = Field(None, description="SSH identification.")
    rdp: RdpCheck | None = Field(None, description="RDP connection request.")
    radius: RadiusCheck | None = Field(None, description="RADIUS request.")
    script: ScriptCheck | None = Field(None, description="A program.")
    none: NoCheck | None = Field(None, description="No check: always up.")

    interval: Duration = Field(DEFAULT_INTERVAL_S, description="From the start of one probe to the next.")
    timeout: Duration = Field(DEFAULT_TIMEOUT_S, description="How long a probe may take.")
    rise: Whole = Field(DEFAULT_RISE, ge=1, le=100, description="Successful probes in a row until up.")
    fall: Whole = Field(DEFAULT_FALL, ge=1, le=100, description="Failed probes in a row until down.")
    jitter: Whole = Field(
        5, ge=0, le=50, description="Per cent of `interval` by which each probe may start later, at random."
    )
    unable: Unable = Field(
        Unable.KEEP,
        description="Real servers whose check cannot be run, such as without its script or source address: "
        "`keep` leaves them as they are, with a warning; `down` takes them out of service.",
    )
    address: IpAddress | None = Field(None, description="Probed instead of the real server's own address.")
    port: Whole | None = Field(
        None, ge=1, le=65535, description="Probed instead of the ports of the service or real server."
    )
    source: IpAddress | None = Field(None, description="Source address of probes.")
    mark: Whole | None = Field(None, ge=1, le=0xFFFFFFFF, description="Firewall mark of probes.")
    through: Through | None = Field(
        None, description="`virtual` for dsr and tunnel where the check has a port, else `real`."
    )

    @property
    def protocols(self) -> tuple[CheckProtocol, ...]:
        """The protocols that the document names; a valid one names at most one."""
        named = self.model_fields_set & KINDS.keys()
        kinds = named if len(named) < 2 else [kind for kind in KINDS if kind in named]
        return tuple(each for each in (getattr(self, kind) for kind in kinds) if each is not None)


KINDS: Final[dict[str, type[CheckProtocol]]] = {
    each.kind: each
    for each in (
        IcmpCheck,
        TcpCheck,
        TlsCheck,
        HttpCheck,
        HttpsCheck,
        DnsCheck,
        UdpCheck,
        SmtpCheck,
        ImapCheck,
        Pop3Check,
        LdapCheck,
        FtpCheck,
        SshCheck,
        RdpCheck,
        RadiusCheck,
        ScriptCheck,
        NoCheck,
    )
}
"""Every protocol by its key."""


class _Shorthand:
    """Adds a protocol's name alone to the JSON Schema of a check."""

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(KINDS)}, handler(core)]}


CheckSetting = Annotated[
    Check,
    BeforeValidator(_kind_alone),
    _Shorthand(),
    Wording("a protocol such as `icmp`, or a mapping such as `{http: {path: /health}}`", mapping=True),
]
"""A check; a protocol's name alone stands for its defaults."""


class HttpAgent(Model):
    """LoadMaster's agent: an HTTP body that begins with a number from 0 (idle) to 100 (full), 101 or 102."""

    kind: ClassVar[str] = "http_agent"

    path: Annotated[
        str, Field(pattern=r"^/[!-~]*$", max_length=2048), Wording("a path that begins with `/`")
    ] = Field("/load", description="Request target.")
    port: Whole = Field(80, ge=1, le=65535, description="Port of the agent.")


class TextAgent(Model):
    """HAProxy's agent-check: one line such as `75%`, `drain`, `maint`, `up ready 50%`, `maxconn:30`."""

    kind: ClassVar[str] = "text_agent"

    port: Whole = Field(ge=1, le=65535, description="Port of the agent.")
    send: Text = Field("", description="Line that is sent first.")


ProbeProtocol = CheckProtocol | HttpAgent | TextAgent
"""What a probe may ask; each has a `kind` of its own."""


class ResponseTime(Model):
    """Weights by the response time of the checks: a real server of median speed keeps its weight."""

    exponent: Annotated[float, Field(ge=0.1, le=4.0), Wording("a number 0.1-4.0")] = Field(
        1.0, description="Exponent of the response time: weight x (median / own time) ^ exponent."
    )


class Adaptive(Model):
    """Weights that follow the real servers' load; at most one source."""

    http_agent: HttpAgent | None = Field(None, description="LoadMaster's agent.")
    text_agent: TextAgent | None = Field(None, description="HAProxy's agent-check.")
    response_time: ResponseTime | None = Field(None, description="Response time of the checks.")
    interval: Duration = Field(7.0, description="How often agents are polled.")
    timeout: Duration = Field(3.0, description="How long an agent may take.")
    smoothing: Duration = Field(15.0, description="Time constant of the moving average of readings.")
    step: Whole = Field(
        5, ge=1, le=50, description="Smallest change that is written, in per cent of the configured weight."
    )
    minimum: Whole = Field(
        5,
        ge=1,
        le=100,
        description="Lower limit of the weight by load, in per cent of the configured one.",
    )
