"""The vocabulary: how it maps to the kernel, and that values are checked one by one."""

import pytest
from pydantic import ValidationError

from kernelbal.model.ipvs import Forwarding, Protocol, ServiceFlag, TunnelFlag, TunnelType
from kernelbal.model.site import (
    ForwardingName,
    ProtocolName,
    RealServer,
    Scheduler,
    SchedulerFlag,
    TunnelChecksum,
    TunnelTypeName,
)

WEB = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}


def test_names_map_to_the_kernels_numbers() -> None:
    assert {name.value: name.number for name in ProtocolName} == {
        "tcp": Protocol.TCP,
        "udp": Protocol.UDP,
        "sctp": Protocol.SCTP,
    }
    assert {name.value: name.number for name in ForwardingName} == {
        "nat": Forwarding.NAT,
        "dsr": Forwarding.DSR,
        "tunnel": Forwarding.TUNNEL,
    }
    assert {name.value: name.number for name in TunnelTypeName} == {
        "ipip": TunnelType.IPIP,
        "gue": TunnelType.GUE,
        "gre": TunnelType.GRE,
    }
    assert {name.value: name.flag for name in TunnelChecksum} == {
        "none": TunnelFlag.NOCSUM,
        "full": TunnelFlag.CSUM,
        "remote": TunnelFlag.REMCSUM,
    }


def test_scheduler_flags_name_their_scheduler_and_bit() -> None:
    assert {flag.value: (flag.scheduler, flag.bit) for flag in SchedulerFlag} == {
        "sh-fallback": (Scheduler.SH, ServiceFlag.SCHED1),
        "sh-port": (Scheduler.SH, ServiceFlag.SCHED2),
        "mh-fallback": (Scheduler.MH, ServiceFlag.SCHED1),
        "mh-port": (Scheduler.MH, ServiceFlag.SCHED2),
    }


@pytest.mark.parametrize("weight", [-1, 65536, "5", 5.0, True, None])
def test_weight_is_a_whole_number_in_range(weight: object) -> None:
    with pytest.raises(ValidationError):
        RealServer.model_validate({"address": "10.0.0.1", "weight": weight})
