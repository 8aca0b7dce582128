"""Packet counters of devices and of IPVS, read on the host that counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernelbal.lab.namespaces import Host

# `/proc/net` is the network of the process; these are read by a thread that has gone to another one.
_DEVICES: Final = Path("/proc/thread-self/net/dev")
_IPVS_BY_CPU: Final = Path("/proc/thread-self/net/ip_vs_stats_percpu")
"""Exact at any moment; the totals in `ip_vs_stats` are renewed every two seconds."""
_RECEIVED, _SENT = 1, 9
"""Columns of packets in /proc/net/dev, after the device's name."""
_IN, _OUT = 2, 3
"""Columns of packets in the IPVS statistics, after CPU and connections; hexadecimal."""


class Packets(NamedTuple):
    """Packets sent and received, or for IPVS: forwarded back and forwarded in."""

    sent: int
    received: int

    def since(self, before: Packets) -> Packets:
        """Return what has been added."""
        return Packets(self.sent - before.sent, self.received - before.received)


class Reading(NamedTuple):
    """All counters of a lab at one moment."""

    client: Packets
    director: Packets
    real_servers: Packets
    ipvs: Packets

    def since(self, before: Reading) -> Reading:
        """Return what has been added."""
        return Reading(*(now.since(then) for now, then in zip(self, before, strict=True)))


def read_counters(client: Host, director: Host, real_servers: Iterable[Host]) -> Reading:
    """Return the counters of a lab; those of several real servers are added up.

    Raises:
        OSError: the director's kernel has no IPVS.
    """
    return Reading(
        _device_packets(client),
        _device_packets(director),
        total(_device_packets(server) for server in real_servers),
        _ipvs_packets(director),
    )


def total(packets: Iterable[Packets]) -> Packets:
    """Return the sum."""
    counted = list(packets)
    return Packets(sum(p.sent for p in counted), sum(p.received for p in counted))


def _device_packets(host: Host) -> Packets:
    with host.inside():
        return parse_devices(_DEVICES.read_text(encoding="ascii"))


def parse_devices(text: str) -> Packets:
    """Return the sum over the Ethernet devices in the text of /proc/net/dev.

    What a tunnel device counts, the Ethernet device below it has counted too.
    """
    rows = [line.replace(":", " ").split() for line in text.splitlines()[2:]]
    cables = [row for row in rows if row[0].startswith("eth")]
    return total(Packets(int(row[1 + _SENT]), int(row[1 + _RECEIVED])) for row in cables)


def _ipvs_packets(host: Host) -> Packets:
    with host.inside():
        return parse_ipvs(_IPVS_BY_CPU.read_text(encoding="ascii"))


def parse_ipvs(text: str) -> Packets:
    """Return the sum over all CPUs in the text of /proc/net/ip_vs_stats_percpu.

    The rows of CPUs begin with a number, the row of totals with `~`; rates follow after an empty line.
    """
    rows = []
    for line in text.splitlines()[2:]:
        row = line.split()
        if not row or row[0] == "~":
            break
        rows.append(row)
    return total(Packets(int(row[_OUT], 16), int(row[_IN], 16)) for row in rows)
