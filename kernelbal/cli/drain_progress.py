"""How far a drain is: connections left, and when they will be gone at the rate at which they go."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernelbal.model.units import age

if TYPE_CHECKING:
    from kernelbal.model.status import DirectorStatus, OrderAnswer, ServerStatus, ServiceStatus

WINDOW_S = 60.0
"""The rate is taken over this time."""

Watched = frozenset[tuple[str, str, int]]


@dataclass
class DrainProgress:
    """Connections that are left, look by look.

    Attributes:
        most: the most there were.
        left: how many there are.
    """

    most: int = 0
    left: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, left: int, now: float) -> None:
        """Take in how many are left at an instant, in seconds."""
        self.left = left
        self.most = max(self.most, left)
        self._seen.append((now, left))
        while self._seen[0][0] < now - WINDOW_S:
            self._seen.popleft()

    @property
    def eta_s(self) -> float | None:
        """Seconds until none is left at the rate of the last minute; None while it does not fall."""
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        if last == 0:
            return 0.0
        if last_at <= first_at or last >= first:
            return None
        return last * (last_at - first_at) / (first - last)

    def text(self, cut_s: float | None) -> str:
        """Return one line; `cut_s` is when what is left is cut."""
        parts = [f"{self.left} of {self.most} connections left"]
        eta = self.eta_s
        if self.left:
            parts.append("ETA unknown" if eta is None else f"ETA {age(eta)}")
        if cut_s is not None and self.left:
            parts.append(f"cut in {age(cut_s)}")
        return ", ".join(parts)


def watched(answer: OrderAnswer) -> Watched:
    """Return which real servers an order was about."""
    pairs = zip(answer.services, answer.servers, strict=True)
    return frozenset((service, server.address, server.port) for service, server in pairs)


def connections_left(protocol: str, server: ServerStatus) -> int:
    """Return how many connections a drain waits for.

    Inactive TCP connections have ended, and the kernel only remembers them; of other protocols
    it calls every connection inactive.
    """
    return server.active if protocol == "tcp" else server.active + server.inactive


def find(status: DirectorStatus, wanted: Watched) -> list[tuple[ServiceStatus, ServerStatus]]:
    """Return the real servers that are watched, each with its virtual service."""
    return [
        (service, server)
        for service in status.virtual_services
        for server in service.real_servers
        if (service.name, server.address, server.port) in wanted
    ]
