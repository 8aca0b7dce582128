"""The node document (`node.yaml`): what differs per director, who may control its daemon, who is notified."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from kernelbal.model.address import parse_address
from kernelbal.model.choices import Right
from kernelbal.model.fields import Device, Duration, Few, IpAddress, Model, Name, Text, Whole, Wording
from kernelbal.model.program import ProgramSettings

DEFAULT_SOCKET: Final = "/run/kernelbal/control.sock"
MAX_SOCKET_CHARACTERS: Final = 107
"""Longest name of a Unix socket (`sun_path` in unix(7))."""

FilePath = Annotated[
    str,
    Field(pattern=r"^/[^\x00]+$", max_length=4096),
    Wording("a full path, such as `/etc/kernelbal/api.pem`"),
]
"""A full path."""


class WebAddress(NamedTuple):
    """An http or https address.

    Attributes:
        url: as it was written.
        host: the host with its port, without a user or password.
    """

    url: str
    host: str

    def __repr__(self) -> str:
        """Show the host alone: all else may be a secret."""
        return f"WebAddress(host={self.host!r})"


_LABEL: Final = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")
"""Names as resolvers take them (RFC 1123 2.1), with underscores."""


def _web_address(value: object) -> WebAddress:
    """Parse an address as strictly as those who will use it."""
    if isinstance(value, WebAddress):
        return value
    if not isinstance(value, str) or len(value) > MAX_URL_CHARACTERS or _URL.fullmatch(value) is None:
        raise ValueError(f"not an http or https address of at most {MAX_URL_CHARACTERS} characters")
    parts = urlsplit(value)  # an unfinished `[` is a ValueError, as is a port that is none
    host, port = parts.hostname or "", parts.port
    if ":" in host or host.replace(".", "").isdecimal():
        parse_address(host)
    elif _HOST.fullmatch(host) is None or not _is_decodable(host):
        raise ValueError(f"`{host}` is not the name or address of a host")
    if port == 0:
        raise ValueError("port 0 cannot be connected to")
    return WebAddress(value, parts.netloc.rpartition("@")[2])


def _is_decodable(host: str) -> bool:
    """Return whether its internationalized labels, such as `xn--grer-5qa6f`, are valid (RFC 3490)."""
    try:
        return bool(host.encode("ascii").decode("idna").encode("idna"))
    except UnicodeError:
        return False


MAX_URL_CHARACTERS: Final = 2008
_URL: Final = re.compile(r"https?://[!-~]+")

Webhook = Annotated[
    WebAddress,
    BeforeValidator(_web_address),
    PlainSerializer(lambda value: value.url, return_type=str),
    Wording("an http or https address"),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[!-~]+$", "maxLength": MAX_URL_CHARACTERS}),
]
"""Where a webhook posts to."""


class Token(Model):
    """A secret that stands for somebody."""

    name: Name = Field(description="Who it is, for the log.")
    sha256: Annotated[
        str, Field(pattern=r"^[0-9a-f]{64}$"), Wording("64 hexadecimal digits: `printf %s TOKEN | sha256sum`")
    ] = Field(repr=False, description="SHA-256 of the token; the token itself is nowhere on the director.")
    right: Right = Field(Right.READ, description="`read` or `change`.")


class ClientCertificate(Model):
    """A client certificate that stands for somebody."""

    common_name: Text = Field(description="Common name in the certificate.")
    right: Right = Field(Right.READ, description="`read` or `change`.")


class ApiTls(Model):
    """The control API on the network: TLS only, with a token or a client certificate."""

    address: IpAddress = Field(description="Address of this node to listen on.")
    port: Whole = Field(8443, ge=1, le=65535, description="TCP port.")
    certificate: FilePath = Field(description="Certificate chain, PEM.")
    key: FilePath = Field(description="Its key, PEM.")
    client_ca: FilePath | None = Field(None, description="CA of client certificates.")
    clients: Annotated[tuple[ClientCertificate, ...], Few] = Field(
        (), description="Client certificates that give access."
    )
    tokens: Annotated[tuple[Token, ...], Few] = Field((), description="Tokens that give access.")


class ApiSettings(Model):
    """The control API."""

    socket: Annotated[FilePath, Field(max_length=MAX_SOCKET_CHARACTERS)] = Field(
        DEFAULT_SOCKET, description="Unix socket."
    )
    change_groups: Annotated[tuple[Name, ...], Few] = Field(
        (), description="Groups whose members may change things, besides root."
    )
    read_groups: Annotated[tuple[Name, ...], Few] = Field(
        (), description="Groups whose members may read, besides those."
    )
    tls: ApiTls | None = Field(None, description="On the network too.")


class Hook(ProgramSettings):
    """A notify hook: a script or a webhook."""

    script: Annotated[tuple[Text, ...], Few] = Field(
        (), description="Program (a full path) and arguments; gets the event as JSON on its standard input."
    )
    webhook: Webhook | None = Field(None, repr=False, description="Gets the event as JSON by POST.")
    topics: Annotated[tuple[Text, ...], Few] = Field(
        (),
        description="Events such as `real_server.down`, or `real_server` for all of a kind; all by default.",
    )
    timeout: Duration = Field(10.0, description="How long it may take.")
    per_minute: Whole = Field(
        60,
        ge=1,
        le=6000,
        description="Most events per minute, of one real server a quarter; others are only counted.",
    )


class Node(Model):
    """The node document (`node.yaml`): what differs per director."""

    name: Name = Field(description="Name of this director.")
    role: Literal["first", "second"] = Field("first", description="Which of the two partners this is.")
    interfaces: Annotated[dict[Name, Device], Few] = Field(
        default_factory=dict, description="Device by network name, such as `outside: eth0`."
    )
    api: ApiSettings = Field(
        default_factory=ApiSettings, description="Control API: who may read, and who may change."
    )
    notify: Annotated[tuple[Hook, ...], Few] = Field((), description="Hooks that are notified of events.")
