"""Which sysctls must be read for a desired state."""

from kernelbal.model.network import Sysctl
from kernelbal.model.state import DesiredState


def test_sysctls_are_read_with_those_that_count_beside_them() -> None:
    state = DesiredState(
        sysctls=(
            Sysctl("net/ipv4/ip_forward", "1", "why"),
            Sysctl("net/ipv4/conf/eth1/rp_filter", "2", "why", beside="net/ipv4/conf/all/rp_filter"),
        )
    )
    assert state.sysctl_paths == {
        "net/ipv4/ip_forward",
        "net/ipv4/conf/eth1/rp_filter",
        "net/ipv4/conf/all/rp_filter",
    }
