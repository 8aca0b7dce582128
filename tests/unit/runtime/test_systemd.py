"""What systemd is told."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernelbal.runtime.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def test_each_message_is_one_datagram_of_lines(manager: socket.socket) -> None:
    with closing(Notifier(manager.getsockname())) as notifier:
        notifier.ready("two\nlines")
        notifier.status("busy")
        notifier.alive()
        notifier.reloading()
        notifier.stopping()
    got = [manager.recv(4096).decode() for _ in range(5)]
    assert got[:3] == ["READY=1\nSTATUS=two lines", "STATUS=busy", "WATCHDOG=1"]
    assert got[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert int(got[3].rpartition("=")[2]) > 0
    assert got[4] == "STOPPING=1"


def test_abstract_addresses_are_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0kernelbal-test-notify")
        with closing(Notifier("@kernelbal-test-notify")) as notifier:
            notifier.alive()
        assert listening.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_nobody_listening_disturbs_nobody(address: str) -> None:
    with closing(Notifier(address)) as notifier:
        notifier.ready("x")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_ours_or_not(environment: dict[str, str], seconds: float | None) -> None:
    with closing(Notifier.from_environment(environment, 7)) as notifier:
        assert notifier.watchdog_s == seconds
