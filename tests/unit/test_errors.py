"""The exceptions that a user may see."""

import pytest

from kernelbal.errors import ConfigError, KernelbalError, KernelError, NotPermitted, Problem, Span


def test_message_and_hint_are_fields_and_the_message_is_the_text() -> None:
    error = KernelbalError("cannot do it", "do it otherwise")
    assert (error.message, error.hint, str(error)) == ("cannot do it", "do it otherwise", "cannot do it")
    assert KernelbalError("cannot do it").hint is None


def test_span_is_written_as_editors_read_it() -> None:
    assert str(Span("site.yaml", 3, 7)) == "site.yaml:3:7"


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 problem in the configuration"), (3, "3 problems in the configuration")]
)
def test_configuration_error_counts_its_problems(count: int, text: str) -> None:
    problems = (Problem("ports", "is missing"),) * count
    error = ConfigError(problems)
    assert (error.message, error.problems) == (text, problems)


def test_kernel_error_says_what_was_tried_on_what() -> None:
    error = NotPermitted("add real server", "192.0.2.10:80/tcp", 1, "refused", "use sudo")
    assert isinstance(error, KernelError)
    assert (error.operation, error.target, error.errno) == ("add real server", "192.0.2.10:80/tcp", 1)
    assert (error.message, error.hint) == ("refused", "use sudo")
