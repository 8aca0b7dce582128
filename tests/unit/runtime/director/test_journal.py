"""The journal of events."""

import asyncio

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.runtime.director.journal import Journal

UP = Event(Topic.SERVER_UP, Severity.NOTICE, "it answers", "web", "10.0.0.11", (("probe", "http"),))


def journal(kept: int = 4096) -> Journal:
    return Journal(lambda: "2024-01-01T00:00:00Z", kept)


def test_events_are_numbered_and_kept_in_order() -> None:
    book = journal()
    first, second = book.record(UP), book.record(UP._replace(server="10.0.0.12"))
    assert (first.seq, second.seq, book.last) == (1, 2, 2)
    assert (first.topic, first.severity, first.fields) == (
        "real_server.up",
        Severity.NOTICE,
        {"probe": "http"},
    )
    assert book.recent(0, 10) == [first, second]
    assert book.recent(1, 10) == [second]
    assert book.recent(0, 1) == [first]
    assert book.recent(2, 10) == book.recent(99, 10) == book.recent(0, 0) == []


def test_old_events_make_room_and_leave_a_gap_in_the_numbers() -> None:
    book = journal(kept=3)
    for _ in range(10):
        book.record(UP)
    assert [each.seq for each in book.recent(0, 99)] == [8, 9, 10]
    assert [each.seq for each in book.recent(8, 99)] == [9, 10]


def test_followers_get_what_was_and_what_comes() -> None:
    async def scene() -> list[int]:
        book, seen = journal(), []
        book.record(UP)
        book.record(UP)

        async def read() -> None:
            seen.extend([recorded.seq async for recorded in book.follow(1)])

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            await asyncio.sleep(0)
            book.record(UP)
            await asyncio.sleep(0)
            book.record(UP)
            book.close()
        return seen

    assert asyncio.run(scene()) == [2, 3, 4]


def test_who_asks_by_a_number_of_an_earlier_daemon_gets_what_comes() -> None:
    async def scene() -> list[int]:
        book, seen = journal(), []

        async def read() -> None:
            seen.extend([recorded.seq async for recorded in book.follow(1000)])

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            await asyncio.sleep(0)
            book.record(UP)
            book.close()
        return seen

    assert asyncio.run(scene()) == [1]
