"""The targets that both contenders check: addresses of the loopback network, on which one program listens."""

from __future__ import annotations

import hashlib
from typing import Final

from kernelbal.model.address import Address, format_address
from kernelbal.model.health import Probe, Target, Timing
from kernelbal.model.site.check import TcpCheck

INTERVAL_S: Final = 5.0
TIMEOUT_S: Final = 4.0
JITTER_S: Final = 0.25
"""Five per cent of the interval, as checks have by default."""
SERVERS_PER_SERVICE: Final = 10
MAX_TARGETS: Final = 50_000
_FIRST: Final = int.from_bytes(bytes((127, 1, 0, 1)))
_VIRTUAL: Final = "203.0.113.1"
_FIRST_VIRTUAL_PORT: Final = 10001


def addresses(targets: int) -> list[Address]:
    """Return the addresses of so many targets."""
    return [Address((_FIRST + number).to_bytes(4)) for number in range(targets)]


def probes(targets: int, port: int) -> dict[str, Probe]:
    """Return TCP connects to all targets, as the director asks its checker for them."""
    protocol = TcpCheck()
    timing = Timing(INTERVAL_S, TIMEOUT_S, 1, 3, JITTER_S)
    found = (
        Probe(
            hashlib.blake2b(address, digest_size=16).hexdigest(),
            protocol,
            Target(address, port, _VIRTUAL, address),
            timing,
        )
        for address in addresses(targets)
    )
    return {probe.key: probe for probe in found}


def keepalived_conf(targets: int, port: int) -> str:
    """Return the same for keepalived: `warmup` spreads its first checks over one interval."""
    lines: list[str] = []
    for number, address in enumerate(addresses(targets)):
        if number % SERVERS_PER_SERVICE == 0:
            lines += ["}"] if number else []
            lines.append(
                f"virtual_server {_VIRTUAL} {_FIRST_VIRTUAL_PORT + number // SERVERS_PER_SERVICE} {{"
            )
            lines += ["    lvs_sched wlc", "    lvs_method NAT", "    protocol TCP"]
            lines += [f"    delay_loop {INTERVAL_S:g}"]
        lines += [
            f"    real_server {format_address(address)} {port} {{",
            f"        TCP_CHECK {{\n            connect_timeout {TIMEOUT_S:g}",
            f"            warmup {INTERVAL_S:g}\n        }}\n    }}",
        ]
    return "\n".join([*lines, "}"]) + "\n"
