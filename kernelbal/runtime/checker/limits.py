"""The limit of descriptors of the checker's own process."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

SPARE_DESCRIPTORS: Final = 256
"""Descriptors beside one for each probe."""


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
