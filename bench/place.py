"""A fresh network namespace for each contender.

IPVS keeps its tables per namespace, and what is deleted stays a while as trash that the next program finds
again: a table that was flushed and filled anew is no fresh table, and measures something else.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator
from typing import Final

from bench.apply.workload import DEVICE, DIRECTOR, Workload
from kernelbal.kernel.ipvs.sockopt import Sockopt
from kernelbal.lab import linuxns, process
from kernelbal.lab.errors import LabError

_END_LIMIT_S: Final = 120.0
_POLL_S: Final = 0.02

_numbers = itertools.count(1)


@contextlib.contextmanager
def fresh_namespace() -> Iterator[None]:
    """Put the calling thread into a new namespace with a device; on return the kernel has ended it.

    The kernel takes a namespace down in the background. The other end of its device is outside and vanishes
    last, so nothing of that work falls into the next measurement.

    Raises:
        LabError: it cannot be made, or does not end.
        OSError: the kernel refused a step.
    """
    number = next(_numbers)
    name, outer = f"bench{number}", f"outer{number}"
    linuxns.create_namespace(name)
    try:
        for argv in (
            ["link", "add", outer, "type", "veth", "peer", "name", DEVICE, "netns", name],
            ["link", "set", outer, "up"],
            ["-n", name, "link", "set", "lo", "up"],
            ["-n", name, "address", "add", DIRECTOR, "dev", DEVICE],
            ["-n", name, "link", "set", DEVICE, "up"],
        ):
            process.run(["ip", *argv])
        with linuxns.inside(name):
            yield
    finally:
        linuxns.delete_namespace(name)
        _await_end(outer)


def _await_end(device: str) -> None:
    give_up_at = time.monotonic() + _END_LIMIT_S
    while device in {name for _, name in socket.if_nameindex()}:
        if time.monotonic() > give_up_at:
            raise LabError(f"a network namespace did not end within {_END_LIMIT_S:g} s")
        time.sleep(_POLL_S)


class Counter:
    """Asks the kernel how much the namespace of the calling thread holds, at little cost."""

    def __init__(self, sockopt: Sockopt) -> None:
        self._sockopt = sockopt

    def is_full(self, workload: Workload) -> bool:
        """Return whether everything is there."""
        return self._sockopt.number_of_services() == workload.services and not self.fault(workload)

    def fault(self, workload: Workload) -> str:
        """Return what is wrong with the counts; empty if nothing is."""
        counts = self._sockopt.counts() or {}
        found = (len(counts), sum(counts.values()))
        wanted = (workload.services, workload.real_servers)
        return "" if found == wanted else f"services and real servers are {found}, not {wanted}"


@contextlib.contextmanager
def open_counter() -> Iterator[Counter]:
    """Open a counter in the network namespace of the calling thread."""
    sockopt = Sockopt.open()
    try:
        yield Counter(sockopt)
    finally:
        sockopt.close()
