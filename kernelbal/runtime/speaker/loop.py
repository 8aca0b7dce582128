"""The speaker's process: waits for packets and for time, and for the signal that ends it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kernelbal.runtime.speaker.linux import LinuxSpeakerKernel
from kernelbal.runtime.speaker.realtime import become_realtime
from kernelbal.runtime.speaker.speaker import Speaker
from kernelbal.store.codec import Codec
from kernelbal.vrrp.plan import RolePlan
from kernelbal.vrrp.timers import NS_PER_S

LOG: Final = logging.getLogger(__name__)
ENDING: Final = (signal.SIGTERM, signal.SIGINT)
LONGEST_WAIT_S: Final = 60.0


def serve(plan: RolePlan) -> None:
    """Speak for a plan until a signal ends it; the partner is told, and the addresses are released.

    Raises:
        KernelError: a socket is refused, or a device is not there.
    """
    with LinuxSpeakerKernel(plan) as kernel, _ended() as ended, _no_collection():
        for refused in become_realtime():
            LOG.warning("vrrp.not_realtime refused=%s", refused.replace(" ", "_"))
        speaker = Speaker(plan, kernel)
        speaker.start(kernel.look(), time.monotonic_ns())
        _run(speaker, kernel, ended)
        speaker.stop(time.monotonic_ns())
        _report(speaker)


def _run(speaker: Speaker, kernel: LinuxSpeakerKernel, ended: int) -> None:
    while True:
        names = {wire.fileno(): name for name, wire in kernel.wires.items()}
        waiting = [ended, kernel.notices.fileno(), *names]
        _report(speaker)
        # select() counts microseconds, and poll() milliseconds: too coarse for advertisements every 10 ms.
        ready, _, _ = select.select(waiting, (), (), _wait_s(speaker.due_at_ns))
        if ended in ready:
            return
        for descriptor in ready:
            if descriptor in names:
                name = names[descriptor]
                speaker.hear(name, kernel.wires[name].receive(), time.monotonic_ns())
        speaker.tick(time.monotonic_ns())
        if kernel.notices.fileno() in ready and kernel.notices.read():
            speaker.look(kernel.look(), time.monotonic_ns())


def _wait_s(due_at_ns: int) -> float:
    return min(max(0.0, (due_at_ns - time.monotonic_ns()) / NS_PER_S), LONGEST_WAIT_S)


def _report(speaker: Speaker) -> None:
    for change in speaker.changes:
        LOG.info(
            "vrrp.transition instance=%s old=%s new=%s reason=%s",
            *(change.name, change.before.value, change.after.value, change.why.replace(" ", "_")),
        )
    for name, fault in speaker.new_faults.items():
        LOG.error("vrrp.fault instance=%s fault=%s", name, fault.replace(" ", "_"))
    for key in speaker.restored:
        LOG.warning("vrrp.address_restored address=%s", str(key).replace(" ", "_"))
    speaker.new_faults.clear()
    speaker.restored.clear()
    speaker.changes.clear()


@contextlib.contextmanager
def _ended() -> Iterator[int]:
    """Yield a descriptor that becomes readable when a signal asks for the end."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in ENDING}
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No pause to look for garbage: what is made here refers to nothing that refers back."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def read_plan(path: Path) -> RolePlan:
    """Return the role plan in a file.

    Raises:
        OSError: it cannot be read.
        Malformed: it is none.
    """
    return Codec(RolePlan).decode(path.read_bytes())
