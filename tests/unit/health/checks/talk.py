"""A dialogue played without a network."""

from __future__ import annotations

from kernelbal.health.checks.dialogue import Dialogue, Step, Verdict


def reply(dialogue: Dialogue, *portions: bytes) -> Step:
    """What follows from the last of these portions, where those before it ask for nothing but more."""
    *earlier, last = portions
    for portion in earlier:
        assert dialogue.receive(portion) == Step()
    return dialogue.receive(last)


def verdict(dialogue: Dialogue, *portions: bytes) -> Verdict:
    """The verdict after all this, or when the stream ends after it."""
    dialogue.begin()
    for portion in portions:
        step = dialogue.receive(portion)
        if step.verdict is not None:
            return step.verdict
    return dialogue.end()


def fault(dialogue: Dialogue, *portions: bytes) -> str:
    """Why it is bad, after all this."""
    found = verdict(dialogue, *portions)
    assert not found.good
    return found.reason
