"""`python -m bench.status.reader SOCKET TARGET PARALLEL REPEAT`: read from the control API, as many at once.

A process of its own, so that reading costs the director's loop nothing. All are connected before one asks.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

_RECEIVED_BYTES = 1 << 20


class Reading(NamedTuple):
    """How reading went.

    Attributes:
        median_s: from the request to the last byte of the answer.
        longest_s: the same, of the slowest.
        answer_bytes: size of an answer, with its head.
    """

    median_s: float
    longest_s: float
    answer_bytes: int


async def read(path: Path, target: str, *, parallel: int = 1, repeat: int = 1) -> Reading:
    """Let readers ask in a process of their own."""
    words = (sys.executable, "-m", "bench.status.reader", str(path), target, str(parallel), str(repeat))
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return Reading(*json.loads(output))


def main(path: str, target: str, parallel: int, repeat: int) -> Reading:
    """Ask, in threads.

    Raises:
        ConnectionError: an answer was none.
    """
    found: list[tuple[float, int]] = []
    at_once = threading.Barrier(parallel)

    def ask() -> None:
        for _ in range(repeat):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                at_once.wait()
                found.append(_asked(connection, target))

    threads = [threading.Thread(target=ask) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < parallel * repeat:
        raise ConnectionError(f"{parallel * repeat - len(found)} readers got no answer")
    took = [each for each, _ in found]
    return Reading(median(took), max(took), found[0][1])


def _asked(connection: socket.socket, target: str) -> tuple[float, int]:
    began = time.perf_counter()
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head = connection.recv(_RECEIVED_BYTES)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"answered with {head[:40]!r}")
    count = len(head)
    while part := connection.recv(_RECEIVED_BYTES):
        count += len(part)
    return time.perf_counter() - began, count


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
