"""The driver of the kernel's IPVS tables."""

from __future__ import annotations

from kernelbal.kernel.ipvs.table import Info, IpvsTable, available

__all__ = ["Info", "IpvsTable", "available"]
