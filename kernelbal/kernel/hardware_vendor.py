"""The vendor of a MAC address, by the IEEE registry that comes with `netaddr`; nothing is sent."""

from __future__ import annotations

from typing import Final

LOCALLY_ADMINISTERED: Final = "locally administered: a virtual machine, a container or a bond"
UNREGISTERED: Final = "vendor unknown"
_LOCAL_BIT: Final = 0x02
"""Of the first byte: not given by the IEEE (IEEE 802-2014 section 8.4)."""


def vendor_of(hardware: str) -> str:
    """Return the organization that a MAC address such as `00:50:56:12:34:56` is registered for."""
    if int(hardware[:2], 16) & _LOCAL_BIT:
        return LOCALLY_ADMINISTERED
    from netaddr import EUI, NotRegisteredError  # slow to import: it reads an index of the registry

    try:
        return str(EUI(hardware).oui.registration().org)
    except NotRegisteredError:
        return UNREGISTERED
