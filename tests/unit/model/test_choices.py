"""How the words of documents map to the kernel's numbers."""

from kernelbal.model.choices import (
    ForwardingName,
    ProtocolName,
    Scheduler,
    SchedulerFlag,
    TunnelChecksum,
    TunnelTypeName,
)
from kernelbal.model.ipvs import Forwarding, Protocol, ServiceFlag, TunnelFlag, TunnelType


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
