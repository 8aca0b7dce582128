"""The notification protocol of systemd (`sd_notify(3)`): one datagram of `NAME=value` lines.

Nothing happens where `NOTIFY_SOCKET` is not set. Left out: file descriptor passing (FDSTORE).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Final, Self

from kernelbal.model.text import one_line
from kernelbal.store.boot import monotonic_us

SHARE: Final = 3
"""The watchdog is answered this many times within its time."""


class Notifier:
    """Tells systemd how this service is.

    Args:
        address: of the socket; empty where nobody listens. A leading `@` stands for the abstract namespace.
        watchdog_s: within which systemd wants to hear from us; None without a watchdog.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int) -> Self:
        """Return one as `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say."""
        watchdog_s = None
        if environment.get("WATCHDOG_PID", str(pid)) == str(pid):
            with contextlib.suppress(ValueError):
                watchdog_s = int(environment.get("WATCHDOG_USEC", "")) / 1e6 or None
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ready(self, status: str) -> None:
        """Say that the service does its work, and how."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that a new configuration is being loaded; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us()}")

    def status(self, text: str) -> None:
        """Say in one line what is going on."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """Answer the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self._address:
            with contextlib.suppress(OSError):  # systemd being away or busy is no reason to fail
                self._socket.sendto(text.encode(), self._address)


def _line(text: str) -> str:
    return one_line(" ".join(text.split()))
