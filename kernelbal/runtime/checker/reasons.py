"""Reasons of failed probes as text, and which errors are not those of the real server."""

from __future__ import annotations

import errno
import os
import ssl
from typing import Final

from kernelbal.model.event import Topic
from kernelbal.runtime.checker.budget import CALL_S
from kernelbal.runtime.checker.wire import Notice

RESOURCE_ERRORS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)
"""This machine is out of a resource: the probe says nothing about the real server."""

OVERRUN: Final = (
    f"one run of it took over {2 * CALL_S:g} s of processor time, or its runs a quarter of a processor"
)
"""Why a run was cut off."""
_REASONS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.EHOSTUNREACH: "no route to host, or it does not answer ARP or neighbour discovery",
    errno.ENETUNREACH: "network unreachable: this machine has no route",
    errno.ETIMEDOUT: "no answer",
    errno.EACCES: "refused by a packet filter or a prohibit route on this machine",
    errno.EPERM: "refused by a packet filter on this machine",
    errno.EPROTO: "protocol error",
    errno.ENOPROTOOPT: "protocol unreachable",
    errno.EHOSTDOWN: "no answer to ARP or neighbour discovery",
    errno.EINVAL: "invalid address: a link-local one needs exactly one network device",
    errno.EMSGSIZE: "packet too big for the path",
}
_RESOURCES: Final = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors in the whole system",
    errno.EADDRNOTAVAIL: "local ports",
    errno.EAGAIN: "local ports, processes or memory",
}
_RESOURCE_HINTS: Final = {
    errno.EMFILE: "raise LimitNOFILE of the service",
    errno.ENFILE: "raise the sysctl fs.file-max",
    errno.EADDRNOTAVAIL: "widen the sysctl net.ipv4.ip_local_port_range, or probe less often",
}


def failure(number: int) -> str:
    """Return a socket's error as the reason of a failure."""
    return _REASONS.get(number) or os.strerror(number).lower()


def datagram_failure(number: int) -> str:
    """Return a UDP socket's error as a reason: there a refusal is an ICMP error."""
    return "port unreachable" if number == errno.ECONNREFUSED else failure(number)


def out_of_resources(number: int) -> Notice:
    """Return the notice for an error in `RESOURCE_ERRORS`."""
    what = _RESOURCES.get(number, "memory")
    message = f"out of {what}: probes skipped, states unchanged"
    return Notice(Topic.CHECKER_STARVED, message, _RESOURCE_HINTS.get(number, ""))


def timed_out(timeout_s: float, awaited: str = "") -> str:
    """Return the reason of a timeout."""
    return f"timeout after {timeout_s:g} s" + (f", waiting for {awaited}" if awaited else ": no answer")


def tls_failure(error: ssl.SSLError) -> str:
    """Return why TLS failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not valid: {error.verify_message.rstrip('.')}"
    reason = (error.reason or "").replace("_", " ").lower()
    for prefix in ("tlsv1 alert ", "sslv3 alert ", "tlsv13 alert ", "tlsv1 "):
        if reason.startswith(prefix):
            return f"TLS alert: {reason.removeprefix(prefix).removeprefix('alert ')}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "unexpected eof" in reason:
        return "connection closed during the TLS handshake"
    if reason in ("wrong version number", "http request", "packet length too long", "record layer failure"):
        return f"does not speak TLS ({reason})"
    return f"TLS failed: {reason or error}"
