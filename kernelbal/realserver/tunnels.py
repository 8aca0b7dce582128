"""Which device unwraps what: one row per encapsulation and pair of families.

The virtual address goes on that device and not on `lo`: IPv4 drops packets of a device without addresses as
soon as `rp_filter` is not 0 (`__fib_validate_source`), and with an address it takes 2. So the rest of the
host keeps its protection.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kernelbal.model.address import Address
from kernelbal.model.ipvs import TunnelType
from kernelbal.realserver.preparation import Encapsulation

OWN_DEVICE: Final = "kernelbal6"
"""An `ip6tnl` of our own: the kernel's `ip6tnl0` takes no IPv4."""


class Unwrapping(NamedTuple):
    """What unwraps packets on a real server.

    Attributes:
        device: name of the tunnel device.
        kind: its rtnetlink kind.
        module: kernel module that brings it.
    """

    device: str
    kind: str
    module: str


_TUNL0: Final = Unwrapping("tunl0", "ipip", "ipip")
_SIT0: Final = Unwrapping("sit0", "sit", "sit")
_IP6TNL0: Final = Unwrapping("ip6tnl0", "ip6tnl", "ip6_tunnel")
_OWN: Final = Unwrapping(OWN_DEVICE, "ip6tnl", "ip6_tunnel")
_GRE0: Final = Unwrapping("gre0", "gre", "ip_gre")
_IP6GRE0: Final = Unwrapping("ip6gre0", "ip6gre", "ip6_gre")

_BY_FAMILIES: Final = {(4, 4): _TUNL0, (4, 16): _SIT0, (16, 16): _IP6TNL0, (16, 4): _OWN}
"""By length of the outer and of the inner address."""

DEVICES: Final = tuple(sorted({each.device for each in (*_BY_FAMILIES.values(), _GRE0, _IP6GRE0)}))
"""Names of all devices that unwrap."""


def unwrapping(tunnel: Encapsulation, virtual: Address, real: Address) -> Unwrapping:
    """Return what unwraps packets for `virtual` that were sent to `real`."""
    if tunnel.kind is TunnelType.GRE:
        return _GRE0 if len(real) == 4 else _IP6GRE0
    return _BY_FAMILIES[len(real), len(virtual)]
