"""Which device unwraps what; that they do is proved in tests/lab/test_realserver.py."""

import pytest

from kernelbal.realserver.preparation import Encapsulation
from kernelbal.realserver.tunnels import unwrapping
from tests.support.realserver_host import GRE, GUE, IPIP, REAL, REAL6, VIP, VIP6


@pytest.mark.parametrize(
    ("tunnel", "virtual", "real", "device"),
    [
        (IPIP, VIP, REAL, "tunl0"),
        (IPIP, VIP6, REAL, "sit0"),
        (IPIP, VIP6, REAL6, "ip6tnl0"),
        (IPIP, VIP, REAL6, "kernelbal6"),
        (GRE, VIP, REAL, "gre0"),
        (GRE, VIP6, REAL, "gre0"),
        (GRE, VIP, REAL6, "ip6gre0"),
        (GUE, VIP, REAL, "tunl0"),
        (GUE, VIP6, REAL6, "ip6tnl0"),
    ],
)
def test_device(tunnel: Encapsulation, virtual: bytes, real: bytes, device: str) -> None:
    assert unwrapping(tunnel, virtual, real).device == device  # type: ignore[arg-type] # addresses are bytes
