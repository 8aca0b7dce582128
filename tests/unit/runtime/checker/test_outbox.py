"""What is sent to the director, and when."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState
from kernelbal.runtime.checker.outbox import NOTICE_S, Outbox
from kernelbal.runtime.checker.wire import CheckerReport, Notice
from kernelbal.runtime.parent import ParentLink
from tests.support.checker_link import CheckerLink, states_of

UP, DOWN = ProbeState(Health.UP, 1.0), ProbeState(Health.DOWN, 2.0, "connection refused")
STARVED = Notice(Topic.CHECKER_STARVED, "out of file descriptors")


class Ends:
    """An outbox and the director's end of its connection."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        self.waits: list[bool] = []
        self.parent = ParentLink(self.theirs, self.waits.append)
        self.outbox = Outbox(self.parent)
        self._link = CheckerLink(self.ours)

    def flush(self, now: float) -> None:
        self.outbox.flush(now, lambda: 0.25, 7)

    def received(self) -> list[CheckerReport]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found += self._link.read()
        return found


@pytest.fixture
def ends() -> Iterator[Ends]:
    sock = Ends()
    yield sock
    sock.ours.close()
    sock.theirs.close()


def test_changes_go_out_at_once_and_the_rest_when_its_second_is_over(ends: Ends) -> None:
    ends.flush(10.0)
    assert ends.received() == [CheckerReport(10.0, {}, (), 0.25, 7)]
    ends.outbox.usual["a"] = UP
    ends.flush(10.2)
    assert ends.received() == []
    ends.outbox.urgent["b"] = DOWN
    ends.flush(10.3)
    assert [report.states for report in ends.received()] == [{"b": DOWN}]
    ends.flush(11.0)
    assert [report.states for report in ends.received()] == [{"a": UP}]


def test_a_change_replaces_what_was_to_be_sent_of_the_same_probe(ends: Ends) -> None:
    ends.flush(10.0)
    ends.outbox.usual["a"] = UP
    ends.outbox.urgent["a"] = DOWN
    ends.flush(10.1)
    ends.flush(11.5)
    assert [report.states for report in ends.received()[1:]] == [{"a": DOWN}, {}]


def test_a_notice_of_each_topic_is_sent_once_a_minute(ends: Ends) -> None:
    for now in (1.0, 2.0, 3.0, NOTICE_S, NOTICE_S + 1.0, NOTICE_S + 2.0):
        ends.outbox.notify(STARVED, now)
    ends.outbox.notify(STARVED._replace(topic=Topic.CHECKER_LATE), 5.0)
    ends.flush(100.0)
    (report,) = ends.received()
    assert [notice.topic for notice in report.notices] == [
        Topic.CHECKER_STARVED,
        Topic.CHECKER_STARVED,
        Topic.CHECKER_LATE,
    ]


def test_while_the_director_does_not_read_memory_stays_bounded_and_nothing_is_lost(ends: Ends) -> None:
    ends.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for second in range(50):
        ends.outbox.usual.update({f"k{n}": ProbeState(Health.UP, float(second)) for n in range(500)})
        ends.flush(float(second + 1))
    assert ends.waits[-1]
    assert len(ends.outbox.usual) == 500
    found: dict[str, ProbeState] = {}
    while ends.waits[-1]:
        found |= states_of(ends.received())
        ends.parent.write()
    ends.flush(100.0)
    for _ in range(100):
        found |= states_of(ends.received())
        ends.parent.write()
    assert {state.since_at for state in found.values()} == {49.0}
