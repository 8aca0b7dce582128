"""Facts about the running system: which boot it is, how long it has run, how much memory it has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from kernelbal.errors import StateError

PROC: Final = Path("/proc")


def boot_id(proc: Path = PROC) -> str:
    """Return the random identifier of this boot (`random(4)`).

    Raises:
        StateError: /proc is not mounted.
    """
    return _read(proc / "sys/kernel/random/boot_id").strip()


def boot_clock_s() -> float:
    """Return seconds since boot, time asleep included (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def monotonic_us() -> int:
    """Return microseconds on CLOCK_MONOTONIC, the clock that systemd compares with."""
    return time.monotonic_ns() // 1000


def wall_clock_s() -> float:
    """Return seconds since 1970: the clock of what must be understood after a reboot."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def total_memory_bytes(proc: Path = PROC) -> int:
    """Return the memory that the kernel manages, in bytes.

    Raises:
        StateError: /proc is not mounted.
    """
    for line in _read(proc / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    raise StateError("/proc/meminfo has no MemTotal")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}", "mount /proc") from error
