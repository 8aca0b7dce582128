"""Events of what the kernel refuses: one when that begins or its error changes, one when it ends."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.units import age, counted
from kernelbal.plan.action import Names, Result
from kernelbal.plan.kinds import describe, object_of
from kernelbal.reconcile.retry import Failing, FailingObject
from kernelbal.reconcile.round import RoundReport
from kernelbal.runtime.director.drift import service_name

NAMED: Final = 10
"""How many objects have an event of their own in one round; one more counts the others."""


def failing_events(before: Failing, report: RoundReport, names: Names, now: float) -> Iterator[Event]:
    """Yield an event for each object that begins to fail, fails with another error, or has recovered.

    Args:
        before: what the kernel refused before the round.
        report: of the round.
        names: of the virtual services.
        now: seconds on the boot clock.
    """
    after = report.failing
    failing = [each for key, each in after.items() if not _known(before.get(key), each)]
    yield from (_failing_event(each, names) for each in failing[:NAMED])
    yield from _others(Topic.OBJECT_FAILING, Severity.ERROR, failing[NAMED:])
    gone = [each for key, each in before.items() if key not in after]
    if gone:
        yield from _recovered_events(gone, report, names, now)


def _recovered_events(
    gone: Sequence[FailingObject], report: RoundReport, names: Names, now: float
) -> Iterator[Event]:
    """What waits for another object has not recovered; the other one has an event."""
    results = {object_of(outcome.action): outcome.result for outcome in report.outcomes}
    recovered = [each for each in gone if results.get(each.id) is not Result.SKIPPED]
    for each in recovered[:NAMED]:
        ending = "succeeded" if each.id in results else "no longer needed"
        after = f"after {age(now - each.since_at)} and {counted(each.attempts, 'failed attempt')}"
        message = f"{_text(each, names)}: {ending}, {after}"
        yield _event(Topic.OBJECT_RECOVERED, Severity.NOTICE, message, each, names)
    yield from _others(Topic.OBJECT_RECOVERED, Severity.NOTICE, recovered[NAMED:])


def _failing_event(failing: FailingObject, names: Names) -> Event:
    outcome = failing.outcome
    hint = f" (hint: {outcome.hint})" if outcome.hint else ""
    waiting = f"; {counted(failing.holds_back, 'other change waits', 'other changes wait')} for it"
    message = f"{_text(failing, names)}: {outcome.message}{hint}{waiting if failing.holds_back else ''}"
    return _event(Topic.OBJECT_FAILING, Severity.ERROR, f"{message}; retried with back-off", failing, names)


def _event(topic: Topic, severity: Severity, message: str, failing: FailingObject, names: Names) -> Event:
    error = error_name(failing.outcome.errno) if topic is Topic.OBJECT_FAILING else ""
    fields = (("error", error),) if error else ()
    return Event(topic, severity, message, service=service_name(failing.action, names), fields=fields)


def _others(topic: Topic, severity: Severity, others: Sequence[FailingObject]) -> Iterator[Event]:
    if others:
        message = f"the same for {counted(len(others), 'more object')}: see `kernelbal status`"
        yield Event(topic, severity, message, fields=(("objects", str(len(others))),))


def error_name(number: int) -> str:
    """Return the name of an error number, such as `ENOENT`; empty for 0."""
    return errno.errorcode.get(number, str(number)) if number else ""


def _text(failing: FailingObject, names: Names) -> str:
    line = describe(failing.action, names)
    return f"{line.sign} {line.text}"


def _known(before: FailingObject | None, now: FailingObject) -> bool:
    """Return whether an object failed before with the same error."""
    return before is not None and (before.outcome.errno, before.outcome.message) == (
        now.outcome.errno,
        now.outcome.message,
    )
