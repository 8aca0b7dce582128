"""What is measured of a whole site."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Measure(Enum):
    """What is measured; the order is that of the table."""

    NETLINK_PROGRAM = "netlink_program"
    NETLINK_READ = "netlink_read"
    IPVSADM_RESTORE = "ipvsadm_restore"
    IPVSADM_SAVE = "ipvsadm_save"
    KEEPALIVED_START = "keepalived_start"
    APPLY = "apply"
    APPLY_CHANGE_ONE = "apply_change_one"
    HELP = "help"


class Sample(NamedTuple):
    """One measurement.

    Attributes:
        services: size of the workload; 0 where it does not matter.
        repeat: from 1 on.
        wall_s: real time.
        cpu_s: processor time in user and kernel mode; None where it is not known.
        peak_rss_mib: largest resident set of the program; None where it is not known.
        fault: why it does not count; empty if it does.
    """

    measure: Measure
    services: int
    repeat: int
    wall_s: float
    cpu_s: float | None = None
    peak_rss_mib: float | None = None
    fault: str = ""
