"""The host of child processes, with children of a few lines."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

import msgspec
import pytest

from kernelbal.runtime.child import UNSTABLE_LOSSES, ChildHost, ChildLimits, ChildProgram, Loss
from kernelbal.store.codec import Codec, Malformed
from tests.support.news import News

LIMIT_S = 10.0
QUICK = ChildLimits(first_backoff_s=0.02, last_backoff_s=0.1, silence_s=LIMIT_S, end_s=LIMIT_S)


class Order(msgspec.Struct):
    """What the children here are sent."""

    number: int


class Answer(msgspec.Struct):
    """What they send back."""

    number: int
    pid: int


CHILD = """
import os, sys, time
from kernelbal.runtime.parent import serve_parent
from tests.support.news import News
def work(connection, mark):
    connection.setblocking(True)
    with connection.makefile("r") as orders, connection.makefile("w") as stream:
        BODY
sys.exit(serve_parent("toy", sys.argv[1:], work))
"""
ECHO = """
        for line in orders:
            number = line.rstrip()[:-1].rpartition(":")[2]
            print('{"number":%s,"pid":%d}' % (number, os.getpid()), file=stream, flush=True)
"""


def program(body: str) -> ChildProgram[Order, Answer]:
    """Return a child whose work is `body`, with `orders` and `stream` open to the host."""
    source = CHILD.replace("        BODY", textwrap.indent(textwrap.dedent(body).strip(), " " * 8))
    return ChildProgram("toy", (sys.executable, "-c", source), Codec(Order), Codec(Answer))


class Desk(News):
    """A guest that keeps what it gets, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.orders = [Order(1)]
        self.answers: list[Answer] = []
        self.losses: list[Loss] = []
        self.starts = 0
        self.settles = False

    def messages(self) -> Iterable[Order]:
        return list(self.orders)

    def started(self) -> None:
        self.starts += 1

    def received(self, message: Answer) -> None:
        if message.number < 0:
            raise Malformed("a negative number")
        self.answers.append(message)
        self.note()

    def lost(self, loss: Loss) -> bool:
        self.losses.append(loss)
        self.note()
        return self.settles


Scene = Callable[[ChildHost[Order, Answer], Desk], Coroutine[None, None, None]]


def play(toy: ChildProgram[Order, Answer], scene: Scene, limits: ChildLimits = QUICK) -> Desk:
    """Run a host until its scene is over."""

    async def run() -> Desk:
        desk = Desk()
        host = ChildHost(toy, desk, limits)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(host.run())
            await scene(host, desk)
            running.cancel()
        assert (host.alive, host.pid) == (False, None)
        return desk

    return asyncio.run(run())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_messages_go_both_ways_and_the_child_ends_with_its_host() -> None:
    async def scene(host: ChildHost[Order, Answer], desk: Desk) -> None:
        assert not host.alive
        await desk.until(lambda: bool(desk.answers))
        assert (host.alive, host.pid) == (True, desk.answers[0].pid)
        desk.orders = [Order(2), Order(3)]
        host.refresh()
        await desk.until(lambda: len(desk.answers) == 3)

    desk = play(program(ECHO), scene)
    assert [answer.number for answer in desk.answers] == [1, 2, 3]
    assert desk.losses == []
    assert not is_running(desk.answers[0].pid)


def test_a_child_that_is_killed_is_started_anew_and_gets_the_messages_again() -> None:
    async def scene(host: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.answers))
        os.kill(desk.answers[0].pid, signal.SIGKILL)
        await desk.until(lambda: len(desk.answers) == 2)
        assert host.restarts == 1

    desk = play(program(ECHO), scene)
    assert desk.starts == 2
    assert desk.losses == [Loss("the toy ended (exit status -9)", 1)]
    assert desk.answers[0].pid != desk.answers[1].pid


def test_what_a_lost_child_was_working_for_is_known() -> None:
    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.losses))

    toy = program("mark[0] = 2**63 + 7; os.abort()")
    assert play(toy, scene).losses == [Loss("the toy ended (exit status -6)", 1, 2**63 + 7)]


def test_memory_that_a_child_takes_away_is_no_mark() -> None:
    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.losses))

    toy = program("os.ftruncate(int(sys.argv[-1].partition('=')[2]), 0); sys.exit(0)")
    assert play(toy, scene).losses == [Loss("the toy ended (exit status 0)", 1, 0)]


def test_the_next_child_starts_at_once_when_it_is_spared_what_the_last_one_was_lost_by() -> None:
    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        desk.settles = True
        await desk.until(lambda: len(desk.losses) == 3)

    patient = ChildLimits(first_backoff_s=LIMIT_S, silence_s=LIMIT_S, end_s=LIMIT_S)
    play(program("sys.exit(0)"), scene, patient)


@pytest.mark.parametrize(
    ("toy", "reason"),
    [
        (ChildProgram("toy", ("/no/such/program",), Codec(Order), Codec(Answer)), "toy cannot be started: "),
        (program("pass"), "the toy ended (exit status 0)"),
        (program("stream.write('hm\\n'); stream.flush(); orders.read()"), "sent what cannot be read: JSON"),
        (program("stream.write('{}\\n'); stream.flush(); orders.read()"), "missing required field `number`"),
        (program('print(\'{"number":-1,"pid":1}\', file=stream, flush=True); orders.read()'), "a negative"),
        (program("stream.write('x' * 5_000_000); stream.flush(); orders.read()"), "a frame has more than"),
    ],
)
def test_a_child_that_does_not_work_is_lost_with_a_reason(
    toy: ChildProgram[Order, Answer], reason: str
) -> None:
    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.losses))

    assert reason in play(toy, scene).losses[0].reason


@pytest.mark.parametrize(
    ("stubborn", "status"), [("", 0), ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); ", -9)]
)
def test_a_silent_child_is_lost_and_made_to_end(stubborn: str, status: int) -> None:
    toy = program(f'{stubborn}print(\'{{"number":1,"pid":1}}\', file=stream, flush=True); time.sleep(60)')

    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.answers and desk.losses))

    losses = play(toy, scene, ChildLimits(silence_s=2.0, end_s=0.2)).losses
    assert losses[-1].reason == f"the toy sent nothing for 2 s (exit status {status})"


def test_the_back_off_doubles_until_a_child_ran_ten_times_as_long_as_it_was_waited_for() -> None:
    limits = ChildLimits(first_backoff_s=0.1, last_backoff_s=30.0)

    def waits(*ran_s: float) -> list[float]:
        waited_s, found = 0.0, []
        for each in ran_s:
            waited_s = limits.backoff_s(waited_s, each)
            found.append(waited_s)
        return found

    assert waits(0.0, 0.0, 0.0, 0.0) == [0.1, 0.2, 0.4, 0.8]
    assert waits(0.5, 1.1, 1.1, 1.1) == [0.1] * 4, "it is of use between its losses"
    assert waits(*[0.4] * 12)[-3:] == [30.0] * 3
    assert limits.backoff_s(30.0, 29.0) == 30.0
    assert limits.backoff_s(30.0, 31.0) == 0.1


def test_a_child_that_is_lost_again_and_again_is_called_unstable() -> None:
    async def scene(host: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: len(desk.losses) == 1)
        assert not host.unstable
        await desk.until(lambda: len(desk.losses) == UNSTABLE_LOSSES)
        assert host.unstable

    desk = play(ChildProgram("toy", ("/no/such/program",), Codec(Order), Codec(Answer)), scene)
    assert [loss.recent for loss in desk.losses] == [1, 2, 3]
    assert [loss.unstable for loss in desk.losses] == [False, False, True]


def test_others_have_their_turn_however_fast_a_child_sends() -> None:
    flood = "while True: print('{\"number\":1,\"pid\":1}\\n' * 1000, end='', file=stream, flush=True)"

    async def scene(_: ChildHost[Order, Answer], desk: Desk) -> None:
        await desk.until(lambda: bool(desk.answers))
        for _turn in range(20):
            await asyncio.sleep(0)

    assert play(program(flood), scene).losses == []


def test_a_host_that_is_killed_leaves_no_child() -> None:
    source = """
        import asyncio
        from tests.unit.runtime.test_child import Desk, ECHO, program
        from kernelbal.runtime.child import ChildHost
        async def run():
            desk = Desk()
            desk.received = lambda answer: print(answer.pid, flush=True)
            await ChildHost(program(ECHO), desk).run()
        asyncio.run(run())
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        assert is_running(pid)
        started.kill()
        give_up_at = time.monotonic() + LIMIT_S
        while is_running(pid):
            assert time.monotonic() < give_up_at, "the child outlives its host"
            time.sleep(0.01)
