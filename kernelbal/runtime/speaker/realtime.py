"""The speaker before all other processes: real-time scheduling and memory that is never paged out.

Where the host does not allow it, the speaker goes on without, and says so: a busy host may then take the role
from it for nothing.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
from functools import partial
from typing import Final

from kernelbal.kernel.netns import checked, libc

LOG: Final = logging.getLogger(__name__)
PRIORITY: Final = 50
"""Of SCHED_RR, from 1 to 99: above programs, below what the kernel runs for its devices."""
MOST_RUN_US: Final = 100_000
"""Processor time without a wait, after which the speaker is no longer before all others: an error of its own
must not take the processor away from the host (`RLIMIT_RTTIME`)."""
MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2


def become_realtime(most_run_us: int = MOST_RUN_US) -> list[str]:
    """Ask for what keeps the speaker on time; return what was refused, in words.

    Args:
        most_run_us: processor time without a wait that it may take, in microseconds.
    """
    refused = []
    for what, ask in (("SCHED_RR", partial(_schedule, most_run_us)), ("mlockall", _lock_memory)):
        try:
            ask()
        except OSError as error:
            refused.append(f"{what}: {error.strerror}")
    return refused


def _schedule(most_run_us: int) -> None:
    signal.signal(signal.SIGXCPU, _step_back)
    resource.setrlimit(resource.RLIMIT_RTTIME, (most_run_us, resource.RLIM_INFINITY))
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))


def _step_back(*_: object) -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    LOG.error("vrrp.realtime_ended reason=ran_%d_ms_without_a_wait", MOST_RUN_US // 1000)


def _lock_memory() -> None:
    checked(libc.mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall")
