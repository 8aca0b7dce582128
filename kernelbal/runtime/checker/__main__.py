"""`python -m kernelbal.runtime.checker --fd=N`: the checker, as the director starts it.

It reads what to probe from the connected socket with the number N and writes what it found to it. It ends
when the other end is closed.
"""

from __future__ import annotations

import os
import random
import socket
import sys

from kernelbal.runtime.checker.loop import ProbeLoop
from kernelbal.runtime.parent import serve_parent


def _work(connection: socket.socket) -> None:
    ProbeLoop(connection, random.Random(os.urandom(16))).run()  # noqa: S311 - jitter is no secret


if __name__ == "__main__":
    sys.exit(serve_parent("checker", sys.argv[1:], _work))
