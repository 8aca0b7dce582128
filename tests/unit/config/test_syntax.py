"""YAML's syntax errors in plain words, with their place."""

import pytest

from kernelbal.config.document import compose
from kernelbal.errors import ConfigError

CASES = {
    "a: b: c\n": "1:5 a `:` where no key can be",
    "a: 1\n b: 2\n": "2:3 a `:` where no key can be",
    "a:\n  b: 1\n c: 2\n": "3:2 this line fits no mapping above it",
    "- a\nb: c\n": "2:1 a list goes on without `-`",
    "a: [1, 2\nb: 3\n": "2:2 the list `[...]` is not closed (it begins on line 1)",
    "a: {b: 1\n\n\n": "4:1 the mapping `{...}` is not closed (it begins on line 1)",
    'a: "text\n\n': "3:1 a quote is not closed (it begins on line 1)",
    "a:\n\t- b\n": "2:1 a tab where YAML takes spaces only",
    "a: @b\n": "1:4 text must not begin with this character",
    "a: `b`\n": "1:4 text must not begin with this character",
    'a: "\\q"\n': "1:5 `\\` with a character that means nothing",
    "a: 1\nb\n": "3:1 a key without `:`",
    "%FOO\n---\na: b\n": "1:5 a directive (`%`) at the start of the document",
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_syntax_error(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(text.encode(), "site.yaml")
    (problem,) = caught.value.problems
    assert problem.span is not None
    place, _, message = expected.partition(" ")
    assert (f"{problem.span.line}:{problem.span.column}", problem.message) == (
        place,
        f"not valid YAML: {message}",
    )
    assert problem.hint
