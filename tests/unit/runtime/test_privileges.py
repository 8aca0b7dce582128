"""What a process has given up does not come back."""

import os
import platform
import subprocess
import sys
import textwrap

import pytest

from kernelbal.runtime.privileges import NETWORK, SYSTEM_CALLS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(scene: str) -> str:
    """Run lines of Python in a process of its own and return what it prints."""
    text = "from kernelbal.runtime.privileges import *\nimport os, socket, subprocess\n" + textwrap.dedent(
        scene
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_named_capabilities_are_left() -> None:
    said = run(
        """
        keep_capabilities(NETWORK)
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).setsockopt(socket.SOL_SOCKET, 36, 7)
        keep_capabilities([13])
        keep_capabilities(NETWORK)
        for name in ("CapEff", "CapPrm"):
            print(*[int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith(name)])
        try:
            os.setuid(1)
        except PermissionError:
            print("refused")
        """
    )
    assert said.split() == [str(1 << 13), str(1 << 13), "refused"]
    assert 13 in NETWORK


def test_programs_cannot_be_started_nor_processes_looked_into() -> None:
    assert platform.machine() in SYSTEM_CALLS, "add this machine's numbers"
    said = run(
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        child = os.fork()
        if not child:
            import time
            time.sleep(20)
        assert refuse_system_calls()
        try:
            subprocess.run(["/bin/true"])
        except PermissionError:
            print("execve")
        if libc.ptrace(16, child, 0, 0) and ctypes.get_errno() == 1:
            print("ptrace")
        if libc.unshare(0x10000000) and ctypes.get_errno() == 1:
            print("unshare")
        if libc.syscall(0x40000000 | 39) == -1 and ctypes.get_errno() == 1:
            print("x32")
        os.kill(child, 9)
        os.waitpid(child, 0)
        socket.create_server(("127.0.0.1", 0)).close()
        print("works")
        """
    )
    assert said.split() == ["execve", "ptrace", "unshare", "x32", "works"]
