"""What a verification demands, and its results: one vocabulary for directors, real servers and machines.

Requirements are a table. They are checked in its order, so that a later one can say of which of those before
it its failure is a consequence: one mistake has one name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class ResultStatus(StrEnum):
    """Whether a requirement is met; the first of several counts."""

    FAIL = "FAIL"
    UNKNOWN = "unknown"
    """Nothing that could be seen decides; the message says why."""
    WARN = "warn"
    OK = "ok"


class RequirementResult(NamedTuple):
    """What came of one requirement.

    Attributes:
        message: how it is now, in one line.
        fix: what to do, a command where there is one; empty when it is ok.
        device: the network device that it is about, or empty.
        consequence_of: the requirement whose failure this one follows from; empty when it stands alone.
        requirement: its short name.
        why: why the requirement is one.
    """

    status: ResultStatus
    message: str
    fix: str = ""
    device: str = ""
    consequence_of: str = ""
    requirement: str = ""
    why: str = ""


def ok(message: str, device: str = "") -> RequirementResult:
    """Return that a requirement is met."""
    return RequirementResult(ResultStatus.OK, message, device=device)


def fail(message: str, fix: str, device: str = "", consequence_of: str = "") -> RequirementResult:
    """Return that a requirement is not met."""
    return RequirementResult(ResultStatus.FAIL, message, fix, device, consequence_of)


def warn(message: str, fix: str) -> RequirementResult:
    """Return that a requirement is met, and something may surprise."""
    return RequirementResult(ResultStatus.WARN, message, fix)


def unknown(message: str, device: str = "", consequence_of: str = "", *, fix: str = "") -> RequirementResult:
    """Return why it cannot be determined."""
    return RequirementResult(ResultStatus.UNKNOWN, message, fix, device, consequence_of)


Judge = Callable[[T, Collection[str]], Iterable[RequirementResult]]
"""Gets the subject, and the names of requirements that have failed so far."""


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Requirement(Generic[T]):
    """One row of a table.

    Attributes:
        name: in few words; others name it as a cause.
        why: what it is good for, or what goes wrong without it.
        judge: what judges it; no result means that nothing is wrong.
        applies: to what it applies.
    """

    name: str
    why: str
    judge: Judge[T]
    applies: Callable[[T], bool] = _always


def results_of(requirements: Iterable[Requirement[T]], judged: T) -> tuple[RequirementResult, ...]:
    """Return the results of all requirements that apply, in their order."""
    results: list[RequirementResult] = []
    failed: list[str] = []
    for requirement in requirements:
        if not requirement.applies(judged):
            continue
        name, why = requirement.name, requirement.why
        found = [each._replace(requirement=name, why=why) for each in requirement.judge(judged, failed)]
        results += found
        if worst(each.status for each in found) is ResultStatus.FAIL:
            failed.append(name)
    return tuple(results)


def worst(statuses: Iterable[ResultStatus]) -> ResultStatus:
    """Return the worst of several; ok for none."""
    found = set(statuses)
    return next((each for each in ResultStatus if each in found), ResultStatus.OK)


def status_of(results: Iterable[RequirementResult]) -> ResultStatus:
    """Return the worst status of several results."""
    return worst(each.status for each in results)


def first_of(causes: Collection[str], failed: Collection[str]) -> str:
    """Return the first of several possible causes that has failed; empty when none has."""
    return next((cause for cause in causes if cause in failed), "")
