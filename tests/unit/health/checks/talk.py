"""A dialogue played without a network."""

from __future__ import annotations

from kernelbal.health.checks.dialogue import Dialogue, DialogueStep, ProbeResult


def reply(dialogue: Dialogue, *portions: bytes) -> DialogueStep:
    """What follows from the last of these portions, where those before it ask for nothing but more."""
    *earlier, last = portions
    for portion in earlier:
        assert dialogue.receive(portion) == DialogueStep()
    return dialogue.receive(last)


def result(dialogue: Dialogue, *portions: bytes) -> ProbeResult:
    """The result after all this, or when the stream ends after it."""
    dialogue.begin()
    for portion in portions:
        step = dialogue.receive(portion)
        if step.result is not None:
            return step.result
    return dialogue.end()


def failure(dialogue: Dialogue, *portions: bytes) -> str:
    """Why it is bad, after all this."""
    found = result(dialogue, *portions)
    assert not found.good
    return found.reason
