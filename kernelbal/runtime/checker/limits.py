"""What the checker does to its own process: limits, and ending with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
from typing import Final

SPARE_DESCRIPTORS: Final = 256
"""Descriptors beside one for each probe."""
_PR_SET_PDEATHSIG: Final = 1


def raise_descriptors(probes: int) -> None:
    """Raise the limit of descriptors to what this number of probes may need, as far as that is allowed."""
    needed = probes + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    if hard < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def end_with_parent() -> None:
    """Get SIGTERM when the director is gone, also when something else holds the connection open."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
