"""What was measured: one JSON document per line between the guest and whoever judges it."""

from __future__ import annotations

import json
from enum import Enum
from typing import NamedTuple

from kernelbal.lab.errors import GuestFailed

_QUOTED_CHARACTERS = 200


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


def encode(sample: Sample) -> str:
    """Return a sample as one line."""
    return json.dumps([sample.measure.value, *sample[1:]]) + "\n"


def decode(line: str) -> Sample:
    """Return the sample that a line holds.

    Raises:
        GuestFailed: it holds none.
    """
    try:
        measure, services, repeat, wall_s, cpu_s, peak_rss_mib, fault = json.loads(line)
        return Sample(
            Measure(measure),
            int(services),
            int(repeat),
            float(wall_s),
            None if cpu_s is None else float(cpu_s),
            None if peak_rss_mib is None else float(peak_rss_mib),
            str(fault),
        )
    except (ValueError, TypeError) as error:
        raise GuestFailed(
            f"the benchmark said something else than samples: {line[:_QUOTED_CHARACTERS]!r}"
        ) from error
