"""Plans and applies as documents."""

import pytest

from kernelbal.model.answers import ActionOutcome


@pytest.mark.parametrize(
    ("result", "failed"), [("done", False), ("already", False), ("failed", True), ("skipped", True)]
)
def test_what_was_not_tried_failed_too(result: str, failed: bool) -> None:
    outcome = ActionOutcome(kind="AddService", text="", result=result, errno=0, message=None, hint=None)
    assert outcome.failed is failed
