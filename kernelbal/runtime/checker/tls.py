"""TLS of probes without a socket: bytes in, bytes out."""

from __future__ import annotations

import contextlib
import ssl
from typing import Final

from kernelbal.health.checks.certificate import certificate_warning
from kernelbal.model.event import Topic
from kernelbal.model.site.check import TlsSettings
from kernelbal.runtime.checker.sockets import ProbeSetupError
from kernelbal.runtime.checker.wire import Notice

_READ_BYTES: Final = 64 * 1024


class TlsContexts:
    """TLS contexts, made once for each kind of verification."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, str | None, bool], ssl.SSLContext] = {}

    def clear(self) -> None:
        """Forget all contexts, so that CA files are read again."""
        self._known.clear()

    def get(self, settings: TlsSettings, named: bool) -> ssl.SSLContext:
        """Return the context for these settings.

        Args:
            settings: of the check.
            named: whether there is a name that the certificate must bear.

        Raises:
            Obstacle: the CA file cannot be read.
        """
        key = settings.verify, settings.ca_file if settings.verify else None, named
        if key not in self._known:
            self._known[key] = _context(settings, named)
        return self._known[key]


def _context(settings: TlsSettings, named: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Not what lets a server keep us busy: a prime of its choice (DHE, RFC 5246 8.1.2; one of 10,000 bits
    # takes half a second), and further handshakes in the same connection (RFC 5246 7.4.1.1).
    context.set_ciphers(":".join(each["name"] for each in context.get_ciphers() if each["kea"] != "kx-dhe"))
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.check_hostname = settings.verify and named
    context.verify_mode = ssl.CERT_REQUIRED if settings.verify else ssl.CERT_NONE
    if not settings.verify:
        return context
    try:
        if settings.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or str(error)
        message = f"CA file {settings.ca_file} cannot be read: {why}"
        raise ProbeSetupError(Notice(Topic.CHECKER_UNABLE, message, "correct `ca_file`")) from error
    return context


class TlsSession:
    """One TLS session.

    Attributes:
        established: whether the handshake is done.
        ended: whether the other side has closed the session.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name or None)
        self.established = False
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Decrypt received bytes.

        Raises:
            ssl.SSLError: the session failed; `take_outgoing` then returns the alert for the other side.
        """
        if data:
            self._incoming.write(data)
        clear = bytearray()
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            while not self.ended:
                portion = self._object.read(_READ_BYTES)
                clear += portion
                self.ended = not portion
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return bytes(clear)

    def write(self, data: bytes) -> None:
        """Encrypt data to send."""
        self._object.write(data)

    def take_outgoing(self) -> bytes:
        """Return the bytes to send."""
        return self._outgoing.read()

    def close_notify(self) -> None:
        """Queue the `close_notify` alert, so that servers log no truncated session."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()

    def warning(self, wall_clock_s: float, warn_days: int) -> str:
        """Return a warning about the certificate's expiry, or nothing."""
        certificate = self._object.getpeercert(binary_form=True)
        return certificate_warning(certificate, wall_clock_s, warn_days) if certificate else ""
