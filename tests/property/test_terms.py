"""Every row of the table: what a hint proposes is valid here, and means the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from kernelbal.config.document import Data, compose
from kernelbal.config.terms import TERMS, VALUES, OtherSystem, Term
from kernelbal.config.vocabulary import key_hint
from kernelbal.config.wording import describe, setting_at
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.node import Node
from kernelbal.model.site.check import Check
from kernelbal.model.site.services import VirtualService
from kernelbal.model.units import parse_duration

TIMES = [term for term in TERMS if setting_at(term.place, term.path).annotation is float]
NAMES = [f"{term.system.value} {term.place.__name__} {term.word}" for term in TERMS]


def proposal(hint: str | None) -> dict[str, Data]:
    """What a hint says to write, as the parser reads it."""
    assert hint is not None
    data = compose(hint.removeprefix("write `").removesuffix("`").encode(), "hint")
    assert isinstance(data, dict)
    return data


def refusals(model: type[BaseModel], data: Data) -> list[str]:
    """What the model has against a proposal; it may lack further keys."""
    try:
        model.model_validate(data, context=DOCUMENT)
    except ValidationError as error:
        return [each["msg"] for each in error.errors() if each["type"] != "missing"]
    return []


def at(data: Data, path: tuple[str, ...]) -> Data:
    """The value at a path of mappings."""
    for step in path:
        assert isinstance(data, dict)
        data = data[step]
    return data


@pytest.mark.parametrize("term", TERMS, ids=NAMES)
def test_word_is_none_of_ours_and_its_example_is_valid(term: Term) -> None:
    assert term.word == term.word.lower().replace("-", "_")
    assert term.word not in term.place.model_fields
    assert refusals(term.place, proposal(key_hint(term.word, {}, term.place))) == []


@given(
    st.sampled_from(TERMS),
    st.booleans()
    | st.integers(-1, 70_000)
    | st.floats(0, 1e6)
    | st.ip_addresses().map(str)
    | st.text(max_size=9)
    | st.sampled_from(
        ["10.0.0.1 80", "[::1]:80", "GET / HTTP/1.0", "255.255.0.0", "2s", "1-9", "MASTER", "- x"]
    ),
)
def test_whatever_is_proposed_is_valid(term: Term, value: Data) -> None:
    hint = key_hint(term.word, value, term.place)
    assert hint is not None
    assert hint.isprintable()
    if hint.startswith("write `"):
        assert refusals(term.place, proposal(hint)) == []
    else:
        assert hint.startswith("that is `")


@pytest.mark.parametrize("term", TIMES, ids=lambda term: f"{term.system.value} {term.word}")
@given(number=st.integers(0, 10**7))
def test_time_keeps_its_value_whatever_its_unit(term: Term, number: int) -> None:
    unit_ms = 1 if term.system is OtherSystem.HAPROXY else 1000
    for value in (number, str(number)):
        data = proposal(key_hint(term.word, value, term.place))
        assert round(parse_duration(str(at(data, term.path))) * 1000) == number * unit_ms


@pytest.mark.parametrize("key", VALUES.keys() - {"persistence"})
def test_choice_of_values_is_the_models(key: str) -> None:
    places = ((VirtualService, (key,)), (Check, (key,)), (Check, ("smtp", key)), (Node, (key,)))
    words = next(describe(at) for at in (setting_at(*place) for place in places) if at.key == key)
    convert = VALUES[key].convert
    assert convert is not None
    for ours in words.removeprefix("one of ").replace("`", "").split(", "):
        assert convert(ours) == ours
