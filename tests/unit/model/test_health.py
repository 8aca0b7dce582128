"""What is probed, in words."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.health import Probe, Target, Timing
from kernelbal.model.site.check import HttpCheck, IcmpCheck, ProbeProtocol


@pytest.mark.parametrize(
    ("protocol", "port", "described"),
    [(HttpCheck(), 80, "check http of fd00::11 port 80"), (IcmpCheck(), 0, "check icmp of fd00::11")],
)
def test_a_probe_is_described_by_its_protocol_and_real_server(
    protocol: ProbeProtocol, port: int, described: str
) -> None:
    target = Target(parse_address("192.0.2.10"), port, "web", parse_address("fd00::11"))
    assert Probe("key", protocol, target, Timing(9.0, 4.0)).described == described
