"""Being somebody else than root for a moment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drop the effective user, and with it every capability, until the block ends."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
