"""Certificates of the control API: what it shows, and whose it trusts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kernelbal.errors import ApiFailed
from kernelbal.model.node import ApiTls

_WILDCARD: Final = "*."


class TlsFiles(NamedTuple):
    """What the files of `api.tls` hold, and whether a client must have a certificate.

    Attributes:
        chain: certificates of the server, PEM.
        key: PEM.
        client_ca: PEM; None: no client certificate is trusted.
        optional: whether clients may have a token instead.
    """

    chain: bytes
    key: bytes
    client_ca: bytes | None
    optional: bool


class Credentials(NamedTuple):
    """TLS of the server.

    Attributes:
        files: what it was made from.
        context: for connections; never changed once made.
        names: DNS names of the server's certificate, in lower case.
    """

    files: TlsFiles
    context: ssl.SSLContext
    names: frozenset[str]


def read_credentials(tls: ApiTls, known: Credentials | None = None) -> Credentials:
    """Return what the files say now: `known` itself when they say the same.

    TLS 1.2 or later; nobody is anonymous.

    Raises:
        ApiFailed: a file cannot be read, or does not fit.
    """
    try:
        client_ca = None if tls.client_ca is None else Path(tls.client_ca).read_bytes()
        chain, key = Path(tls.certificate).read_bytes(), Path(tls.key).read_bytes()
        files = TlsFiles(chain, key, client_ca, bool(tls.tokens))
        if known is not None and files == known.files:
            return known
        return Credentials(files, _context(tls), frozenset(_dns_names(chain)))
    except (OSError, ValueError) as error:
        places = ", ".join(filter(None, (tls.certificate, tls.key, tls.client_ca)))
        why = getattr(error, "strerror", None) or error
        raise ApiFailed(f"cannot use {places}: {why}", "see `api.tls` in node.yaml") from error


def _context(tls: ApiTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key, password="")
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL if tls.tokens else ssl.CERT_REQUIRED
    return context


def _dns_names(chain: bytes) -> Iterator[str]:
    """Yield the DNS names of the first certificate; its common name when it has no alternative names."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(chain)[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        yield from (each.lower() for each in names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
            yield str(attribute.value).lower()


def is_named(host: str, names: frozenset[str]) -> bool:
    """Return whether a certificate has a name; a wildcard stands for one label (RFC 9525)."""
    wanted = host.lower().removesuffix(".")
    return wanted in names or f"{_WILDCARD}{wanted.partition('.')[2]}" in names
