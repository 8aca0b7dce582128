"""Programs in private namespaces leave no trace in those that they came from."""

import os
import socket
import sys

import pytest

from kernelbal.lab import process

pytestmark = pytest.mark.needs_root


def private(script: str) -> str:
    return process.run([sys.executable, "-m", "kernelbal.lab.private", "sh", "-ec", script]).stdout


def test_program_sees_only_its_own_loopback() -> None:
    shown = private("ip -br link; ls /sys/class/net")
    assert shown.split()[0] == "lo"
    assert "eth" not in shown
    assert private("cat /sys/class/net/lo/flags") == "0x9\n"  # IFF_UP | IFF_LOOPBACK


def test_nothing_reaches_the_outside() -> None:
    before = (socket.if_nameindex(), os.listdir("/run"), os.listdir("/run/netns"))
    private(
        "ip netns add inner; ip link add v0 type veth peer name v1; mount -t tmpfs none /tmp; touch /run/x"
    )
    assert (socket.if_nameindex(), os.listdir("/run"), os.listdir("/run/netns")) == before


def test_program_knows_that_it_is_in_a_lab() -> None:
    assert private("echo $KERNELBAL_IN_LAB") == "1\n"


def test_status_is_the_programs() -> None:
    argv = [sys.executable, "-m", "kernelbal.lab.private", "sh", "-c", "exit 9"]
    assert process.run(argv, check=False).returncode == 9
