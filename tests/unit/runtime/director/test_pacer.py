"""When a round is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.reconcile.retry import FIRST_S, LONGEST_S
from kernelbal.runtime.director.pacer import (
    COALESCE_S,
    DRAIN_POLL_S,
    FREE_REVERTS,
    LONGEST_TRUCE_S,
    RESYNC_S,
    TIMER_SHARE,
    Cause,
    Ending,
    Pacer,
)


def ended(pacer: Pacer, at: float, ending: Ending | None = None, took_s: float = 0.0) -> frozenset[Cause]:
    """Run a round that begins at an instant; return its causes."""
    causes = pacer.begin(at)
    pacer.end(at + took_s, ending or Ending())
    return causes


def test_nothing_is_due_before_anything_happened() -> None:
    assert Pacer().due_at() is None


def test_five_thousand_causes_make_one_round() -> None:
    pacer = Pacer()
    for number in range(5000):
        pacer.note(Cause.PROBES, 10.0 + number * 1e-6)
    assert pacer.due_at() == 10.0 + COALESCE_S
    assert ended(pacer, 10.06) == {Cause.PROBES}
    assert pacer.due_at() == 10.06 + RESYNC_S


def test_what_happens_during_a_round_is_for_the_next_one() -> None:
    pacer = Pacer()
    pacer.note(Cause.CONFIG, 0.0)
    assert pacer.begin(1.0) == {Cause.CONFIG}
    pacer.note(Cause.PROBES, 1.5)
    pacer.end(2.0, Ending())
    assert pacer.due_at() == 3.0, "a round that took a second is followed by as long a rest"
    assert pacer.begin(3.0) == {Cause.PROBES}


def test_rounds_that_fail_as_a_whole_are_retried_ever_more_rarely_until_one_succeeds() -> None:
    pacer, at, waits = Pacer(), 0.0, []
    for _ in range(9):
        ended(pacer, at, Ending(failed=True))
        due_at = pacer.due_at()
        assert due_at is not None
        waits.append(due_at - at)
        at = due_at
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert max(waits) == RESYNC_S, "the resync comes before the longest retry"
    ended(pacer, at)
    ended(pacer, at + 1, Ending(failed=True))
    assert pacer.due_at() == at + 1 + FIRST_S
    assert LONGEST_S >= RESYNC_S


def test_what_the_kernel_refused_has_its_next_attempt_when_it_is_due() -> None:
    pacer = Pacer()
    ended(pacer, 0.0, Ending(retry_at=8.0))
    assert pacer.due_at() == 8.0
    assert ended(pacer, 8.0, Ending(retry_at=8.0)) == {Cause.RETRY}
    assert pacer.due_at() == 8.0 + COALESCE_S, "an instant that has passed does not make it spin"
    ended(pacer, 9.0, Ending(retry_at=11.0), took_s=0.5)
    assert pacer.due_at() == 9.5 + 0.5 / TIMER_SHARE, "a very large site waits longer"
    ended(pacer, 30.0, Ending(failed=True, retry_at=20.0))
    assert pacer.due_at() == 30.0 + FIRST_S, "a kernel that cannot be read is not asked for it"


def test_timers_name_their_cause() -> None:
    pacer = Pacer()
    ended(pacer, 0.0, Ending(draining=True, next_at=0.7))
    assert pacer.due_at() == 0.7
    assert ended(pacer, 0.7, Ending(draining=True)) == {Cause.DEADLINE}
    assert pacer.due_at() == 0.7 + DRAIN_POLL_S
    assert ended(pacer, 1.7) == {Cause.DRAIN}
    assert ended(pacer, 1.7 + RESYNC_S) == {Cause.RESYNC}


def test_a_long_round_is_repeated_more_rarely() -> None:
    pacer = Pacer()
    ended(pacer, 0.0, took_s=4.0)
    assert pacer.due_at() == 4.0 + 80.0


def test_a_deadline_that_has_passed_does_not_make_it_spin() -> None:
    pacer = Pacer()
    ended(pacer, 5.0, Ending(next_at=1.0))
    assert pacer.due_at() == 5.0 + COALESCE_S


def test_a_few_reverts_are_made_at_once() -> None:
    pacer = Pacer()
    for number in range(FREE_REVERTS):
        pacer.note(Cause.TABLE, float(number))
        assert pacer.due_at() == number + COALESCE_S
        ended(pacer, number + COALESCE_S, Ending(reverted=True))


def test_a_fight_with_another_program_is_fought_ever_more_slowly_and_holds_up_nothing_else() -> None:
    pacer, at = Pacer(), 0.0
    for _ in range(40):
        pacer.note(Cause.NOTIFIED, at)
        due_at = pacer.due_at()
        assert due_at is not None
        ended(pacer, due_at, Ending(reverted=True))
        last, at = at, due_at
    assert at - last == pytest.approx(LONGEST_TRUCE_S)
    pacer.note(Cause.NOTIFIED, at)
    pacer.note(Cause.PROBES, at)
    assert pacer.due_at() == at + COALESCE_S
    ended(pacer, at + COALESCE_S)
    later = at + 10 * LONGEST_TRUCE_S
    ended(pacer, later)
    pacer.note(Cause.NOTIFIED, later)
    assert pacer.due_at() == later + COALESCE_S


@given(st.lists(st.tuples(st.sampled_from(Cause), st.floats(0, 3)), max_size=40), st.floats(0, 2))
def test_rounds_never_take_more_than_half_of_the_time(
    happenings: list[tuple[Cause, float]], took_s: float
) -> None:
    pacer, now, ended_at = Pacer(), 0.0, float("-inf")
    for cause, wait_s in happenings:
        now += wait_s
        pacer.note(cause, now)
        due_at = pacer.due_at()
        assert due_at is not None
        if ended_at > float("-inf"):
            assert due_at >= ended_at + took_s - 1e-9
        now = max(now, due_at)
        pacer.begin(now)
        now = ended_at = now + took_s
        pacer.end(now, Ending())
