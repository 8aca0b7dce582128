"""The documents of the status and of errors."""

import pytest

from kernelbal.errors import Problem, Span
from kernelbal.model.status import problem_document, problem_of


@pytest.mark.parametrize(
    "problem",
    [
        Problem("a[0].b", "wrong", "a number", "write 1", Span("site.yaml", 3, 5)),
        Problem("", "empty"),
    ],
)
def test_a_problem_survives_the_way_through_the_api(problem: Problem) -> None:
    assert problem_of(problem_document(problem)) == problem
