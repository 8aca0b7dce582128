"""`python -m bench.health.listener`: accepts and closes connections, and counts them.

Prints the port it listens on, and for each line on standard input how many connections it has accepted: what
was really checked, whatever the one who checks says.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys

_BACKLOG = 4096


def main() -> None:
    """Listen on all addresses until standard input ends."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("0.0.0.0", 0))  # noqa: S104 - every address of the guest's loopback network
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        _say(listening.getsockname()[1])
        _serve(listening)


def _serve(listening: socket.socket) -> None:
    accepted = 0
    poller = select.poll()
    poller.register(listening, select.POLLIN)
    poller.register(sys.stdin, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if listening.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listening.accept()[0].close()
                    accepted += 1
        if sys.stdin.fileno() in ready:
            if not os.read(sys.stdin.fileno(), 4096):
                return
            _say(accepted)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
