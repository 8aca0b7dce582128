"""`python -m kernelbal.lab.private PROGRAM ARGUMENT...`: become a program in private namespaces."""

from __future__ import annotations

import os
import sys

from kernelbal.lab import linuxns
from kernelbal.lab.namespaces import IN_LAB_VARIABLE


def main(argv: list[str]) -> None:
    """Enter private namespaces, bring up the loopback device and become `argv`.

    Raises:
        OSError: no right to make namespaces, or no such program.
    """
    from pyroute2 import IPRoute

    linuxns.enter_private_namespaces()
    with IPRoute() as ip:
        ip.link("set", index=1, state="up")  # lo is device 1 of every network namespace
    os.environ[IN_LAB_VARIABLE] = "1"
    os.execvp(argv[0], argv)  # noqa: S606 - becoming the given program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
