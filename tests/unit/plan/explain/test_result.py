"""The words of an explanation are an interface: programs read them, and the documentation lists them."""

from enum import Enum
from pathlib import Path

import pytest

from kernelbal.plan.explain.query import FactSource
from kernelbal.plan.explain.result import Availability, Certainty, ExplainOutcome, StepTopic, StepVerdict

PAGE = (Path(__file__).parents[4] / "docs/how-to/explain.md").read_text(encoding="utf-8")
WORDS = [
    word
    for words in (Availability, Certainty, ExplainOutcome, FactSource, StepTopic, StepVerdict)
    for word in words
]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_word_is_documented(word: Enum) -> None:
    assert f"`{word.value}`" in PAGE


def test_topics_are_documented_in_the_order_of_the_packet() -> None:
    table = PAGE[PAGE.index("| `topic` |") :]
    places = [table.index(f"\n| `{topic.value}` |") for topic in StepTopic]
    assert places == sorted(places)
