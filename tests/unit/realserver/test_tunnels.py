"""Which device unwraps what; that they do is proved in tests/lab/test_realserver.py."""

import pytest

from kernelbal.realserver.preparation import Encapsulation
from kernelbal.realserver.tunnels import unwrapping
from tests.unit.realserver.samples import GRE, GUE, IPIP, REAL, REAL6, VIP, VIP6


@pytest.mark.parametrize(
    ("tunnel", "virtual", "real", "device", "overhead"),
    [
        (IPIP, VIP, REAL, "tunl0", 20),
        (IPIP, VIP6, REAL, "sit0", 20),
        (IPIP, VIP6, REAL6, "ip6tnl0", 40),
        (IPIP, VIP, REAL6, "kernelbal6", 40),
        (GRE, VIP, REAL, "gre0", 28),
        (GRE, VIP6, REAL, "gre0", 28),
        (GRE, VIP, REAL6, "ip6gre0", 48),
        (GUE, VIP, REAL, "tunl0", 40),
        (GUE, VIP6, REAL6, "ip6tnl0", 60),
    ],
)
def test_device_and_overhead(
    tunnel: Encapsulation, virtual: bytes, real: bytes, device: str, overhead: int
) -> None:
    found = unwrapping(tunnel, virtual, real)  # type: ignore[arg-type] # addresses are bytes
    assert (found.device, found.overhead_bytes) == (device, overhead)
