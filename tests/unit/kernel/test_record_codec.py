"""Records are read whole or not at all."""

from collections.abc import Callable

import pytest

from kernelbal.kernel.record_codec import Malformed, as_number, as_switch, as_text, decode

SCHEMA = 3


def test_what_is_built_is_returned() -> None:
    assert decode('{"schema": 3, "a": 1}', SCHEMA, lambda document: document["a"]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "not a file of kernelbal"),
        ("{}", "not a file of kernelbal"),
        ('{"schema": 4}', "layout has number 4, this version knows 3"),
        ('{"schema": 3}', "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_what_is_no_record(text: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        decode(text, SCHEMA, lambda document: document["a"])


@pytest.mark.parametrize(
    ("read", "right", "wrong"),
    [
        (as_text, "a", 1),
        (as_number, 1, True),
        (as_number, 0, 1.0),
        (as_switch, False, 0),
        (as_text, "", None),
    ],
)
def test_values_are_of_their_kind(read: Callable[[object], object], right: object, wrong: object) -> None:
    assert read(right) == right
    with pytest.raises(TypeError):
        read(wrong)
