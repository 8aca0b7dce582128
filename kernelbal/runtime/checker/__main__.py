"""`python -m kernelbal.runtime.checker [network|scripts] --fd=N --mark=N`: a checker.

It reads what to probe from the connected socket with the number N and writes what it found to it. It ends
when the other end is closed. One that probes only by the network, or only by scripts, gives up what the other
one needs.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from functools import partial

from kernelbal.runtime.checker.budget import limit_calls
from kernelbal.runtime.checker.loop import ProbeLoop
from kernelbal.runtime.parent import serve_parent
from kernelbal.runtime.privileges import NETWORK, SCRIPTS, keep_capabilities, refuse_system_calls


def _work(part: str, connection: socket.socket, mark: memoryview) -> None:
    if part == "scripts":
        keep_capabilities(SCRIPTS)
    elif part == "network":
        keep_capabilities(NETWORK)
        refuse_system_calls()
    limit_calls(mark)
    ProbeLoop(connection, random.Random(os.urandom(16)), mark).run()  # noqa: S311 - jitter is no secret


if __name__ == "__main__":
    first = sys.argv[1]
    named = first in ("network", "scripts")
    sys.exit(serve_parent("checker", sys.argv[1 + named :], partial(_work, first if named else "")))
