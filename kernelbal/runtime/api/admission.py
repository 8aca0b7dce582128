"""Whose requests are answered: the settings of the API as they are in force now.

A browser of somebody who may reach the API must not carry out what a web page says: a request that changes
something and has an `Origin` is refused, and by TLS the host must be an address or a name of the certificate,
so that no name of somebody else can point here (DNS rebinding).
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.access import (
    NOBODY,
    Caller,
    GroupRights,
    caller_by_certificate,
    caller_by_peer,
    caller_by_token,
    peer_of,
)
from kernelbal.runtime.api.answers import RequestRefused
from kernelbal.runtime.api.tls import Credentials, is_named

_HOST: Final = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(:[0-9]*)?")
"""A `Host` header (RFC 9110, section 7.2)."""


class Admission:
    """Says who asks, by what is in force when it is asked: also for connections that were open before.

    Attributes:
        settings: tokens and client certificates are those of now.
        rights: of groups.
        credentials: a client certificate counts only on a connection that was accepted with them.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.rights = GroupRights(frozenset(), frozenset())
        self.credentials: Credentials | None = None

    def caller_of(self, request: web.Request) -> Caller:
        """Return who asks.

        Raises:
            RequestRefused: a web page asks, or the request is for another host.
        """
        if request.method != "GET" and "Origin" in request.headers:
            raise RequestRefused(403, "a web page may not do this", "send no `Origin`")
        transport = request.transport
        if transport is None:
            return NOBODY
        if transport.get_extra_info("ssl_object") is None:
            return caller_by_peer(peer_of(transport.get_extra_info("socket")), self.rights, os.geteuid())
        tls, credentials = self.settings.tls, self.credentials
        if tls is None or credentials is None:
            return NOBODY
        _require_host(request, credentials.names)
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            return caller_by_token(authorization, tls)
        if transport.get_extra_info("sslcontext") is not credentials.context:
            return NOBODY
        return caller_by_certificate(transport.get_extra_info("peercert"), tls)


def _require_host(request: web.Request, names: frozenset[str]) -> None:
    given = request.headers.getall("Host", [])
    found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    host = (found["address"] or found["name"]) if found else ""
    if not (_is_address(host) or is_named(host, names)):
        hint = "ask for an address, or for a name of the server's certificate"
        raise RequestRefused(421, "this is no server of that name", hint)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
