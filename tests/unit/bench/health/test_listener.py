"""The listener counts what it accepts."""

import socket
import subprocess
import sys


def test_connections_are_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.health.listener"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        port = int(started.stdout.readline())
        for number in range(1, 4):
            with socket.create_connection((f"127.1.0.{number}", port)) as connection:
                assert connection.recv(1) == b""
            started.stdin.write("\n")
            started.stdin.flush()
            assert int(started.stdout.readline()) == number
        started.stdin.close()
        assert started.wait(5) == 0
