"""The driver of the kernel's IPVS tables."""

from __future__ import annotations

from kernelbal.kernel.ipvs.connections import ConnectionFilter, read_connections
from kernelbal.kernel.ipvs.table import Info, IpvsTable, available

__all__ = [
    "ConnectionFilter",
    "Info",
    "IpvsTable",
    "available",
    "read_connections",
]
