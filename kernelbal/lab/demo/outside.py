"""Starts the demo in a back end and hands on what it says, while it says it."""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from kernelbal.lab.backends.base import GuestCommand, StandardStreams
from kernelbal.lab.backends.choose import Candidate, all_backends, choose
from kernelbal.lab.demo.events import Finished, decode
from kernelbal.lab.demo.scenarios import checkout
from kernelbal.lab.errors import GuestFailed
from kernelbal.lab.names import BackendName

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from kernelbal.lab.backends.base import Backend
    from kernelbal.lab.demo.events import Event
    from kernelbal.lab.demo.names import ScenarioName

TIME_LIMIT_S: Final = 1800.0
"""Half an hour: twice what a slow machine needs that has to emulate the processor."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The back end that plays, and those that would have been preferred."""

    backend: Backend
    passed_over: tuple[Candidate, ...]


def select_backend(wanted: BackendName, backends: Iterable[Backend] | None = None) -> Selection:
    """Return the first usable back end, or the wanted one.

    Raises:
        BackendUnavailable: there is none; the message holds every reason.
    """
    known = tuple(backends or all_backends())
    chosen = choose(wanted, known)
    if wanted is not BackendName.AUTO:
        return Selection(chosen, ())
    better = takewhile(lambda backend: backend.name != chosen.name, known)
    return Selection(chosen, tuple(Candidate(backend, backend.refusal()) for backend in better))


def run_demo(
    backend: Backend, scenarios: Iterable[ScenarioName], requests: int
) -> Generator[Event, None, None]:
    """Play the demo in a back end and yield its events; closing the generator ends the guest.

    Raises:
        GuestFailed: the guest did not come up, ended early, or said something else than events.
        GuestTimeout: it took more than `TIME_LIMIT_S`.
        LabError: there are no examples here.
    """
    reading, writing = os.pipe()
    stop_reading, stop_writing = os.pipe()
    command = _command(scenarios, requests, stop_reading)
    with ThreadPoolExecutor(max_workers=1) as pool, contextlib.ExitStack() as stack:
        for descriptor in (stop_reading, stop_writing):
            stack.callback(os.close, descriptor)
        running = pool.submit(_run, backend, command, writing)
        stack.callback(_wait, running)
        stack.callback(os.write, stop_writing, b"x")
        # Closed first: nobody may wait for a reader who has gone.
        lines = stack.enter_context(os.fdopen(reading, encoding="utf-8"))
        finished = False
        for line in lines:
            event = decode(line)
            finished = finished or isinstance(event, Finished)
            yield event
        status = running.result()
        if status != 0 or not finished:
            raise GuestFailed(f"the demo broke off in the guest, with exit status {status}")


def _command(scenarios: Iterable[ScenarioName], requests: int, stop_descriptor: int) -> GuestCommand:
    return GuestCommand(
        argv=(sys.executable, "-m", "kernelbal.lab.demo", f"--requests={requests}", *scenarios),
        cwd=checkout(),
        timeout_s=TIME_LIMIT_S,
        stop_descriptor=stop_descriptor,
    )


def _run(backend: Backend, command: GuestCommand, writing: int) -> int:
    try:
        return backend.run(command, StandardStreams(stdout=writing))
    finally:
        os.close(writing)  # the reader sees the end


def _wait(running: Future[int]) -> None:
    running.exception()
