"""What this boot of the machine is called, how long it runs, and how much memory it has."""

from __future__ import annotations

import os
import time
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's random name for this boot (`random(4)`)."""
    return BOOT_ID_FILE.read_text(encoding="ascii").strip()


def boot_clock() -> float:
    """Return seconds since boot, time asleep included (`CLOCK_BOOTTIME`)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def total_memory_bytes() -> int:
    """Return the memory of the machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
