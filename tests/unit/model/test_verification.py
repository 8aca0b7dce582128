"""Requirements are judged in order, and the worst result decides."""

from collections.abc import Collection, Iterator

import pytest

from kernelbal.model.verification import (
    Requirement,
    RequirementResult,
    ResultStatus,
    fail,
    first_of,
    ok,
    results_of,
    status_of,
    unknown,
    warn,
    worst,
)


def _has_address(has: bool, failed: Collection[str]) -> Iterator[RequirementResult]:
    yield ok("10.0.0.80", "lo") if has else fail("no address", "add it")


def _answers(has: bool, failed: Collection[str]) -> Iterator[RequirementResult]:
    cause = first_of(("route", "address"), failed)
    yield fail("no answer", f"see {cause}", consequence_of=cause) if cause else ok("answers")


TABLE: tuple[Requirement[bool], ...] = (
    Requirement("address", "Packets go to it.", _has_address),
    Requirement("answer", "The proof.", _answers),
    Requirement("spare", "Never.", _has_address, lambda _: False),
)


def test_results_bear_requirement_and_reason() -> None:
    assert results_of(TABLE, True) == (
        RequirementResult(ResultStatus.OK, "10.0.0.80", "", "lo", "", "address", "Packets go to it."),
        RequirementResult(ResultStatus.OK, "answers", "", "", "", "answer", "The proof."),
    )


def test_a_later_failure_is_a_consequence_of_an_earlier_one() -> None:
    assert [each.consequence_of for each in results_of(TABLE, False)] == ["", "address"]


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((), ResultStatus.OK),
        ((ok("up"), warn("old", "renew it")), ResultStatus.WARN),
        ((unknown("why"), warn("old", "renew it"), ok("up")), ResultStatus.UNKNOWN),
        ((ok("up"), fail("down", "up with it"), unknown("why")), ResultStatus.FAIL),
    ],
)
def test_the_worst_counts(results: tuple[RequirementResult, ...], status: ResultStatus) -> None:
    assert status_of(results) is status
    assert worst(each.status for each in results) is status
