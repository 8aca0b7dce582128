"""A real server's kernel and files: what is read of them, and the slice of kinds that is changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from kernelbal.errors import NotPermitted
from kernelbal.kernel.interface import Kernel
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.plan.action import AS_ROOT, Action
from kernelbal.plan.kind import NOTHING, AnyKind
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.files import FILES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.sysctls import ROUTES, SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.realserver.files import FILES_DRIVER
from kernelbal.realserver.setup import TABLES as OUR_TABLES
from kernelbal.realserver.setup import HostState

_FACTS: Final[tuple[AnyKind, ...]] = (LINKS, ADDRESSES, ROUTING, LISTENERS)


class LinuxHost(LinuxKernel):
    """The running kernel, and the files of this machine."""

    def __init__(self) -> None:
        super().__init__({FILES.name: FILES_DRIVER})

    def check(self, actions: Sequence[Action]) -> None:
        """Find out whether actions could not be performed; see `Kernel.check`.

        Raises:
            NotPermitted: this is not root.
        """
        if actions and os.geteuid() != 0:
            raise NotPermitted("change this host", "", errno.EPERM, "only root may change this host", AS_ROOT)
        super().check(actions)


def read_host(kernel: Kernel) -> HostState:
    """Read devices, addresses, routes and GUE listeners: what a setup is made from.

    Raises:
        KernelError: something cannot be read.
    """
    found = kernel.observe(dict.fromkeys(_FACTS))
    listeners = found.of(LISTENERS)
    return HostState(
        links=found.of(LINKS),
        addresses=found.of(ADDRESSES),
        routes=found.of(ROUTES),
        listeners=frozenset(listeners),
    )


def read_more(kernel: Kernel, host: HostState, sysctls: Collection[str], *, tables: bool) -> HostState:
    """Return `host` with sysctls by path, and (with `tables`) our nftables tables.

    Raises:
        KernelError: something cannot be read, or libnftables is missing.
    """
    found = kernel.observe({SYSCTLS: sysctls, TABLES: OUR_TABLES if tables else NOTHING})
    return replace(host, sysctls=found.of(SYSCTLS), tables=tuple(found.of(TABLES).values()))
