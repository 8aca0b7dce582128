"""Naming a scenario costs nothing."""

import subprocess
import sys

from kernelbal.lab.demo.names import REQUESTS


def test_import_is_light() -> None:
    code = "import sys, kernelbal.lab.demo.names; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "pyroute2", "yaml", "asyncio"} & set(done.stdout.split()) == set()


def test_requests_come_out_even() -> None:
    assert REQUESTS == 200
    assert REQUESTS % (5 + 3 + 2) == 0
