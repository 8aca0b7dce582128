"""What a word of another load balancer, or a misspelt one, means here: hints for a refused document."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from kernelbal.config.converters import NoEquivalent, folded
from kernelbal.config.document import Data
from kernelbal.config.scalars import resolve_plain
from kernelbal.config.terms import TERMS, VALUES, OtherSystem, Term
from kernelbal.config.violation import shown
from kernelbal.config.wording import describe, setting_at
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.text import one_line

MAX_PROPOSAL_CHARACTERS: Final = 200
"""Longest setting that a hint spells out."""
_SIMILARITY: Final = 0.6
_MARKS_OF_YAML: Final = frozenset(",:[]{}#&*!|>'\"%@`?\\")

_BY_WORD: Final[defaultdict[str, list[Term]]] = defaultdict(list)
for _term in TERMS:
    _BY_WORD[_term.word].append(_term)


def find_term(word: str, model: type[BaseModel], system: OtherSystem | None = None) -> Term | None:
    """Return what a word means in the mapping of a model: to one system, or to the first that has it.

    Where it means several settings, that of the mapping itself comes before those inside of it.
    """
    terms = [
        term for term in _BY_WORD.get(folded(word), ()) if term.below(model) and system in {None, term.system}
    ]
    return min(terms, key=lambda term: len(term.below(model)), default=None)


def means(word: str, model: type[BaseModel], key: str) -> bool:
    """Return whether a word is what others call the key of a model; a similar name is no such word."""
    term = find_term(word, model)
    return term is not None and term.below(model)[0] == key


def key_hint(key: str, value: Data, model: type[BaseModel]) -> str | None:
    """Return what to write instead of an unknown key and its value, or None when nothing is like it."""
    term = find_term(key, model)
    if term is None:
        return _similar(folded(key), tuple(model.model_fields))
    path = term.below(model)
    if term.converter.convert is None or value is None or isinstance(value, dict):
        return f"write `{flow(nested(path, term.converter.example))}`"
    try:
        proposed = nested(path, term.converter.convert(value))
        _require_valid(model, path, proposed)
    except ValueError as error:
        if isinstance(value, list):
            return f"write `{flow(nested(path, term.converter.example))}`"
        return f"that is `{'.'.join(path)}` here; `{shown(value)}` does not convert: {_reason(error)}"
    text = flow(proposed)
    return f"write `{text}`" if len(text) <= MAX_PROPOSAL_CHARACTERS else f"that is `{'.'.join(path)}` here"


def value_hint(key: str, value: str, known: Collection[str]) -> str | None:
    """Return what to write instead of an invalid value, or None when nothing is like it."""
    word = folded(value)
    converter = VALUES.get(key)
    if converter is not None and converter.convert is not None:
        try:
            return f"write `{flow(converter.convert(value), outermost=False)}`"
        except NoEquivalent as error:
            return f"no equivalent: {error}"
        except ValueError:
            pass  # a word that the table does not have: look for one that is like it
    spelled = word.replace("_", "-")
    return f"write `{spelled}`" if spelled in known else _similar(spelled, known)


def _reason(error: ValueError) -> str:
    return one_line(str(error)[:MAX_PROPOSAL_CHARACTERS])


def _similar(word: str, known: Collection[str]) -> str | None:
    similar = get_close_matches(word, known, n=1, cutoff=_SIMILARITY)
    return f"did you mean `{similar[0]}`?" if similar else None


def _require_valid(model: type[BaseModel], path: tuple[str, ...], proposed: dict[str, Data]) -> None:
    """Raise ValueError where the model would refuse a proposal; what it lacks beside it does not count."""
    field = model.model_fields[path[0]]
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(proposed[path[0]], context=DOCUMENT)
    except ValidationError as error:
        if any(each["type"] != "missing" for each in error.errors(include_url=False)):
            raise ValueError(f"expected {describe(setting_at(model, path))}") from error


def nested(path: tuple[str, ...], value: Data) -> dict[str, Data]:
    """Return `{a: {b: value}}` for the path `a.b`."""
    for step in reversed(path[1:]):
        value = {step: value}
    return {path[0]: value}


def flow(data: Data, *, outermost: bool = True) -> str:
    """Return data as YAML in one line; the outermost mapping without its braces."""
    match data:
        case dict():
            pairs = ", ".join(f"{flow(key)}: {flow(value, outermost=False)}" for key, value in data.items())
            return pairs if outermost else f"{{{pairs}}}"
        case list():
            return f"[{', '.join(flow(item, outermost=False) for item in data)}]"
        case str() if resolve_plain(data) == data and data[0] != "-" and _MARKS_OF_YAML.isdisjoint(data):
            return data
        case _:
            return json.dumps(data, ensure_ascii=False)
