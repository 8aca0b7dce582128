"""The demo is started in a back end, followed while it runs, and ended with whoever follows it."""

import os
import select
import threading

import pytest

from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.demo.events import Doing, Event, Finished, encode
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.outside import run_demo, select_backend
from kernelbal.lab.errors import BackendUnavailable, GuestFailed
from kernelbal.lab.names import BackendName
from tests.support.fake_backend import FakeBackend

WORKING, DONE = Doing(text="working"), Finished(elapsed_s=1.0)
WAIT_S = 20.0


def saying(*events: Event, status: int = 0) -> FakeBackend:
    """A back end whose guest says these events and ends."""

    def work(command: GuestCommand, output: int) -> int:
        for event in events:
            os.write(output, encode(event).encode())
        return status

    return FakeBackend(work=work)


def test_auto_takes_the_first_usable_and_says_why_not_the_others() -> None:
    first, second, third = FakeBackend("netns", "no IPVS"), FakeBackend("uml"), FakeBackend("qemu", "no")
    chosen = select_backend(BackendName.AUTO, [first, second, third])
    assert chosen.backend is second
    assert [(c.backend.name, str(c.refusal)) for c in chosen.passed_over] == [("netns", "no IPVS")]


def test_wanted_back_end_is_taken_without_a_word_about_others() -> None:
    first, second = FakeBackend("netns"), FakeBackend("uml")
    chosen = select_backend(BackendName.UML, [first, second])
    assert chosen.backend is second
    assert chosen.passed_over == ()


def test_no_back_end() -> None:
    with pytest.raises(BackendUnavailable, match="no IPVS"):
        select_backend(BackendName.AUTO, [FakeBackend("netns", "no IPVS")])


def test_events_come_through() -> None:
    assert list(run_demo(saying(WORKING, DONE), [], 200)) == [WORKING, DONE]


def test_command() -> None:
    backend = saying(DONE)
    list(run_demo(backend, [ScenarioName.DSR, ScenarioName.NAT], 50))
    (command,) = backend.commands
    assert command.argv[1:] == ("-m", "kernelbal.lab.demo", "--requests=50", "dsr", "nat")
    assert (command.cwd / "examples").is_dir()
    assert not command.virtual_time


def test_events_come_while_the_guest_runs() -> None:
    seen = threading.Event()

    def work(command: GuestCommand, output: int) -> int:
        os.write(output, encode(WORKING).encode())
        assert seen.wait(WAIT_S)
        os.write(output, encode(DONE).encode())
        return 0

    events = run_demo(FakeBackend(work=work), [], 200)
    assert next(events) == WORKING
    seen.set()
    assert list(events) == [DONE]


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (saying(WORKING), "broke off in the guest, with exit status 0"),
        (saying(WORKING, DONE, status=3), "broke off in the guest, with exit status 3"),
        (saying(), "broke off"),
    ],
)
def test_guest_that_breaks_off(backend: FakeBackend, words: str) -> None:
    with pytest.raises(GuestFailed, match=words):
        list(run_demo(backend, [], 200))


def test_guest_that_cannot_start() -> None:
    def work(command: GuestCommand, output: int) -> int:
        raise GuestFailed("no memory")

    with pytest.raises(GuestFailed, match="no memory"):
        list(run_demo(FakeBackend(work=work), [], 200))


def test_guest_that_says_something_else() -> None:
    def work(command: GuestCommand, output: int) -> int:
        os.write(output, b"Kernel panic\n")
        return 0

    with pytest.raises(GuestFailed, match="Kernel panic"):
        list(run_demo(FakeBackend(work=work), [], 200))


def test_guest_is_told_to_stop_when_nobody_listens() -> None:
    told = threading.Event()

    def work(command: GuestCommand, output: int) -> int:
        os.write(output, encode(WORKING).encode())
        assert command.stop_descriptor is not None
        if select.select([command.stop_descriptor], [], [], WAIT_S)[0]:
            told.set()
        return 0

    events = run_demo(FakeBackend(work=work), [], 200)
    next(events)
    events.close()
    assert told.is_set()
