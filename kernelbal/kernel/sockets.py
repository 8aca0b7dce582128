"""Sockets and libraries that drivers share, opened when first needed in the namespace of that moment."""

from __future__ import annotations

from contextlib import ExitStack

from kernelbal.errors import NotSupported
from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.kernel.modules import IPVS, load_module
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.rtnetlink import RtNetlink


class OpenSockets:
    """One of each."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ipvs: IpvsTable | None = None
        self._rtnetlink: RtNetlink | None = None
        self._nftables: Nftables | None = None
        self._tried_to_load = False

    def close(self) -> None:
        """Close what was opened; the kernel's state stays as it is."""
        self._stack.close()
        self._ipvs = self._rtnetlink = self._nftables = None

    @property
    def ipvs(self) -> IpvsTable:
        """The IPVS table; the module is loaded when the kernel has it and did not load it by itself.

        Raises:
            NotSupported: the kernel has no IPVS, or its module cannot be loaded.
        """
        if self._ipvs is None:
            self._ipvs = self._stack.enter_context(self._open_ipvs())
        return self._ipvs

    def _open_ipvs(self) -> IpvsTable:
        try:
            return IpvsTable.open()
        except NotSupported:
            if self._tried_to_load:
                raise
            self._tried_to_load = True
            if not load_module(IPVS).loaded:
                raise
        return IpvsTable.open()

    @property
    def rtnetlink(self) -> RtNetlink:
        """The rtnetlink socket.

        Raises:
            KernelError: the kernel refuses it.
        """
        if self._rtnetlink is None:
            self._rtnetlink = self._stack.enter_context(RtNetlink.open())
        return self._rtnetlink

    @property
    def nftables(self) -> Nftables:
        """The nftables library.

        Raises:
            NotSupported: it is not installed.
        """
        if self._nftables is None:
            self._nftables = Nftables.open()
        return self._nftables
