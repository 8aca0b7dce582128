"""`python -m kernelbal.runtime.checker --fd=N`: the checker, as the director starts it.

It reads what to probe from the connected socket with the number N and writes what it found to it. It ends
when the other end is closed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import sys

from kernelbal.health.wire import WireError
from kernelbal.runtime.checker.limits import end_with_parent
from kernelbal.runtime.checker.loop import Checker


def main(argv: list[str]) -> int:
    """Probe until the director is gone, and return the exit status."""
    parser = argparse.ArgumentParser(prog="kernelbal.runtime.checker")
    parser.add_argument("--fd", type=int, required=True, help="connected socket to the director")
    arguments = parser.parse_args(argv)
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the director decides
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with socket.socket(fileno=arguments.fd) as connection:
        connection.setblocking(False)
        try:
            Checker(connection, random.Random(os.urandom(16))).run()  # noqa: S311 - jitter is no secret
        except WireError as error:
            sys.stderr.write(f"checker: {error.message}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
