"""How much processor time one call for one probe may take, and who knows which one runs.

While the checker works for a probe, its mark, a number in memory that it shares with its parent, is that of
this probe. Both limits count the processor time of the checker alone: on a machine that is busy or suspended
no call is taken for one that hangs. A call that waits for the kernel uses none; the parent notices silence.
"""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from hashlib import blake2b
from types import FrameType
from typing import Final

CALL_S: Final = 0.4
"""Processor time after which a call may be cut off, in seconds; at twice as much it is."""
SHARE_LOOKS: Final = 6
SHARE_WITHIN_S: Final = 10.0
"""A probe found running at so many looks, one per `CALL_S`, within so many seconds has used a quarter of a
processor: its calls are cut off as well, however short each one is."""
STUCK_S: Final = 5.0
"""Processor time after which the kernel ends a checker whose interpreter has not had its turn, in seconds.

Longer than anything takes that is done without interruption for all probes at once.
"""
_LATE: Final = 1 << 63
"""Set in the mark of a call that was found running once."""


class CallOverrun(BaseException):
    """A call for one probe has used up its processor time."""


def mark_of(key: str) -> int:
    """Return the mark of a probe, 1 or more."""
    return 1 + int.from_bytes(blake2b(key.encode(), digest_size=7).digest())


def is_marked(key: str, mark: int) -> bool:
    """Return whether a mark, as a parent finds it, is that of a probe."""
    return mark & ~_LATE == mark_of(key)


def limit_calls(mark: memoryview) -> None:
    """Have calls for probes cut off, in this process from now on; to be called in its main thread.

    One that does not return to the interpreter cannot be, and ends this process by SIGVTALRM.
    """
    found: deque[tuple[float, int]] = deque(maxlen=math.ceil(SHARE_WITHIN_S / CALL_S))

    def look(_number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, STUCK_S)
        running = mark[0]
        if running & _LATE:
            raise CallOverrun
        if running:
            mark[0] = running | _LATE
            now = time.monotonic()
            found.append((now, running))
            if sum(each == running and now - at < SHARE_WITHIN_S for at, each in found) >= SHARE_LOOKS:
                raise CallOverrun

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, STUCK_S)
    signal.setitimer(signal.ITIMER_PROF, CALL_S, CALL_S)
